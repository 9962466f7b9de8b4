//! Reading and checking the files from which a report is made. An invalid line is an error with its
//! number.

use crate::lab::lines::{Lines, at};
use crate::manifest::{Manifest, Run};
use crate::result::RunResult;
use hardgrad::data::DatasetId;
use std::collections::BTreeMap;
use std::path::Path;

/// The results and the plan of an experiment.
pub struct Experiment {
    /// The results, sorted by id.
    pub results: Vec<RunResult>,
    /// The plan, if there is one.
    pub planned: Option<Vec<Run>>,
}

impl Experiment {
    /// Reads `results.jsonl` and, if it exists, `manifest.jsonl` in this directory.
    pub fn load(out: &Path) -> Result<Self, String> {
        let results = results(&out.join("results.jsonl"))?;
        if !out.join("manifest.jsonl").exists() {
            return Ok(Self { results, planned: None });
        }
        let manifest = Manifest::load(out).map_err(|e| e.message)?;
        Ok(Self { results, planned: Some(manifest.runs) })
    }

    /// The planned runs without a result. A result of an earlier version may have another id than
    /// the run in the manifest.
    pub fn missing(&self) -> Vec<&Run> {
        let complete = |run: &Run| self.results.iter().any(|result| run.is(&result.run));
        self.planned.iter().flatten().filter(|run| !complete(run)).collect()
    }
}

fn results(path: &Path) -> Result<Vec<RunResult>, String> {
    let (mut results, mut seen) = (Vec::new(), BTreeMap::new());
    let lines = Lines::read(path).map_err(|e| format!("{e}; `reproduce merge` writes it"))?;
    for (number, line) in lines.iter() {
        let result = RunResult::parse(line).map_err(|e| at(path, number, e))?;
        if let Some(first) = seen.insert(result.run.id.clone(), number) {
            return Err(at(
                path,
                number,
                format!(
                    "run {} has a result in line {first} already; remove one of the two lines",
                    result.run.id
                ),
            ));
        }
        results.push(result);
    }
    if results.is_empty() {
        let remedy = "`reproduce merge` collects the results of `reproduce run` in it";
        return Err(format!("{}: there is no result in it; {remedy}", path.display()));
    }
    results.sort_by(|a, b| a.run.id.cmp(&b.run.id));
    Ok(results)
}

/// Whether these are the official images of MNIST, regardless of the name of their directory. If
/// the checksum of the test images was not recorded it is assumed to be that of MNIST.
pub fn is_mnist(dataset: &DatasetId) -> bool {
    const TEST: &str = "e4ca5f57";
    let test = dataset.test_crc32.as_deref().unwrap_or(TEST);
    (dataset.train, dataset.test, dataset.crc32.as_str(), test) == (60_000, 10_000, "5cc4ba61", TEST)
}

/// Name of a data set in headings.
pub fn label(dataset: &DatasetId) -> String {
    if is_mnist(dataset) {
        return "MNIST".into();
    }
    dataset.to_string()
}
