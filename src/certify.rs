//! Certificates: bias and variance of an estimator on a small problem, with respect to the exact
//! gradient.
//!
//! The sample D is enumerated, so its contribution to mean and variance has no sampling error. What
//! is random given D is sampled: the Gumbel noise by [`gumbel_given`], and the estimator's
//! conditional draws with a separate key. With n repetitions e for each D, and with m_D and v_D
//! their mean and unbiased variance,
//!
//! ```text
//! mean             m = Σ_D π(D) m_D
//! standard error   s² = Σ_D π(D)² v_D / n
//! variance         Σ_D π(D) (m_D − m)²  +  (1 − 1/n) Σ_D π(D) v_D  +  s²
//! ```
//!
//! for each component. The variance is unbiased: the expectation of the first term is the variance
//! between the D plus Σ π v/n − Σ π² v/n, the noise of the m_D minus that of m, and the other terms
//! complete Σ π v, the mean of the variance given D. For an estimator that is determined by D, v is
//! exactly 0, and mean and variance are exact.
//!
//! Estimators at the loss are functions of the samples of one input: [`certify_loss`] enumerates these.
//! Estimators of one choice draw without replacement: [`certify_choice`] enumerates the rankings.

mod loss;

pub use loss::{LossOf, certify_choice, certify_loss};

use crate::error::{Error, Result};
use crate::estimators::{At, Estimator, Noise, Scratch};
use crate::exact::{Code, Problem};
use crate::kernels::softmax::log_softmax_row;
use crate::rng::uniform;
use crate::stats::{RunningMoments, cosine, dot};

/// Result of [`certify`]: mean, bias and variance of an estimator.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Mean of the estimator, `[L, C]`.
    pub mean: Vec<f64>,
    /// The exact gradient, eq. 2, `[L, C]`.
    pub exact: Vec<f64>,
    /// Bias, mean − exact, `[L, C]`.
    pub bias: Vec<f64>,
    /// Standard error of the mean and of the bias, `[L, C]`. It is 0 for an estimator that is
    /// determined by D.
    pub standard_error: Vec<f64>,
    /// Trace of the covariance of one estimate, over D and all noise: ‖std‖₂².
    pub covariance_trace: f64,
    /// Relative standard deviation, ‖std‖₂ / ‖mean‖₂, which the paper plots as variance. Not finite
    /// if the mean is 0.
    pub relative_sd: f64,
    /// Cosine between the mean and the exact gradient. NaN if one of them is 0.
    pub cosine: f64,
    /// Number of codes enumerated.
    pub codes: usize,
    /// Number of repetitions for each code.
    pub draws: usize,
}

impl Certificate {
    /// Norm of the bias, ‖bias‖₂.
    pub fn bias_norm(&self) -> f64 {
        dot(&self.bias, &self.bias).sqrt()
    }
}

/// Computes bias and variance of `estimator` on `problem`, with `draws` repetitions of what is
/// random given D. Two repetitions are enough for an estimator that is determined by D, such as
/// [`StraightThrough`](crate::estimators::StraightThrough) and
/// [`ReinMax`](crate::estimators::ReinMax). Codes whose probability underflows to 0 are omitted.
///
/// ```
/// use hardgrad::estimators::{ReinMax, StraightThrough};
/// use hardgrad::{certify::certify, exact::Problem, rng};
/// let f = (
///     |d: &[f64]| d[1] * d[1],
///     |d: &[f64], g: &mut [f64]| g.copy_from_slice(&[0.0, 2.0 * d[1]]),
/// );
/// let logits = [0.0, 3.0_f64.ln()]; // π = (¼, ¾)
/// let problem = Problem::new(&logits, 2, &f)?;
/// let rng = &mut rng::from_key(1);
/// // f is quadratic, so ReinMax at τ = 1 is unbiased. The mean of ST is ¾ J(π) g with
/// // g = (0, 2), which is 1.5 times the exact gradient.
/// assert!(certify(&ReinMax::new(1.0)?, &problem, 2, rng)?.bias_norm() < 1e-15);
/// let st = certify(&StraightThrough::new(1.0)?, &problem, 2, rng)?;
/// assert!((st.bias[1] - 0.5 * st.exact[1]).abs() < 1e-15);
/// assert!((st.cosine - 1.0).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
///
/// # Errors
/// If `draws` is less than 2, or if the estimator's sample is not one-hot, so that it cannot be
/// enumerated.
pub fn certify(
    estimator: &dyn Estimator<f64>,
    problem: &Problem<'_>,
    draws: usize,
    rng: &mut impl rand::Rng,
) -> Result<Certificate> {
    if draws < 2 {
        return Err(Error::argument("draws", draws, "at least 2, because a variance is estimated from them"));
    }
    let mut g = vec![0.0; problem.logits().len()];
    let mut total = Total::new(g.len());
    for code in problem.codes().filter(|code| code.probability > 0.0) {
        problem.objective().gradient(&code.one_hot, &mut g);
        let given = draw_given(estimator, problem, &code, &g, draws, rng)?;
        total.add(code.probability, &given);
    }
    Ok(total.certificate(problem.gradient(), draws))
}

