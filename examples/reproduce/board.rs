//! Progress over all runs: bars on a terminal, plain lines elsewhere.

use crate::lab::output::note;
use crate::lab::progress::{Report, bar, bars_are_drawn, clock};
use crate::manifest::Run;
use hardgrad::train::{EpochRecord, Progress, Trainer};
use indicatif::{MultiProgress, ProgressBar};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Progress of all runs together.
pub struct Board {
    bars: Option<(MultiProgress, ProgressBar)>,
    runs: usize,
    /// Number of epochs of all runs.
    epochs: usize,
    runs_done: AtomicUsize,
    /// Number of complete epochs, of this process and earlier ones.
    epochs_done: AtomicUsize,
    /// Number of epochs that were complete before this process.
    epochs_found: AtomicUsize,
    start: Instant,
}

impl Board {
    /// Progress of these runs, before the first one starts.
    pub fn new(runs: &[Run]) -> Self {
        let epochs = runs.iter().map(|run| run.epochs).sum();
        let bars = bars_are_drawn().then(|| {
            let bars = MultiProgress::new();
            let all = bars.add(bar(epochs as u64, "  {bar:20} {pos}/{len} epochs of all runs  {wide_msg}"));
            (bars, all)
        });
        Self {
            bars,
            runs: runs.len(),
            epochs,
            runs_done: AtomicUsize::new(0),
            epochs_done: AtomicUsize::new(0),
            epochs_found: AtomicUsize::new(0),
            start: Instant::now(),
        }
    }

    /// Counts a run that was complete before this process.
    pub fn found_complete(&self, run: &Run) {
        self.found(run.epochs);
        self.runs_done.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports that a run begins or continues.
    pub fn begin<'a>(&'a self, run: &'a Run, trainer: &Trainer<'_>) -> RunBoard<'a> {
        let before = trainer.history().len();
        self.found(before);
        let (step, steps) = trainer.step();
        let from = if (before, step) == (0, 0) {
            "begins".into()
        } else {
            format!("continues after epoch {before}, step {step} of {steps}")
        };
        let bar = self.bars.as_ref().map(|(bars, _)| {
            bars.add(bar(run.epochs as u64, "  {bar:20} {pos}/{len}  {wide_msg}"))
                .with_position(before as u64)
                .with_message(run.name.clone())
        });
        if bar.is_none() {
            self.line(&format!("{} {}: {from}", run.id, run.name));
        }
        RunBoard { board: self, run, bar }
    }

    /// Reports that a run has ended.
    pub fn end(&self, run: &Run, how: &str) {
        let done = self.runs_done.fetch_add(1, Ordering::Relaxed) + 1;
        let left = self.seconds_left().map_or(String::new(), |s| format!(", {} left", clock(s)));
        self.line(&format!("[{done}/{}{left}] {} {}: {how}", self.runs, run.id, run.name));
    }

    /// Prints a line, above the bars if there are any.
    pub fn line(&self, line: &str) {
        match &self.bars {
            // This fails if the terminal is closed, and then the line has no reader.
            Some((bars, _)) => drop(bars.println(line)),
            None => note!("{line}"),
        }
    }

    /// Removes the bars.
    pub fn finish(&self) {
        if let Some((bars, all)) = &self.bars {
            all.finish_and_clear();
            drop(bars.clear());
        }
    }

    fn found(&self, epochs: usize) {
        self.epochs_found.fetch_add(epochs, Ordering::Relaxed);
        self.epochs_done.fetch_add(epochs, Ordering::Relaxed);
        self.draw();
    }

    fn epoch(&self) {
        self.epochs_done.fetch_add(1, Ordering::Relaxed);
        self.draw();
    }

    fn draw(&self) {
        let Some((_, all)) = &self.bars else { return };
        all.set_position(self.epochs_done.load(Ordering::Relaxed) as u64);
        if let Some(seconds) = self.seconds_left() {
            all.set_message(format!("{} left", clock(seconds)));
        }
    }

    /// Estimated remaining time, as if all epochs took equally long.
    fn seconds_left(&self) -> Option<f64> {
        let done = self.epochs_done.load(Ordering::Relaxed);
        let here = done.checked_sub(self.epochs_found.load(Ordering::Relaxed)).filter(|&n| n > 0)?;
        Some(self.start.elapsed().as_secs_f64() / here as f64 * self.epochs.saturating_sub(done) as f64)
    }
}

/// Progress of one run.
pub struct RunBoard<'a> {
    board: &'a Board,
    run: &'a Run,
    bar: Option<ProgressBar>,
}

impl Report for RunBoard<'_> {
    fn step(&self, _: Progress) {}

    fn epoch(&self, record: &EpochRecord, seconds: Option<f64>) {
        self.board.epoch();
        let (epoch, epochs) = (record.epoch, self.run.epochs);
        let losses = format!("train {:.2}, test {:.2} nats", record.train.loss, record.test.loss);
        match &self.bar {
            Some(bar) => {
                bar.set_position(epoch as u64);
                bar.set_message(format!("{}: {losses}", self.run.name));
            }
            // Ten lines per run.
            None if epoch.is_multiple_of(epochs.div_ceil(10)) => {
                let seconds = seconds.map_or(String::new(), |s| format!(", {s:.1} s"));
                let line =
                    format!("{} {}: epoch {epoch}/{epochs}: {losses}{seconds}", self.run.id, self.run.name);
                self.board.line(&line);
            }
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
