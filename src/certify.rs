//! Certificates: bias and variance of an estimator on a small problem, measured against the exact gradient.

use crate::categorical;
use crate::error::{Error, Result};
use crate::estimators::{Conditional, Latent, SampleEstimator, Work};
use crate::exact::Problem;
use crate::kernels::softmax::log_softmax_row;
use crate::rng::uniform;

/// What [`certify`] found. Vectors have L·C numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Mean of the estimate: exact over D, a mean of draws over what noise remains given D.
    pub mean: Vec<f64>,
    /// Standard error of each number of `mean`; 0 where D is the only noise.
    pub standard_error: Vec<f64>,
    /// The exact gradient, eq. 2.
    pub exact: Vec<f64>,
    /// Trace of the covariance of one estimate.
    pub covariance_trace: f64,
    /// The part of that trace that remains given D.
    pub given_sample_trace: f64,
    /// Draws given each code.
    pub draws: usize,
}

impl Certificate {
    /// mean − exact.
    pub fn bias(&self) -> Vec<f64> {
        self.mean.iter().zip(&self.exact).map(|(m, e)| m - e).collect()
    }

    /// ‖mean − exact‖₂.
    pub fn bias_norm(&self) -> f64 {
        norm(&self.bias())
    }

    /// ‖std‖₂ / ‖mean‖₂, what the paper's figure 1 plots as the variance.
    pub fn relative_sd(&self) -> f64 {
        self.covariance_trace.max(0.0).sqrt() / norm(&self.mean)
    }

    /// Cosine between mean and exact gradient, the figure's measure of bias; NaN if one of them is 0.
    pub fn cosine(&self) -> f64 {
        let dot: f64 = self.mean.iter().zip(&self.exact).map(|(m, e)| m * e).sum();
        dot / (norm(&self.mean) * norm(&self.exact))
    }

