//! How long work tells how it goes on.

use hardgrad::train::{EpochRecord, Progress};

/// Is told how a run goes on.
pub trait Report {
    /// After an update.
    fn step(&self, progress: Progress);

    /// After an epoch and its test pass, of so many seconds if it began in this process.
    fn epoch(&self, record: &EpochRecord, seconds: Option<f64>);

    /// At the end, whatever ended it.
    fn finish(&self) {}
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
