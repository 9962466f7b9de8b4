//! Exact expectations and gradients of small problems, by enumeration of all C^L codes, in f64.
//!
//! A [`Problem`] consists of L independent variables of C categories each, with logits θ `[L, C]`,
//! and a function f of the one-hot code `[L·C]`. With D ~ softmax(θ):
//!
//! | method | value | equation |
//! |---|---|---|
//! | [`expectation`](Problem::expectation) | E f(D) | – |
//! | [`gradient`](Problem::gradient) | ∂/∂θ E f(D) = Σ_D f(D) ∂π(D)/∂θ | 2 |
//! | [`first_order`](Problem::first_order) | Σ_ij π_j ⟨g_j, I_i − I_j⟩ dπ_i/dθ | 9 |
//! | [`second_order`](Problem::second_order) | Σ_ij π_j ½⟨g_j + g_i, I_i − I_j⟩ dπ_i/dθ | 11 |
//! | [`rk2`](Problem::rk2) | Σ_ij π_j ⟨(1 − β) g_j + β g_i, I_i − I_j⟩ dπ_i/dθ | 26 |
//!
//! where g_i = ∂f/∂D at D = I_i. The paper states equations 9, 11 and 26 for one variable. With
//! several variables, those of variable l are the sums over the pairs i, j of the categories of l,
//! with the other variables held fixed, averaged over the codes of the other variables: g_i and g_j
//! are then taken at codes that differ only in variable l.

use crate::codes;
pub use crate::codes::MAX_CODES;
use crate::error::{Error, Result};
use crate::kernels::softmax::softmax_row;
use std::fmt;

/// A function f of a code, and its derivative.
///
/// A pair of closures (value, gradient) implements this trait:
///
/// ```
/// use hardgrad::exact::Objective;
/// let square = (|d: &[f64]| d[0] * d[0], |d: &[f64], g: &mut [f64]| g[0] = 2.0 * d[0]);
/// assert_eq!(square.value(&[3.0]), 9.0);
/// ```
pub trait Objective {
    /// The value f(code). Shape: code `[L·C]`.
    fn value(&self, code: &[f64]) -> f64;

    /// Overwrites `out` with ∂f/∂code. Shapes: both `[L·C]`.
    fn gradient(&self, code: &[f64], out: &mut [f64]);
}

impl<V, G> Objective for (V, G)
where
    V: Fn(&[f64]) -> f64,
    G: Fn(&[f64], &mut [f64]),
{
    fn value(&self, code: &[f64]) -> f64 {
        self.0(code)
    }

    fn gradient(&self, code: &[f64], out: &mut [f64]) {
        self.1(code, out);
    }
}

/// Logits of L variables, and a function f of their code. The [module](self) lists the equations.
///
/// ```
/// use hardgrad::exact::Problem;
/// // f = (D_1)², which is D_1 on codes, with π = (¼, ¾)
/// let f = (
///     |d: &[f64]| d[1] * d[1],
///     |d: &[f64], g: &mut [f64]| g.copy_from_slice(&[0.0, 2.0 * d[1]]),
/// );
/// let logits = [0.0, 3.0_f64.ln()];
/// let problem = Problem::new(&logits, 2, &f)?;
/// assert!((problem.expectation() - 0.75).abs() < 1e-15);
/// let exact = 0.25 * 0.75; // π_0 π_1
/// assert!((problem.gradient()[1] - exact).abs() < 1e-15);
/// assert!((problem.second_order()[1] - exact).abs() < 1e-15); // exact for quadratic f
/// // g is 2 at D_1 = 1, which has probability ¾.
/// assert!((problem.first_order()[1] - 1.5 * exact).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Problem<'a> {
    logits: &'a [f64],
    pi: Vec<f64>,
    categories: usize,
    count: usize,
    objective: &'a dyn Objective,
}

impl<'a> Problem<'a> {
    /// Creates a problem from logits `[L, C]`, row-major, with C = `categories`.
    ///
    /// # Errors
    /// If the number of logits is 0 or not a multiple of `categories`, if a logit is not finite and
    /// not −∞ (a category that cannot be drawn), if all logits of a variable are −∞, or if there
    /// are more than [`MAX_CODES`] codes.
    pub fn new(logits: &'a [f64], categories: usize, objective: &'a dyn Objective) -> Result<Self> {
        if logits.is_empty() || logits.len().checked_rem(categories) != Some(0) {
            let expected =
                format!("a divisor of the number of logits, which is {} and must not be 0", logits.len());
            return Err(Error::argument("categories", categories, expected));
        }
        if let Some(bad) = logits.iter().find(|&&x| x.is_nan() || x == f64::INFINITY) {
            return Err(Error::argument(
                "logits",
                bad,
                "finite numbers, or -inf for a category that cannot be drawn",
            ));
        }
        if logits.chunks(categories).any(|row| row.iter().all(|&x| x == f64::NEG_INFINITY)) {
            return Err(Error::argument(
                "logits",
                "-inf for all categories of a variable",
                "at least one finite",
            ));
        }
        let latents = logits.len() / categories;
        let Some(count) = codes::count(categories, latents) else {
            let codes = format!("{categories}^{latents} codes");
            return Err(Error::argument("problem", codes, format!("at most {MAX_CODES} codes")));
        };
        let mut pi = vec![0.0; logits.len()];
        for (logits, pi) in logits.chunks(categories).zip(pi.chunks_mut(categories)) {
            softmax_row(logits, 1.0, pi);
        }
        Ok(Self { logits, pi, categories, count, objective })
    }

