//! Gapped Straight-Through.

use crate::error::{Error, Result};
use crate::estimators::latent::at_sample;
use crate::estimators::value::Value;
use crate::estimators::{Formula, Latent, Work, temperature};
use crate::kernels::softmax::{max, softmax_row, vjp_row};
use crate::scalar::Real;
use serde::{Deserialize, Serialize};

/// Minimum distance between the sample's logit and the other logits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// A fixed distance ≥ 0.
    Fixed(f64),
    /// The distance −log(1 − π_D)/π_D, from 1 for an improbable sample to +∞ for a certain one.
    Probability,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(gap) => write!(f, "{gap}"),
            Self::Probability => f.write_str("probability"),
        }
    }
}

impl std::str::FromStr for Gap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "probability" => Ok(Self::Probability),
            _ => text.parse().map(Self::Fixed).map_err(|_| Error::argument("gap", text, Self::ACCEPTS)),
        }
    }
}

impl Value for Gap {
    const ACCEPTS: &'static str = "a number >= 0, or probability";
}

/// GST(gap, τ): straight-through with shifted logits.
///
/// Gapped Straight-Through. Fan, Chi, Rudnicky and Ramadge, "Training Discrete Deep Generative
/// Models via Gapped Straight-Through Estimator" (2022).
///
/// ```text
/// ∂f/∂θ ≈ (1/τ) J(softmax(θ'/τ)) g
/// θ' = θ + (max θ − θ) ⊙ D − max(θ − max θ + gap, 0) ⊙ (1 − D)
/// ```
///
/// τ temperature; D the one-hot sample, whose logit is raised to the largest logit; the other
/// logits are lowered to at least `gap` below it; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩). No gradient
/// flows through the shifts.
///
/// The gap is a number (1 in the paper's GST-1.0) or depends on the probability of the sample,
/// −log(1 − π_D)/π_D (GST-p).
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, Gap, GappedStraightThrough};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// let q = 1.0 / (1.0 + 2.0_f64.exp()); // the other logit is lowered to 2 below
/// let estimator = GappedStraightThrough::new(Gap::Fixed(2.0), 1.0)?;
/// estimator.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 4.0 * q * (1.0 - q)).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GappedStraightThrough {
    gap: Gap,
    tau: f64,
}

impl GappedStraightThrough {
    /// Creates the estimator with this gap and temperature.
    ///
    /// # Errors
    /// If a fixed gap is not a finite number ≥ 0, or `tau` is not a finite number ≥ 1e-30.
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

/// Computes −log(1 − π_D)/π_D. For small π_D the logarithm is computed as ln(1 + x), and for large
/// π_D from the sum of the other probabilities; both avoid cancellation.
fn probability_gap<T: Real>(pi: &[T], one_hot: &[T]) -> T {
    let at = at_sample(one_hot, pi);
    let others = pi.iter().zip(one_hot).fold(T::ZERO, |sum, (&pi, d)| sum + d.select(T::ZERO, pi));
    let log = at.if_above(T::of(0.5), others.ln(), (-at).ln_1p());
    at.select(-log / at, T::ONE) // 1 is the limit
}
