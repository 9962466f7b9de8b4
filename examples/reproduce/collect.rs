//! States and results of the runs, for `status` and `merge`.

use crate::lab::error::RunError;
use crate::lab::lines::{Lines, at};
use crate::manifest::{Manifest, Run};
use crate::result::RunResult;
use hardgrad::files::write_atomically;
use hardgrad::train::Checkpoint;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// State of a run.
pub enum State {
    /// All epochs are complete and verified.
    Complete,
    /// The run ended because a number was not finite.
    Diverged(Box<RunResult>),
    /// Numbers of epochs and steps in the checkpoint.
    Begun(usize, usize),
    /// The run was not started.
    Missing,
    /// A file cannot be used. `run` starts the run again or continues from the previous checkpoint.
    Damaged(String),
}

/// Reads a `result.json`, if there is one.
fn read_result(file: &Path) -> Result<Option<RunResult>, String> {
    match fs::read_to_string(file) {
        Ok(text) => {
            RunResult::parse(text.trim_end()).map(Some).map_err(|e| format!("{}: {e}", file.display()))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", file.display())),
    }
}

/// The result of a run: that in its directory or, if there is none, that in `results.jsonl`. The
/// error is the message on a `result.json` that cannot be used.
pub fn result_of(run: &Run, out: &Path, collected: &Merged) -> Result<Option<RunResult>, String> {
    let file = run.directory(out).join("result.json");
    match read_result(&file)? {
        Some(result) if !result.run.is(run) => {
            Err(format!("{}: this is the result of another run, {}", file.display(), result.run.id))
        }
        Some(result) => Ok(Some(result)),
        None => Ok(collected.get(run).cloned()),
    }
}

/// State of a run, from its result or, without one, its checkpoint.
pub fn state(run: &Run, out: &Path, collected: &Merged) -> State {
    match result_of(run, out, collected) {
        Ok(Some(result)) if result.diverged.is_some() => return State::Diverged(Box::new(result)),
        Ok(Some(_)) => return State::Complete,
        Ok(None) => {}
        Err(e) => return State::Damaged(e),
    }
    match Checkpoint::load_newest(&run.directory(out).join("checkpoint.bin")) {
        Ok(Some(newest)) => State::Begun(newest.checkpoint.history.len(), newest.checkpoint.step),
        Ok(None) => State::Missing,
        Err(e) => State::Damaged(e.to_string()),
    }
}

/// The results that a merge found, and the problems with others.
#[derive(Default)]
pub struct Merged {
    /// Results by id.
    results: BTreeMap<String, RunResult>,
    /// Number of second copies that agree with the first.
    pub duplicates: usize,
    /// Number of results of runs that the manifest does not have.
    pub strangers: usize,
    /// Descriptions of files or lines that cannot be used, and of results that differ from another
    /// result of the run.
    pub problems: Vec<String>,
}

impl Merged {
    /// Collects the results of the runs in this directory and in `others`, then those of their
    /// earlier `results.jsonl`.
    pub fn collect(manifest: &Manifest, out: &Path, others: &[PathBuf]) -> Self {
        let mut merged = Self::default();
        let places = || std::iter::once(out).chain(others.iter().map(PathBuf::as_path));
        for place in places() {
            if !place.is_dir() {
                merged.problems.push(format!("--from {}: there is no such directory", place.display()));
            }
            for run in &manifest.runs {
                match read_result(&run.directory(place).join("result.json")) {
                    Ok(result) => result.into_iter().for_each(|r| merged.add(manifest, r, place)),
                    Err(e) => merged.problems.push(e),
                }
            }
        }
        places().for_each(|place| merged.add_collected(manifest, place));
        merged
    }

    /// The results in the `results.jsonl` of this directory, which an earlier merge wrote.
    pub fn of_file(manifest: &Manifest, out: &Path) -> Self {
        let mut merged = Self::default();
        merged.add_collected(manifest, out);
        merged
    }

    fn add_collected(&mut self, manifest: &Manifest, place: &Path) {
        let file = place.join("results.jsonl");
        let lines = match Lines::read_if_there(&file) {
            Ok(Some(lines)) => lines,
            Ok(None) => return,
            Err(e) => return self.problems.push(e),
        };
        for (number, line) in lines.iter() {
            match RunResult::parse(line) {
                Ok(result) => self.add(manifest, result, &file),
                Err(e) => self.problems.push(at(&file, number, e)),
            }
        }
    }

    fn add(&mut self, manifest: &Manifest, result: RunResult, place: &Path) {
        // Under the id in the manifest: the result of an earlier version may have another id.
        let Some(planned) = manifest.runs.iter().find(|run| run.is(&result.run)) else {
            self.strangers += 1;
            return;
        };
        match self.results.get(&planned.id) {
            None => drop(self.results.insert(planned.id.clone(), result)),
            Some(held) if held.agrees_with(&result) => self.duplicates += 1,
            Some(_) => self.problems.push(format!(
                "{}: its result of {} {} differs from the one found before, which is kept; expected equal results from one version \
                 on CPUs with the same features",
                place.display(),
                result.run.id,
                result.run.name
            )),
        }
    }

    /// The result of this run.
    pub fn get(&self, run: &Run) -> Option<&RunResult> {
        self.results.get(&run.id)
    }

    /// Number of results.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Writes `results.jsonl`, in the manifest's order.
    pub fn save(&self, manifest: &Manifest, out: &Path) -> Result<PathBuf, RunError> {
        let file = out.join("results.jsonl");
        let lines: String =
            manifest.runs.iter().filter_map(|run| self.get(run)).map(RunResult::to_line).collect();
        write_atomically(&file, lines.as_bytes())?;
        Ok(file)
    }
}
