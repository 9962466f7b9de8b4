//! One run, one directory: `config.json`, `metrics.jsonl`, `checkpoint.bin` and the one before it, and the pictures.

use super::lock::{Attempt, Lock};
use super::pictures::Grid;
use hardgrad::data::{Dataset, DatasetId};
use hardgrad::train::{Checkpoint, EpochRecord, TrainConfig, Trainer, write_atomically};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILES: [&str; 7] = [
    "config.json",
    "metrics.jsonl",
    "evaluation.json",
    "checkpoint.bin",
    "checkpoint.prev.bin",
    "reconstructions.png",
    "samples.png",
];

/// No `config.json` is as long as this.
const LONGEST_CONFIG: u64 = 1 << 20;

/// No line of `metrics.jsonl` is.
const LONGEST_LINE: u64 = 1 << 10;

/// The directory of a run. Every file in it is replaced whole or not at all, and no other process writes into it meanwhile.
pub struct RunDir {
    path: PathBuf,
    /// Wall time of each epoch, where known.
    pub seconds: Vec<Option<f64>>,
    /// Epochs and steps in the checkpoint.
    saved: Option<(usize, usize)>,
    /// For tests that kill the program while it writes.
    slow_writes: Duration,
    _lock: Lock,
}

/// A line of `metrics.jsonl`. The wall time stands here alone, so that everything else is the same bits in every run.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    record: EpochRecord,
    seconds: Option<f64>,
}

/// What goes wrong with a run: the message, and what would have helped.
pub struct RunError {
    /// For the user.
    pub message: String,
    /// Of which kind.
    pub fault: Fault,
}

/// What would have helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another `--out` or argument (exit 2).
    Argument,
    /// Waiting for the other process that writes into this directory, or another `--out` (exit 2).
    Held,
    /// Other hyper-parameters: a number was not finite (exit 1).
    Diverged,
    /// Another machine or disk (exit 1).
    Machine,
}

impl RunError {
    /// A wrong argument.
    pub fn argument(message: String) -> Self {
        Self { message, fault: Fault::Argument }
    }

    /// A fault of the machine.
    pub fn machine(message: String) -> Self {
        Self { message, fault: Fault::Machine }
    }

    /// The program's exit status.
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Argument | Fault::Held => 2,
            Fault::Diverged | Fault::Machine => 1,
        }
    }
}

impl From<hardgrad::Error> for RunError {
    fn from(e: hardgrad::Error) -> Self {
        let fault = match e {
            hardgrad::Error::NotFinite { .. } => Fault::Diverged,
            _ => Fault::Machine,
        };
        Self { message: e.to_string(), fault }
    }
}

impl RunDir {
    /// Makes the directory if need be, refuses one that another process writes into or that holds a run of another config,
    /// and writes `config.json`.
    pub fn open(path: &Path, config: &TrainConfig, data: &Dataset, epochs: usize) -> Result<Self, RunError> {
        let wrong = RunError::argument;
        fs::create_dir_all(path)
            .map_err(|e| wrong(format!("cannot make the directory {}: {e}", path.display())))?;
        let attempt = Lock::take(&path.join("run.lock"))
            .map_err(|e| wrong(format!("cannot write into {}: run.lock: {e}", path.display())))?;
        let lock = match attempt {
            Attempt::Taken(lock, None) => lock,
            Attempt::Taken(lock, Some(pid)) => {
                eprintln!("note: process {pid} ended without giving {} back: taking over", path.display());
                lock
            }
            Attempt::Held(holder) => {
                let message = format!("{holder} is writing into {}: give another --out", path.display());
                return Err(RunError { message, fault: Fault::Held });
            }
        };
        for name in FILES {
            if path.join(name).is_dir() {
                return Err(wrong(format!(
                    "{}: it is a directory; expected a file",
                    path.join(name).display()
                )));
            }
        }
        let (path, slow_writes) = (path.to_path_buf(), Duration::ZERO);
        let dir = Self { path, seconds: Vec::new(), saved: None, slow_writes, _lock: lock };
        let mut wanted = describe(config, data)?;
        let file = dir.file("config.json");
        if file.exists() {
            let held = read_json(&file)?;
            let differences = differences("", &held, &wanted);
            if !differences.is_empty() {
                return Err(wrong(format!(
                    "{} holds a run with another config: {}. Give another --out, or remove that directory",
                    dir.path.display(),
                    differences.join("; ")
                )));
            }
        }
        wanted["epochs"] = json!(epochs);
        let text = serde_json::to_string_pretty(&wanted).map_err(json_error)? + "\n";
        write_atomically(&file, text.as_bytes())?;
        Ok(dir)
    }

