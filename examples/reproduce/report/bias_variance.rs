//! Figure 1 and table 1: how far the estimators' mean is from the exact gradient, and how far they scatter.

use super::document::{Block, Cell, NONE, Table, decimals, or_none, signed};
use super::groups::{look, method};
use super::load::lines;
use super::published::Published;
use super::stats::Mean;
use super::tables::plus_minus;
use crate::svg::Scale;
use crate::svg::figure::{Figure, Look, Point, Trace};
use hardgrad::estimators::EstimatorKind;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A line of the file: an estimator at a checkpoint.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    epoch: usize,
    estimator: String,
    form: Option<String>,
    tau: Option<f64>,
    eta: Option<f64>,
    lambda: Option<f64>,
    rao_tau: Option<f64>,
    beta: Option<f64>,
    draws: usize,
    k: Option<usize>,
    batch: usize,
    seed: u64,
    precision: Option<String>,
    cosine: Option<f64>,
    cosine_se: Option<f64>,
    relative_sd: Option<f64>,
    relative_sd_se: Option<f64>,
    covariance_trace: Option<f64>,
    bias_norm: Option<f64>,
}

/// A quantity of the lines.
struct Quantity {
    id: &'static str,
    title: &'static str,
    label: &'static str,
    note: &'static str,
    value: fn(&Line) -> Option<f64>,
    error: fn(&Line) -> Option<f64>,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity {
        id: "cosine",
        title: "Bias: cosine between the exact gradient and the mean of the draws",
        label: "cosine",
        note: "1 is the right direction. The noise that is left in the mean of the draws lowers it.",
        value: |line| line.cosine,
        error: |line| line.cosine_se,
    },
    Quantity {
        id: "relative-sd",
        title: "Variance: norm of the draws' sd by the norm of their mean",
        label: "relative sd",
        note: "The quantity that the paper's figure 1 and table 1 show.",
        value: |line| line.relative_sd,
        error: |line| line.relative_sd_se,
    },
    Quantity {
        id: "bias-norm",
        title: "Norm of the bias: mean of the draws less the exact gradient",
        label: "bias, nats a logit",
        note: "The noise that is left in the mean raises it.",
        value: |line| line.bias_norm,
        error: |_| None,
    },
    Quantity {
        id: "covariance-trace",
        title: "Trace of the covariance of one draw",
        label: "trace, nats² a logit²",
        note: "Unlike the relative sd it does not fall where the mean grows.",
        value: |line| line.covariance_trace,
        error: |_| None,
    },
];

/// What was measured of one estimator with one setting.
struct Curve {
    name: String,
    look: Look,
    kind: EstimatorKind,
    form: Option<String>,
    tau: Option<f64>,
    /// By epoch, then by seed.
    lines: BTreeMap<usize, BTreeMap<u64, Line>>,
}

/// Figures, tables, and the published numbers beside ours.
pub fn blocks(path: &Path, published: &[Published]) -> Result<Vec<Block>, String> {
    let curves = curves(path)?;
    let all = || curves.iter().flat_map(|curve| curve.lines.values().flat_map(BTreeMap::values));
    let list = |values: BTreeSet<usize>| values.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
    let seeds: BTreeSet<u64> = all().map(|line| line.seed).collect();
    let (draws, batch) = (list(all().map(|l| l.draws).collect()), list(all().map(|l| l.batch).collect()));
    let about = format!(
        "Gradients of the cross-entropy part with respect to the logits, at fixed parameters and a fixed batch of {batch} images; \
         {draws} draws of each estimator, {} of training. A number that does not exist is a gap, and is never bridged.",
        super::document::count(seeds.len(), "seed")
    );
    let epochs: BTreeSet<usize> = all().map(|line| line.epoch).collect();
    let figures = QUANTITIES.iter().filter_map(|quantity| figure(quantity, &curves, &epochs));
    let tables = QUANTITIES.iter().map(|quantity| Block::Table(table(quantity, &curves, &epochs)));
    let mut blocks = vec![Block::Text(about), Block::Figures(figures.collect())];
    blocks.extend(tables);
    blocks.extend(beside(&curves, published));
    Ok(blocks)
}

