//! RAdam (Liu et al., 2020).

use super::{AdamConfig, Moments, Optimizer, Update};
use crate::error::Result;
use crate::params::{ParamGrads, ParamStore};
use crate::scalar::Scalar;

/// RAdam, as PyTorch computes it: m and v as in [`Adam`](super::Adam), and with ρ∞ = 2/(1 − β₂) −
/// 1,
///
/// ```text
/// ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)
/// ρ > 5:  p ← p − lr / (1 − β₁ᵗ) · r · √(1 − β₂ᵗ) · m / (√v + eps),
///         r = √( (ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ) )
/// else:   p ← p − lr / (1 − β₁ᵗ) · m
/// ```
///
/// eps is thus added to the uncorrected √v, and with β₂ = 0.999 updates 1 to 5 are not adapted.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, optim::{RAdam, AdamConfig, Optimizer}};
/// let mut params = ParamStore::new();
/// params.add("w", Mat::from_rows(&[[1.0_f64]]));
/// let mut grads = ParamGrads::zeros(&params);
/// grads.flat_mut()[0] = 5.0;
/// let mut radam = RAdam::new(AdamConfig { lr: 0.1, ..AdamConfig::default() }).unwrap();
/// radam.step(&mut params, &grads);
/// // The first step is lr · g.
/// assert!((params.flat()[0] - 0.5).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct RAdam<T> {
    config: AdamConfig,
    moments: Moments<T>,
}

impl<T: Scalar> RAdam<T> {
    /// Creates an optimiser that has made no update yet.
    ///
    /// # Errors
    /// If a hyper-parameter is outside its range.
    pub fn new(config: AdamConfig) -> Result<Self> {
        Ok(Self { config: config.validated()?, moments: Moments::default() })
    }
}

impl<T: Scalar> Optimizer<T> for RAdam<T> {
    fn step(&mut self, params: &mut ParamStore<T>, grads: &ParamGrads<T>) -> bool {
        let AdamConfig { lr, beta1, beta2, eps } = self.config;
        let t = self.moments.begin(params.flat().len()) as f64;
        let correction1 = 1.0 - beta1.powf(t);
        let correction2 = 1.0 - beta2.powf(t);
        let rho_inf = 2.0 / (1.0 - beta2) - 1.0;
        let rho = rho_inf - 2.0 * t * beta2.powf(t) / correction2;
        let update = if rho > 5.0 {
            let variance = (rho - 4.0) * (rho - 2.0) * rho_inf / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho);
            let scale = lr / correction1 * variance.sqrt() * correction2.sqrt();
            Update { keep: T::ONE, scale: T::of(scale), root: Some((T::ONE, T::of(eps))) }
        } else {
            Update { keep: T::ONE, scale: T::of(lr / correction1), root: None }
        };
        self.moments.advance(&self.config, update, params, grads)
    }

    fn lr(&self) -> f64 {
        self.config.lr
    }

    fn set_lr(&mut self, lr: f64) -> Result<()> {
        self.config.set_lr(lr)
    }

    fn moments(&self) -> &Moments<T> {
        &self.moments
    }

    fn moments_mut(&mut self) -> &mut Moments<T> {
        &mut self.moments
    }
}
