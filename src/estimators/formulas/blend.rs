//! Linear combinations of two estimators.

use crate::error::Result;
use crate::estimators::{Formula, Latent, Work, finite};
use crate::scalar::Real;

/// Blend: λ · A + (1 − λ) · B, a linear combination of two estimators with the same sample and
/// noise.
///
/// ```text
/// ∂f/∂θ ≈ λ · A(θ, D, noise; g) + (1 − λ) · B(θ, D, noise; g)
/// ```
///
/// Its mean and its bias are the same combination of those of A and B. A blend of ReinMax and
/// ReinMax-Rao is a simplified form of the published code of ReinMax-CV: if softmax(log p + s) is
/// close to p, that code is nearly (1 − η/2) ReinMax + (η/2) ReinMax-Rao, plus the noise of one
/// more draw.
///
/// ```
/// use hardgrad::estimators::{At, Blend, Estimator, Noise, ReinMax, Scratch};
/// use hardgrad::estimators::StraightThrough;
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// let blend = Blend::new(ReinMax::new(1.0)?, StraightThrough::new(1.0)?, 0.5)?;
/// blend.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
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
    /// Creates the blend with weight `lambda` of `a` and 1 − `lambda` of `b`.
    ///
    /// # Errors
    /// If `lambda` is not a number from −1e30 to 1e30.
    pub fn new(a: A, b: B, lambda: f64) -> Result<Self> {
        Ok(Self { a, b, lambda: finite("lambda", lambda)? })
    }
}

impl<A: Formula, B: Formula> Formula for Blend<A, B> {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        // Estimators are linear in g, so g is multiplied by the weight.
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