fn curves(path: &Path) -> Result<Vec<Curve>, String> {
    let mut curves: Vec<Curve> = Vec::new();
    for (number, text) in lines(path)? {
        let at = |what: String| format!("{}, line {number}: {what}", path.display());
        let line: Line = serde_json::from_str(&text).map_err(|e| at(format!("not a measurement: {e}")))?;
        let kind: EstimatorKind = line.estimator.parse().map_err(|e: hardgrad::Error| at(e.to_string()))?;
        let name = line.name(kind);
        let curve = match curves.iter_mut().position(|curve| curve.name == name) {
            Some(i) => &mut curves[i],
            None => {
                let (form, tau) = (line.form.clone(), line.tau);
                curves.push(Curve { name, look: look(kind), kind, form, tau, lines: BTreeMap::new() });
                curves.last_mut().ok_or("no curve")?
            }
        };
        let (epoch, seed) = (line.epoch, line.seed);
        if curve.lines.entry(epoch).or_default().insert(seed, line).is_some() {
            return Err(at(format!(
                "{} at epoch {epoch}, seed {seed} stands in an earlier line already",
                curve.name
            )));
        }
    }
    if curves.is_empty() {
        return Err(format!("{}: there is no measurement in it", path.display()));
    }
    let order =
        |kind| super::groups::TABLE_METHODS.iter().rev().position(|&k| k == kind).unwrap_or(usize::MAX);
    curves.sort_by(|a, b| (order(a.kind), &a.name).cmp(&(order(b.kind), &b.name)));
    distinct(&mut curves);
    Ok(curves)
}

/// Gives the settings of one method different variants of its look.
fn distinct(curves: &mut [Curve]) {
    let mut taken = BTreeSet::new();
    for curve in curves {
        while curve.look.variant < 3 && taken.contains(&curve.look) {
            curve.look.variant += 1;
        }
        taken.insert(curve.look);
    }
}

impl Line {
    /// Method and setting: equal for the lines of one curve. What only says how well it was measured belongs to it as well.
    fn name(&self, kind: EstimatorKind) -> String {
        let mut name = method(kind).to_owned();
        if let Some(form) = &self.form {
            name += &format!(" {form}");
        }
        let numbers = [
            ("λ", self.lambda),
            ("τ", self.tau),
            ("Rao's τ", self.rao_tau),
            ("η", self.eta),
            ("β", self.beta),
        ];
        for (symbol, value) in numbers {
            name += &value.map_or_else(String::new, |value| format!(", {symbol} {value}"));
        }
        name += &self.k.map_or_else(String::new, |k| format!(", K {k}"));
        match self.precision.as_deref() {
            None | Some("f32") => name,
            Some(precision) => format!("{name}, {precision}"),
        }
    }
}

impl Curve {
    /// Over the seeds; the measurement's own standard error if there is one seed.
    fn mean(&self, quantity: &Quantity, epoch: usize) -> Option<Mean> {
        let lines = self.lines.get(&epoch)?;
        let numbers: Vec<_> =
            lines.values().filter_map(|line| Some((line, (quantity.value)(line)?))).collect();
        let mean = Mean::of(&numbers.iter().map(|(_, x)| *x).collect::<Vec<_>>())?;
        let own = numbers.first().and_then(|(line, _)| (quantity.error)(line));
        Some(Mean { error: mean.error.or(own), ..mean })
    }

    fn trace(&self, quantity: &Quantity, epochs: &BTreeSet<usize>) -> Trace {
        let mut points = Vec::new();
        for &epoch in epochs {
            let mean = self.mean(quantity, epoch);
            let y = mean.map_or(f64::NAN, |mean| mean.mean);
            let note = mean.map(|mean| format!("{}, epoch {epoch}: {}", self.name, significant(mean)));
            points.push(Point { x: epoch as f64, y, error: 0.0, note: note.unwrap_or_default() });
        }
        Trace { name: self.name.clone(), look: self.look, points, band: vec![], line: true, marks: 1 }
    }
}

