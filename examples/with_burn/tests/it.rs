//! Gradients against the library's, refusals, masks and NaN, and training.
#![allow(clippy::unwrap_used)] // outside of test functions too

use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use hardgrad::Scalar;
use hardgrad::estimators::{
    At, Darn, Estimator, GumbelRao, GumbelSoftmax, Mve, Noise, ReinMax, ReinMaxRao, Scratch, StraightThrough,
};
use hardgrad::rng::{self, uniform};
use hardgrad_with_burn::{sample, vae::Vae};

const SHAPE: [usize; 3] = [9, 5, 3];

/// The glue is the same for all of them. These have noise of every kind, matrices M that are not
/// symmetric, and a relaxed sample.
fn estimators<T: Scalar>() -> Vec<Box<dyn Estimator<T>>> {
    vec![
        Box::new(StraightThrough::new(0.7).unwrap()),
        Box::new(ReinMax::new(1.3).unwrap()),
        Box::new(GumbelRao::new(0.5, 20).unwrap()),
        Box::new(ReinMaxRao::new(0.8, 10).unwrap()),
        Box::new(Darn),
        Box::new(Mve::new(3.0).unwrap()),
        Box::new(GumbelSoftmax::new(0.9).unwrap()),
    ]
}

fn random<T: Scalar>(count: usize, key: u64) -> Vec<T> {
    let mut rng = rng::from_key(key);
    (0..count).map(|_| T::of(4.0 * uniform::<f64>(&mut rng) - 2.0)).collect()
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor<T: Scalar + Element, const D: usize>(numbers: Vec<T>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers, shape), (&device(), T::dtype()))
}

fn numbers<T: Element, const D: usize>(tensor: Tensor<D>) -> Vec<T> {
    tensor.into_data().try_into_vec().unwrap()
}

/// The sample D and the estimate of ∂f/∂θ of f = Σ w ⊙ D, by the library alone.
fn by_the_library<T: Scalar>(logits: &[T], w: &[T], estimator: &dyn Estimator<T>) -> [Vec<T>; 2] {
    let (mut noise, categories) = (Noise::new(), SHAPE[2]);
    noise.draw(&mut rng::from_key(7), logits.len());
    let (mut one_hot, mut dlogits) = (vec![T::ZERO; logits.len()], vec![T::ZERO; logits.len()]);
    estimator.sample(logits, &noise, categories, &mut one_hot);
    let at = At { logits, one_hot: &one_hot, noise: &noise, categories };
    estimator.add_vjp(at, w, &mut dlogits, &mut Scratch::new());
    [one_hot, dlogits]
}

fn gradients_are_the_library_s<T: Scalar + Element>(tolerance: f64) {
    let count = SHAPE.iter().product();
    let (logits, w) = (random::<T>(count, 1), random::<T>(count, 2));
    for estimator in estimators::<T>() {
        let leaf = tensor(logits.clone(), SHAPE).require_grad();
        let d = sample::<T, 3>(leaf.clone(), &*estimator, &mut rng::from_key(7)).unwrap();
        let grads = (d.clone() * tensor(w.clone(), SHAPE)).sum().backward();
        let got = numbers::<T, 3>(leaf.grad(&grads).expect("a gradient"));
        let [one_hot, want] = by_the_library(&logits, &w, &*estimator);
        assert!(numbers::<T, 3>(d) == one_hot, "{estimator:?}");
        let error = got.iter().zip(&want).map(|(a, b)| (a.to_f64() - b.to_f64()).abs()).fold(0.0, f64::max);
        assert!(error < tolerance, "{estimator:?}: {error:e}");
        assert!(want.iter().all(|&x| x != T::ZERO), "{estimator:?}");
    }
}

/// M g is a sum of C products, each rounded; the numbers here are below 10.
#[test]
fn gradients_in_f32() {
    gradients_are_the_library_s::<f32>(1e-6);
}

#[test]
fn gradients_in_f64() {
    gradients_are_the_library_s::<f64>(1e-14);
}

