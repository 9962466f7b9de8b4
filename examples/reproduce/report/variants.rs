//! Runs that are in no table of the paper: the forms of ReinMax-CV, the grid of appendix B, and
//! others.

use super::document::{Block, Cell, NONE, Table};
use super::groups::{Group, training};
use super::tables::{Context, show};
use crate::lab::preset::Preset;
use crate::lab::published::Split;
use hardgrad::estimators::{CvForm, EstimatorConfig, EstimatorKind};
use std::collections::BTreeMap;

const FORMS: [CvForm; 4] = [CvForm::AuthorCode, CvForm::Coupled, CvForm::Shared, CvForm::Printed];

/// Purpose of a group that is not a cell of the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Form,
    Grid,
    Beta,
    Other,
}

fn purpose(group: &Group<'_>) -> Use {
    match group.config.estimator {
        EstimatorConfig::ReinMaxRk2 { .. } => Use::Beta,
        EstimatorConfig::ReinMaxCv { form, .. } if form != CvForm::AuthorCode => Use::Form,
        EstimatorConfig::ReinMaxCv { .. } | EstimatorConfig::ReinMaxRao { .. } => Use::Grid,
        _ => Use::Other,
    }
}

/// The table of the forms of ReinMax-CV, for each setting with a run of another form than the
/// published code's.
pub fn forms(context: &Context<'_>) -> Vec<Block> {
    let mut rows: BTreeMap<usize, [Option<&Group<'_>>; 4]> = BTreeMap::new();
    let others: Vec<_> = context.groups.iter().map(|group| form_of(group, CvForm::AuthorCode)).collect();
    for (i, group) in context.groups.iter().enumerate() {
        let EstimatorConfig::ReinMaxCv { form, .. } = group.config.estimator else { continue };
        // All forms of one setting are in the row of its first group.
        let first = others.iter().position(|other| *other == others[i]).unwrap_or(i);
        if let Some(column) = FORMS.iter().position(|&other| other == form) {
            rows.entry(first).or_default()[column] = Some(group);
        }
    }
    rows.retain(|_, groups| groups[1..].iter().flatten().next().is_some());
    let rows: Vec<_> =
        rows.values().flat_map(|groups| Split::ALL.map(|split| form_row(groups, split))).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let names = FORMS.map(|form| form.name().to_owned());
    vec![Block::Table(Table {
        id: format!("{}cv-forms", context.prefix),
        title: "The four forms of ReinMax-CV".into(),
        note: "Nats per image at the end: mean ± standard error (runs). “author-code” made the published numbers; “coupled” has \
               ReinMax's expectation; “shared” is section 3.2 as argued; “printed” is eq. 18 as printed."
            .into(),
        columns: ["Latent", "Setting", "Epochs", "Loss"].map(str::to_owned).into_iter().chain(names).collect(),
        labels: 4,
        rows,
    })]
}

/// Key that is equal for two groups that differ in their form only.
fn form_of(group: &Group<'_>, form: CvForm) -> Option<(usize, hardgrad::train::TrainConfig)> {
    let mut config = group.config.clone();
    config.seed = 0;
    match &mut config.estimator {
        EstimatorConfig::ReinMaxCv { form: own, .. } => *own = form,
        _ => return None,
    }
    Some((group.epochs, config))
}

fn form_row(groups: &[Option<&Group<'_>>; 4], split: Split) -> Vec<Cell> {
    let Some(first) = groups.iter().flatten().next() else { return Vec::new() };
    let setting = match first.config.estimator {
        EstimatorConfig::ReinMaxCv { tau, eta, draws, .. } => {
            format!("τ {tau}, η {eta}, K {draws}, {}", training(first.config))
        }
        _ => String::new(),
    };
    let labels = [first.latent(), setting, first.epochs.to_string(), split.name().into()];
    let forms = groups.iter().map(|group| group.map_or(NONE.into(), |group| show(group, split)));
    labels.into_iter().map(Cell::from).chain(forms).collect()
}

/// The search for hyper-parameters: one table for each method, latent space and number of epochs,
/// with the lowest loss first.
pub fn grids(context: &Context<'_>) -> Vec<Block> {
    let mut tables: BTreeMap<usize, Vec<&Group<'_>>> = BTreeMap::new();
    let same =
        |a: &Group<'_>, b: &Group<'_>| (a.kind(), a.epochs, a.latent()) == (b.kind(), b.epochs, b.latent());
    for group in context.groups.iter().filter(|group| purpose(group) == Use::Grid) {
        let first = context.groups.iter().position(|other| purpose(other) == Use::Grid && same(other, group));
        tables.entry(first.unwrap_or(0)).or_default().push(group);
    }
    // A group that is a cell of the tables and has no other setting beside it is not a search.
    let searches = tables.into_values().filter(|groups| groups.iter().any(|group| !group.is_any_cell()));
    searches.map(|groups| Block::Table(grid(context, groups))).collect()
}

fn grid(context: &Context<'_>, mut groups: Vec<&Group<'_>>) -> Table {
    let loss = |group: &Group<'_>| group.end(Split::Train).map_or(f64::INFINITY, |mean| mean.mean);
    groups.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    let (kind, latent, epochs) = (groups[0].kind(), groups[0].latent(), groups[0].epochs);
    let rows = groups.iter().enumerate().map(|(i, group)| {
        let (tau, eta, draws) = match group.config.estimator {
            EstimatorConfig::ReinMaxCv { tau, eta, draws, .. } => (tau, eta.to_string(), draws),
            EstimatorConfig::ReinMaxRao { tau, draws } => (tau, NONE.to_owned(), draws),
            _ => (f64::NAN, NONE.to_owned(), 0),
        };
        let place = if group.runs.is_empty() { NONE.to_owned() } else { (i + 1).to_string() };
        let setting = [
            place,
            training(group.config),
            preset(group, kind).into(),
            tau.to_string(),
            eta,
            draws.to_string(),
        ];
        let losses = Split::ALL.map(|split| show(group, split));
        setting.into_iter().map(Cell::from).chain(losses).collect()
    });
    Table {
        id: format!("{}grid-{}-{latent}-{epochs}-epochs", context.prefix, kind.name()),
        title: format!("{}, {latent}: settings by train loss after {epochs} epochs", kind.label()),
        note: "Nats per image: mean ± standard error (runs); the best setting first. The paper chose its settings by train loss too."
            .into(),
        columns: ["", "Training", "Preset", "τ", "η", "K", "Train", "Test"].map(str::to_owned).to_vec(),
        labels: 3,
        rows: rows.collect(),
    }
}

fn preset(group: &Group<'_>, kind: EstimatorKind) -> &'static str {
    let is = |preset| group.is_cell(preset, kind, group.config.vae.latent);
    match (is(Preset::AsRun), is(Preset::Table4)) {
        (true, true) => "both",
        (true, false) => "as-run",
        (false, true) => "table4",
        (false, false) => NONE,
    }
}

/// The table of the runs that are in no other table.
pub fn others(context: &Context<'_>) -> Vec<Block> {
    let rest = context.groups.iter().filter(|group| purpose(group) == Use::Other && !group.is_any_cell());
    let rows: Vec<Vec<Cell>> = rest
        .map(|group| {
            let labels = [
                group.latent(),
                group.config.estimator.label(),
                training(group.config),
                group.epochs.to_string(),
            ];
            labels.into_iter().map(Cell::from).chain(Split::ALL.map(|split| show(group, split))).collect()
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    vec![Block::Table(Table {
        id: format!("{}other-runs", context.prefix),
        title: "Runs that are in no table of the paper".into(),
        note: "Nats per image at the end: mean ± standard error (runs).".into(),
        columns: ["Latent", "Estimator", "Training", "Epochs", "Train", "Test"].map(str::to_owned).to_vec(),
        labels: 4,
        rows,
    })]
}
