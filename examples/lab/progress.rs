//! Progress reports of long computations.

use hardgrad::data::Dataset;
use hardgrad::train::{EpochRecord, Progress, Trainer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Receives the progress of a run.
pub trait Report {
    /// Called after a step.
    fn step(&self, progress: Progress);

    /// Called after an epoch and its test pass, with its wall time if it began in this process.
    fn epoch(&self, record: &EpochRecord, seconds: Option<f64>);

    /// Called after an epoch: shows what the model has learnt so far.
    fn show(&self, _trainer: &mut Trainer<'_>, _data: &Dataset) {}

    /// Called at the end of the run, for any reason.
    fn finish(&self) {}
}

/// Whether indicatif draws bars on standard error. If not, progress is printed as lines.
///
/// indicatif draws no bars where standard error is not a terminal, and where `$TERM` is not set or
/// `dumb`.
pub fn bars_are_drawn() -> bool {
    !ProgressDrawTarget::stderr().is_hidden()
}

/// A progress bar with this template. An invalid template gives indicatif's default bar.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// A duration as 3:07 or 1:02:03.
pub fn clock(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    if s < 3600 {
        format!("{}:{:02}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}