/// Three decimals, or three digits where that would leave none.
fn significant(mean: Mean) -> String {
    let small = mean.mean.abs() < 0.1 && mean.mean != 0.0;
    let digits = if small { (2.0 - mean.mean.abs().log10().floor()) as usize } else { 3 };
    plus_minus(mean, digits.min(12))
}

fn figure(quantity: &Quantity, curves: &[Curve], epochs: &BTreeSet<usize>) -> Option<Figure> {
    let traces: Vec<_> = curves.iter().map(|curve| curve.trace(quantity, epochs)).collect();
    let values = || traces.iter().flat_map(|trace| &trace.points).map(|p| p.y).filter(|y| !y.is_nan());
    let (low, high) = values().fold((f64::INFINITY, 0.0_f64), |(l, h), y| (l.min(y), h.max(y)));
    if !low.is_finite() {
        return None;
    }
    // REINFORCE scatters orders of magnitude more than the others.
    let log = low > 0.0 && high > 30.0 * low;
    let y = if log {
        Scale::Log { floor: 10f64.powf((low.log10() * 2.0).floor() / 2.0) }
    } else {
        Scale::Linear { low: 0.0 }
    };
    Some(Figure {
        id: format!("bias-variance-{}", quantity.id),
        title: quantity.title.into(),
        caption: format!("{}{}", quantity.note, if log { " Logarithmic." } else { "" }),
        x_label: "epochs trained".into(),
        y_label: quantity.label.into(),
        x: Scale::Whole,
        y,
        x_names: Vec::new(),
        zero: false,
        reach: 0.0,
        traces,
    })
}

fn table(quantity: &Quantity, curves: &[Curve], epochs: &BTreeSet<usize>) -> Table {
    let rows = curves.iter().map(|curve| {
        let cells = epochs.iter().map(|&epoch| {
            let mean = curve.mean(quantity, epoch);
            Cell::from(mean.map_or(NONE.to_owned(), significant))
        });
        std::iter::once(curve.name.as_str().into()).chain(cells).collect()
    });
    Table {
        id: format!("bias-variance-{}", quantity.id),
        title: quantity.title.into(),
        note: format!(
            "By epoch. ± one standard error: over the seeds, or of the measurement where there is one seed and it is known. {}",
            quantity.note
        ),
        columns: std::iter::once("Estimator".into()).chain(epochs.iter().map(usize::to_string)).collect(),
        labels: 1,
        rows: rows.collect(),
    }
}

/// Figure 1's cosines and table 1's deviations beside ours.
fn beside(curves: &[Curve], published: &[Published]) -> Option<Block> {
    let mut rows = Vec::new();
    for theirs in published.iter().filter(|p| p.split.is_none()) {
        let quantity = if theirs.source == "figure-1" { &QUANTITIES[0] } else { &QUANTITIES[1] };
        let fits = |curve: &&Curve| {
            let form = curve.form.as_deref();
            let published_form = curve.kind != EstimatorKind::ReinMaxCv || form == Some("author-code");
            curve.kind == theirs.method && curve.tau == theirs.at && published_form
        };
        for curve in curves.iter().filter(fits) {
            let Some(here) = curve.mean(quantity, theirs.epoch) else { continue };
            let texts = [
                theirs.source.replace('-', " "),
                curve.name.clone(),
                theirs.epoch.to_string(),
                quantity.label.into(),
                here.n.to_string(),
                decimals(here.mean, 3),
                or_none(here.error, |x| decimals(x, 3)),
                decimals(theirs.value, 3),
                signed(here.mean - theirs.value, 3),
            ];
            rows.push(texts.into_iter().map(Cell::from).collect());
        }
    }
    let columns = ["Of", "Estimator", "Epoch", "Quantity", "Seeds", "Here", "SE", "Published", "Difference"];
    let table = Table {
        id: "bias-variance-published".into(),
        title: "Beside the published figure 1 and table 1".into(),
        note: "Figure 1's numbers are the stored ones; their sd over seeds is about 0.1. Their batch, seeds and checkpoints are not ours."
            .into(),
        columns: columns.map(str::to_owned).to_vec(),
        labels: 4,
        rows,
    };
    (!table.rows.is_empty()).then_some(Block::Table(table))
}
