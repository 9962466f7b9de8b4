//! Groups of runs that differ in their seed only, and the table or figure to which each group
//! belongs, determined from the config.

use super::load::is_mnist;
use crate::lab::preset::{Preset, TABLE_LATENTS};
use crate::lab::published::Split;
use crate::lab::stats::Mean;
use crate::lab::svg::figure::Look;
use crate::manifest::Run;
pub use crate::plan::TABLE_METHODS;
use crate::result::RunResult;
use hardgrad::data::DatasetId;
use hardgrad::estimators::{CvForm, EstimatorKind};
use hardgrad::train::TrainConfig;
use hardgrad::vae::{LatentShape, VaeConfig};
use std::collections::BTreeMap;

/// Number of epochs of the runs in tables 2 and 3.
pub const PAPER_EPOCHS: usize = 160;

/// Runs whose configs differ in the seed only.
pub struct Group<'a> {
    /// Training data.
    pub dataset: &'a DatasetId,
    /// Number of epochs.
    pub epochs: usize,
    /// Config of the first run. Its seed has no meaning here.
    pub config: &'a TrainConfig,
    /// Complete runs, by seed.
    pub runs: Vec<&'a RunResult>,
    /// Runs that ended early because a number was not finite.
    pub diverged: Vec<&'a RunResult>,
    /// Number of planned runs of this group.
    pub planned: usize,
}

/// All runs, planned or complete, in groups sorted by data, latent space and method in the tables'
/// order, then config and epochs.
pub fn all<'a>(results: &'a [RunResult], planned: &'a [Run]) -> Vec<Group<'a>> {
    let mut groups = BTreeMap::new();
    let mut of = |run: &'a Run, change: &mut dyn FnMut(&mut Group<'a>)| {
        let Run { dataset, config, epochs, .. } = run;
        let new = || Group { dataset, epochs: *epochs, config, runs: vec![], diverged: vec![], planned: 0 };
        change(groups.entry(key(run)).or_insert_with(new));
    };
    planned.iter().for_each(|run| of(run, &mut |group| group.planned += 1));
    for result in results {
        of(&result.run, &mut |group| match result.diverged {
            None => group.runs.push(result),
            Some(_) => group.diverged.push(result),
        });
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    for group in &mut groups {
        group.runs.sort_by_key(|result| result.run.config.seed);
        group.diverged.sort_by_key(|result| result.run.config.seed);
    }
    groups
}

/// Sort key of a data set, equal for equal images regardless of the name. MNIST comes first.
pub fn images(dataset: &DatasetId) -> (bool, usize, usize, String, Option<String>) {
    let DatasetId { train, test, crc32, test_crc32, .. } = dataset.clone();
    let mnist = is_mnist(dataset);
    (!mnist, train, test, crc32, test_crc32.filter(|_| !mnist))
}

/// Sort key of a run, equal for the runs of a group, in the reports' order.
fn key(run: &Run) -> impl Ord + use<> {
    let Run { dataset, config, epochs, .. } = run;
    let latent = config.vae.latent;
    let column = TABLE_LATENTS.iter().position(|&name| name == latent.to_string());
    let method = config.estimator.kind();
    let row = TABLE_METHODS.iter().position(|&kind| kind == method);
    let rest = EstimatorKind::ALL.iter().position(|&kind| kind == method);
    let config = TrainConfig { seed: 0, ..config.clone() };
    (
        images(dataset),
        (column.unwrap_or(usize::MAX), latent.categories, latent.variables),
        (row.unwrap_or(usize::MAX), rest),
        // Configs are ordered by their text: two configs that differ have different texts.
        (format!("{config:?}"), *epochs),
    )
}

