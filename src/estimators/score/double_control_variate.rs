//! The double control variate: leave-one-out REINFORCE with losses that are corrected by the
//! gradients of the other samples.

use super::samples::sample_count;
use super::{Samples, SamplesEstimator, samples_loss};
use crate::error::{Error, Result};
use crate::estimators::value::Value;
use crate::estimators::{Choice, finite};
use crate::kernels::softmax::vjp_row;
use crate::scalar::Scalar;
use crate::tape::{Tape, Var};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// Double control variate: leave-one-out REINFORCE with a control variate from the gradients of the
/// other samples.
///
/// Titsias and Shi, "Double Control Variates for Gradient Estimation in Discrete Latent Variable
/// Models" (2022), for binary variables; the categorical form is derived in this library.
///
/// ```text
/// ∂ E f/∂θ ≈ (1/n) Σ_k (t_k − mean_{j≠k} t_j)(D_k − π) − α J(π) mean_k g_k,
///     t_k = f_k + α ⟨mean_{j≠k} g_j, D_k − π⟩
/// ```
///
/// n samples D_k of one input; f_k = f(D_k); g_k = ∂f_k/∂D_k; α weight of the control variate; π =
/// softmax(θ); J(q) g = q ⊙ (g − ⟨q, g⟩). Inner products are over all L·C numbers of a code.
///
/// The estimator is unbiased for every α that does not depend on the samples. α = 0 gives
/// leave-one-out; with α = −1 the variance is 0 for a linear f. The best α depends on how close f
/// is to linear, so α can be [adapted](AdaptiveWeight). The estimator needs the same passes as
/// leave-one-out.
///
/// ```
/// use hardgrad::estimators::{Choice, DoubleControlVariate, Noise};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// // π = (¼, ¾), and both samples are the second category
/// let choice = Choice::without_gradient(2).with_noise(Noise::from_gumbel(vec![0.0; 4]));
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::from_rows(&[[0.0, 3.0_f64.ln()]]));
/// let estimator = DoubleControlVariate::new(2, -1.0)?;
/// let loss = estimator.loss(&mut tape, logits, &choice, |tape, d| {
///     let prices = tape.constant(&Mat::from_rows(&[[0.0], [4.0]]));
///     tape.matmul(d, prices)
/// });
/// let mean = tape.mean(loss);
/// tape.backward(mean, &mut ParamGrads::zeros(&params));
/// // Leave-one-out gives 0 here. For a linear f this estimator is exact: 4 · ¼ · ¾.
/// assert!((tape.grad(logits).unwrap().data[1] - 0.75).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DoubleControlVariate {
    samples: usize,
    alpha: f64,
    moments: Arc<Mutex<WeightMoments>>,
}

impl DoubleControlVariate {
    /// Creates the estimator with n = `samples` samples per input and weight `alpha`.
    ///
    /// # Errors
    /// If `samples` is not a number from 2 to 10,000, or `alpha` is not a number from −1e30 to
    /// 1e30.
    pub fn new(samples: usize, alpha: f64) -> Result<Self> {
        let (samples, alpha) = (sample_count(samples, 2)?, finite("alpha", alpha)?);
        Ok(Self { samples, alpha, moments: Arc::default() })
    }

    /// A copy of the estimator with another weight. Both share the accumulated moments.
    ///
    /// # Errors
    /// If `alpha` is not a number from −1e30 to 1e30.
    pub fn with_alpha(&self, alpha: f64) -> Result<Self> {
        Ok(Self { alpha: finite("alpha", alpha)?, ..self.clone() })
    }

    /// Number of samples per input, n.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Records n samples per input and their losses, like [`samples_loss`]. Shapes: logits
    /// `[N, L·C]`; f: samples `[N·n, L·C]` → `[N·n, 1]`; result `[N·n, 1]`.
    ///
    /// # Panics
    /// If a shape does not fit.
    #[track_caller]
    pub fn loss<'t, T: Scalar>(
        &self,
        tape: &mut Tape<'t, T>,
        logits: Var,
        choice: &Choice<T>,
        f: impl FnOnce(&mut Tape<'t, T>, Var) -> Var,
    ) -> Var {
        samples_loss(tape, self.clone(), logits, choice, f)
    }

