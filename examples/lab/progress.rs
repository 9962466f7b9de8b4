//! How long work tells how it goes on.

use hardgrad::data::Dataset;
use hardgrad::train::{EpochRecord, Progress, Trainer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Is told how a run goes on.
pub trait Report {
    /// After an update.
    fn step(&self, progress: Progress);

    /// After an epoch and its test pass, of so many seconds if it began in this process.
    fn epoch(&self, record: &EpochRecord, seconds: Option<f64>);

    /// After an epoch: shows what the model has learnt so far.
    fn show(&self, _trainer: &mut Trainer<'_>, _data: &Dataset) {}

    /// At the end, whatever ended it.
    fn finish(&self) {}
}

/// Whether bars are drawn on standard error. If not, progress is told in plain lines.
///
/// The one that draws is asked, so that there is no terminal with neither: without `$TERM`, or with `dumb` in it, there are no bars.
pub fn bars_are_drawn() -> bool {
    !ProgressDrawTarget::stderr().is_hidden()
}

/// A bar of this look. An invalid template gives indicatif's own look.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// 3:07 or 1:02:03.
pub fn clock(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    if s < 3600 {
        format!("{}:{:02}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}