    /// The logits θ, `[L, C]`.
    pub fn logits(&self) -> &'a [f64] {
        self.logits
    }

    /// The probabilities π = softmax(θ) of each variable, `[L, C]`.
    pub fn pi(&self) -> &[f64] {
        &self.pi
    }

    /// Number of categories per variable, C.
    pub fn categories(&self) -> usize {
        self.categories
    }

    /// The function f.
    pub fn objective(&self) -> &'a dyn Objective {
        self.objective
    }

    /// Iterates over all C^L codes with their probabilities.
    pub fn codes(&self) -> Codes<'_> {
        Codes { pi: &self.pi, categories: self.categories, next: 0, count: self.count }
    }

    /// The expectation E f(D).
    pub fn expectation(&self) -> f64 {
        self.codes().map(|code| code.probability * self.objective.value(&code.one_hot)).sum()
    }

    /// The exact gradient ∂/∂θ E f(D), eq. 2, `[L, C]`.
    ///
    /// E f is subtracted from every f(D). This does not change the sum, because Σ_D ∂π(D)/∂θ = 0,
    /// and it avoids cancellation if f has a large mean.
    pub fn gradient(&self) -> Vec<f64> {
        let baseline = self.expectation();
        let mut sum = vec![0.0; self.pi.len()];
        for code in self.codes() {
            let weight = code.probability * (self.objective.value(&code.one_hot) - baseline);
            for ((sum, &d), &pi) in sum.iter_mut().zip(&code.one_hot).zip(&self.pi) {
                *sum += weight * (d - pi); // f(D) ∂π(D)/∂θ, with ∂π(D)/∂θ = π(D) (D − π)
            }
        }
        sum
    }

    /// The first-order approximation of the gradient, eq. 9, `[L, C]`. It is eq. 26 with β = 0.
    pub fn first_order(&self) -> Vec<f64> {
        self.rk2(0.0)
    }

    /// The second-order approximation of the gradient, eq. 11, `[L, C]`. It is eq. 26 with β = ½,
    /// and exact if f is quadratic in each variable.
    pub fn second_order(&self) -> Vec<f64> {
        self.rk2(0.5)
    }

    /// The Runge–Kutta approximation of the gradient, eq. 26, `[L, C]`, with weight `beta` of the
    /// end point.
    pub fn rk2(&self, beta: f64) -> Vec<f64> {
        let c = self.categories;
        let (mut sum, mut g) = (vec![0.0; self.pi.len()], vec![0.0; self.pi.len()]);
        for code in self.codes() {
            self.objective.gradient(&code.one_hot, &mut g);
            for (l, &hot) in code.categories.iter().enumerate() {
                let row = l * c..(l + 1) * c;
                let others = self.probability_of_others(&code, l);
                add_terms(beta, others, hot, &self.pi[row.clone()], &g[row.clone()], &mut sum[row]);
            }
        }
        sum
    }

    /// The probability of this code's categories in all variables except one. It is computed as a
    /// product, because a division by π would fail for π = 0.
    fn probability_of_others(&self, code: &Code, variable: usize) -> f64 {
        let factors = code.categories.iter().zip(self.pi.chunks(self.categories)).enumerate();
        factors.filter(|&(l, _)| l != variable).map(|(_, (&hot, pi))| pi[hot]).product()
    }
}

impl fmt::Debug for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("logits", &self.logits)
            .field("categories", &self.categories)
            .finish_non_exhaustive()
    }
}

/// Adds, for one variable, the terms of eq. 26 that contain the gradient g at the code whose
/// category is `hot`: those in which it is g_j, and those in which it is g_i. The gradient at each
/// code is thus needed only once, and no table of gradients is stored.
fn add_terms(beta: f64, weight: f64, hot: usize, pi: &[f64], g: &[f64], sum: &mut [f64]) {
    for other in 0..pi.len() {
        // j = hot, i = other: π_j (1 − β) ⟨g_j, I_i − I_j⟩ dπ_i/dθ
        add_dpi(weight * pi[hot] * (1.0 - beta) * (g[other] - g[hot]), other, pi, sum);
        // i = hot, j = other: π_j β ⟨g_i, I_i − I_j⟩ dπ_i/dθ
        add_dpi(weight * pi[other] * beta * (g[hot] - g[other]), hot, pi, sum);
    }
}

/// sum += weight · dπ_i/dθ = weight · π_i (I_i − π)
fn add_dpi(weight: f64, i: usize, pi: &[f64], sum: &mut [f64]) {
    let weight = weight * pi[i];
    sum.iter_mut().zip(pi).for_each(|(sum, &pi)| *sum -= weight * pi);
    sum[i] += weight;
}

/// One code of a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// The category of each variable, `[L]`.
    pub categories: Vec<usize>,
    /// The code as one-hot rows, `[L, C]`.
    pub one_hot: Vec<f64>,
    /// Probability π(D), the product over the variables.
    pub probability: f64,
}

/// Iterator over all codes of a problem, created by [`Problem::codes`]. The first variable varies
/// fastest.
#[derive(Clone, Debug)]
pub struct Codes<'a> {
    pi: &'a [f64],
    categories: usize,
    next: usize,
    count: usize,
}

impl Iterator for Codes<'_> {
    type Item = Code;

    fn next(&mut self) -> Option<Code> {
        if self.next == self.count {
            return None;
        }
        let mut code = Code { categories: Vec::new(), one_hot: vec![0.0; self.pi.len()], probability: 1.0 };
        let variables = code.one_hot.chunks_mut(self.categories).zip(self.pi.chunks(self.categories));
        for ((d, pi), hot) in variables.zip(codes::categories_of(self.next, self.categories)) {
            d[hot] = 1.0;
            code.categories.push(hot);
            code.probability *= pi[hot];
        }
        self.next += 1;
        Some(code)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count - self.next, Some(self.count - self.next))
    }
}

impl ExactSizeIterator for Codes<'_> {}
