//! Directory of a run: `config.json`, `metrics.jsonl`, `checkpoint.bin` and the checkpoint before
//! it, and the pictures.

use super::error::{Fault, RunError};
use super::lock::{Attempt, Lock};
use super::output::note;
use super::pictures::Grid;
use hardgrad::data::{Dataset, DatasetId};
use hardgrad::files::write_atomically;
use hardgrad::train::{Checkpoint, EpochRecord, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILES: [&str; 8] = [
    "config.json",
    "metrics.jsonl",
    "evaluation.json",
    "curves.svg",
    "checkpoint.bin",
    "checkpoint.prev.bin",
    "reconstructions.png",
    "samples.png",
];

/// Files that are written from a run's checkpoints.
const DERIVED: [&str; 6] =
    ["metrics.jsonl", "evaluation.json", "curves.svg", "reconstructions.png", "samples.png", "result.json"];

/// Number of bytes of `config.json` that are read. Every valid one is shorter.
const LONGEST_CONFIG: u64 = 1 << 20;

/// Number of bytes per line of `metrics.jsonl` that are read, not counting the usage of the codes.
/// Every valid line is shorter.
const LONGEST_LINE: u64 = 1 << 10;

/// Number of bytes that are read for the usage of one variable in a line of `metrics.jsonl`: two
/// numbers and their commas. Every valid usage is shorter.
const LONGEST_USAGE: u64 = 64;

/// The directory of a run. Its files are replaced atomically, and a lock keeps other processes from
/// writing into it.
pub struct RunDir {
    path: PathBuf,
    /// Wall time of each epoch, where known.
    pub seconds: Vec<Option<f64>>,
    /// Numbers of epochs and steps in the checkpoint.
    saved: Option<(usize, usize)>,
    /// Pause during writes, for tests that kill the program while it writes.
    slow_writes: Duration,
    _lock: Lock,
}

/// A line of `metrics.jsonl`. No other file contains wall times, so all others are bit-identical in
/// every run.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    record: EpochRecord,
    seconds: Option<f64>,
}

/// Purpose for which the caller opens a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Start a new run; a directory that holds a run is an error.
    New,
    /// Continue the run in the directory, if there is one.
    Resume,
}

impl RunDir {
    /// Creates the directory if it does not exist and writes `config.json`. It is an error if
    /// another process writes into the directory, if the directory holds a run with another config
    /// or other data, or, for a new run, if it holds any run.
    pub fn open(
        path: &Path,
        config: &TrainConfig,
        data: &Dataset,
        epochs: usize,
        intent: Intent,
    ) -> Result<Self, RunError> {
        let wrong = RunError::argument;
        make_directory(path)?;
        let lock = lock(path)?;
        for name in FILES {
            let file = path.join(name);
            if file.is_dir() {
                return Err(wrong(format!("{}: it is a directory; expected a file", file.display())));
            }
        }
        let (path, slow_writes) = (path.to_path_buf(), Duration::ZERO);
        let dir = Self { path, seconds: Vec::new(), saved: None, slow_writes, _lock: lock };
        let mut wanted = describe(config, data)?;
        dir.check(&wanted, intent)?;
        wanted["epochs"] = json!(epochs);
        let text = serde_json::to_string_pretty(&wanted).map_err(json_error)? + "\n";
        write_atomically(&dir.file("config.json"), text.as_bytes())?;
        Ok(dir)
    }

    /// Returns an error if the directory holds a run of another config or, where a new run is
    /// wanted, any run. A config without a checkpoint or losses may be overwritten; a `config.json`
    /// that is not the config of a run may not.
    fn check(&self, wanted: &Value, intent: Intent) -> Result<(), RunError> {
        let wrong = |message: String| Err(RunError::argument(message));
        let (file, out, trained) = (self.file("config.json"), self.path.display(), self.holds_a_run()?);
        if file.exists() {
            let held = read_config(&file)?;
            let differences = differences("", Some(&held), Some(wanted));
            if trained && !differences.is_empty() {
                return wrong(format!(
                    "{out} holds a run with another config: {}; give another --out, or remove that directory",
                    differences.join("; ")
                ));
            }
        }
        if trained && intent == Intent::New {
            return wrong(format!(
                "{out} already holds this run: give --resume to continue it; to start it again, remove that directory or give \
                 another --out"
            ));
        }
        Ok(())
    }