/// Computes Gumbel noise G given that argmax(θ + G) is `hot`, from standard exponential numbers E:
/// eq. 7 minus θ. Shapes: all `[C]`.
///
/// ```text
/// G_D = −log E_D + log Z − θ_D = −log E_D − log π_D
/// G_j = −log(E_j / e^{θ_j} + E_D / Z) − θ_j = −log(E_j + π_j E_D)
/// ```
///
/// ```
/// use hardgrad::certify::gumbel_given;
/// let mut g = [0.0; 2];
/// gumbel_given(&[0.0, 3.0_f64.ln()], 0, &[1.0, 0.25], &mut g); // π = (¼, ¾)
/// assert!((g[0] - 4.0_f64.ln()).abs() < 1e-15 && g[1].abs() < 1e-15);
/// ```
///
/// # Panics
/// If `hot` is not below C.
pub fn gumbel_given(logits: &[f64], hot: usize, exponential: &[f64], gumbel: &mut [f64]) {
    log_softmax_row(logits, 1.0, gumbel);
    let top = exponential[hot];
    for (j, (gumbel, &e)) in gumbel.iter_mut().zip(exponential).enumerate() {
        let log_pi = *gumbel;
        *gumbel = if j == hot { -top.ln() - log_pi } else { -(e + log_pi.exp() * top).ln() };
    }
}

/// Moments of `draws` estimates conditional on this code, with g = ∂f/∂D at it. All repetitions
/// form one batch, with one row each.
fn draw_given(
    estimator: &dyn Estimator<f64>,
    problem: &Problem<'_>,
    code: &Code,
    g: &[f64],
    draws: usize,
    rng: &mut impl rand::Rng,
) -> Result<RunningMoments> {
    let (c, len) = (problem.categories(), g.len());
    let (mut gumbel, mut exponential) = (vec![0.0; draws * len], vec![0.0; c]);
    for (i, gumbel) in gumbel.chunks_exact_mut(c).enumerate() {
        let l = i % code.categories.len();
        exponential.fill_with(|| -uniform::<f64>(rng).ln());
        gumbel_given(&problem.logits()[l * c..(l + 1) * c], code.categories[l], &exponential, gumbel);
    }
    let noise = Noise::from_gumbel(gumbel).with_key(rng.next_u64());
    let (logits, one_hot) = (problem.logits().repeat(draws), code.one_hot.repeat(draws));
    let mut estimates = vec![0.0; draws * len];
    estimator.sample(&logits, &noise, c, &mut estimates);
    if estimates.iter().any(|&x| x != 0.0 && x != 1.0) {
        let expected = "an estimator whose sample is one-hot, so that it can be enumerated";
        return Err(Error::argument("estimator", format!("{estimator:?}"), expected));
    }
    estimates.fill(0.0);
    let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: c };
    estimator.add_vjp(at, &g.repeat(draws), &mut estimates, &mut Scratch::new());
    let mut moments = RunningMoments::new(len);
    estimates.chunks_exact(len).for_each(|estimate| moments.add(1.0, estimate));
    Ok(moments)
}

/// Running sums over the codes.
struct Total {
    /// Moments of the conditional means, weighted by π(D).
    means: RunningMoments,
    /// Σ π(D) v_D
    within: Vec<f64>,
    /// Σ π(D)² v_D
    within_squared: Vec<f64>,
    codes: usize,
}

impl Total {
    fn new(len: usize) -> Self {
        Self {
            means: RunningMoments::new(len),
            within: vec![0.0; len],
            within_squared: vec![0.0; len],
            codes: 0,
        }
    }

    fn add(&mut self, probability: f64, given: &RunningMoments) {
        self.means.add(probability, given.mean());
        let sums = self.within.iter_mut().zip(&mut self.within_squared);
        for ((within, within_squared), &squares) in sums.zip(given.squares()) {
            let v = squares / (given.weight() - 1.0);
            *within += probability * v;
            *within_squared += probability * probability * v;
        }
        self.codes += 1;
    }

    fn certificate(self, exact: Vec<f64>, draws: usize) -> Certificate {
        let n = draws as f64;
        let mean = self.means.mean().to_vec();
        let bias: Vec<f64> = mean.iter().zip(&exact).map(|(m, e)| m - e).collect();
        let standard_error: Vec<f64> = self.within_squared.iter().map(|v| (v / n).sqrt()).collect();
        let between = self.means.squares().iter().sum::<f64>();
        let within = self.within.iter().sum::<f64>();
        let covariance_trace = between + (1.0 - 1.0 / n) * within + dot(&standard_error, &standard_error);
        let norm = dot(&mean, &mean).sqrt();
        Certificate {
            relative_sd: covariance_trace.sqrt() / norm,
            cosine: cosine(&mean, &exact),
            mean,
            exact,
            bias,
            standard_error,
            covariance_trace,
            codes: self.codes,
            draws,
        }
    }
}
