//! Provenance of the numbers, missing runs and diverged runs.

use super::document::{Block, Cell, NONE, Table, count, nats};
use super::load::{Experiment, label};
use crate::result::{Provenance, RunResult};
use std::collections::BTreeMap;

/// Number of nats by which the last train loss of a diverged run is above its lowest. Losses of
/// neighbouring epochs, and those of different seeds, differ by less than one nat.
const LOST: f64 = 10.0;

/// Number of runs, machines, wall time, and the diverged and missing runs.
pub fn blocks(experiment: &Experiment) -> Vec<Block> {
    let results = &experiment.results;
    let mut blocks = vec![Block::Text(totals(experiment)), Block::Table(sources(results))];
    let diverged: Vec<_> = results.iter().filter_map(diverged).collect();
    if diverged.is_empty() {
        blocks.push(Block::Text("No run diverged.".into()));
    } else {
        blocks.push(Block::Text(format!(
            "{} diverged. The means do not include runs that ended early; as in the paper, they include runs that ended with a train \
             loss more than {LOST} nats above its minimum.",
            count(diverged.len(), "run")
        )));
        blocks.push(Block::Items(diverged));
    }
    blocks.extend(missing(experiment));
    blocks.push(Block::Table(runs(results)));
    blocks
}

/// Description of how a run diverged, if it did.
pub fn diverged(result: &RunResult) -> Option<String> {
    let name = format!("{} ({})", result.run.name, result.run.id);
    if let Some(why) = &result.diverged {
        return Some(format!(
            "{name}: ended after {} of {} epochs: {why}",
            result.history.len(),
            result.run.epochs
        ));
    }
    let last = result.history.last()?;
    let lowest = result.history.iter().min_by(|a, b| a.train.loss.total_cmp(&b.train.loss))?;
    let (end, low) = (last.train.loss, lowest.train.loss);
    (end > low + LOST).then(|| {
        format!("{name}: train loss {} at the end, {} after epoch {}", nats(end), nats(low), lowest.epoch)
    })
}

fn totals(experiment: &Experiment) -> String {
    let results = &experiment.results;
    let (hours, timed) = hours(results.iter().map(|result| result.provenance.seconds));
    let threads = |p: &Provenance| p.seconds.map(|seconds| seconds * p.threads as f64);
    let (thread_hours, _) = self::hours(results.iter().map(|result| threads(&result.provenance)));
    let planned = match &experiment.planned {
        Some(planned) => format!("of {} planned", planned.len()),
        None => "and no manifest with the planned runs".into(),
    };
    let untimed = match results.len() - timed {
        0 => String::new(),
        untimed => format!(", not counting {} without a time", count(untimed, "run")),
    };
    format!(
        "{} {planned}; {hours:.1} hours of computing, {thread_hours:.1} thread-hours{untimed}.",
        count(results.len(), "run")
    )
}

/// The sum of the known times in hours, and their number.
fn hours(seconds: impl Iterator<Item = Option<f64>>) -> (f64, usize) {
    seconds.flatten().fold((0.0, 0), |(hours, timed), seconds| (hours + seconds / 3600.0, timed + 1))
}

/// Versions, commits and processors.
fn sources(results: &[RunResult]) -> Table {
    let mut sources: BTreeMap<[String; 4], Vec<Option<f64>>> = BTreeMap::new();
    for RunResult { provenance: p, .. } in results {
        let commit = p.commit.clone().unwrap_or_else(|| NONE.into());
        let key = [p.version.clone(), commit, p.cpu.clone(), p.threads.to_string()];
        sources.entry(key).or_default().push(p.seconds);
    }
    let rows = sources.into_iter().map(|(key, seconds)| {
        let numbers = [seconds.len().to_string(), hours_cell(&seconds)];
        key.into_iter().chain(numbers).map(Cell::from).collect()
    });
    Table {
        id: "sources".into(),
        title: "Versions and machines".into(),
        note: "CPUs with AVX2 or AVX-512 give the same bits. Another CPU, version or C library may give another result from the same \
               distribution. The time of a run that was interrupted within an epoch is not known.".into(),
        columns: ["Version", "Commit", "CPU", "Threads", "Runs", "Hours"].map(str::to_owned).to_vec(),
        labels: 3,
        rows: rows.collect(),
    }
}

/// The hours of the runs whose time is known, with their number if there are others.
fn hours_cell(seconds: &[Option<f64>]) -> String {
    let (hours, timed) = hours(seconds.iter().copied());
    match seconds.len() {
        _ if timed == 0 => NONE.into(),
        runs if timed == runs => format!("{hours:.2}"),
        runs => format!("{hours:.2} ({timed} of {runs})"),
    }
}

/// The planned runs without a result, with the seeds of one config in one line.
fn missing(experiment: &Experiment) -> Vec<Block> {
    if experiment.planned.is_none() {
        return Vec::new();
    }
    let mut kinds: Vec<(String, Vec<u64>)> = Vec::new();
    for run in experiment.missing() {
        let name = run.name.rsplit_once(", seed").map_or(run.name.as_str(), |(kind, _)| kind);
        let kind = format!("{name}, {} epochs on {}", run.epochs, label(&run.dataset));
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, seeds)) => seeds.push(run.config.seed),
            None => kinds.push((kind, vec![run.config.seed])),
        }
    }
    if kinds.is_empty() {
        return vec![Block::Text("No planned run is missing.".into())];
    }
    kinds.sort();
    let items = kinds.into_iter().map(|(kind, mut seeds)| {
        seeds.sort_unstable();
        let s = if seeds.len() == 1 { "" } else { "s" };
        let seeds: Vec<_> = seeds.iter().map(u64::to_string).collect();
        format!("{kind}: seed{s} {}", seeds.join(", "))
    });
    let sentence = format!("{} of the manifest missing:", count(experiment.missing().len(), "run"));
    vec![Block::Text(sentence), Block::Items(items.collect())]
}

/// The table of all runs.
fn runs(results: &[RunResult]) -> Table {
    let mut sorted: Vec<_> = results.iter().collect();
    sorted.sort_by(|a, b| (&a.run.name, &a.run.id).cmp(&(&b.run.name, &b.run.id)));
    let rows = sorted.into_iter().map(|result| {
        let loss = |loss: fn(&hardgrad::train::EpochRecord) -> f64| {
            result.history.last().map_or(NONE.to_owned(), |record| nats(loss(record)))
        };
        let time = result.provenance.seconds.map_or(NONE.to_owned(), |seconds| format!("{seconds:.0}"));
        let epochs = format!("{} of {}", result.history.len(), result.run.epochs);
        let state = if diverged(result).is_some() { "diverged" } else { "complete" };
        [result.run.id.clone(), result.run.name.clone(), label(&result.run.dataset), state.into(), epochs]
            .into_iter()
            .chain([loss(|r| r.train.loss), loss(|r| r.test.loss), time])
            .map(Cell::from)
            .collect()
    });
    Table {
        id: "runs".into(),
        title: "All runs".into(),
        note: "Nats per image at the last epoch; results.jsonl has the exact losses of every epoch.".into(),
        columns: ["Id", "Run", "Data", "State", "Epochs", "Train", "Test", "Seconds"]
            .map(str::to_owned)
            .to_vec(),
        labels: 4,
        rows: rows.collect(),
    }
}
