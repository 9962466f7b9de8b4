//! The losses that a run reports.

use crate::usage::UsageSummary;
use serde::{Deserialize, Serialize};

/// The negative evidence lower bound and its parts: means over images, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Sum bce + kl.
    pub loss: f64,
    /// Binary cross-entropy, summed over the pixels.
    pub bce: f64,
    /// KL divergence of q(z|x) to the uniform prior.
    pub kl: f64,
}

/// Losses of one epoch. Wall times are not part of the record, which depends only on the config and
/// the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean of the mini-batch losses seen *during* the epoch, while the parameters changed.
    pub train: Loss,
    /// Loss on the test images with one sample per image, with the parameters at the end of the
    /// epoch.
    pub test: Loss,
    /// Usage of the codes that were sampled for [`test`](Self::test). These codes exist for every
    /// estimator, belong to one state of the parameters, and leave nothing to store in the middle of
    /// an epoch. `None` in a record from a version that did not compute it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageSummary>,
}

/// The losses of an epoch in progress, summed over its samples in order. A checkpoint holds the
/// sums, not the means, so that a resumed epoch ends with the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossSum {
    samples: usize,
    bce: f64,
    kl: f64,
}

impl LossSum {
    /// Adds the losses of a batch: the two parts of each sample.
    pub(super) fn add(&mut self, bce: &[f32], kl: &[f32]) {
        self.samples += bce.len();
        self.bce += bce.iter().map(|&x| f64::from(x)).sum::<f64>();
        self.kl += kl.iter().map(|&x| f64::from(x)).sum::<f64>();
    }

    /// Number of samples added: the number of images times the samples per image.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The mean losses. They are NaN before the first sample.
    pub fn mean(&self) -> Loss {
        let n = self.samples as f64;
        Loss { loss: (self.bce + self.kl) / n, bce: self.bce / n, kl: self.kl / n }
    }
}
