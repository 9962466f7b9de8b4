//! DARN.

use crate::estimators::{Formula, Latent, Work};
use crate::kernels::softmax::softmax_row;
use crate::scalar::Real;

/// DARN: REINFORCE with the loss replaced by its first-order part at the sample.
///
/// Gregor, Danihelka, Mnih, Blundell and Wierstra, "Deep AutoRegressive Networks" (2014); in this
/// form Shekhovtsov, "Cold Analysis of Rao-Blackwellized Straight-Through Gumbel-Softmax Gradient
/// Estimator" (2023).
///
/// ```text
/// ∂f/∂θ ≈ (g_D − ⟨π, g⟩)(D − π)
/// ```
///
/// π = softmax(θ); D the one-hot sample; g = ∂f/∂D; g_D the entry of g at D.
///
/// The mean is exact for linear f, as for Straight-Through. ½ (ST + DARN) is
/// [`ReinMax`](super::ReinMax) at τ = 1, which is exact for quadratic f; there the biases of ST and
/// DARN are opposite. [`ReinMaxRk2`](super::ReinMaxRk2) in the form `Projected` interpolates
/// linearly between them, (1 − β) ST + β DARN.
///
/// ```
/// use hardgrad::estimators::{At, Darn, Estimator, Noise, Scratch};
/// let noise = Noise::from_gumbel(vec![0.0; 2]);
/// // π = (¼, ¾)
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// Darn.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.25).abs() < 1e-15); // (4 − 3) (1 − ¾)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Darn;

impl Formula for Darn {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([pi], _) = work.take();
        softmax_row(latent.logits, T::ONE, pi);
        // g_D − ⟨π, g⟩ = −⟨π, g − g_D⟩, which avoids cancellation near a corner of the simplex.
        let at_sample = latent.at_sample(g);
        let score = -pi.iter().zip(g).fold(T::ZERO, |mean, (&pi, &g)| mean + pi * (g - at_sample));
        for ((to, &d), &pi) in dlogits.iter_mut().zip(latent.one_hot).zip(&*pi) {
            *to += score * (d - pi); // (g_D − ⟨π, g⟩)(D − π)
        }
    }

    fn work_rows(&self) -> usize {
        1
    }
}
