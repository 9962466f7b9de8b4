//! The importance-weighted bound of several samples, and VIMCO, a score-function estimator of its
//! gradient.

use super::samples::{check_losses, sample_count, several_samples};
use crate::error::Result;
use crate::estimators::Choice;
use crate::kernels::softmax::softmax_row;
use crate::mat::MatMut;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::sync::Arc;

/// VIMCO: a score-function estimator for the importance-weighted bound of K samples, in which the
/// baseline of each sample is computed from the other samples.
///
/// Mnih and Rezende, "Variational Inference for Monte Carlo Objectives" (2016).
///
/// ```text
/// L̂ = log (1/K) Σ_k e^{ℓ_k},   ℓ_k = log p(x, D_k) − log q(D_k)
/// ∂L̂/∂θ ≈ Σ_k [ L̂ − log (1/K)( Σ_{j≠k} e^{ℓ_j} + exp mean_{j≠k} ℓ_j ) ] (D_k − π)
///             + Σ_k softmax(ℓ)_k ∂ℓ_k/∂θ
/// ```
///
/// K samples D_k ~ q with probabilities π = softmax(θ). The first sum is the score-function part.
/// The second is the pathwise part, which also gives the parameters of p, and log q(D_k) in ℓ_k,
/// their gradients. All computation is in log space.
///
/// The estimator of ∂E L̂/∂θ is unbiased. For K = 1 there is no baseline: it is REINFORCE with the
/// loss −ℓ.
///
/// ```
/// use hardgrad::estimators::{Choice, Noise, Vimco};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// // The noise draws one sample of each category.
/// let noise = Noise::from_gumbel(vec![1.0, 0.0, 0.0, 1.0]);
/// let choice = Choice::without_gradient(2).with_noise(noise);
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::zeros(1, 2)); // π = (½, ½)
/// let loss = Vimco::new(2)?.loss(&mut tape, logits, &choice, |tape, d| {
///     let weights = tape.constant(&Mat::from_rows(&[[1.0_f64.ln()], [3.0_f64.ln()]]));
///     tape.matmul(d, weights)
/// });
/// assert!((tape.scalar(loss) + 2.0_f64.ln()).abs() < 1e-15); // −log ½ (1 + 3)
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// // Scores log 2 − log 3 and log 2 − log 1, times (½, −½) and (−½, ½); the loss is −L̂.
/// assert!((tape.grad(logits).unwrap().data[1] + 0.5 * 3.0_f64.ln()).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vimco {
    samples: usize,
}

impl Vimco {
    /// Creates the estimator with K = `samples` samples per input.
    ///
    /// # Errors
    /// If `samples` is not a number from 1 to 10,000.
    pub fn new(samples: usize) -> Result<Self> {
        Ok(Self { samples: sample_count(samples, 1)? })
    }

    /// Number of samples per input, K.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Records K samples per input, their log-weights ℓ, and −L̂, with this estimator's gradient
    /// for the logits. Shapes: logits `[N, L·C]`; `log_weights`: samples `[N·K, L·C]`, those of one
    /// input in consecutive rows → ℓ `[N·K, 1]`; result `[N, 1]`. The choice must have the noise of
    /// N·K·L variables.
    ///
    /// # Panics
    /// If a shape does not fit.
    #[track_caller]
    pub fn loss<'t, T: Scalar>(
        &self,
        tape: &mut Tape<'t, T>,
        logits: Var,
        choice: &Choice<T>,
        log_weights: impl FnOnce(&mut Tape<'t, T>, Var) -> Var,
    ) -> Var {
        let d = several_samples(tape, logits, choice, self.samples);
        let weights = log_weights(tape, d);
        let node = BoundNode { samples: self.samples, categories: Some(choice.categories()) };
        tape.custom_shared(Arc::new(node), &[weights, logits, d])
    }

    /// Computes L̂ − log (1/K)( Σ_{j≠k} e^{ℓ_j} + exp mean_{j≠k} ℓ_j ) for each sample of one
    /// input, the factor of D_k − π in ∂L̂/∂θ. Shapes: `log_weights` ℓ and `scores` `[K]`.
    ///
    /// ```
    /// use hardgrad::estimators::Vimco;
    /// let mut scores = [0.0; 2];
    /// Vimco::scores(&[0.0, 3.0_f64.ln()], &mut scores); // L̂ = ln 2
    /// // Without the first sample the bound is ln ½ (3 + 3), without the second ln ½ (1 + 1).
    /// assert!((scores[0] - (2.0_f64 / 3.0).ln()).abs() < 1e-15);
    /// assert!((scores[1] - 2.0_f64.ln()).abs() < 1e-15);
    /// ```
    pub fn scores(log_weights: &[f64], scores: &mut [f64]) {
        let k = log_weights.len();
        let whole = log_sum_exp(log_weights.iter().copied());
        for (i, score) in scores.iter_mut().enumerate() {
            let others = || log_weights.iter().enumerate().filter(move |&(j, _)| j != i).map(|(_, &l)| l);
            *score = match k {
                1 => log_weights[0],
                _ => {
                    let mean = others().sum::<f64>() / (k - 1) as f64;
                    whole - log_sum_exp(others().chain([mean])) // the factors 1/K cancel
                }
            };
        }
    }
}

