//! The double control variate: leave-one-out REINFORCE whose losses are corrected by the gradients of the other samples.

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

/// Leave-one-out REINFORCE with a control variate from the gradients of the other samples.
///
/// Titsias and Shi, "Double Control Variates for Gradient Estimation in Discrete Latent Variable Models" (2022), for binary variables; the
/// categorical form is this library's.
///
/// ```text
/// ∂ E f/∂θ ≈ (1/n) Σ_k (t_k − mean_{j≠k} t_j)(D_k − π) − α J(π) mean_k g_k,   t_k = f_k + α ⟨mean_{j≠k} g_j, D_k − π⟩
/// ```
///
/// n samples D_k of one code; f_k = f(D_k); g_k = ∂f_k/∂D_k; α weight of the control variate; π = softmax(θ); J(q) g = q ⊙ (g − ⟨q, g⟩); inner
/// products over all L·C numbers of a code.
///
/// Unbiased for every α that does not depend on the samples. α = 0 is leave-one-out; at α = −1 a linear f has variance 0. How much there is
/// to gain depends on how linear f is, so α can be [adapted](AdaptiveWeight). It costs the passes of leave-one-out and no more.
///
/// ```
/// use hardgrad::estimators::{Choice, DoubleControlVariate, Noise};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// // π = (¼, ¾), and both samples are the second category
/// let choice = Choice::without_gradient(2).with_noise(Noise::from_gumbel(vec![0.0; 4]));
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::from_rows(&[[0.0, 3.0_f64.ln()]]));
/// let loss = DoubleControlVariate::new(2, -1.0)?.loss(&mut tape, logits, &choice, |tape, d| {
///     let prices = tape.constant(&Mat::from_rows(&[[0.0], [4.0]]));
///     tape.matmul(d, prices)
/// });
/// let mean = tape.mean(loss);
/// tape.backward(mean, &mut ParamGrads::zeros(&params));
/// // Leave-one-out has 0 here; this has the exact gradient of a linear f, 4 · ¼ · ¾.
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
    /// With n = `samples` samples of each input and weight `alpha`.
    ///
    /// # Errors
    /// If `samples` is not from 2 to 10,000, or `alpha` not from −1e30 to 1e30.
    pub fn new(samples: usize, alpha: f64) -> Result<Self> {
        let (samples, alpha) = (sample_count(samples, 2)?, finite("alpha", alpha)?);
        Ok(Self { samples, alpha, moments: Arc::default() })
    }

    /// The same with another weight, which shares what the sweeps have seen.
    ///
    /// # Errors
    /// If `alpha` is not a number from −1e30 to 1e30.
    pub fn with_alpha(&self, alpha: f64) -> Result<Self> {
        Ok(Self { alpha: finite("alpha", alpha)?, ..self.clone() })
    }

    /// n, the number of samples of each input.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Records n samples of each input and their losses, as [`samples_loss`] does. Shapes: logits `[N, L·C]`; f: samples `[N·n, L·C]` →
    /// `[N·n, 1]`; result `[N·n, 1]`.
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

    /// What the sweeps since the last call have seen of the weight's effect, summed over their inputs.
    pub fn take_moments(&self) -> WeightMoments {
        std::mem::take(&mut *self.moments.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Scalar> SamplesEstimator<T> for DoubleControlVariate {
    fn samples(&self) -> usize {
        self.samples
    }

    /// The sum of the gradients, both parts of the estimate, and the inner product of each sample.
    fn work_len(&self, width: usize) -> usize {
        3 * width + self.samples
    }

    fn add(&self, seen: &Samples<'_, T>, dlogits: &mut [T], work: &mut [T]) {
        let (n, width) = (self.samples, seen.pi.len());
        work.fill(T::ZERO);
        let (total, work) = work.split_at_mut(width);
        let (plain, work) = work.split_at_mut(width);
        let (control, inner) = work.split_at_mut(width);
        for g in seen.gradients.chunks(width) {
            total.iter_mut().zip(g).for_each(|(total, &g)| *total += g);
        }
        // ⟨mean_{j≠k} g_j, D_k − π⟩
        let others = T::of(1.0 / (n - 1) as f64);
        for ((d, g), inner) in seen.one_hot.chunks(width).zip(seen.gradients.chunks(width)).zip(&mut *inner) {
            let terms = d.iter().zip(seen.pi).zip(g.iter().zip(&*total));
            *inner = others * terms.map(|((&d, &pi), (&g, &total))| (total - g) * (d - pi)).sum::<T>();
        }
        add_left_out(seen, seen.losses, plain);
        add_left_out(seen, inner, control);
        let c = seen.categories;
        for ((pi, g), control) in seen.pi.chunks(c).zip(total.chunks(c)).zip(control.chunks_mut(c)) {
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
fn add_left_out<T: Scalar>(seen: &Samples<'_, T>, t: &[T], to: &mut [T]) {
    let n = t.len() as f64;
    let (mean, factor) = (t.iter().copied().sum::<T>() / T::of(n), T::of(n / (n - 1.0)));
    for (d, &t) in seen.one_hot.chunks(to.len()).zip(t) {
        let score = factor * (t - mean); // t_k − mean_{j≠k} t_j = (t_k − mean t) n/(n − 1)
        for ((to, &d), &pi) in to.iter_mut().zip(d).zip(seen.pi) {
            *to += score * (d - pi);
        }
    }
}

/// Of the estimate A + α B: Σ ⟨A, B⟩ and Σ ‖B‖², from [`DoubleControlVariate::take_moments`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightMoments {
    /// Σ ⟨A, B⟩
    pub cross: f64,
    /// Σ ‖B‖²
    pub square: f64,
}

impl WeightMoments {
    fn add(&mut self, more: Self) {
        self.cross += more.cross;
        self.square += more.square;
    }
}

/// The weight α of a [`DoubleControlVariate`], adapted from step to step: what minimises E ‖A + α B‖², −E ⟨A, B⟩ / E ‖B‖², with exponential
/// means of earlier steps for the expectations. As B has mean 0, that is the α of least variance. It does not depend on the present samples,
/// so the estimate stays unbiased. Data that the caller keeps, and stores with a checkpoint.
///
/// ```
/// use hardgrad::estimators::{AdaptiveWeight, WeightMoments};
/// let mut weight = AdaptiveWeight::default();
/// assert_eq!(weight.get(), 0.0); // leave-one-out until something has been seen
/// weight.add(WeightMoments { cross: 3.0, square: 4.0 });
/// assert_eq!(weight.get(), -0.75);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveWeight {
    moments: WeightMoments,
}

impl AdaptiveWeight {
    /// What one step keeps of the past: about the last hundred steps count.
    const DECAY: f64 = 0.99;

    /// α; 0 before the first step, and where ‖B‖ is so small that α is no weight of a [`DoubleControlVariate`].
    pub fn get(&self) -> f64 {
        let alpha = -self.moments.cross / self.moments.square;
        finite("alpha", alpha).unwrap_or(0.0)
    }

    /// Takes one step's moments into the means. Moments that are not finite are left out.
    pub fn add(&mut self, step: WeightMoments) {
        if step.cross.is_finite() && step.square.is_finite() {
            self.moments.cross = Self::DECAY * self.moments.cross + step.cross;
            self.moments.square = Self::DECAY * self.moments.square + step.square;
        }
    }
}

/// The weight of a [`DoubleControlVariate`] as data: a number, or `adapted`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightConfig {
    /// This α.
    Fixed(f64),
    /// That of an [`AdaptiveWeight`].
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
