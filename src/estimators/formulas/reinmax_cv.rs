//! ReinMax-CV.

use super::reinmax::{log_p_row, subtract_half_jacobian};
use super::straight_through_gumbel_softmax::relaxed_row;
use crate::error::Result;
use crate::estimators::rao::{Conditional, Rao, relaxed_row_conditional};
use crate::estimators::value::names;
use crate::estimators::{Formula, Latent, Work, draws, finite, temperature};
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::scalar::Real;
use serde::{Deserialize, Serialize};

/// Variant of ReinMax-CV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CvForm {
    /// As derived in section 3.2: the control variate uses the noise from which D was drawn.
    Shared,
    /// Eq. 18 as printed.
    Printed,
    /// The control variate is drawn given D.
    Coupled,
    /// The published code.
    AuthorCode,
}

names!(
    CvForm, "form", "shared, printed, coupled, author-code":
    Shared "shared", Printed "printed", Coupled "coupled", AuthorCode "author-code",
);

/// ReinMax-CV(τ, K, η): ReinMax with a control variate.
///
/// Wang and Bui (2026), section 3.2 and eq. 18, in four forms.
///
/// ```text
/// Shared      2 [ J(p) g − η S + η GR_{τ,K}(θ_D; D) ] − ½ J(π) g,
///             S = (1/τ) J(softmax((θ_D + G)/τ)) g
/// Printed     1 [ bracket of Shared ] − ½ J(π) g
/// Coupled     2 [ J(p) g − η S' + η GR_{τ,K}(θ_D; D) ] − ½ J(π) g,
///             S' = (1/τ) J(softmax(Y/τ)) g, Y ~ (θ_D + G) given D
/// AuthorCode  2 J(p) g − ½ J(π) g − η (1/τ) J(softmax(log p + s)) g + η GR_{τ,K}(θ_D; D),
///             s = softmax((θ + G)/τ)
/// ```
///
/// τ and K temperature and number of draws of the control variate; η its weight; p = (π + D)/2;
/// θ_D = log p; G the Gumbel noise from which D was drawn; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// Deviations, which are the reason for the four forms. `Shared` is the derivation of section 3.2.
/// `Printed` is eq. 18 exactly as printed; its coefficient 1 is a misprint, because for a constant
/// g its mean is J(π) g / 4 instead of J(π) g. In `Coupled` S' is drawn given D, so the mean of the
/// control variate given D is exactly 0 and the expectation is that of ReinMax. Because ReinMax has
/// no noise given D, this form can only add variance. `AuthorCode` is the computation of the
/// published code, in which the stored "G" is the soft sample s and the inner softmax has no factor
/// 1/τ. It produced the paper's tables 2 and 3.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, CvForm, ReinMaxCv};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]).with_exponentials(vec![1.0; 4]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let estimator = ReinMaxCv::new(CvForm::Coupled, 1.0, 1, 1.0)?;
/// let mut dlogits = [0.0; 2];
/// estimator.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// // The draws are equal, so −S + GR = 0, which leaves ReinMax.
/// assert!((dlogits[1] - 0.5).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMaxCv {
    form: CvForm,
    tau: f64,
    draws: usize,
    eta: f64,
}

impl ReinMaxCv {
    /// Creates the estimator in this form, with temperature `tau`, `draws` conditional draws (100
    /// in the paper) and weight `eta` of the control variate.
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30, `draws` is not a number from 1 to 10⁶, or `eta`
    /// is not a number from −1e30 to 1e30.
    pub fn new(form: CvForm, tau: f64, draws: usize, eta: f64) -> Result<Self> {
        Ok(Self { form, tau: temperature(tau)?, draws: self::draws(draws)?, eta: finite("eta", eta)? })
    }
}

impl Formula for ReinMaxCv {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([log_p, q, row], mut rest) = work.take();
        let tau = T::of(self.tau);
        let mut exponentials = latent.exponentials();
        subtract_half_jacobian(latent, g, dlogits, q); // − ½ J(π) g
        log_p_row(latent, log_p); // θ_D
        // The coefficient of J(p) g, and the coefficient of the control variate divided by η.
        let (outer, inner) = match self.form {
            CvForm::Shared | CvForm::Coupled => (2.0, 2.0),
            CvForm::Printed => (1.0, 1.0),
            CvForm::AuthorCode => (2.0, 1.0),
        };
        softmax_row(log_p, T::ONE, q); // p
        vjp_row(T::of(outer), q, g, dlogits); // J(p) g
        let rao = Rao { tau: self.tau, draws: self.draws, weight: inner * self.eta };
        rao.add(log_p, latent.one_hot, &mut exponentials, g, dlogits, rest.reborrow()); // η GR_{τ,K}(θ_D; D)
        match self.form {
            CvForm::Shared | CvForm::Printed => relaxed_row(log_p, latent.gumbel, tau, q),
            CvForm::Coupled => {
                exponentials.next(q); // one more draw, independent of those of Gumbel-Rao
                relaxed_row_conditional(Conditional::new(log_p, latent.one_hot, self.tau, row), q);
            }
            CvForm::AuthorCode => {
                relaxed_row(latent.logits, latent.gumbel, tau, row); // s
                row.iter_mut().zip(&*log_p).for_each(|(s, &log_p)| *s += log_p);
                softmax_row(row, T::ONE, q);
            }
        }
        vjp_row(T::of(-inner * self.eta) / tau, q, g, dlogits); // − η S
    }

    fn work_rows(&self) -> usize {
        3 + Rao::ROWS
    }
}
