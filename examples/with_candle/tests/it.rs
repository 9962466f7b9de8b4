//! Gradients against the library's tape to the bit, refusals, and training.
#![allow(clippy::unwrap_used)] // outside of test functions too

use candle_core::{DType, Device, IndexOp, Result, Tensor, Var};
use hardgrad::estimators::{
    Choice, Darn, Estimator, GumbelRao, GumbelSoftmax, ReinMax, ReinMaxRao, StraightThrough,
};
use hardgrad::rng::{self, Purpose, Streams, uniform};
use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
use hardgrad_with_candle::{sample, vae::Vae};
use std::sync::Arc;

const SHAPE: (usize, usize, usize) = (9, 5, 3);

/// Names from the registry would say nothing here: the glue is the same for all of them. These have
/// noise of every kind, and a relaxed sample.
fn estimators() -> Vec<Arc<dyn Estimator<f32>>> {
    vec![
        Arc::new(StraightThrough::new(0.7).unwrap()),
        Arc::new(ReinMax::new(1.3).unwrap()),
        Arc::new(GumbelRao::new(0.5, 20).unwrap()),
        Arc::new(ReinMaxRao::new(0.8, 10).unwrap()),
        Arc::new(Darn),
        Arc::new(GumbelSoftmax::new(0.9).unwrap()),
    ]
}

fn random(count: usize, key: u64) -> Vec<f32> {
    let mut rng = rng::from_key(key);
    (0..count).map(|_| 4.0 * uniform::<f32>(&mut rng) - 2.0).collect()
}