    /// A file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sleeps so long at every place where a file is half written.
    pub fn slow_writes(&mut self, pause: Duration) {
        self.slow_writes = pause;
    }

    /// The newest checkpoint of use, if there is any. A damaged one is put aside, not overwritten.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, RunError> {
        let file = self.file("checkpoint.bin");
        let Some(newest) = Checkpoint::load_newest(&file)? else { return Ok(None) };
        if let Some(e) = newest.instead_of {
            eprintln!(
                "warning: {e}; going on from the one before it, {}",
                Checkpoint::previous(&file).display()
            );
            let aside = self.file("checkpoint.damaged.bin");
            if !e.is_not_found() {
                fs::rename(&file, &aside).map_err(|e| hardgrad::Error::io("rename to", &aside, e))?;
            }
        }
        Ok(Some(newest.checkpoint))
    }

    /// Which checkpoint there is, for messages.
    pub fn saved(&self) -> Option<String> {
        let (epochs, step) = self.saved?;
        let file = self.file("checkpoint.bin");
        Some(format!("the checkpoint after epoch {epochs}, step {step} is kept in {}", file.display()))
    }

    /// Saves the run as it stands after an epoch: the checkpoint first, then `metrics.jsonl` from the same history, so that a
    /// run killed between the two is put right when it is resumed.
    pub fn save(&mut self, trainer: &Trainer<'_>, seconds: Option<f64>) -> Result<(), RunError> {
        self.save_checkpoint(trainer)?;
        self.seconds.push(seconds);
        self.save_metrics(trainer)
    }

    /// Saves the run as it stands after any step.
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
        let longest = LONGEST_LINE * trainer.history().len() as u64;
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

    /// Writes `metrics.jsonl`, a line an epoch.
    fn save_metrics(&self, trainer: &Trainer<'_>) -> Result<(), RunError> {
        let mut lines = String::new();
        for (&record, &seconds) in trainer.history().iter().zip(&self.seconds) {
            lines += &serde_json::to_string(&Line { record, seconds }).map_err(json_error)?;
            lines.push('\n');
        }
        Ok(write_atomically(&self.file("metrics.jsonl"), lines.as_bytes())?)
    }

    /// Writes `reconstructions.png` (inputs above reconstructions) and `samples.png` (decoded codes from the prior).
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

/// All that determines the run's numbers, as JSON.
fn describe(config: &TrainConfig, data: &Dataset) -> Result<Value, RunError> {
    let mut value = serde_json::to_value(config).map_err(json_error)?;
    value["dataset"] = serde_json::to_value(DatasetId::of(data)).map_err(json_error)?;
    Ok(value)
}

fn read_json(path: &Path) -> Result<Value, RunError> {
    let unreadable = |e: &dyn std::fmt::Display| {
        RunError::argument(format!("{} is there but cannot be read as a run's config: {e}", path.display()))
    };
    let text = read_text(path, LONGEST_CONFIG).map_err(|e| unreadable(&e))?;
    serde_json::from_str(&text).map_err(|e| unreadable(&e))
}

/// The beginning of a file, no more than `longest` bytes.
fn read_text(path: &Path, longest: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(longest).read_to_string(&mut text)?;
    Ok(text)
}

/// Each leaf of `wanted` that `held` has with another value, or lacks: "lr: 0.001 there, 0.0005 here". What only `held`
/// has (the number of epochs) does not matter.
fn differences(name: &str, held: &Value, wanted: &Value) -> Vec<String> {
    match wanted {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                differences(&name, held.get(key).unwrap_or(&Value::Null), value)
            })
            .collect(),
        _ if held == wanted => Vec::new(),
        _ => vec![format!("{name}: {held} there, {wanted} here")],
    }
}

fn json_error(e: serde_json::Error) -> RunError {
    RunError::machine(format!("cannot write JSON: {e}"))
}
