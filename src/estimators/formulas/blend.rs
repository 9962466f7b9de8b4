//! A blend of two estimators on one sample and one noise.

use crate::error::Result;
use crate::estimators::{Formula, Latent, Work, finite};
use crate::scalar::Real;

/// λ · A + (1 − λ) · B.
///
/// A blend of two estimators on one sample and one noise.
///
/// ```text
/// ∂f/∂θ ≈ λ · A(θ, D, noise; g) + (1 − λ) · B(θ, D, noise; g)
/// ```
///
/// Its mean and its bias are the same blend of the two. ReinMax with ReinMax-Rao is the clean form of what the published
/// code of ReinMax-CV does: with softmax(log p + s) close to p, that code is nearly (1 − η/2) ReinMax + (η/2) ReinMax-Rao, plus the
/// noise of one more draw.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, Blend, ReinMax, StraightThrough};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let at = At { logits: &[0.0, 3.0_f64.ln()], one_hot: &[0.0, 1.0], noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// Blend::new(ReinMax::new(1.0)?, StraightThrough::new(1.0)?, 0.5)?.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.625).abs() < 1e-15); // ½ · 0.5 + ½ · 0.75
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blend<A, B> {
    a: A,
    b: B,
    lambda: f64,
}

impl<A, B> Blend<A, B> {
    /// With weight `lambda` on `a` and 1 − `lambda` on `b`.
    ///
    /// # Errors
    /// If `lambda` is not a number from −1e30 to 1e30.
    pub fn new(a: A, b: B, lambda: f64) -> Result<Self> {
        Ok(Self { a, b, lambda: finite("lambda", lambda)? })
    }
}

impl<A: Formula, B: Formula> Formula for Blend<A, B> {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        // Estimators are linear in g, so the weight goes onto g.
        let ([scaled], mut rest) = work.take();
        let lambda = T::of(self.lambda);
        scaled.iter_mut().zip(g).for_each(|(s, &g)| *s = lambda * g);
        self.a.vjp(latent, scaled, dlogits, rest.reborrow()); // λ A
        scaled.iter_mut().zip(g).for_each(|(s, &g)| *s = (T::ONE - lambda) * g);
        self.b.vjp(latent, scaled, dlogits, rest); // (1 − λ) B
    }

    fn work_rows(&self) -> usize {
        1 + self.a.work_rows().max(self.b.work_rows())
    }

    fn work_matrices(&self) -> usize {
        self.a.work_matrices().max(self.b.work_matrices())
    }

    fn draw<T: Real>(&self, logits: &[T], gumbel: &[T], sample: &mut [T]) {
        self.a.draw(logits, gumbel, sample);
    }
}
