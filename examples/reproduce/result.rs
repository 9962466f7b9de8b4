//! Result of a run: `result.json` in its directory, and a line of `results.jsonl`.

use crate::id::hex;
use crate::lab::error::RunError;
use crate::lab::lines::in_a_line;
use crate::manifest::Run;
use hardgrad::files::write_atomically;
use hardgrad::train::{EpochRecord, Evaluation, Trainer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Result of a run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Losses of the epochs: of all, or of those before the run diverged.
    pub history: Vec<EpochRecord>,
    /// Message if the run ended early because a number was not finite. Repeating the run gives the
    /// same message.
    pub diverged: Option<String>,
    /// Evaluation of the final parameters.
    pub evaluation: Option<Evaluation>,
    /// Origin of the numbers.
    pub provenance: Provenance,
    /// Sixteen hexadecimal digits of a SHA-256 of the line with this field empty, which detects
    /// damaged files. The hash is of the text, so that the check of a line from an earlier version,
    /// which lacks a newer option of the config, still matches.
    check: String,
}

/// Origin of a result. On CPUs with the same features, two results of one run differ in these fields only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the crate.
    pub version: String,
    /// Commit of the source, if the environment variable `HARDGRAD_COMMIT` was set when the program
    /// was built.
    pub commit: Option<String>,
    /// Model name of the CPU.
    pub cpu: String,
    /// Number of threads of the run, or of its last part if it was resumed.
    pub threads: u16,
    /// Wall time of the epochs; `null` if an epoch was divided between two processes.
    pub seconds: Option<f64>,
}

/// End of a line whose check is empty.
const UNCHECKED: &str = "\"\"}\n";

/// The check of a line whose check is empty.
fn check(unchecked: &str) -> String {
    hex(&Sha256::digest(unchecked)[..8])
}

/// Sets both to `None` if one of them is `None`.
fn only_if_both<T>(a: &mut Option<T>, b: &mut Option<T>) {
    if a.is_none() || b.is_none() {
        (*a, *b) = (None, None);
    }
}

impl RunResult {
    /// The result of a run.
    pub fn new(
        run: &Run,
        trainer: &Trainer<'_>,
        diverged: Option<String>,
        evaluation: Option<Evaluation>,
        provenance: Provenance,
    ) -> Self {
        let history = trainer.history().to_vec();
        Self { run: run.clone(), history, diverged, evaluation, provenance, check: String::new() }
    }

    /// The result as a line of JSON.
    pub fn to_line(&self) -> String {
        let unchecked = Self { check: String::new(), ..self.clone() };
        let line = serde_json::to_string(&unchecked).expect("numbers and names are JSON") + "\n";
        let check = check(&line);
        format!("{}\"{check}\"}}\n", &line[..line.len() - UNCHECKED.len()])
    }

    /// The inverse of [`to_line`](Self::to_line), which verifies the check, the id and the epochs.
    pub fn parse(line: &str) -> Result<Self, String> {
        let result: Self = serde_json::from_str(line).map_err(|e| in_a_line(format!("not a result: {e}")))?;
        let end = format!("\"{}\"}}", result.check);
        let right = line.strip_suffix(&end).map(|start| check(&format!("{start}{UNCHECKED}")));
        if right.as_ref() != Some(&result.check) {
            let right = right.unwrap_or_else(|| "a check at the end of the line".into());
            return Err(format!(
                "the line is damaged: its check is {}, expected {right} for its content",
                result.check
            ));
        }
        if !result.run.has_its_id() {
            return Err(format!("the id is {}, expected that of the config in the line", result.run.id));
        }
        let in_order = result.history.iter().map(|record| record.epoch).eq(1..=result.history.len());
        let (epochs, wanted) = (result.history.len(), result.run.epochs);
        if !in_order || epochs > wanted || (epochs < wanted && result.diverged.is_none()) {
            return Err(format!("found {epochs} epochs, expected the epochs 1 to {wanted} in order"));
        }
        Ok(result)
    }

    /// Writes `result.json`.
    pub fn save(&self, directory: &Path) -> Result<(), RunError> {
        Ok(write_atomically(&directory.join("result.json"), self.to_line().as_bytes())?)
    }

    /// The final losses, or the reason why there are none.
    pub fn summary(&self) -> String {
        match (&self.diverged, self.history.last()) {
            (Some(why), _) => format!("diverged after {} epochs: {why}", self.history.len()),
            (None, Some(last)) => format!("train {:.2}, test {:.2} nats", last.train.loss, last.test.loss),
            (None, None) => "no epochs".into(),
        }
    }

    /// Whether two results have equal numbers, regardless of their provenance. A number that only
    /// one of them has, because an earlier version computed the other, is not compared.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.clone(), other.clone());
        if a.history.len() == b.history.len() {
            for (a, b) in a.history.iter_mut().zip(&mut b.history) {
                only_if_both(&mut a.usage, &mut b.usage);
            }
        }
        if let (Some(a), Some(b)) = (&mut a.evaluation, &mut b.evaluation) {
            only_if_both(&mut a.argmax, &mut b.argmax);
        }
        a.run.is(&b.run) && (a.history, a.diverged, a.evaluation) == (b.history, b.diverged, b.evaluation)
    }
}
