//! What is to be run: `manifest.jsonl`, a line a run.

use crate::lab::run_dir::RunError;
use hardgrad::data::DatasetId;
use hardgrad::estimators::EstimatorConfig;
use hardgrad::train::{TrainConfig, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Twelve hex digits that stand for all of the below but the name.
    pub id: String,
    /// For people.
    pub name: String,
    /// How long.
    pub epochs: usize,
    /// On what.
    pub dataset: DatasetId,
    /// What.
    pub config: TrainConfig,
}

impl Run {
    /// With its id and name.
    pub fn new(config: TrainConfig, dataset: DatasetId, epochs: usize) -> Self {
        let name = name(&config);
        Self { id: id(&config, &dataset, epochs), name, epochs, dataset, config }
    }

    /// Whether the id is that of what stands beside it.
    pub fn is_itself(&self) -> bool {
        self.id == id(&self.config, &self.dataset, self.epochs)
    }

    /// Whether both are the same run: the name does not matter.
    pub fn is(&self, other: &Self) -> bool {
        (&self.config, &self.dataset, self.epochs) == (&other.config, &other.dataset, other.epochs)
    }

    /// Where its files are.
    pub fn directory(&self, out: &Path) -> PathBuf {
        out.join("runs").join(&self.id)
    }
}

/// SHA-256 of the canonical JSON (fields in the order of their declaration, shortest decimal of each number), its first 48 bits:
/// among a million runs the chance of two with one id is 0.2 %, and `plan` refuses such a pair.
fn id(config: &TrainConfig, dataset: &DatasetId, epochs: usize) -> String {
    let canonical = serde_json::to_vec(&(config, dataset, epochs)).expect("numbers and names are JSON");
    hex(&Sha256::digest(canonical)[..6])
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// "8x4 reinmax-cv author-code tau 1 eta 1.5, adam 0.0005, seed 0".
fn name(config: &TrainConfig) -> String {
    let TrainConfig { vae, estimator, optimizer, lr, seed, .. } = config;
    format!("{} {}, {optimizer} {lr}, seed {seed}", vae.latent, describe(estimator))
}

/// An estimator with its hyper-parameters, "gumbel-rao tau 0.5 draws 100".
pub fn describe(estimator: &EstimatorConfig) -> String {
    let mut text = estimator.kind().to_string();
    // The serialised form has every hyper-parameter by its name, whatever the estimator.
    let fields = serde_json::to_value(estimator).expect("numbers and names are JSON");
    if let Some(fields) = fields.as_object().and_then(|variant| variant.values().next()?.as_object()) {
        for (key, value) in fields {
            // A variant with a number in it, such as a gap, is that number.
            let value = value.as_object().and_then(|variant| variant.values().next()).unwrap_or(value);
            match value.as_str() {
                Some(name) => text.push_str(&format!(" {name}")),
                None => text.push_str(&format!(" {key} {value}")),
            }
        }
    }
    text
}

/// All runs, sorted.
#[derive(Debug, Default)]
pub struct Manifest {
    /// By seed first, so that the first runs to be done are one of each kind.
    pub runs: Vec<Run>,
}

impl Manifest {
    /// Reads it.
    pub fn load(out: &Path) -> Result<Self, RunError> {
        let file = path(out);
        let text = fs::read_to_string(&file).map_err(|e| {
            RunError::argument(format!("{}: {e}; `reproduce plan … --out` makes it", file.display()))
        })?;
        let mut runs = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let wrong =
                |what: String| RunError::argument(format!("{}, line {}: {what}", file.display(), i + 1));
            let run: Run = serde_json::from_str(line).map_err(|e| wrong(format!("not a run: {e}")))?;
            if !run.is_itself() {
                let right = id(&run.config, &run.dataset, run.epochs);
                return Err(wrong(format!(
                    "the id is {}, but this config, dataset and number of epochs have {right}: it was changed by hand",
                    run.id
                )));
            }
            runs.push(run);
        }
        Ok(Self { runs })
    }

    /// The one that is there, or an empty one.
    pub fn load_or_new(out: &Path) -> Result<Self, RunError> {
        if path(out).exists() { Self::load(out) } else { Ok(Self::default()) }
    }

    /// Adds the runs that it does not have, and sorts. How many were new.
    pub fn add(&mut self, runs: Vec<Run>) -> Result<usize, RunError> {
        let before = self.runs.len();
        for run in runs {
            match self.runs.iter().find(|r| r.id == run.id) {
                None => self.runs.push(run),
                Some(held) if held.is(&run) => {}
                Some(held) => {
                    let message = format!("{} and {} have the same id, {}", held.name, run.name, run.id);
                    return Err(RunError::machine(message));
                }
            }
        }
        // Stable: what the plan lists first stays first among the runs of one seed and latent space.
        self.runs.sort_by_key(|run| run.config.seed);
        Ok(self.runs.len() - before)
    }

    /// Writes it, whole or not at all.
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

fn path(out: &Path) -> PathBuf {
    out.join("manifest.jsonl")
}
