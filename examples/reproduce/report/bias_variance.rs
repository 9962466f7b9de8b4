//! Figure 1 and table 1: bias and standard deviation of the estimators.

use super::document::{Block, Cell, NONE, Table, decimals, or_none, signed};
use super::groups::{TABLE_METHODS, look};
use super::tables::plus_minus;
use crate::lab::bias_variance::plan;
use crate::lab::bias_variance::record::{Line, What};
use crate::lab::lines::{Lines, at, in_a_line};
use crate::lab::published::Published;
use crate::lab::stats::Mean;
use crate::lab::svg::Scale;
use crate::lab::svg::figure::{Figure, LAST_VARIANT, Look, Point, Trace};
use hardgrad::estimators::{EstimatorConfig, EstimatorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A quantity that the lines contain.
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
        title: "Bias: cosine between the exact gradient and the mean of the estimates",
        label: "cosine",
        note: "1 is the direction of the exact gradient. The remaining noise of the mean lowers the cosine.",
        value: |line| line.cosine,
        error: |line| line.cosine_se,
    },
    Quantity {
        id: "relative-sd",
        title: "Variance: norm of the estimates' standard deviation divided by the norm of their mean",
        label: "relative sd",
        note: "The quantity that the paper's figure 1 and table 1 show.",
        value: |line| line.relative_sd,
        error: |line| line.relative_sd_se,
    },
    Quantity {
        id: "bias-norm",
        title: "Norm of the bias: mean of the estimates minus the exact gradient",
        label: "bias, nats/logit",
        note: "The remaining noise of the mean raises this norm.",
        value: |line| line.bias_norm,
        error: |_| None,
    },
    Quantity {
        id: "covariance-trace",
        title: "Trace of the covariance of one estimate",
        label: "trace, nats²/logit²",
        note: "Unlike the relative standard deviation, it does not depend on the mean.",
        value: |line| line.covariance_trace,
        error: |_| None,
    },
];

/// The measurements of one estimator with one setting.
struct Curve {
    name: String,
    kind: EstimatorKind,
    /// Description of the first line.
    what: What,
    /// Lines by epoch, then by seed.
    lines: BTreeMap<usize, BTreeMap<u64, Line>>,
}

/// Figures, tables, and a comparison with the published numbers.
pub fn blocks(path: &Path, published: &[Published]) -> Result<Vec<Block>, String> {
    let curves = curves(path)?;
    let all = || curves.iter().flat_map(|curve| curve.lines.values().flat_map(BTreeMap::values));
    let list = |values: BTreeSet<usize>| values.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
    let seeds: BTreeSet<u64> = all().map(|line| line.what.seed).collect();
    let estimates = list(all().map(|line| line.what.estimates).collect());
    let batch = list(all().map(|line| line.what.batch).collect());
    let about = format!(
        "Gradients of the cross-entropy part with respect to the logits, at fixed parameters and a fixed batch of {batch} images; \
         {estimates} estimates of each estimator, {} of training. A number that does not exist for some seed is a gap in the \
         figures and a dash in the tables.",
        super::document::count(seeds.len(), "seed")
    );
    let epochs: BTreeSet<usize> = all().map(|line| line.what.epoch).collect();
    let mut blocks = vec![Block::Text(about)];
    for (id, title, set) in sets(&curves) {
        let looks = looks(&set);
        let figure = |quantity| figure(quantity, (id, title), &set, &looks, &epochs);
        let figures: Vec<_> = QUANTITIES.iter().filter_map(figure).collect();
        if !figures.is_empty() {
            blocks.push(Block::Figures(figures));
        }
    }
    blocks.extend(QUANTITIES.iter().map(|quantity| Block::Table(table(quantity, &curves, &epochs))));
    blocks.extend(beside(&curves, published));
    Ok(blocks)
}

