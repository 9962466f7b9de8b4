//! The oracle: everything that can be had by enumerating all codes, in f64.
//!
//! For L variables of C categories with logits θ and an objective f of the one-hot code, this gives E f, its exact gradient (eq. 2)
//! and the approximations that estimators have as their means: first order (eq. 9), second order (eq. 11) and Runge-Kutta with any
//! β (eq. 26).

use crate::error::{Error, Result};
use crate::kernels::softmax::softmax_row;

/// A function of a one-hot code, with its gradient.
pub trait Objective {
    /// f(code); writes ∂f/∂code. Shapes: both `[L·C]`.
    fn evaluate(&self, code: &[f64], gradient: &mut [f64]) -> f64;
}

impl<F: Fn(&[f64], &mut [f64]) -> f64> Objective for F {
    fn evaluate(&self, code: &[f64], gradient: &mut [f64]) -> f64 {
        self(code, gradient)
    }
}

/// A small problem, with its objective evaluated at every code.
///
/// ```
/// use hardgrad::exact::Problem;
/// // One variable, π = (¼, ¾), f = 5 at the first category and 1 at the second.
/// let f = |code: &[f64], g: &mut [f64]| {
///     g.copy_from_slice(&[5.0, 1.0]);
///     5.0 * code[0] + code[1]
/// };
/// let problem = Problem::new(&[0.0, 3.0_f64.ln()], 2, &f)?;
/// assert!((problem.expectation() - 2.0).abs() < 1e-15);
/// assert!((problem.gradient()[0] - 0.25 * (5.0 - 2.0)).abs() < 1e-15); // π₀ (f₀ − E f)
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    logits: Vec<f64>,
    categories: usize,
    /// π, `[L·C]`
    probs: Vec<f64>,
    /// π(D), f(D) and ∂f/∂D of every code.
    codes: Vec<Code>,
}

/// One code D.
#[derive(Clone, Debug)]
pub struct Code {
    /// D, `[L·C]`
    pub one_hot: Vec<f64>,
    /// π(D)
    pub prob: f64,
    /// f(D)
    pub value: f64,
    /// ∂f/∂D, `[L·C]`
    pub gradient: Vec<f64>,
}

/// The most codes that are enumerated.
const MOST_CODES: usize = 1 << 16;

impl Problem {
    /// Evaluates `objective` at every code. Shapes: logits `[L·C]`.
    ///
    /// # Errors
    /// If the logits do not divide into variables of `categories`, or there are more than 65,536 codes.
    pub fn new(logits: &[f64], categories: usize, objective: &dyn Objective) -> Result<Self> {
        if categories == 0 || logits.is_empty() || !logits.len().is_multiple_of(categories) {
            let expected = format!("a positive multiple of {categories} categories, which is at least 1");
            return Err(Error::argument("logits", logits.len(), expected));
        }
        let variables = logits.len() / categories;
        let count = u32::try_from(variables).ok().and_then(|l| categories.checked_pow(l));
        let Some(count) = count.filter(|&n| n <= MOST_CODES) else {
            let given = format!("{categories}^{variables} codes");
            return Err(Error::argument("codes", given, format!("at most {MOST_CODES} to enumerate")));
        };
        let mut probs = vec![0.0; logits.len()];
        for (logits, probs) in logits.chunks(categories).zip(probs.chunks_mut(categories)) {
            softmax_row(logits, 1.0, probs);
        }
        let code = |index: usize| {
            let (mut rest, mut prob) = (index, 1.0);
            let mut one_hot = vec![0.0; logits.len()];
            for (d, pi) in one_hot.rchunks_mut(categories).zip(probs.rchunks(categories)) {
                d[rest % categories] = 1.0;
                prob *= pi[rest % categories];
                rest /= categories;
            }
            let mut gradient = vec![0.0; logits.len()];
            let value = objective.evaluate(&one_hot, &mut gradient);
            Code { one_hot, prob, value, gradient }
        };
        let codes = (0..count).map(code).collect();
        Ok(Self { logits: logits.to_vec(), categories, probs, codes })
    }

    /// θ, `[L·C]`.
    pub fn logits(&self) -> &[f64] {
        &self.logits
    }

    /// π, `[L·C]`.
    pub fn probs(&self) -> &[f64] {
        &self.probs
    }

    /// C.
    pub fn categories(&self) -> usize {
        self.categories
    }

    /// Every code; the last variable runs fastest.
    pub fn codes(&self) -> &[Code] {
        &self.codes
    }

    /// E f(D), eq. 1.
    pub fn expectation(&self) -> f64 {
        self.codes.iter().map(|code| code.prob * code.value).sum()
    }

    /// ∂ E f(D)/∂θ, eq. 2, as Σ_D π(D) (f(D) − E f)(D − π): taking off E f changes nothing but the rounding.
    pub fn gradient(&self) -> Vec<f64> {
        let mean = self.expectation();
        let mut total = vec![0.0; self.logits.len()];
        for code in &self.codes {
            let weight = code.prob * (code.value - mean);
            for ((t, d), pi) in total.iter_mut().zip(&code.one_hot).zip(&self.probs) {
                *t += weight * (d - pi);
            }
        }
        total
    }

    /// Eq. 9, the mean of ST at τ = 1: f(I_i) − f(I_j) replaced by ⟨∂f(I_j), I_i − I_j⟩.
    pub fn first_order(&self) -> Vec<f64> {
        self.runge_kutta(0.0)
    }

    /// Eq. 11, the mean of ReinMax at τ = 1: the trapezoidal rule in place of the difference. Exact for
    /// quadratic f.
    pub fn second_order(&self) -> Vec<f64> {
        self.runge_kutta(0.5)
    }

    /// Eq. 26:
    ///
    /// ```text
    /// Σ_i Σ_j π_j ⟨(1 − β) ∂f(I_j) + β ∂f(I_i), I_i − I_j⟩ dπ_i/dθ
    /// ```
    ///
    /// for each variable, averaged over the codes of the others.
    pub fn runge_kutta(&self, beta: f64) -> Vec<f64> {
        let c = self.categories;
        let variables = self.logits.len() / c;
        // a_i = Σ_j π_j ⟨…⟩ of each variable.
        let mut a = vec![0.0; self.logits.len()];
        for (index, at_j) in self.codes.iter().enumerate() {
            for l in 0..variables {
                let stride = c.pow((variables - 1 - l) as u32);
                let (j, first) = (index / stride % c, l * c);
                for i in 0..c {
                    let at_i = &self.codes[index - j * stride + i * stride];
                    let slope = |g: &[f64]| g[first + i] - g[first + j]; // ⟨g, I_i − I_j⟩
                    let step = (1.0 - beta) * slope(&at_j.gradient) + beta * slope(&at_i.gradient);
                    a[first + i] += at_j.prob * step;
                }
            }
        }
        // Σ_i a_i dπ_i/dθ_k = π_k (a_k − Σ_i π_i a_i)
        for (a, pi) in a.chunks_mut(c).zip(self.probs.chunks(c)) {
            let mean: f64 = a.iter().zip(pi).map(|(a, pi)| a * pi).sum();
            a.iter_mut().zip(pi).for_each(|(a, pi)| *a = pi * (*a - mean));
        }
        a
    }
}