/// A strided tensor has its own order of numbers in memory; burn's data have that of the shape.
#[test]
fn a_transposed_tensor_is_read_in_the_order_of_its_shape() {
    let relaxed = GumbelSoftmax::new(1.0).unwrap();
    let of = |logits| numbers::<f32, 2>(sample::<f32, 2>(logits, &relaxed, &mut rng::from_key(1)).unwrap());
    let transposed = tensor(vec![0.0_f32, 2.0, 1.0, 3.0, -1.0, 4.0], [3, 2]).transpose();
    assert_eq!(of(transposed), of(tensor(vec![0.0_f32, 1.0, -1.0, 2.0, 3.0, 4.0], [2, 3])));
}

#[test]
fn what_cannot_be_read_is_refused_with_what_to_do() {
    let reinmax = ReinMax::new(1.0).unwrap();
    let refused = |logits: Tensor<2>| {
        sample::<f32, 2>(logits, &reinmax, &mut rng::from_key(1)).unwrap_err().to_string()
    };
    let logits = tensor(vec![0.0_f32; 6], [2, 3]);
    for dtype in [DType::F64, DType::F16, DType::BF16] {
        let expected = format!("logits: got {dtype:?}, expected F32: convert it with cast(DType::F32)");
        assert_eq!(refused(logits.clone().cast(dtype)), expected);
    }
    let empty = refused(Tensor::zeros([2, 0], &device()));
    assert!(empty.starts_with("logits: got shape [2, 0], expected [.., C]"), "{empty}");
}

/// θ − detach θ is NaN at a logit of −∞: the mask keeps it out of the gradients of the others.
#[test]
fn masks_and_nan_stay_where_they_are() {
    let reinmax = ReinMax::new(1.0).unwrap();
    let logits = vec![0.0, f32::NAN, 1.0, 0.0, f32::NEG_INFINITY, 1.0];
    let leaf = tensor(logits, [2, 3]).require_grad();
    let d = sample::<f32, 2>(leaf.clone(), &reinmax, &mut rng::from_key(1)).unwrap();
    let grads = (d.clone() * tensor(vec![1.0_f32, 2.0, 3.0, 1.0, 2.0, 3.0], [2, 3])).sum().backward();
    let (d, dlogits) = (numbers::<f32, 2>(d), numbers::<f32, 2>(leaf.grad(&grads).expect("a gradient")));
    assert!(d[..3].iter().chain(&dlogits[..3]).all(|x| x.is_nan()), "{d:?} {dlogits:?}");
    assert!(dlogits[4] == 0.0 && dlogits[3].is_finite() && dlogits[3] != 0.0, "{dlogits:?}");
    assert_eq!(d[3..].iter().sum::<f32>(), 1.0);
}

#[test]
fn without_autodiff_there_is_a_sample() {
    let logits = Tensor::<2>::from_floats([[0.0, 30.0]], &Device::flex());
    let reinmax = ReinMax::new(1.0).unwrap();
    let d = sample::<f32, 2>(logits, &reinmax, &mut rng::from_key(1)).unwrap();
    assert_eq!(numbers::<f32, 2>(d), [0.0, 1.0]);
}

/// A decoder that ignores the code reaches the entropy of each pixel's mean at best.
#[test]
fn training_passes_what_a_decoder_without_code_can_reach() {
    let data = hardgrad::data::digits(0, 2000, 0);
    let images = data.train.images();
    let mean = |pixel: usize| {
        let sum: f64 = (0..images.len()).map(|i| f64::from(images.image(i)[pixel])).sum();
        sum / (255.0 * images.len() as f64)
    };
    let entropy = |p: f64| if p > 0.0 && p < 1.0 { -p * p.ln() - (1.0 - p) * (1.0 - p).ln() } else { 0.0 };
    let without_code: f64 = (0..images.pixels_per_image()).map(|pixel| entropy(mean(pixel))).sum();
    let estimators: [&dyn Estimator<f32>; 2] =
        [&ReinMax::new(1.0).unwrap(), &GumbelRao::new(1.0, 10).unwrap()];
    for estimator in estimators {
        device().seed(0);
        let vae = Vae::new(images.pixels_per_image(), &device());
        let (_, losses) = vae.train(images, 8, estimator, &device(), |_, _| ()).unwrap();
        let last = losses[losses.len() - 1];
        assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
        assert!(last < without_code, "{last} nats, and {without_code} without a code");
    }
}