impl Group<'_> {
    /// The mean loss over the seeds after an epoch.
    pub fn loss(&self, split: Split, epoch: usize) -> Option<Mean> {
        Mean::of(&self.losses(split, epoch))
    }

    /// The mean loss over the seeds at the end.
    pub fn end(&self, split: Split) -> Option<Mean> {
        self.loss(split, self.epochs)
    }

    /// Each seed's loss after an epoch.
    pub fn losses(&self, split: Split, epoch: usize) -> Vec<f64> {
        let records = self.runs.iter().filter_map(|run| run.history.get(epoch.checked_sub(1)?));
        records
            .map(|record| if split == Split::Train { record.train.loss } else { record.test.loss })
            .collect()
    }

    /// Name of the latent space, such as `8x4`.
    pub fn latent(&self) -> String {
        self.config.vae.latent.to_string()
    }

    /// Estimator of the runs.
    pub fn kind(&self) -> EstimatorKind {
        self.config.estimator.kind()
    }

    /// Number of runs, with the number of planned runs if some are missing or diverged.
    pub fn count(&self) -> String {
        match (self.runs.len(), self.planned.max(self.runs.len() + self.diverged.len())) {
            (n, all) if n < all => format!("{n} of {all}"),
            (n, _) => n.to_string(),
        }
    }

    /// Whether this is a cell of the tables with these hyper-parameters.
    pub fn is_cell(&self, preset: Preset, kind: EstimatorKind, latent: LatentShape) -> bool {
        is_cell(self.config, preset, kind, latent)
    }

    /// Whether this is any cell of the tables.
    pub fn is_any_cell(&self) -> bool {
        [Preset::AsRun, Preset::Table4]
            .iter()
            .any(|&preset| self.is_cell(preset, self.kind(), self.config.vae.latent))
    }
}

/// Whether a run with this config belongs to that cell of the tables.
pub fn is_cell(config: &TrainConfig, preset: Preset, kind: EstimatorKind, latent: LatentShape) -> bool {
    let Ok(run) = preset.run(kind, latent) else { return false };
    *config == TrainConfig { seed: config.seed, ..run }
}

/// The latent spaces of the tables.
pub fn table_latents() -> impl Iterator<Item = LatentShape> {
    TABLE_LATENTS.iter().filter_map(|name| name.parse().ok())
}

/// Colour and shape of a method, which are the same in all figures: a hue for each method of the
/// tables, and variants of these hues for the others.
pub fn look(kind: EstimatorKind) -> Look {
    const HUES: [EstimatorKind; 7] = [
        EstimatorKind::ReinMax,
        EstimatorKind::ReinMaxRao,
        EstimatorKind::ReinMaxCv,
        EstimatorKind::GappedStraightThrough,
        EstimatorKind::StraightThrough,
        EstimatorKind::StraightThroughGumbelSoftmax,
        EstimatorKind::GumbelRao,
    ];
    if let Some(hue) = HUES.iter().position(|&held| held == kind) {
        return Look { hue, variant: 0 };
    }
    let mut others = EstimatorKind::ALL.iter().filter(|other| !HUES.contains(other));
    let place = others.position(|&other| other == kind).unwrap_or(0);
    Look { hue: place % HUES.len(), variant: 1 + place / HUES.len() }
}

/// Colour and shape of each form of ReinMax-CV. The form of the published code has those of the
/// method.
pub fn cv_look(form: CvForm) -> Look {
    let variant = match form {
        CvForm::AuthorCode => 0,
        CvForm::Coupled => 1,
        CvForm::Shared => 2,
        CvForm::Printed => 3,
    };
    Look { variant, ..look(EstimatorKind::ReinMaxCv) }
}

/// The training options that differ from the paper's.
pub fn training(config: &TrainConfig) -> String {
    let TrainConfig { vae, tau_schedule, draw_tau, optimizer, lr, clip_norm, batch_size, .. } = config;
    let mut parts = vec![format!("{optimizer} {lr}")];
    if config.weight_decay != TrainConfig::default().weight_decay {
        parts.push(format!("weight decay {}", config.weight_decay));
    }
    if let Some(schedule) = &config.lr_schedule {
        parts.push(format!("learning rate {schedule}"));
    }
    if let Some(schedule) = tau_schedule {
        parts.push(format!("τ to {} in {} epochs, {}", schedule.to, schedule.over, schedule.shape));
    }
    if *draw_tau != 1.0 {
        parts.push(format!("drawn at τ {draw_tau}"));
    }
    if let Some(norm) = clip_norm {
        parts.push(format!("clipped to {norm}"));
    }
    if *batch_size != 100 {
        parts.push(format!("batch {batch_size}"));
    }
    if vae.hidden != VaeConfig::paper(vae.latent).hidden {
        parts.push(format!("hidden layers {:?}", vae.hidden));
    }
    if vae.activation != VaeConfig::paper(vae.latent).activation {
        parts.push(vae.activation.to_string());
    }
    parts.join(", ")
}
