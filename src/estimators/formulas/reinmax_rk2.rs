//! ReinMax-RK2.

use crate::error::Result;
use crate::estimators::latent::at_sample;
use crate::estimators::value::names;
use crate::estimators::{Formula, Latent, Work, finite};
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::scalar::Real;
use serde::{Deserialize, Serialize};

/// Variant of ReinMax-RK2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rk2Form {
    /// Eq. 27 as printed.
    Eq27,
    /// The published code: the last term has the factor (1 − β), and the mean of each row is
    /// subtracted.
    AuthorCode,
    /// Eq. 27 projected so that its mean is eq. 26.
    Projected,
}

names!(
    Rk2Form, "form", "eq27, author-code, projected":
    Eq27 "eq27", AuthorCode "author-code", Projected "projected",
);

/// ReinMax-RK2(β): ReinMax with a general second-order Runge–Kutta weight.
///
/// Wang and Bui (2026), section 5.2 and eq. 27, in three forms.
///
/// ```text
/// Eq27        2 [ p ⊙ g − ⟨βπ + (1 − β)D, g⟩ p ] − β J(π) g
/// AuthorCode  2 [ bracket of Eq27 ] − (1 − β) J(π) g, minus the mean of the row
/// Projected   e − π Σ_k e_k,   with e the estimate of Eq27
/// ```
///
/// β weight of the end point of the Runge–Kutta step (½ gives ReinMax at τ = 1); p = (π + D)/2; π =
/// softmax(θ); D the one-hot sample; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// Deviations. The paper's theorem 1, which says that the mean of eq. 27 is eq. 26, holds only for
/// β = ½. Otherwise they differ by π times C = ½ (2β − 1) Σ_ij π_i π_j ⟨g_i − g_j, I_i − I_j⟩,
/// because the step from (34) to (35) drops a sum. `Projected` subtracts this term, so its mean is
/// eq. 26 for every β. `AuthorCode` is the published code, which produced figure 2.
///
/// The rows of `Eq27` sum to (2β − 1)(g_D − ⟨π, g⟩) instead of 0. The softmax is invariant under a
/// shift of all logits of a row, so the loss does not limit this component: for β ≠ ½ it grows
/// without bound and training collapses. The last step of the published code subtracts the mean of
/// each row. The paper and its theorem do not mention this step, but figure 2 depends on it.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, ReinMaxRk2, Rk2Form};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// let estimator = ReinMaxRk2::new(Rk2Form::Eq27, 1.0)?;
/// estimator.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 1.0).abs() < 1e-15); // 2 (⅞ · 4 − 3 · ⅞) − ¾
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMaxRk2 {
    form: Rk2Form,
    beta: f64,
}

impl ReinMaxRk2 {
    /// Creates the estimator in this form with weight `beta` (the paper uses −0.2 to 1.2).
    ///
    /// # Errors
    /// If `beta` is not a number from −1e30 to 1e30.
    pub fn new(form: Rk2Form, beta: f64) -> Result<Self> {
        Ok(Self { form, beta: finite("beta", beta)? })
    }
}

impl Formula for ReinMaxRk2 {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([pi, e], _) = work.take();
        let beta = T::of(self.beta);
        softmax_row(latent.logits, T::ONE, pi);
        e.fill(T::ZERO);
        let last = if self.form == Rk2Form::AuthorCode { T::ONE - beta } else { beta };
        vjp_row(-last, pi, g, e); // − β J(π) g
        // ⟨βπ + (1 − β)D, g⟩ with g relative to g_D, which changes nothing because the entries of
        // both points sum to 1.
        let reference = at_sample(latent.one_hot, g);
        let mean = pi.iter().zip(g).fold(T::ZERO, |mean, (&pi, &g)| mean + beta * pi * (g - reference));
        for (((e, &pi), &d), &g) in e.iter_mut().zip(&*pi).zip(latent.one_hot).zip(g) {
            *e += (pi + d) * ((g - reference) - mean); // 2 [p ⊙ g − ⟨…⟩ p]
        }
        let total = T::total(e);
        match self.form {
            Rk2Form::Eq27 => {}
            Rk2Form::AuthorCode => subtract_mean(total, latent.logits, e),
            Rk2Form::Projected => e.iter_mut().zip(&*pi).for_each(|(e, &pi)| *e -= pi * total), // e − π Σ e
        }
        dlogits.iter_mut().zip(&*e).for_each(|(to, &e)| *to += e);
    }

    fn work_rows(&self) -> usize {
        2
    }
}

/// e −= Σe / C, where C is the number of categories that can be drawn, those with a logit above −∞.
fn subtract_mean<T: Real>(total: T, logits: &[T], e: &mut [T]) {
    let possible = |theta: T| theta.if_above(T::NEG_INFINITY, T::ONE, T::ZERO);
    let count = logits.iter().fold(T::ZERO, |count, &theta| count + possible(theta));
    let mean = total / count;
    for (e, &theta) in e.iter_mut().zip(logits) {
        *e -= theta.if_above(T::NEG_INFINITY, mean, T::ZERO);
    }
}
