//! What became of a run: `result.json` in its directory, and a line of `results.jsonl`.

use crate::id::hex;
use crate::lab::error::RunError;
use crate::lab::lines::in_a_line;
use crate::manifest::Run;
use hardgrad::files::write_atomically;
use hardgrad::train::{EpochRecord, Evaluation, Trainer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Which.
    #[serde(flatten)]
    pub run: Run,
    /// Its epochs: all, or those before it diverged.
    pub history: Vec<EpochRecord>,
    /// Why it ended early, if it did: a number was not finite. The same run would do so again.
    pub diverged: Option<String>,
    /// Measured with the last parameters.
    pub evaluation: Option<Evaluation>,
    /// Where the numbers come from.
    pub provenance: Provenance,
    /// Sixteen hex digits of a SHA-256 of the line with this field empty, so that a damaged file is known. It is of the text, so
    /// that a line of an earlier version, which lacks an option of the config, has a check that matches.
    check: String,
}

/// Where a result comes from. Two results of one run may differ in it, and in nothing else on one kind of CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The crate's.
    pub version: String,
    /// Of the source, if the program was told of it when it was built (`HARDGRAD_COMMIT`).
    pub commit: Option<String>,
    /// Model name.
    pub cpu: String,
    /// Threads of the run, or of its last part.
    pub threads: u16,
    /// Wall time of its epochs; `null` if one was spread over two processes.
    pub seconds: Option<f64>,
}

/// How a line ends whose check is empty.
const UNCHECKED: &str = "\"\"}\n";

/// The check of such a line.
fn check(unchecked: &str) -> String {
    hex(&Sha256::digest(unchecked)[..8])
}

/// Removes both if one is missing.
fn only_if_both<T>(a: &mut Option<T>, b: &mut Option<T>) {
    if a.is_none() || b.is_none() {
        (*a, *b) = (None, None);
    }
}

impl RunResult {
    /// Of a run that ended so.
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

    /// A line of JSON.
    pub fn to_line(&self) -> String {
        let unchecked = Self { check: String::new(), ..self.clone() };
        let line = serde_json::to_string(&unchecked).expect("numbers and names are JSON") + "\n";
        let check = check(&line);
        format!("{}\"{check}\"}}\n", &line[..line.len() - UNCHECKED.len()])
    }

    /// The inverse of [`to_line`](Self::to_line), which trusts nothing.
    pub fn parse(line: &str) -> Result<Self, String> {
        let result: Self = serde_json::from_str(line).map_err(|e| in_a_line(format!("not a result: {e}")))?;
        let end = format!("\"{}\"}}", result.check);
        let right = line.strip_suffix(&end).map(|start| check(&format!("{start}{UNCHECKED}")));
        if right.as_ref() != Some(&result.check) {
            let right = right.unwrap_or_else(|| "not at its end".into());
            return Err(format!("damaged: its check is {}, its content's {right}", result.check));
        }
        if !result.run.has_its_id() {
            return Err(format!("the id {} is not that of its config", result.run.id));
        }
        let in_order = result.history.iter().map(|record| record.epoch).eq(1..=result.history.len());
        let (epochs, wanted) = (result.history.len(), result.run.epochs);
        if !in_order || epochs > wanted || (epochs < wanted && result.diverged.is_none()) {
            return Err(format!("{epochs} epochs, expected 1, 2, 3 … {wanted}"));
        }
        Ok(result)
    }

    /// Writes `result.json`.
    pub fn save(&self, directory: &Path) -> Result<(), RunError> {
        Ok(write_atomically(&directory.join("result.json"), self.to_line().as_bytes())?)
    }

    /// The last losses, or why there are none.
    pub fn summary(&self) -> String {
        match (&self.diverged, self.history.last()) {
            (Some(why), _) => format!("diverged after {} epochs: {why}", self.history.len()),
            (None, Some(last)) => format!("train {:.2}, test {:.2} nats", last.train.loss, last.test.loss),
            (None, None) => "no epochs".into(),
        }
    }

    /// The same numbers, wherever they come from. Numbers that only one of the two has, because an earlier version computed the
    /// other, do not count.
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
