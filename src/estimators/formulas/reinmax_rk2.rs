//! ReinMax-RK2.

use crate::error::Result;
use crate::estimators::latent::at_sample;
use crate::estimators::{Formula, Latent, Work, finite};
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::scalar::Real;
use serde::{Deserialize, Serialize};

/// Which reading of ReinMax-RK2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rk2Form {
    /// Eq. 27 as printed.
    Eq27,
    /// The published code: (1 − β) on the last term, and each row less its mean.
    AuthorCode,
    /// Eq. 27 projected so that its mean is eq. 26.
    Projected,
}

/// ReinMax-RK2(β).
///
/// ReinMax-RK2. Wang and Bui (2026), section 5.2 and eq. 27, in three forms.
///
/// ```text
/// Eq27        2 [ p ⊙ g − ⟨βπ + (1 − β)D, g⟩ p ] − β J(π) g
/// AuthorCode  2 [ the same ] − (1 − β) J(π) g, minus the mean of its row
/// Projected   e − π Σ_k e_k,   with e the estimate of Eq27
/// ```
///
/// β weight of the far end of the step, ½ is ReinMax at τ = 1; p = (π + D)/2; π = softmax(θ); D the one-hot sample;
/// g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// Deviations. The paper's theorem 1, that the mean of eq. 27 is eq. 26, holds at β = ½ only: otherwise they differ by π times
/// C = ½ (2β − 1) Σ_ij π_i π_j ⟨g_i − g_j, I_i − I_j⟩, because the step from (34) to (35) drops a sum. `Projected` takes that
/// off and has eq. 26 as its mean for every β. `AuthorCode` is the published code, which made figure 2.
///
/// The rows of `Eq27` do not sum to 0 but to (2β − 1)(g_D − ⟨π, g⟩). The softmax does not see such a shift of all the logits of a
/// row, so nothing in the loss stops it: away from β = ½ it grows without bound and training collapses. The published
/// code takes the mean of each row off as its last step, which paper and theorem do not mention and figure 2 depends on.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, ReinMaxRk2, Rk2Form};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let at = At { logits: &[0.0, 3.0_f64.ln()], one_hot: &[0.0, 1.0], noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// ReinMaxRk2::new(Rk2Form::Eq27, 1.0)?.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 1.0).abs() < 1e-15); // 2 (⅞ · 4 − 3 · ⅞) − ¾
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMaxRk2 {
    form: Rk2Form,
    beta: f64,
}

impl ReinMaxRk2 {
    /// In this form, with this `beta` (the paper looks at −0.2 to 1.2).
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
        // ⟨βπ + (1 − β)D, g⟩ with g taken relative to g_D, which changes nothing as both points' numbers sum to 1.
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

/// e −= Σe / C, where C counts the categories that can be drawn: those with a logit above −∞.
fn subtract_mean<T: Real>(total: T, logits: &[T], e: &mut [T]) {
    let possible = |theta: T| theta.if_above(T::NEG_INFINITY, T::ONE, T::ZERO);
    let count = logits.iter().fold(T::ZERO, |count, &theta| count + possible(theta));
    let mean = total / count;
    for (e, &theta) in e.iter_mut().zip(logits) {
        *e -= theta.if_above(T::NEG_INFINITY, mean, T::ZERO);
    }
}