/// Records −log (1/K) Σ_k e^{ℓ_k} for each input: the negative importance-weighted bound of K
/// samples. Its gradient for ℓ_k is −softmax(ℓ)_k. Shapes: log-weights ℓ `[N·K, 1]`, those of one
/// input in consecutive rows → `[N, 1]`.
///
/// If the samples have an estimator of their own, this loss trains on the bound: each D_k gets its
/// own g_k = ∂(−L̂)/∂D_k. In ℓ_k, log q(D_k) must then be a function of D_k and θ, not the
/// divergence in closed form.
///
/// ```
/// use hardgrad::estimators::importance_loss;
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let weights = tape.leaf(&Mat::from_rows(&[[0.0], [3.0_f64.ln()]]));
/// let loss = importance_loss(&mut tape, weights, 2);
/// assert!((tape.scalar(loss) + 2.0_f64.ln()).abs() < 1e-15);
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// assert!((tape.grad(weights).unwrap().data[1] + 0.75).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the number of rows is not a multiple of `samples`.
#[track_caller]
pub fn importance_loss<T: Scalar>(tape: &mut Tape<'_, T>, log_weights: Var, samples: usize) -> Var {
    tape.custom_shared(Arc::new(BoundNode { samples, categories: None }), &[log_weights])
}

/// log Σ eˣ; −∞ if all x are −∞.
fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = x.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return x.sum::<f64>(); // −∞, or NaN if an x is NaN
    }
    top + x.map(|x| (x - top).exp()).sum::<f64>().ln()
}

/// Inputs: log-weights `[N·K, 1]`, and for VIMCO logits `[N, L·C]` and samples `[N·K, L·C]`. Value:
/// −L̂.
#[derive(Debug)]
struct BoundNode {
    samples: usize,
    /// The number of categories C, if the logits get a score.
    categories: Option<usize>,
}

impl<T: Scalar> CustomOp<T> for BoundNode {
    fn name(&self) -> &str {
        "importance-weighted bound"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (rows, k) = (inputs.get(0).rows, self.samples);
        assert!(
            k > 0 && rows.is_multiple_of(k),
            "{rows} log-weights, expected a multiple of {k}, the number of samples per input"
        );
        check_losses(inputs.get(0), rows);
        if self.categories.is_some() {
            check_losses(inputs.get(0), inputs.get(2).rows);
        }
        (rows / k, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        for (bound, weights) in out.data.iter_mut().zip(inputs.get(0).data.chunks(self.samples)) {
            let whole = log_sum_exp(weights.iter().map(|w| w.to_f64()));
            *bound = T::of((self.samples as f64).ln() - whole);
        }
    }

    fn scratch_len(&self, _: &Inputs<'_, T>) -> usize {
        self.categories.unwrap_or(0) + self.samples
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        let k = self.samples;
        if let Some(dweights) = grads.get(0) {
            let inputs = dweights.data.chunks_mut(k).zip(node.inputs.get(0).data.chunks(k));
            for ((to, weights), &omega) in inputs.zip(node.g.data) {
                let soft = &mut scratch[..k];
                softmax_row(weights, T::ONE, soft);
                to.iter_mut().zip(&*soft).for_each(|(to, &soft)| *to -= omega * soft);
            }
        }
        let Some(c) = self.categories else { return };
        let Some(dlogits) = grads.get(1) else { return };
        let (logits, d, pi) = (node.inputs.get(1), node.inputs.get(2), &mut scratch[..c]);
        let (mut weights, mut scores) = (vec![0.0; k], vec![0.0; k]);
        for (i, &omega) in node.g.data.iter().enumerate() {
            let of_input = &node.inputs.get(0).data[i * k..(i + 1) * k];
            weights.iter_mut().zip(of_input).for_each(|(to, w)| *to = w.to_f64());
            Vimco::scores(&weights, &mut scores);
            let row = i * logits.cols..(i + 1) * logits.cols;
            for (v, to) in dlogits.data[row].chunks_mut(c).enumerate() {
                softmax_row(&logits.row(i)[v * c..(v + 1) * c], T::ONE, pi);
                for (k, score) in (i * k..).zip(&scores) {
                    let score = omega * T::of(*score);
                    for ((to, &d), &pi) in to.iter_mut().zip(&d.row(k)[v * c..]).zip(&*pi) {
                        *to -= score * (d - pi); // the loss is −L̂
                    }
                }
            }
        }
    }
}
