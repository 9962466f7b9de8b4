//! Learning-rate schedules.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Linear warm-up: the learning-rate factor rises linearly from `start_factor` to 1 within `over`
/// epochs and then stays 1. Instead of epochs, `done` and `over` may count updates.
///
/// ```text
/// lr · ( start_factor + (1 − start_factor) · min(done, over) / over )
/// ```
///
/// Source: the closed form of PyTorch's `torch.optim.lr_scheduler.LinearLR` with `end_factor = 1`
/// and `total_iters = over`.
///
/// ```
/// use hardgrad::optim::linear_warm_up;
/// assert_eq!(linear_warm_up(8.0, 0.25, 3, 0), 2.0);
/// assert_eq!(linear_warm_up(8.0, 0.25, 3, 1), 4.0);
/// assert_eq!(linear_warm_up(8.0, 0.25, 3, 7), 8.0);
/// ```
pub fn linear_warm_up(lr: f64, start_factor: f64, over: usize, done: usize) -> f64 {
    if done >= over {
        return lr;
    }
    lr * (start_factor + (1.0 - start_factor) * (done as f64 / over as f64))
}

/// Cosine annealing: half a period of the cosine from `lr` down to `min_lr` within `over` epochs
/// (or updates), then `min_lr`.
///
/// ```text
/// min_lr + ½ (lr − min_lr) (1 + cos(π · done / over))
/// ```
///
/// Source: Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5 without restarts, as in PyTorch's
/// `torch.optim.lr_scheduler.CosineAnnealingLR` with `T_max = over` and `eta_min = min_lr`.
/// Deviation: after `over` epochs PyTorch's rate rises again along the cosine, while this rate
/// stays at `min_lr`. A run that is extended therefore does not return to a high rate.
///
/// ```
/// use hardgrad::optim::cosine_annealing;
/// assert_eq!(cosine_annealing(8.0, 2.0, 3, 0), 8.0);
/// assert!((cosine_annealing(8.0, 2.0, 3, 1) - 6.5).abs() < 1e-14); // cos 60° = ½
/// assert_eq!(cosine_annealing(8.0, 2.0, 3, 4), 2.0);
/// ```
pub fn cosine_annealing(lr: f64, min_lr: f64, over: usize, done: usize) -> f64 {
    if done >= over {
        return min_lr;
    }
    min_lr + 0.5 * (lr - min_lr) * (1.0 + (std::f64::consts::PI * (done as f64 / over as f64)).cos())
}

/// Warm-up, then cosine annealing: [`linear_warm_up`] over the first `warm_up` epochs (or updates),
/// [`cosine_annealing`] over the others up to `total`.
///
/// Source: PyTorch's `SequentialLR([LinearLR, CosineAnnealingLR], milestones = [warm_up])`, where
/// the latter has `T_max = total − warm_up`. The rate is a pure function of the number of completed
/// epochs, so a resumed run needs no schedule state.
///
/// ```
/// use hardgrad::optim::{Adam, AdamConfig, LrSchedule, Optimizer};
/// let schedule = LrSchedule { warm_up: 2, start_factor: 0.5, total: 5, min_lr: 0.0 };
/// let schedule = schedule.validated()?;
/// let mut adam = Adam::<f32>::new(AdamConfig { lr: 0.8, ..AdamConfig::default() })?;
/// let peak = adam.lr();
/// let mut rates = Vec::new();
/// for epoch in 0..5 {
///     adam.set_lr(schedule.at(peak, epoch))?;
///     rates.push(adam.lr());
/// }
/// for (rate, want) in rates.iter().zip([0.4, 0.6, 0.8, 0.6, 0.2]) {
///     assert!((rate - want).abs() < 1e-15);
/// }
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrSchedule {
    /// Number of epochs (or updates) of warm-up; 0 for no warm-up.
    pub warm_up: usize,
    /// Initial rate as a fraction of the highest rate, in (0, 1].
    pub start_factor: f64,
    /// Total number of epochs (or updates), more than `warm_up`.
    pub total: usize,
    /// Final rate, at least 0.
    pub min_lr: f64,
}

impl LrSchedule {
    /// Returns `self` if every number is in its range.
    ///
    /// ```
    /// use hardgrad::optim::LrSchedule;
    /// let schedule = LrSchedule { warm_up: 10, start_factor: 1e-3, total: 10, min_lr: 0.0 };
    /// let e = schedule.validated().unwrap_err();
    /// assert_eq!(e.to_string(), "total: got 10, expected more than warm-up, 10");
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] with the name and range of the number that is out of range.
    pub fn validated(self) -> Result<Self> {
        if !(self.start_factor > 0.0 && self.start_factor <= 1.0) {
            return Err(Error::argument("start-factor", self.start_factor, "a number in (0, 1]"));
        }
        if self.total <= self.warm_up {
            return Err(Error::argument("total", self.total, format!("more than warm-up, {}", self.warm_up)));
        }
        if !(self.min_lr >= 0.0 && self.min_lr.is_finite()) {
            return Err(Error::argument("min-lr", self.min_lr, "a finite number >= 0"));
        }
        Ok(self)
    }

    /// The rate after `done` epochs (or updates), where `lr` is the highest rate.
    pub fn at(&self, lr: f64, done: usize) -> f64 {
        match done.checked_sub(self.warm_up) {
            None => linear_warm_up(lr, self.start_factor, self.warm_up, done),
            Some(since) => cosine_annealing(lr, self.min_lr, self.total - self.warm_up, since),
        }
    }
}

/// Writes `cosine:TOTAL:WARM_UP:START_FACTOR:MIN_LR`.
impl std::fmt::Display for LrSchedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cosine:{}:{}:{}:{}", self.total, self.warm_up, self.start_factor, self.min_lr)
    }
}

/// Reads `cosine:TOTAL[:WARM_UP[:START_FACTOR[:MIN_LR]]]`. Without `WARM_UP` there is no warm-up;
/// `START_FACTOR` is 0.001 and `MIN_LR` is 0 unless given.
///
/// ```
/// use hardgrad::optim::LrSchedule;
/// let schedule: LrSchedule = "cosine:500:10".parse()?;
/// let expected = LrSchedule { warm_up: 10, start_factor: 1e-3, total: 500, min_lr: 0.0 };
/// assert_eq!(schedule, expected);
/// assert_eq!(schedule.to_string(), "cosine:500:10:0.001:0");
/// let e = "cosine:10:10".parse::<LrSchedule>().unwrap_err();
/// assert_eq!(e.to_string(), "total: got 10, expected more than warm-up, 10");
/// # Ok::<(), hardgrad::Error>(())
/// ```
impl std::str::FromStr for LrSchedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.strip_prefix("cosine:")?.split(':');
            let total = parts.next()?.parse().ok()?;
            let warm_up = parts.next().map_or(Ok(0), str::parse).ok()?;
            let start_factor = parts.next().map_or(Ok(1e-3), str::parse).ok()?;
            let min_lr = parts.next().map_or(Ok(0.0), str::parse).ok()?;
            parts.next().is_none().then_some(Self { warm_up, start_factor, total, min_lr })
        };
        let expected = "cosine:TOTAL[:WARM_UP[:START_FACTOR[:MIN_LR]]], such as cosine:500:10:0.001";
        parse().ok_or_else(|| Error::argument("lr_schedule", text, expected))?.validated()
    }
}
