//! The files that a report is made of, read with distrust: a line that does not say what it should is an error with its number.

use hardgrad::train::{EpochRecord, Loss, TrainConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The data a run was trained on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetKey {
    /// Of its directory.
    pub name: String,
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
    /// CRC-32 of the training images' pixels.
    pub crc32: String,
}

impl DatasetKey {
    /// Whether these are the official training images of MNIST, whatever their directory is called.
    pub fn is_mnist(&self) -> bool {
        (self.train, self.test, self.crc32.as_str()) == (60_000, 10_000, "5cc4ba61")
    }

    /// For headings.
    pub fn label(&self) -> String {
        if self.is_mnist() { "MNIST".into() } else { format!("{} ({} training images)", self.name, self.train) }
    }
}

/// A run of the plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Made of all that determines its numbers.
    pub id: String,
    /// For people.
    pub name: String,
    /// How many in all.
    pub epochs: usize,
    /// What it is trained on.
    pub dataset: DatasetKey,
    /// What is trained, and how.
    pub config: TrainConfig,
}

/// An importance-weighted bound on −log p(x), in nats an image.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Importance {
    /// Samples of z to an image.
    pub samples: usize,
    /// Mean over the test images.
    pub bound: f64,
    /// Of `bound`.
    pub standard_error: f64,
}

/// Losses at the run's end with the parameters fixed.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Evaluation {
    /// One sample a training image.
    pub train: Loss,
    /// One sample a test image.
    pub test: Loss,
    /// On the test images.
    pub importance: Option<Importance>,
    /// −log p(x), mean over the test images.
    pub exact: Option<f64>,
}

/// Where a run's numbers come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Of the crate.
    pub version: String,
    /// Of its sources.
    pub commit: Option<String>,
    /// The processor.
    pub cpu: String,
    /// Threads of the run.
    pub threads: usize,
    /// Wall time.
    pub seconds: f64,
}

/// A run that is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Made of all that determines its numbers.
    pub id: String,
    /// For people.
    pub name: String,
    /// How many in all.
    pub epochs: usize,
    /// What it was trained on.
    pub dataset: DatasetKey,
    /// What was trained, and how.
    pub config: TrainConfig,
    /// An entry an epoch.
    pub history: Vec<EpochRecord>,
    /// With fixed parameters, at the end.
    #[serde(default)]
    pub evaluation: Option<Evaluation>,
    /// Version, machine and time.
    pub provenance: Provenance,
}

/// The runs, by id.
pub fn runs(path: &Path) -> Result<Vec<Run>, String> {
    let runs: Vec<(usize, Run)> = lines(path)?;
    if runs.is_empty() {
        return Err(format!("{}: no run in it; `merge` collects those that are done", path.display()));
    }
    for (line, run) in &runs {
        check(run).map_err(|problem| format!("{}:{line}: run {} ({}): {problem}", path.display(), run.id, run.name))?;
    }
    unique(path, runs.iter().map(|(line, run)| (*line, run.id.as_str())))?;
    let mut runs: Vec<Run> = runs.into_iter().map(|(_, run)| run).collect();
    runs.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(runs)
}

/// The plan, or `None` if there is none.
pub fn manifest(path: &Path) -> Result<Option<Vec<Planned>>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let planned: Vec<(usize, Planned)> = lines(path)?;
    unique(path, planned.iter().map(|(line, run)| (*line, run.id.as_str())))?;
    Ok(Some(planned.into_iter().map(|(_, run)| run).collect()))
}

/// What a history must be for its last entry to stand for the run.
fn check(run: &Run) -> Result<(), String> {
    let Run { history, epochs, .. } = run;
    if history.len() != *epochs || *epochs == 0 {
        return Err(format!("its history has {} epochs, expected {epochs}, at least 1", history.len()));
    }
    for (i, record) in history.iter().enumerate() {
        if record.epoch != i + 1 {
            return Err(format!("its history's entry {} is of epoch {}", i + 1, record.epoch));
        }
        if ![record.train.loss, record.test.loss].iter().all(|x| x.is_finite()) {
            return Err(format!("a loss of epoch {} is not finite", record.epoch));
        }
    }
    if !(run.provenance.seconds >= 0.0 && run.provenance.seconds.is_finite()) {
        return Err(format!("it took {} seconds, expected a finite number ≥ 0", run.provenance.seconds));
    }
    Ok(())
}

/// The values of a file with a JSON value a line, with the lines' numbers. Empty lines are passed over.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, String> {
    let text = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let mut values = Vec::new();
    for (i, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let value = value(line).map_err(|e| format!("{}:{}: {e}", path.display(), i + 1))?;
        values.push((i + 1, value));
    }
    Ok(values)
}

/// A line's value. A config with a field that this program does not know would be another run than it seems.
fn value<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let text = |e: serde_json::Error| e.to_string().replace(" at line 1 column", ", at column");
    let json: Value = serde_json::from_slice(line).map_err(text)?;
    if let Some(held) = json.get("config") {
        let known: TrainConfig = serde_json::from_value(held.clone()).map_err(|e| format!("config: {e}"))?;
        let known = serde_json::to_value(known).map_err(text)?;
        if let Some(field) = unknown("config", held, &known) {
            return Err(format!("{field} is not known to this program: use the version that wrote it"));
        }
    }
    serde_json::from_slice(line).map_err(text)
}

/// The first field of `held` that `known` has not.
fn unknown(name: &str, held: &Value, known: &Value) -> Option<String> {
    let Value::Object(fields) = held else { return None };
    fields.iter().find_map(|(key, value)| {
        let name = format!("{name}.{key}");
        match known.get(key) {
            Some(known) => unknown(&name, value, known),
            None => Some(name),
        }
    })
}

fn unique<'a>(path: &Path, ids: impl Iterator<Item = (usize, &'a str)>) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for (line, id) in ids {
        if let Some(first) = seen.insert(id, line) {
            return Err(format!("{}:{line}: run {id} stands in line {first} already", path.display()));
        }
    }
    Ok(())
}
