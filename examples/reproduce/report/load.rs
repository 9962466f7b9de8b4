//! The files that a report is made of, read with distrust: a line that does not say what it should is an error with its number.

use crate::lab::lines::{Lines, at};
use crate::manifest::{Manifest, Run};
use crate::result::RunResult;
use hardgrad::data::DatasetId;
use std::collections::BTreeMap;
use std::path::Path;

/// What there is of an experiment.
pub struct Experiment {
    /// The results, by id.
    pub results: Vec<RunResult>,
    /// The plan, if there is one.
    pub planned: Option<Vec<Run>>,
}

impl Experiment {
    /// Of `results.jsonl` and, if it is there, `manifest.jsonl` in this directory.
    pub fn load(out: &Path) -> Result<Self, String> {
        let results = results(&out.join("results.jsonl"))?;
        if !out.join("manifest.jsonl").exists() {
            return Ok(Self { results, planned: None });
        }
        let manifest = Manifest::load(out).map_err(|e| e.message)?;
        Ok(Self { results, planned: Some(manifest.runs) })
    }

    /// The planned runs without a result.
    pub fn missing(&self) -> Vec<&Run> {
        let there = |run: &Run| self.results.binary_search_by(|result| result.run.id.cmp(&run.id)).is_ok();
        self.planned.iter().flatten().filter(|run| !there(run)).collect()
    }
}

fn results(path: &Path) -> Result<Vec<RunResult>, String> {
    let (mut results, mut seen) = (Vec::new(), BTreeMap::new());
    for (number, line) in Lines::read(path)?.iter() {
        let result = RunResult::parse(line).map_err(|e| at(path, number, e))?;
        if let Some(first) = seen.insert(result.run.id.clone(), number) {
            return Err(at(path, number, format!("run {} stands in line {first} already", result.run.id)));
        }
        results.push(result);
    }
    if results.is_empty() {
        return Err(format!("{}: there is no result in it", path.display()));
    }
    results.sort_by(|a, b| a.run.id.cmp(&b.run.id));
    Ok(results)
}

/// Whether these are the official images of MNIST, whatever their directory is called. A checksum of the test images that was not
/// recorded is taken for theirs.
pub fn is_mnist(dataset: &DatasetId) -> bool {
    const TEST: &str = "e4ca5f57";
    let test = dataset.test_crc32.as_deref().unwrap_or(TEST);
    (dataset.train, dataset.test, dataset.crc32.as_str(), test) == (60_000, 10_000, "5cc4ba61", TEST)
}

/// Data as in a heading.
pub fn label(dataset: &DatasetId) -> String {
    if is_mnist(dataset) {
        return "MNIST".into();
    }
    dataset.to_string()
}