/// The curves of figure 1, those of the forms of ReinMax-CV, and the others if they fit into one
/// figure.
fn sets(curves: &[Curve]) -> Vec<(&'static str, &'static str, Vec<&Curve>)> {
    let k = curves.iter().find_map(|curve| curve.what.k).unwrap_or(1);
    let of = |configs: &[EstimatorConfig]| -> Vec<&Curve> {
        curves.iter().filter(|curve| configs.iter().any(|&config| curve.what.is(config))).collect()
    };
    let (figure, forms) = (of(&plan::figure(k)), of(&plan::forms(k)));
    let is_in = |set: &[&Curve], curve: &Curve| set.iter().any(|other| other.name == curve.name);
    let others: Vec<_> =
        curves.iter().filter(|curve| !is_in(&figure, curve) && !is_in(&forms, curve)).collect();
    let mut sets = vec![("figure-1", "methods of figure 1", figure)];
    if forms.iter().any(|curve| !is_in(&sets[0].2, curve)) {
        sets.push(("forms", "forms of ReinMax-CV, blends", forms));
    }
    if others.len() <= MOST_OTHERS {
        sets.push(("others", "others", others));
    }
    sets.retain(|(.., set)| !set.is_empty());
    sets
}

/// Largest number of other curves in a figure. More curves are in the tables only.
const MOST_OTHERS: usize = 8;

fn curves(path: &Path) -> Result<Vec<Curve>, String> {
    let mut curves: Vec<Curve> = Vec::new();
    for (number, text) in Lines::read(path)?.iter() {
        let at = |what: String| at(path, number, what);
        let line: Line =
            serde_json::from_str(text).map_err(|e| at(in_a_line(format!("not a measurement: {e}"))))?;
        let kind: EstimatorKind =
            line.what.estimator.parse().map_err(|e: hardgrad::Error| at(e.to_string()))?;
        let (name, what) = (name(&line.what, kind), line.what.clone());
        let i = curves.iter().position(|curve| curve.name == name).unwrap_or_else(|| {
            curves.push(Curve { name, kind, what: what.clone(), lines: BTreeMap::new() });
            curves.len() - 1
        });
        let curve = &mut curves[i];
        if curve.lines.entry(what.epoch).or_default().insert(what.seed, line).is_some() {
            let What { epoch, seed, .. } = what;
            let earlier = "is in an earlier line already; remove one of the two lines";
            return Err(at(format!("{} at epoch {epoch}, seed {seed} {earlier}", curve.name)));
        }
    }
    if curves.is_empty() {
        return Err(format!(
            "{}: there is no measurement in it; expected a file that `bias_variance` wrote",
            path.display()
        ));
    }
    let order = |kind| TABLE_METHODS.iter().rev().position(|&k| k == kind).unwrap_or(usize::MAX);
    curves.sort_by(|a, b| (order(a.kind), &a.name).cmp(&(order(b.kind), &b.name)));
    Ok(curves)
}

/// Method and setting: equal for the lines of one curve.
fn name(what: &What, kind: EstimatorKind) -> String {
    let mut name = kind.label().to_owned();
    if let Some(form) = &what.form {
        name += &format!(" {form}");
    }
    for (symbol, value) in [("λ", what.lambda), ("τ", what.tau), ("Rao's τ", what.rao_tau), ("η", what.eta)]
    {
        name += &value.map_or_else(String::new, |value| format!(", {symbol} {value}"));
    }
    name += &what.k.map_or_else(String::new, |k| format!(", K {k}"));
    if what.precision == "f32" { name } else { format!("{name}, {}", what.precision) }
}

/// Colour and shape of each curve: those of its method, with another variant for each further
/// setting of a method.
fn looks(curves: &[&Curve]) -> Vec<Look> {
    let mut taken = BTreeSet::new();
    let distinct = |curve: &&Curve| {
        let mut look = look(curve.kind);
        while look.variant < LAST_VARIANT && taken.contains(&look) {
            look.variant += 1;
        }
        taken.insert(look);
        look
    };
    curves.iter().map(distinct).collect()
}

impl Curve {
    /// The mean over the seeds, if each has the number. With one seed, the standard error is that
    /// of the measurement.
    fn mean(&self, quantity: &Quantity, epoch: usize) -> Option<Mean> {
        let lines = self.lines.get(&epoch)?;
        let numbers: Option<Vec<f64>> = lines.values().map(quantity.value).collect();
        let mean = Mean::of(&numbers?)?;
        let own = lines.values().next().and_then(quantity.error);
        Some(Mean { error: mean.error.or(own), ..mean })
    }

