//! Gapped Straight-Through.

use crate::error::{Error, Result};
use crate::estimators::latent::at_sample;
use crate::estimators::{Formula, Latent, Work, temperature};
use crate::kernels::softmax::{max, softmax_row, vjp_row};
use crate::scalar::Real;
use serde::{Deserialize, Serialize};

/// How far the other logits are kept below the sample's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// This far, ≥ 0.
    Fixed(f64),
    /// −log(1 − π_D)/π_D, from 1 (an improbable sample) to +∞ (a certain one).
    Probability,
}

/// GST(gap, τ).
///
/// Gapped Straight-Through. Fan, Chi, Rudnicky and Ramadge, "Training Discrete Deep Generative Models via Gapped
/// Straight-Through Estimator" (2022).
///
/// ```text
/// ∂f/∂θ ≈ (1/τ) J(softmax(θ'/τ)) g
/// θ' = θ + (max θ − θ) ⊙ D − max(θ − max θ + gap, 0) ⊙ (1 − D)
/// ```
///
/// τ temperature; D the one-hot sample, whose logit is moved up to the largest; the others are moved down to at least `gap`
/// below it; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩). The shifts are detached.
///
/// The gap is a number (the paper's GST-1.0 has 1) or depends on the probability of the sample, −log(1 − π_D)/π_D (GST-p).
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, Gap, GappedStraightThrough};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let at = At { logits: &[0.0, 3.0_f64.ln()], one_hot: &[0.0, 1.0], noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// let q = 1.0 / (1.0 + 2.0_f64.exp()); // the other logit is moved to 2 below
/// GappedStraightThrough::new(Gap::Fixed(2.0), 1.0)?.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 4.0 * q * (1.0 - q)).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GappedStraightThrough {
    gap: Gap,
    tau: f64,
}

impl GappedStraightThrough {
    /// With this gap and temperature.
    ///
    /// # Errors
    /// If a fixed gap is not a finite number ≥ 0, or `tau` not a finite number ≥ 1e-30.
    pub fn new(gap: Gap, tau: f64) -> Result<Self> {
        match gap {
            Gap::Fixed(gap) if !(gap >= 0.0 && gap.is_finite()) => {
                Err(Error::argument("gap", gap, "a finite number >= 0"))
            }
            _ => Ok(Self { gap, tau: temperature(tau)? }),
        }
    }
}

impl Formula for GappedStraightThrough {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([moved, q], _) = work.take();
        let (tau, top) = (T::of(self.tau), max(latent.logits));
        let gap = match self.gap {
            Gap::Fixed(gap) => T::of(gap),
            Gap::Probability => {
                softmax_row(latent.logits, T::ONE, q);
                probability_gap(q, latent.one_hot)
            }
        };
        for ((moved, &theta), &d) in moved.iter_mut().zip(latent.logits).zip(latent.one_hot) {
            let down = theta - (theta - top + gap).max(T::ZERO); // θ − max(θ − max θ + gap, 0)
            *moved = d.select(top, down); // θ + (max θ − θ) at D
        }
        softmax_row(moved, tau, q);
        vjp_row(T::ONE / tau, q, g, dlogits); // (1/τ) J(softmax(θ'/τ)) g
    }

    fn work_rows(&self) -> usize {
        2
    }
}

/// −log(1 − π_D)/π_D. A small π_D keeps its digits through ln(1 + x), a large one through the sum of the others.
fn probability_gap<T: Real>(pi: &[T], one_hot: &[T]) -> T {
    let at = at_sample(one_hot, pi);
    let others = pi.iter().zip(one_hot).fold(T::ZERO, |sum, (&pi, d)| sum + d.select(T::ZERO, pi));
    let log = at.if_above(T::of(0.5), others.ln(), (-at).ln_1p());
    at.select(-log / at, T::ONE) // 1 is the limit
}