/// The sample D and ∂f/∂θ of f = Σ w ⊙ D on the library's tape.
fn on_the_tape(logits: &[f32], w: &[f32], estimator: &Arc<dyn Estimator<f32>>) -> [Vec<f32>; 2] {
    let (rows, variables, categories) = SHAPE;
    let mat = |data: &[f32]| Mat::from_vec(rows, variables * categories, data.to_vec());
    let mut choice = Choice::shared(estimator.clone(), categories);
    choice.draw(&mut rng::from_key(7), rows * variables);
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(&mat(logits));
    let d = tape.sample(&choice, logits);
    let w = tape.constant(&mat(w));
    let product = tape.mul(d, w);
    let f = tape.sum(product);
    tape.backward(f, &mut ParamGrads::zeros(&params));
    [tape.value(d).data.to_vec(), tape.grad_or_zeros(logits).as_slice().to_vec()]
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn gradients_are_those_of_the_tape_to_the_bit() -> Result<()> {
    let count = SHAPE.0 * SHAPE.1 * SHAPE.2;
    let (numbers, w) = (random(count, 1), random(count, 2));
    for estimator in estimators() {
        let logits = Var::from_vec(numbers.clone(), SHAPE, &Device::Cpu)?;
        let d = sample(&logits, &estimator, &mut rng::from_key(7))?;
        let f = (&d * Tensor::from_vec(w.clone(), SHAPE, &Device::Cpu)?)?.sum_all()?;
        let grads = f.backward()?;
        let got = [&d, grads.get(&logits).expect("a gradient")];
        let want = on_the_tape(&numbers, &w, &estimator);
        for (got, want) in got.into_iter().zip(want) {
            assert_eq!(bits(&got.flatten_all()?.to_vec1()?), bits(&want), "{estimator:?}");
        }
        assert!(want_is_a_gradient(&numbers, &w, &estimator), "{estimator:?}");
    }
    Ok(())
}

/// Whether the gradient has no zero, so that a missing backward pass would be seen.
fn want_is_a_gradient(logits: &[f32], w: &[f32], estimator: &Arc<dyn Estimator<f32>>) -> bool {
    on_the_tape(logits, w, estimator)[1].iter().all(|&x| x != 0.0)
}

#[test]
fn a_slice_of_a_larger_tensor_is_read_where_it_begins() -> Result<()> {
    let all = Tensor::from_vec(random(24, 3), (4, 6), &Device::Cpu)?;
    let estimator: Arc<dyn Estimator<f32>> = Arc::new(GumbelSoftmax::new(1.0).unwrap());
    let from_slice = sample(&all.i(2..4)?, &estimator, &mut rng::from_key(1))?;
    let own = Tensor::from_vec(random(24, 3)[12..].to_vec(), (2, 6), &Device::Cpu)?;
    let from_own = sample(&own, &estimator, &mut rng::from_key(1))?;
    assert_eq!(from_slice.to_vec2::<f32>()?, from_own.to_vec2::<f32>()?);
    Ok(())
}

/// The gradient of a sum arrives as one number that is broadcast, with strides 0.
#[test]
fn a_strided_cotangent_is_made_contiguous() -> Result<()> {
    let estimator: Arc<dyn Estimator<f32>> = Arc::new(GumbelSoftmax::new(1.0).unwrap());
    let logits = Var::from_vec(random(6, 4), (2, 3), &Device::Cpu)?;
    let sum = sample(&logits, &estimator, &mut rng::from_key(1))?.sum_all()?;
    // The rows of a softmax add up to 1, so that their gradient is 0 up to rounding.
    let grads = sum.backward()?;
    let dlogits = grads.get(&logits).expect("a gradient").flatten_all()?.to_vec1::<f32>()?;
    assert!(dlogits.iter().all(|x| x.abs() < 1e-6), "{dlogits:?}");
    Ok(())
}

#[test]
fn what_cannot_be_read_is_refused_with_what_to_do() -> Result<()> {
    let estimator: Arc<dyn Estimator<f32>> = Arc::new(ReinMax::new(1.0).unwrap());
    let refused = |logits: &Tensor| {
        sample(logits, &estimator, &mut rng::from_key(1)).expect_err("an error").to_string()
    };
    let logits = Tensor::from_vec(random(6, 5), (2, 3), &Device::Cpu)?;
    let message = refused(&logits.t()?);
    let start =
        "logits: got strides [1, 3] for shape [3, 2], expected a contiguous tensor: call contiguous()";
    assert!(message.starts_with(start), "{message}");
    for dtype in [DType::F64, DType::F16, DType::BF16, DType::U32] {
        let message = refused(&logits.to_dtype(dtype)?);
        let start = format!("logits: got {dtype:?}, expected F32: convert it with to_dtype(DType::F32)");
        assert!(message.starts_with(&start), "{message}");
    }
    let message = refused(&Tensor::new(1.0_f32, &Device::Cpu)?);
    assert!(message.starts_with("logits: got shape [], expected [.., C]"), "{message}");
    let message = refused(&Tensor::zeros((2, 0), DType::F32, &Device::Cpu)?);
    assert!(message.starts_with("logits: got shape [2, 0], expected [.., C]"), "{message}");
    Ok(())
}

#[test]
fn nan_stays_in_its_variable() -> Result<()> {
    let estimator: Arc<dyn Estimator<f32>> = Arc::new(ReinMax::new(1.0).unwrap());
    let logits = Var::new(&[[0.0, f32::NAN, 1.0], [0.0, f32::NEG_INFINITY, 1.0]], &Device::Cpu)?;
    let w = Tensor::new(&[[1.0_f32, 2.0, 3.0], [1.0, 2.0, 3.0]], &Device::Cpu)?;
    let f = (sample(&logits, &estimator, &mut rng::from_key(1))? * w)?.sum_all()?;
    let grads = f.backward()?;
    let dlogits = grads.get(&logits).expect("a gradient").to_vec2::<f32>()?;
    assert!(dlogits[0].iter().all(|x| x.is_nan()), "{dlogits:?}");
    assert!(dlogits[1][1] == 0.0 && dlogits[1][0].is_finite() && dlogits[1][0] != 0.0, "{dlogits:?}");
    Ok(())
}

/// A decoder that ignores the code reaches the entropy of each pixel's mean at best.
#[test]
fn training_passes_what_a_decoder_without_code_can_reach() -> Result<()> {
    let data = hardgrad::data::digits(0, 2000, 0);
    let images = data.train.images();
    let mean = |pixel: usize| {
        let sum: f64 = (0..images.len()).map(|i| f64::from(images.image(i)[pixel])).sum();
        sum / (255.0 * images.len() as f64)
    };
    let entropy = |p: f64| if p > 0.0 && p < 1.0 { -p * p.ln() - (1.0 - p) * (1.0 - p).ln() } else { 0.0 };
    let without_code: f64 = (0..images.pixels_per_image()).map(|pixel| entropy(mean(pixel))).sum();
    for estimator in [
        Arc::new(ReinMax::new(1.0).unwrap()) as Arc<dyn Estimator<f32>>,
        Arc::new(GumbelRao::new(1.0, 10).unwrap()),
    ] {
        let streams = Streams::new(0);
        let vae = Vae::new(images.pixels_per_image(), estimator, &mut streams.rng(Purpose::Init, 0, 0))?;
        let losses = vae.train(images, 8, streams, |_, _| ())?;
        let last = losses[losses.len() - 1];
        assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
        assert!(last < without_code, "{last} nats, and {without_code} without a code");
    }
    Ok(())
}
