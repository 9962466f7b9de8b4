//! The planned runs: `manifest.jsonl`, with one line per run.

use crate::id::{id, is_id};
use crate::lab::error::RunError;
use crate::lab::lines::{Lines, at, in_a_line};
use hardgrad::data::DatasetId;
use hardgrad::files::write_atomically;
use hardgrad::train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Twelve hexadecimal digits, a hash of the other fields except the name; see [`crate::id`].
    pub id: String,
    /// Name for messages and reports.
    pub name: String,
    /// Number of epochs.
    pub epochs: usize,
    /// Data set.
    pub dataset: DatasetId,
    /// Training configuration.
    pub config: TrainConfig,
}

impl Run {
    /// A run with the id and name of its configuration.
    pub fn new(config: TrainConfig, dataset: DatasetId, epochs: usize) -> Self {
        let name = name(&config);
        Self { id: id(&config, &dataset, epochs), name, epochs, dataset, config }
    }

    /// Whether the id is that of this config, data set and number of epochs.
    pub fn has_its_id(&self) -> bool {
        is_id(&self.id, &self.config, &self.dataset, self.epochs)
    }

    /// Whether two runs are equal, apart from their names and the names of their data sets.
    pub fn is(&self, other: &Self) -> bool {
        (&self.config, self.epochs) == (&other.config, other.epochs)
            && self.dataset.is_of_same_images(&other.dataset)
    }

    /// Directory of the files of the run.
    pub fn directory(&self, out: &Path) -> PathBuf {
        out.join("runs").join(&self.id)
    }
}

/// "8x4 reinmax-cv author-code tau 1 eta 1.5, adam 0.0005, seed 0".
fn name(config: &TrainConfig) -> String {
    let TrainConfig { vae, estimator, tau_schedule, optimizer, lr, seed, .. } = config;
    let schedule = tau_schedule.map_or(String::new(), |schedule| format!(" {schedule}"));
    format!("{} {estimator}{schedule}, {optimizer} {lr}, seed {seed}", vae.latent)
}

/// All planned runs, sorted.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Sorted by seed first, so that one run of each kind comes first.
    pub runs: Vec<Run>,
}

impl Manifest {
    /// Reads the manifest of a directory.
    pub fn load(out: &Path) -> Result<Self, RunError> {
        let file = path(out);
        let lines = Lines::read(&file).map_err(|e| {
            RunError::argument(format!("{e}; `reproduce plan EXPERIMENT --out {}` writes it", out.display()))
        })?;
        let (mut runs, mut seen) = (Vec::new(), BTreeMap::new());
        for (number, line) in lines.iter() {
            let wrong = |what: String| RunError::argument(at(&file, number, what));
            let run: Run =
                serde_json::from_str(line).map_err(|e| wrong(in_a_line(format!("not a run: {e}"))))?;
            if !run.has_its_id() {
                let right = id(&run.config, &run.dataset, run.epochs);
                return Err(wrong(format!(
                    "the id is {}, expected {right} for the config, dataset and number of epochs in this line; if the line is as \
                     intended, replace the id by {right}",
                    run.id
                )));
            }
            if let Some(first) = seen.insert(run.id.clone(), number) {
                return Err(wrong(format!(
                    "run {} is in line {first} already; remove one of the two lines",
                    run.id
                )));
            }
            runs.push(run);
        }
        Ok(Self { runs })
    }

    /// Reads the manifest of a directory, or returns an empty one if there is none.
    pub fn load_or_new(out: &Path) -> Result<Self, RunError> {
        if path(out).exists() { Self::load(out) } else { Ok(Self::default()) }
    }

    /// Adds the runs that are new, sorts all, and returns the number of new runs.
    pub fn add(&mut self, runs: Vec<Run>) -> Result<usize, RunError> {
        let before = self.runs.len();
        // A run that was planned under the earlier scheme has another id, but the config and images
        // are equal.
        let mut held: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, run) in self.runs.iter().enumerate() {
            held.entry(key(run)).or_default().push(i);
        }
        let ids: BTreeMap<String, usize> =
            self.runs.iter().enumerate().map(|(i, run)| (run.id.clone(), i)).collect();
        for run in runs {
            let alike = held.entry(key(&run)).or_default();
            if alike.iter().any(|&i| self.runs[i].is(&run)) {
                continue;
            }
            if let Some(&i) = ids.get(&run.id) {
                let message = format!(
                    "the runs {} and {} have the same id, {}; plan one of them in another directory",
                    self.runs[i].name, run.name, run.id
                );
                return Err(RunError::machine(message));
            }
            alike.push(self.runs.len());
            self.runs.push(run);
        }
        // The sort is stable: runs of one seed keep the order of the plan.
        self.runs.sort_by_key(|run| run.config.seed);
        Ok(self.runs.len() - before)
    }

    /// Writes the manifest atomically.
    pub fn save(&self, out: &Path) -> Result<(), RunError> {
        let mut text = String::new();
        for run in &self.runs {
            text += &serde_json::to_string(run).expect("numbers and names are JSON");
            text.push('\n');
        }
        Ok(write_atomically(&path(out), text.as_bytes())?)
    }

    /// Part `index` of `count`: every count-th run.
    pub fn shard(&self, index: usize, count: usize) -> Vec<Run> {
        self.runs.iter().skip(index).step_by(count).cloned().collect()
    }
}

/// Key that is equal for runs which [`Run::is`] may call equal. It leaves out the checksum of the
/// test images.
fn key(run: &Run) -> String {
    let DatasetId { train, test, crc32, .. } = &run.dataset;
    serde_json::to_string(&(&run.config, train, test, crc32, run.epochs)).expect("numbers and names are JSON")
}

fn path(out: &Path) -> PathBuf {
    out.join("manifest.jsonl")
}