    fn trace(&self, quantity: &Quantity, look: Look, epochs: &BTreeSet<usize>) -> Trace {
        let mut points = Vec::new();
        for &epoch in epochs {
            let mean = self.mean(quantity, epoch);
            let y = mean.map_or(f64::NAN, |mean| mean.mean);
            let note = mean.map(|mean| format!("{}, epoch {epoch}: {}", self.name, significant(mean)));
            points.push(Point { x: epoch as f64, y, error: 0.0, note: note.unwrap_or_default() });
        }
        Trace { name: self.name.clone(), look, points, band: vec![], line: true, marks: 1 }
    }
}

/// The number with three decimals, or with three significant digits if that is longer.
fn significant(mean: Mean) -> String {
    let size = mean.mean.abs();
    if size == 0.0 || size >= 0.1 {
        return plus_minus(mean, 3);
    }
    if size < 1e-4 {
        let error = mean.error.map(|error| format!(" ± {error:.1e}"));
        return format!("{:.2e}", mean.mean) + &error.unwrap_or_default();
    }
    plus_minus(mean, (2.0 - size.log10().floor()) as usize)
}

/// Exponent of the power of ten by which small numbers are multiplied in a figure, a multiple of 3.
fn power(numbers: impl Iterator<Item = f64>) -> i32 {
    let largest = numbers.fold(0.0, |most: f64, x| most.max(x.abs()));
    if largest == 0.0 || largest >= 0.1 { 0 } else { -3 * (largest.log10() / 3.0).floor() as i32 }
}

fn figure(
    quantity: &Quantity,
    (id, title): (&str, &str),
    curves: &[&Curve],
    looks: &[Look],
    epochs: &BTreeSet<usize>,
) -> Option<Figure> {
    let pairs = curves.iter().zip(looks);
    let mut traces: Vec<_> = pairs.map(|(curve, &look)| curve.trace(quantity, look, epochs)).collect();
    let power = power(traces.iter().flat_map(|trace| &trace.points).map(|point| point.y));
    traces.iter_mut().flat_map(|trace| &mut trace.points).for_each(|p| p.y *= 10f64.powi(power));
    let unit = if power == 0 { String::new() } else { format!(", times 10^{power}") };
    let values = || traces.iter().flat_map(|trace| &trace.points).map(|p| p.y).filter(|y| !y.is_nan());
    let (low, high) = values().fold((f64::INFINITY, 0.0_f64), |(l, h), y| (l.min(y), h.max(y)));
    if !low.is_finite() {
        return None;
    }
    // The variance of REINFORCE is orders of magnitude larger than that of the others.
    let log = low > 0.0 && high > 30.0 * low;
    let y = if log {
        Scale::Log { floor: 10f64.powf((low.log10() * 2.0).floor() / 2.0) }
    } else {
        Scale::Linear { low: 0.0 }
    };
    Some(Figure {
        id: format!("bias-variance-{id}-{}", quantity.id),
        title: format!("{}; {title}", quantity.title),
        caption: format!("{}{}", quantity.note, if log { " The axis is logarithmic." } else { "" }),
        x_label: "epochs trained".into(),
        y_label: format!("{}{unit}", quantity.label),
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
            "One column per epoch. ±: one standard error over the seeds, or that of the measurement if there is one seed. {}",
            quantity.note
        ),
        columns: std::iter::once("Estimator".into()).chain(epochs.iter().map(usize::to_string)).collect(),
        labels: 1,
        rows: rows.collect(),
    }
}

/// Our numbers beside figure 1's cosines and table 1's deviations.
fn beside(curves: &[Curve], published: &[Published]) -> Option<Block> {
    let k = curves.iter().find_map(|curve| curve.what.k).unwrap_or(1);
    let mut rows = Vec::new();
    for theirs in published.iter().filter(|p| p.split.is_none()) {
        let figure = theirs.source == "figure-1";
        let quantity = if figure { &QUANTITIES[0] } else { &QUANTITIES[1] };
        let configs = if figure { plan::figure(k) } else { plan::table() };
        let fits = |curve: &&Curve| {
            curve.kind == theirs.method && configs.iter().any(|&config| curve.what.is(config))
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
        title: "Comparison with the published figure 1 and table 1".into(),
        note: "The numbers of figure 1 are the stored ones; their standard deviation over seeds is about 0.1. The figure's caption has \
               ReinMax-CV at τ 0.1; the table also has τ 1. The published runs have another batch, other seeds and other checkpoints."
            .into(),
        columns: columns.map(str::to_owned).to_vec(),
        labels: 4,
        rows,
    };
    (!table.rows.is_empty()).then_some(Block::Table(table))
}