    /// Whether the directory holds a checkpoint or losses.
    fn holds_a_run(&self) -> Result<bool, RunError> {
        let failed = |e| hardgrad::Error::io("read", &self.path, e);
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|e| e == "bin") || path.ends_with("metrics.jsonl") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the derived files of an earlier run, so that they are not mistaken for files of the
    /// new run.
    pub fn remove_derived(&self) -> Result<(), RunError> {
        for name in DERIVED {
            let file = self.file(name);
            match fs::remove_file(&file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(hardgrad::Error::io("remove", &file, e).into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the pause at each place where a file is partly written.
    pub fn slow_writes(&mut self, pause: Duration) {
        self.slow_writes = pause;
    }

    /// The newest checkpoint that can be read, if there is any. A damaged one is renamed, not
    /// overwritten.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, RunError> {
        let file = self.file("checkpoint.bin");
        let newest = Checkpoint::load_newest(&file).map_err(|e| {
            let expected = "no checkpoint can be read; to start the run again, remove its directory or give another --out";
            RunError::machine(format!("{e}; {expected}"))
        })?;
        let Some(newest) = newest else { return Ok(None) };
        if let Some(e) = newest.instead_of {
            note!(
                "warning: {e}; resuming from the checkpoint before it, {}",
                Checkpoint::previous(&file).display()
            );
            let aside = self.file("checkpoint.damaged.bin");
            if !e.is_not_found() {
                fs::rename(&file, &aside).map_err(|e| hardgrad::Error::io("rename to", &aside, e))?;
            }
        }
        Ok(Some(newest.checkpoint))
    }

    /// Description of the saved checkpoint, for messages.
    pub fn saved(&self) -> Option<String> {
        let (epochs, step) = self.saved?;
        let file = self.file("checkpoint.bin");
        Some(format!("the checkpoint after epoch {epochs}, step {step} is kept in {}", file.display()))
    }

    /// Saves the run after an epoch: first the checkpoint, then `metrics.jsonl` from its history.
    /// If the program is killed between the two, resuming the run writes `metrics.jsonl` again.
    pub fn save(&mut self, trainer: &Trainer<'_>, seconds: Option<f64>) -> Result<(), RunError> {
        self.save_checkpoint(trainer)?;
        self.seconds.push(seconds);
        self.save_metrics(trainer)
    }

    /// Saves a checkpoint after any step.
    pub fn save_checkpoint(&mut self, trainer: &Trainer<'_>) -> Result<(), RunError> {
        let pause = self.slow_writes;
        trainer.checkpoint().save_pausing(&self.file("checkpoint.bin"), &mut || {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        })?;
        self.saved = Some((trainer.history().len(), trainer.step().0));
        Ok(())
    }

    /// Makes `metrics.jsonl` agree with a resumed run, keeping the wall times that it holds.
    pub fn resume(&mut self, trainer: &Trainer<'_>) -> Result<(), RunError> {
        let variables = trainer.config().vae.latent.variables as u64;
        let line = LONGEST_USAGE.saturating_mul(variables).saturating_add(LONGEST_LINE);
        let longest = line.saturating_mul(trainer.history().len() as u64);
        let text = read_text(&self.file("metrics.jsonl"), longest).unwrap_or_default();
        let mut held = text.lines().map(|line| serde_json::from_str::<Line>(line).ok());
        let seconds = trainer.history().iter().map(|record| {
            let line = held.next()??;
            line.seconds.filter(|_| line.record == *record)
        });
        self.seconds = seconds.collect();
        self.saved = Some((trainer.history().len(), trainer.step().0));
        self.save_metrics(trainer)
    }

    /// Writes `metrics.jsonl`, with one line per epoch.
    fn save_metrics(&self, trainer: &Trainer<'_>) -> Result<(), RunError> {
        let mut lines = String::new();
        for (record, &seconds) in trainer.history().iter().zip(&self.seconds) {
            let line = Line { record: record.clone(), seconds };
            lines += &serde_json::to_string(&line).map_err(json_error)?;
            lines.push('\n');
        }
        Ok(write_atomically(&self.file("metrics.jsonl"), lines.as_bytes())?)
    }

    /// Writes `reconstructions.png` (inputs above reconstructions) and `samples.png` (decoded codes
    /// from the prior).
    pub fn save_pictures(&self, trainer: &mut Trainer<'_>, data: &Dataset) -> Result<(), RunError> {
        const COLUMNS: usize = 16;
        let (height, width) = (data.test.images().rows(), data.test.images().cols());
        let failed = RunError::machine;
        let (inputs, outputs) = trainer.reconstructions(4 * COLUMNS);
        let mut rows = Vec::new();
        for start in (0..inputs.rows()).step_by(COLUMNS) {
            let end = inputs.rows().min(start + COLUMNS);
            rows.push((start..end).map(|i| inputs.row(i)).collect());
            rows.push((start..end).map(|i| outputs.row(i)).collect());
        }
        Grid { height, width, rows }.save(&self.file("reconstructions.png")).map_err(failed)?;
        let samples = trainer.samples(8 * COLUMNS);
        let rows = (0..8).map(|r| (0..COLUMNS).map(|c| samples.row(r * COLUMNS + c)).collect()).collect();
        Grid { height, width, rows }.save(&self.file("samples.png")).map_err(failed)
    }
}

/// Everything that determines the numbers of the run, as JSON.
fn describe(config: &TrainConfig, data: &Dataset) -> Result<Value, RunError> {
    let mut value = serde_json::to_value(config).map_err(json_error)?;
    value["dataset"] = serde_json::to_value(DatasetId::of(data)).map_err(json_error)?;
    Ok(value)
}

/// Creates a directory for results and those above it. A directory that exists is kept.
pub fn make_directory(path: &Path) -> Result<(), RunError> {
    fs::create_dir_all(path).map_err(|e| {
        let place = path.display();
        RunError::argument(if path.is_file() {
            format!("--out: cannot make the directory {place}: it is a file; expected a directory or a new name")
        } else {
            format!("--out: cannot make the directory {place}: {e}; expected a place where directories can be made")
        })
    })
}

/// Locks the directory, and prints a note if the process that held the lock ended without unlocking
/// it.
fn lock(path: &Path) -> Result<Lock, RunError> {
    let file = path.join("run.lock");
    let attempt = Lock::take(&file).map_err(|e| {
        let expected = "expected a directory in which this file can be written; give another --out";
        RunError::argument(format!("cannot write {}: {e}; {expected}", file.display()))
    })?;
    match attempt {
        Attempt::Taken(lock, None) => Ok(lock),
        Attempt::Taken(lock, Some(pid)) => {
            note!("note: process {pid} ended without unlocking {}: taking over its lock", path.display());
            Ok(lock)
        }
        Attempt::Held(holder) => {
            let message = format!("{holder} is writing into {}: give another --out", path.display());
            Err(RunError { message, fault: Fault::Held })
        }
    }
}

fn read_config(path: &Path) -> Result<Value, RunError> {
    let unreadable = |e: &dyn std::fmt::Display| {
        RunError::argument(format!(
            "{} cannot be read as the config of a run: {e}; give another --out",
            path.display()
        ))
    };
    let text = read_text(path, LONGEST_CONFIG).map_err(|e| unreadable(&e))?;
    let value: Value = serde_json::from_str(&text).map_err(|e| unreadable(&e))?;
    let mut named = ["vae", "estimator", "dataset"].into_iter();
    if let Some(key) = named.find(|key| !value[key].is_object() && !value[key].is_string()) {
        return Err(unreadable(&format!("it has no \"{key}\"")));
    }
    with_defaults(value).map_err(|e| unreadable(&e))
}

/// The config of a run, with the defaults of the options that it lacks because they were added
/// later.
fn with_defaults(held: Value) -> serde_json::Result<Value> {
    let (mut options, dataset) = (held.clone(), held["dataset"].clone());
    if let Some(options) = options.as_object_mut() {
        options.retain(|key, _| key != "dataset" && key != "epochs");
    }
    let mut value = serde_json::to_value(serde_json::from_value::<TrainConfig>(options)?)?;
    value["dataset"] = dataset;
    Ok(value)
}

/// The first `longest` bytes of a file.
fn read_text(path: &Path, longest: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(longest).read_to_string(&mut text)?;
    Ok(text)
}

/// Each leaf that differs: "lr is 0.001, expected 0.0005". An option that is not written has its
/// default. The number of epochs and the name of the data may differ, and a checksum may be missing
/// that was not recorded when the run was started.
fn differences(name: &str, held: Option<&Value>, wanted: Option<&Value>) -> Vec<String> {
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    match (object(held), object(wanted)) {
        _ if held == wanted || name == "dataset.name" || name == "epochs" => Vec::new(),
        _ if name == "dataset.test_crc32" && held.is_none_or(Value::is_null) => Vec::new(),
        // Two kinds of estimator have no key in common, and are printed completely.
        (Some(held), Some(wanted)) if held.keys().any(|key| wanted.contains_key(key)) => {
            let keys: BTreeSet<_> = held.keys().chain(wanted.keys()).collect();
            let of_key = |key: &String| {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                differences(&name, held.get(key), wanted.get(key))
            };
            keys.into_iter().flat_map(of_key).collect()
        }
        _ => {
            let text = |value: Option<&Value>| value.map_or("the default".into(), Value::to_string);
            vec![format!("{name} is {}, expected {}", text(held), text(wanted))]
        }
    }
}

fn json_error(e: serde_json::Error) -> RunError {
    RunError::machine(format!("cannot write JSON: {e}"))
}