    /// The largest |bias| in standard errors: infinite where a number is off and has none.
    pub fn largest_deviation(&self) -> f64 {
        let parts = self.bias().into_iter().zip(&self.standard_error);
        parts.map(|(bias, se)| if bias == 0.0 { 0.0 } else { bias.abs() / se }).fold(0.0, f64::max)
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Measures an estimator: enumerates the sample D and, given each D, draws the remaining noise (the Gumbel numbers given D,
/// eq. 7, and the key of the conditional draws) `draws` times.
///
/// ```
/// use hardgrad::certify::certify;
/// use hardgrad::estimators::{ReinMax, SampleEstimator, StraightThrough};
/// use hardgrad::{exact::Problem, rng};
/// let f = |code: &[f64], g: &mut [f64]| { // (x₁ − 0.45)², quadratic in the code
///     g.copy_from_slice(&[0.0, 2.0 * (code[1] - 0.45)]);
///     (code[1] - 0.45).powi(2)
/// };
/// let problem = Problem::new(&[0.3, -0.2], 2, &f)?;
/// let certificate = |estimator: &dyn SampleEstimator<f64>| certify(estimator, &problem, 1, &mut rng::from_key(0));
/// assert!(certificate(&ReinMax::new(1.0)?)?.bias_norm() < 1e-15); // exact for quadratic f
/// assert!(certificate(&StraightThrough::new(1.0)?)?.bias_norm() > 0.05);
/// # Ok::<(), hardgrad::Error>(())
/// ```
///
/// # Errors
/// If `draws` is 0.
pub fn certify(
    estimator: &dyn SampleEstimator<f64>,
    problem: &Problem,
    draws: usize,
    rng: &mut impl rand::Rng,
) -> Result<Certificate> {
    if draws == 0 {
        return Err(Error::argument("draws", 0, "at least 1"));
    }
    let width = problem.logits().len();
    let n = draws as f64;
    let (mut mean, mut variance_of_mean) = (vec![0.0; width], vec![0.0; width]);
    let (mut square, mut given_sample_trace) = (0.0, 0.0);
    let mut estimate = Estimate::new(estimator, problem);
    for code in problem.codes() {
        let (mut sum, mut squares) = (vec![0.0; width], vec![0.0; width]);
        for _ in 0..draws {
            let e = estimate.draw(&code.one_hot, &code.gradient, rng);
            for ((sum, squares), e) in sum.iter_mut().zip(&mut squares).zip(e) {
                *sum += e;
                *squares += e * e;
            }
        }
        for k in 0..width {
            let m = sum[k] / n;
            // Unbiased variance given D; rounding may leave a negative zero.
            let spread = if draws > 1 { ((squares[k] - n * m * m) / (n - 1.0)).max(0.0) } else { 0.0 };
            mean[k] += code.prob * m;
            variance_of_mean[k] += code.prob * code.prob * spread / n;
            square += code.prob * squares[k] / n;
            given_sample_trace += code.prob * spread;
        }
    }
    // E‖e‖² − ‖E e‖², where ‖mean‖² is too large by the variance of the mean.
    let excess: f64 = variance_of_mean.iter().sum();
    let covariance_trace = square - mean.iter().map(|m| m * m).sum::<f64>() + excess;
    let standard_error = variance_of_mean.iter().map(|v| v.sqrt()).collect();
    let exact = problem.gradient();
    Ok(Certificate { mean, standard_error, exact, covariance_trace, given_sample_trace, draws })
}

/// Single estimates, with their memory.
struct Estimate<'a> {
    estimator: &'a dyn SampleEstimator<f64>,
    problem: &'a Problem,
    log_pi: Vec<f64>,
    gumbel: Vec<f64>,
    work: Vec<f64>,
    estimate: Vec<f64>,
}

impl<'a> Estimate<'a> {
    fn new(estimator: &'a dyn SampleEstimator<f64>, problem: &'a Problem) -> Self {
        let (width, c) = (problem.logits().len(), problem.categories());
        let mut log_pi = vec![0.0; width];
        for (logits, log_pi) in problem.logits().chunks(c).zip(log_pi.chunks_mut(c)) {
            log_softmax_row(logits, 1.0, log_pi);
        }
        let work = vec![0.0; estimator.work_rows() * c];
        Self { estimator, problem, log_pi, gumbel: vec![0.0; c], work, estimate: vec![0.0; width] }
    }

    /// One estimate at the code D = `one_hot`, where the objective's gradient is `g`.
    fn draw(&mut self, one_hot: &[f64], g: &[f64], rng: &mut impl rand::Rng) -> &[f64] {
        let c = self.problem.categories();
        self.estimate.fill(0.0);
        for (l, estimate) in self.estimate.chunks_mut(c).enumerate() {
            let row = l * c..(l + 1) * c;
            let hot = categorical::argmax(one_hot[row.clone()].iter().copied());
            gumbel_given_sample(&self.log_pi[row.clone()], hot, rng, &mut self.gumbel);
            let latent = Latent {
                logits: &self.problem.logits()[row.clone()],
                one_hot: &one_hot[row.clone()],
                gumbel: &self.gumbel,
                conditional: Conditional::Key(rng.next_u64()),
            };
            self.estimator.vjp(&latent, &g[row], estimate, Work::new(&mut self.work, c));
        }
        &self.estimate
    }
}

/// Gumbel noise given that category `hot` was drawn, eq. 7 less the logits: G = Y − θ.
pub fn gumbel_given_sample(log_pi: &[f64], hot: usize, rng: &mut impl rand::Rng, gumbel: &mut [f64]) {
    gumbel.iter_mut().for_each(|e| *e = -uniform::<f64>(rng).ln());
    let e_hot = gumbel[hot];
    for (j, (g, &log_pi)) in gumbel.iter_mut().zip(log_pi).enumerate() {
        let y = if j == hot { -e_hot.ln() } else { -(*g * (-log_pi).exp() + e_hot).ln() };
        *g = y - log_pi;
    }
}
