//! Progress of one run: a bar on a terminal, lines otherwise.

use super::output::note;
use super::preview::half_blocks;
use super::progress::{Report, bar, bars_are_drawn, clock};
use hardgrad::data::Dataset;
use hardgrad::train::{EpochRecord, Progress, Trainer};
use indicatif::{MultiProgress, ProgressBar};
use std::time::Instant;

/// Reports one run on standard error.
pub struct Reporter {
    bar: Option<ProgressBar>,
    /// Reconstructions below the bar, drawn anew after each epoch.
    preview: Option<ProgressBar>,
    quiet: bool,
    epochs: usize,
    /// Number of epochs, with the part of an unfinished one, before the run was resumed.
    before: f64,
    start: Instant,
}

impl Reporter {
    /// A reporter for a run of `epochs` epochs that continues from the trainer's state.
    pub fn new(quiet: bool, epochs: usize, trainer: &Trainer<'_>) -> Self {
        let (step, steps) = trainer.step();
        let before = trainer.history().len() as f64 + step as f64 / steps as f64;
        let bar = (!quiet && bars_are_drawn()).then(|| bar(0, "epoch {prefix} {bar:32} {pos}/{len}  {msg}"));
        Self { bar, preview: None, quiet, epochs, before, start: Instant::now() }
    }

    /// With test images and their reconstructions below the bar, where a bar is drawn.
    pub fn with_preview(mut self) -> Self {
        if let Some(upper) = self.bar.take() {
            let both = MultiProgress::new();
            self.bar = Some(both.add(upper));
            self.preview = Some(both.add(bar(0, "{msg}")));
        }
        self
    }
}

impl Report for Reporter {
    fn step(&self, p: Progress) {
        let Some(bar) = &self.bar else { return };
        // Redrawing after every step would cost time without visible benefit.
        if !p.step.is_multiple_of(10) && p.step != p.steps {
            return;
        }
        let elapsed = self.start.elapsed().as_secs_f64();
        let done = (p.epoch - 1) as f64 + p.step as f64 / p.steps as f64 - self.before;
        let left = elapsed / done * (self.epochs as f64 - self.before - done);
        let per_epoch = p.images as f64 / p.step as f64 * p.steps as f64;
        bar.set_length(p.steps as u64);
        bar.set_prefix(format!("{}/{}", p.epoch, self.epochs));
        bar.set_position(p.step as u64);
        bar.set_message(format!(
            "loss {:.2}  {:.0} images/s  {} left",
            p.loss.loss,
            per_epoch * done / elapsed,
            clock(left)
        ));
    }

    fn epoch(&self, r: &EpochRecord, seconds: Option<f64>) {
        if self.quiet {
            return;
        }
        let line = format!(
            "epoch {}/{}: train {:.2} nats (bce {:.2} + kl {:.2}), test {:.2} (bce {:.2} + kl {:.2}){}",
            r.epoch,
            self.epochs,
            r.train.loss,
            r.train.bce,
            r.train.kl,
            r.test.loss,
            r.test.bce,
            r.test.kl,
            seconds.map_or(String::new(), |s| format!(", {s:.1} s"))
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note!("{line}"),
        }
    }

    fn show(&self, trainer: &mut Trainer<'_>, data: &Dataset) {
        /// As many as fit into 80 columns.
        const IMAGES: usize = 5;
        let Some(preview) = &self.preview else { return };
        let (inputs, outputs) = trainer.reconstructions(IMAGES);
        let rows = [&inputs, &outputs].map(|of| (0..of.rows()).map(|i| of.row(i)).collect());
        let images = data.test.images();
        preview.set_message(half_blocks(&rows, images.rows(), images.cols()));
    }

    fn finish(&self) {
        if let Some(preview) = &self.preview {
            preview.finish();
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
