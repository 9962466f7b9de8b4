//! Training curves, and the differences of the final losses from the published ones.

use super::document::{Block, nats, signed};
use super::groups::{Group, PAPER_EPOCHS, TABLE_METHODS, cv_look, look, table_latents};
use super::tables::{Context, capital, cells};
use crate::lab::preset::Preset;
use crate::lab::published::Split;
use crate::lab::stats::Comparison;
use crate::lab::svg::Scale;
use crate::lab::svg::figure::{Figure, Look, Point, Trace};
use hardgrad::estimators::{CvForm, EstimatorConfig, EstimatorKind};

const AUTO: Scale = Scale::Linear { low: f64::INFINITY };

/// Train and test loss against the epoch, for each latent space and number of epochs: first the
/// runs of the tables, then the forms of ReinMax-CV.
pub fn blocks(context: &Context<'_>) -> Vec<Block> {
    let with_runs = || context.groups.iter().filter(|group| !group.runs.is_empty());
    let mut blocks = Vec::new();
    for latent in table_latents() {
        let mut lengths: Vec<_> =
            with_runs().filter(|g| g.config.vae.latent == latent).map(|g| g.epochs).collect();
        lengths.sort_unstable();
        lengths.dedup();
        for epochs in lengths.into_iter().rev() {
            let of = |preset, kind| context.cell(preset, kind, latent, epochs).filter(|g| !g.runs.is_empty());
            let tables = TABLE_METHODS.iter().filter_map(|&kind| {
                Some((
                    kind.label().to_owned(),
                    look(kind),
                    of(Preset::AsRun, kind).or_else(|| of(Preset::Table4, kind))?,
                ))
            });
            blocks.extend(pair(
                context,
                &format!("{latent}-{epochs}"),
                &format!("{latent}"),
                &tables.collect::<Vec<_>>(),
            ));
            let forms = with_runs().filter(|g| g.config.vae.latent == latent && g.epochs == epochs);
            let forms: Vec<_> = forms.filter_map(form).collect();
            if forms.iter().any(|(_, look, _)| look.variant > 0) {
                let title = format!("{latent}, forms of ReinMax-CV");
                blocks.extend(pair(context, &format!("{latent}-{epochs}-forms"), &title, &forms));
            }
        }
    }
    blocks
}

/// Whether this is a form of ReinMax-CV with the hyper-parameters of the tables.
fn form<'a>(group: &'a Group<'a>) -> Option<(String, Look, &'a Group<'a>)> {
    let EstimatorConfig::ReinMaxCv { form, tau, draws, eta } = group.config.estimator else { return None };
    let mut config = group.config.clone();
    config.estimator = EstimatorConfig::ReinMaxCv { form: CvForm::AuthorCode, tau, draws, eta };
    let preset = Preset::AsRun;
    let is = super::groups::is_cell(&config, preset, EstimatorKind::ReinMaxCv, config.vae.latent);
    is.then(|| (form.name().to_owned(), cv_look(form), group))
}

/// The figures of train and test loss, side by side.
fn pair(
    context: &Context<'_>,
    id: &str,
    title: &str,
    groups: &[(String, Look, &Group<'_>)],
) -> Option<Block> {
    let epochs = groups.first()?.2.epochs;
    (epochs > 1)
        .then(|| Block::Figures(Split::ALL.map(|split| curves(context, id, title, split, groups)).into()))
}

fn curves(
    context: &Context<'_>,
    id: &str,
    title: &str,
    split: Split,
    groups: &[(String, Look, &Group<'_>)],
) -> Figure {
    let epochs = groups.iter().map(|(.., group)| group.epochs).max().unwrap_or(1);
    // In the first epochs the losses are an order of magnitude above the differences between the
    // methods.
    let from = (epochs / 20).max(1);
    let traces = groups.iter().map(|(name, look, group)| trace(name, *look, group, split, from));
    let seeds = groups.iter().map(|(.., group)| group.runs.len());
    let (least, most) = (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0));
    let seeds = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    let band = if most > 1 { "; bands: range over seeds, clipped at the frame" } else { "" };
    Figure {
        id: format!("{}curves-{id}-{}", context.prefix, split.name()),
        title: format!("{title}: {} loss, runs of {epochs} epochs", split.name()),
        caption: format!("The axis begins at epoch {from}. Lines: mean over seeds ({seeds}){band}."),
        x_label: "epoch".into(),
        y_label: format!("{} loss, nats per image", split.name()),
        x: Scale::Whole,
        y: AUTO,
        x_names: Vec::new(),
        zero: false,
        reach: 0.0,
        traces: traces.collect(),
    }
}

fn trace(name: &str, look: Look, group: &Group<'_>, split: Split, from: usize) -> Trace {
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for epoch in from..=group.epochs {
        let losses = group.losses(split, epoch);
        let low = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let high = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        let spread =
            if losses.len() > 1 { format!(" ({} to {})", nats(low), nats(high)) } else { String::new() };
        let note = format!("{name}, epoch {epoch}: {} nats{spread}", nats(mean));
        points.push(Point { x: epoch as f64, y: mean, error: 0.0, note });
        if losses.len() > 1 {
            band.push([epoch as f64, low, high]);
        }
    }
    let marks = (points.len() / 8).max(1);
    Trace { name: name.into(), look, points, band, line: true, marks }
}

/// Our final loss minus the published one, train and test.
pub fn differences(context: &Context<'_>) -> Vec<Block> {
    let figures: Vec<_> = Split::ALL.iter().filter_map(|&split| difference(context, split)).collect();
    if figures.is_empty() { Vec::new() } else { vec![Block::Figures(figures)] }
}

fn difference(context: &Context<'_>, split: Split) -> Option<Figure> {
    let mut traces: Vec<Trace> = Vec::new();
    for (kind, latent) in cells() {
        let Some(group) = context.cell(Preset::AsRun, kind, latent, PAPER_EPOCHS) else { continue };
        let (Some(here), Some(theirs)) = (group.end(split), context.published(split, kind, latent)) else {
            continue;
        };
        let comparison = Comparison::new(here, theirs);
        let row = TABLE_METHODS.iter().position(|&k| k == kind).unwrap_or(0);
        let column = table_latents().position(|l| l == latent).unwrap_or(0);
        let point = Point {
            // The marks of one latent space are side by side.
            x: column as f64 + 0.11 * (row as f64 - 3.0),
            y: comparison.difference,
            error: comparison.combined.unwrap_or(0.0),
            note: format!("{}, {latent}: {} nats", kind.label(), signed(comparison.difference, 2)),
        };
        match traces.iter_mut().find(|trace| trace.name == kind.label()) {
            Some(trace) => trace.points.push(point),
            None => traces.push(Trace {
                name: kind.label().into(),
                look: look(kind),
                points: vec![point],
                marks: 1,
                ..Trace::default()
            }),
        }
    }
    (!traces.is_empty()).then(|| Figure {
        id: format!("{}difference-{}", context.prefix, split.name()),
        title: format!("{} loss after {PAPER_EPOCHS} epochs minus the published one", capital(split.name())),
        caption: "Hyper-parameters as run. Bars: ± one combined standard error; a mark without a bar is a single run. Bars are clipped \
                  at the axis."
            .into(),
        x_label: "latent space, categories x variables".into(),
        y_label: "here minus published, nats per image".into(),
        x: AUTO,
        y: AUTO,
        x_names: table_latents().map(|latent| latent.to_string()).collect(),
        zero: true,
        reach: 1.5,
        traces,
    })
}
