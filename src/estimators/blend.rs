//! A blend of two estimators on one sample and one noise.
//!
//! ```text
//! ∂f/∂θ ≈ λ · A(θ, D, noise; g) + (1 − λ) · B(θ, D, noise; g)
//! ```
//!
//! Its mean and its bias are the same blend of the two. ReinMax with ReinMax-Rao is the clean form of what the published
//! code of ReinMax-CV does: with softmax(log p + s) close to p, that code is nearly (1 − η/2) ReinMax + (η/2) ReinMax-Rao, plus the
//! noise of one more draw.

use super::{Latent, SampleEstimator, Work, finite};
use crate::error::Result;
use crate::scalar::{Real, Scalar};
use crate::simd::lanes::Lanes;

/// λ · A + (1 − λ) · B. See the [module](self).
///
/// ```
/// use hardgrad::estimators::{Conditional, Latent, SampleEstimator, Work, Blend, ReinMax, StraightThrough};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let latent = Latent { logits: &[0.0, 3.0_f64.ln()], one_hot: &[0.0, 1.0], gumbel: &[0.0, 0.0], conditional: Conditional::Key(0) };
/// let (mut dlogits, mut memory) = ([0.0; 2], [0.0; 20]);
/// Blend::new(ReinMax::new(1.0)?, StraightThrough::new(1.0)?, 0.5)?.vjp(&latent, &[0.0, 4.0], &mut dlogits, Work::new(&mut memory, 2));
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

impl<A, B> Blend<A, B> {
    /// Both estimates, by estimators for `T`.
    fn add<T: Real>(
        &self,
        (a, b): (&dyn SampleEstimator<T>, &dyn SampleEstimator<T>),
        latent: &Latent<'_, T>,
        g: &[T],
        dlogits: &mut [T],
        work: Work<'_, T>,
    ) {
        // Estimators are linear in g, so the weight goes onto g.
        let ([scaled], mut rest) = work.take();
        let lambda = T::of(self.lambda);
        scaled.iter_mut().zip(g).for_each(|(s, &g)| *s = lambda * g);
        a.vjp(latent, scaled, dlogits, rest.reborrow());
        scaled.iter_mut().zip(g).for_each(|(s, &g)| *s = (T::ONE - lambda) * g);
        b.vjp(latent, scaled, dlogits, rest);
    }
}

impl<T: Scalar, A: SampleEstimator<T>, B: SampleEstimator<T>> SampleEstimator<T> for Blend<A, B> {
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        self.add((&self.a, &self.b), latent, g, dlogits, work);
    }

    fn work_rows(&self) -> usize {
        1 + self.a.work_rows().max(self.b.work_rows())
    }

    fn draw(&self, logits: &[T], gumbel: &[T], sample: &mut [T]) {
        self.a.draw(logits, gumbel, sample);
    }

    fn side_by_side(&self) -> Option<&dyn SampleEstimator<Lanes<T>>> {
        let both = self.a.side_by_side().is_some() && self.b.side_by_side().is_some();
        both.then_some(self as &dyn SampleEstimator<Lanes<T>>)
    }
}

/// For [`SampleEstimator::side_by_side`], which gives this only where both estimators have theirs.
impl<T: Scalar, A: SampleEstimator<T>, B: SampleEstimator<T>> SampleEstimator<Lanes<T>> for Blend<A, B> {
    fn vjp(
        &self,
        latent: &Latent<'_, Lanes<T>>,
        g: &[Lanes<T>],
        dlogits: &mut [Lanes<T>],
        work: Work<'_, Lanes<T>>,
    ) {
        let both = self.a.side_by_side().zip(self.b.side_by_side());
        self.add(both.expect("side_by_side has asked both"), latent, g, dlogits, work);
    }

    fn work_rows(&self) -> usize {
        1 + self.a.work_rows().max(self.b.work_rows())
    }
}