    /// Returns the moments that determine the best weight, summed over the inputs of all sweeps
    /// since the last call, and resets them.
    pub fn take_moments(&self) -> WeightMoments {
        std::mem::take(&mut *self.moments.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Scalar> SamplesEstimator<T> for DoubleControlVariate {
    fn samples(&self) -> usize {
        self.samples
    }

    /// Memory for the sum of the gradients, both parts of the estimate, and one inner product per
    /// sample.
    fn work_len(&self, width: usize) -> usize {
        3 * width + self.samples
    }

    fn add(&self, at: &Samples<'_, T>, dlogits: &mut [T], work: &mut [T]) {
        let (n, width) = (self.samples, at.pi.len());
        work.fill(T::ZERO);
        let (total, work) = work.split_at_mut(width);
        let (plain, work) = work.split_at_mut(width);
        let (control, inner) = work.split_at_mut(width);
        for g in at.gradients.chunks(width) {
            total.iter_mut().zip(g).for_each(|(total, &g)| *total += g);
        }
        // ⟨mean_{j≠k} g_j, D_k − π⟩
        let others = T::of(1.0 / (n - 1) as f64);
        for ((d, g), inner) in at.one_hot.chunks(width).zip(at.gradients.chunks(width)).zip(&mut *inner) {
            let terms = d.iter().zip(at.pi).zip(g.iter().zip(&*total));
            *inner = others * terms.map(|((&d, &pi), (&g, &total))| (total - g) * (d - pi)).sum::<T>();
        }
        add_leave_one_out(at, at.losses, plain);
        add_leave_one_out(at, inner, control);
        let c = at.categories;
        for ((pi, g), control) in at.pi.chunks(c).zip(total.chunks(c)).zip(control.chunks_mut(c)) {
            vjp_row(-T::ONE, pi, g, control); // − J(π) Σ_k g_k
        }
        let (alpha, mut moments) = (T::of(self.alpha), WeightMoments::default());
        for ((to, &a), &b) in dlogits.iter_mut().zip(&*plain).zip(&*control) {
            *to += a + alpha * b;
            moments.cross += a.to_f64() * b.to_f64();
            moments.square += b.to_f64() * b.to_f64();
        }
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).add(moments);
    }
}

/// to += Σ_k (t_k − mean_{j≠k} t_j)(D_k − π)
fn add_leave_one_out<T: Scalar>(at: &Samples<'_, T>, t: &[T], to: &mut [T]) {
    let n = t.len() as f64;
    let (mean, factor) = (t.iter().copied().sum::<T>() / T::of(n), T::of(n / (n - 1.0)));
    for (d, &t) in at.one_hot.chunks(to.len()).zip(t) {
        let score = factor * (t - mean); // t_k − mean_{j≠k} t_j = (t_k − mean t) n/(n − 1)
        for ((to, &d), &pi) in to.iter_mut().zip(d).zip(at.pi) {
            *to += score * (d - pi);
        }
    }
}

/// Moments of the two parts of the estimate A + α B, from [`DoubleControlVariate::take_moments`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightMoments {
    /// Sum Σ ⟨A, B⟩.
    pub cross: f64,
    /// Sum Σ ‖B‖².
    pub square: f64,
}

impl WeightMoments {
    fn add(&mut self, more: Self) {
        self.cross += more.cross;
        self.square += more.square;
    }
}

/// The weight α of a [`DoubleControlVariate`], adapted in every step. It minimises E ‖A + α B‖²:
/// α = −E ⟨A, B⟩ / E ‖B‖², with exponential moving averages over earlier steps in place of the
/// expectations. Because B has mean 0, this α has the smallest variance. It does not depend on the
/// current samples, so the estimate remains unbiased. The caller keeps this state, and stores it in
/// a checkpoint.
///
/// ```
/// use hardgrad::estimators::{AdaptiveWeight, WeightMoments};
/// let mut weight = AdaptiveWeight::default();
/// assert_eq!(weight.get(), 0.0); // leave-one-out before the first step
/// weight.add(WeightMoments { cross: 3.0, square: 4.0 });
/// assert_eq!(weight.get(), -0.75);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveWeight {
    moments: WeightMoments,
}

impl AdaptiveWeight {
    /// Decay per step: the averages cover about the last hundred steps.
    const DECAY: f64 = 0.99;

    /// The weight α; 0 before the first step, and if ‖B‖ is so small that α is outside the range of
    /// the weight of a [`DoubleControlVariate`].
    pub fn get(&self) -> f64 {
        let alpha = -self.moments.cross / self.moments.square;
        finite("alpha", alpha).unwrap_or(0.0)
    }

    /// Adds the moments of one step to the averages. Moments that are not finite are ignored.
    pub fn add(&mut self, step: WeightMoments) {
        if step.cross.is_finite() && step.square.is_finite() {
            self.moments.cross = Self::DECAY * self.moments.cross + step.cross;
            self.moments.square = Self::DECAY * self.moments.square + step.square;
        }
    }
}

/// Configuration of the weight of a [`DoubleControlVariate`]: a number, or `adapted`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightConfig {
    /// A fixed α.
    Fixed(f64),
    /// The weight of an [`AdaptiveWeight`].
    Adapted,
}

impl std::fmt::Display for WeightConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(alpha) => write!(f, "{alpha}"),
            Self::Adapted => f.write_str("adapted"),
        }
    }
}

impl std::str::FromStr for WeightConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "adapted" => Ok(Self::Adapted),
            _ => text.parse().map(Self::Fixed).map_err(|_| Error::argument("alpha", text, Self::ACCEPTS)),
        }
    }
}

impl Value for WeightConfig {
    const ACCEPTS: &'static str = "a number, or adapted";
}
