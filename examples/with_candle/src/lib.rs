//! hardgrad's estimators in candle: one-hot samples with the gradient of an estimator.
//!
//! This file is the whole glue. [`sample`] is an ordinary operation of candle, a [`CustomOp1`]:
//! its forward pass draws the sample D, and its backward pass gives θ, D and g = ∂f/∂D to the
//! estimator.

pub mod vae;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use hardgrad::estimators::{At, Estimator, Noise, Scratch};
use hardgrad::rng::Pcg64;
use std::sync::Arc;

/// One-hot samples of categorical variables, whose backward pass is the estimator's.
///
/// Shapes: logits `[…, C]`, the categories in the last dimension → one-hot `[…, C]`. The sample and
/// its gradient are functions of the logits and of the state of `rng`.
///
/// ```
/// use candle_core::{Device, Var};
/// use hardgrad::{estimators::{Estimator, ReinMax}, rng};
/// use std::sync::Arc;
///
/// let reinmax: Arc<dyn Estimator<f32>> = Arc::new(ReinMax::new(1.0)?);
/// let logits = Var::new(&[[0.0, 3.0_f32.ln()]], &Device::Cpu)?; // π = (¼, ¾)
/// let d = hardgrad_with_candle::sample(&logits, &reinmax, &mut rng::from_key(1))?;
/// assert_eq!(d.to_vec2::<f32>()?, [[0.0, 1.0]]);
/// let prices = candle_core::Tensor::new(&[[0.0_f32, 4.0]], &Device::Cpu)?;
/// let grads = (d * prices)?.sum_all()?.backward()?;
/// let dlogits = grads.get(&logits).unwrap().to_vec2::<f32>()?;
/// assert!((dlogits[0][1] - 0.5).abs() < 1e-6); // 2 · ⅛ · ⅞ · 4 − ½ · ¼ · ¾ · 4
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the logits have no dimension or no category, are not `f32`, not contiguous, or not on the
/// CPU.
pub fn sample(logits: &Tensor, estimator: &Arc<dyn Estimator<f32>>, rng: &mut Pcg64) -> Result<Tensor> {
    let Some(&categories) = logits.dims().last().filter(|&&categories| categories > 0) else {
        bail!("logits: got shape {:?}, expected [.., C] with C categories, C > 0", logits.dims())
    };
    if !logits.device().is_cpu() {
        bail!(
            "logits: got a tensor on {:?}, expected one on the CPU: move it with to_device",
            logits.device()
        )
    }
    let mut noise = Noise::new();
    noise.draw(rng, logits.elem_count());
    logits.apply_op1(Sample { estimator: estimator.clone(), noise, categories })
}

/// The operation: the estimator, and the noise of this sample.
struct Sample {
    estimator: Arc<dyn Estimator<f32>>,
    noise: Noise<f32>,
    categories: usize,
}

impl CustomOp1 for Sample {
    fn name(&self) -> &'static str {
        "hardgrad-sample"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = numbers("logits", logits, layout)?;
        let mut one_hot = vec![0.0; logits.len()];
        self.estimator.sample(logits, &self.noise, self.categories, &mut one_hot);
        Ok((CpuStorage::F32(one_hot), layout.shape().clone()))
    }

    fn bwd(&self, logits: &Tensor, one_hot: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        // A cotangent is often strided: that of `sum` is one number, broadcast.
        logits.apply_op3_no_bwd(one_hot, &g.contiguous()?, &Gradient(self)).map(Some)
    }
}

/// ∂f/∂θ from θ, D and g.
struct Gradient<'a>(&'a Sample);

impl CustomOp3 for Gradient<'_> {
    fn name(&self) -> &'static str {
        "hardgrad-gradient"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        one_hot: &CpuStorage,
        one_hot_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Sample { estimator, noise, categories } = self.0;
        let logits = numbers("logits", logits, logits_layout)?;
        let one_hot = numbers("one_hot", one_hot, one_hot_layout)?;
        let g = numbers("g", g, g_layout)?;
        let mut dlogits = vec![0.0; logits.len()];
        let at = At { logits, one_hot, noise, categories: *categories };
        estimator.add_vjp(at, g, &mut dlogits, &mut Scratch::new());
        Ok((CpuStorage::F32(dlogits), logits_layout.shape().clone()))
    }
}

/// The numbers of a contiguous `f32` tensor, without a copy.
fn numbers<'a>(argument: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else {
        let (got, expected) = (candle_core::backend::BackendStorage::dtype(storage), DType::F32);
        bail!("{argument}: got {got:?}, expected {expected:?}: convert it with to_dtype(DType::F32)")
    };
    let Some((from, to)) = layout.contiguous_offsets() else {
        let (shape, strides) = (layout.dims(), layout.stride());
        bail!(
            "{argument}: got strides {strides:?} for shape {shape:?}, expected a contiguous tensor: \
             call contiguous() first"
        )
    };
    Ok(&values[from..to])
}
