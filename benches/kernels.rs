//! Each fused kernel at the model's sizes, and draw and vjp of each estimator for several K and C,
//! on one thread.
//!
//! ```text
//! cargo bench --bench kernels
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hardgrad::estimators::{At, BuiltEstimator, CvForm, EstimatorConfig, Gap, Noise, Rk2Form, Scratch};
use hardgrad::nn::Activation;
use hardgrad::optim::{Adam, AdamConfig, Optimizer, RAdam};
use hardgrad::rng::{from_key, uniform};
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace};
use std::hint::black_box;

fn random(rows: usize, cols: usize) -> Mat<f32> {
    let mut rng = from_key((rows * cols) as u64);
    let mut m = Mat::zeros(rows, cols);
    m.as_mut_slice().iter_mut().for_each(|x| *x = uniform::<f32>(&mut rng) - 0.5);
    m
}

/// Forward and backward of one operation on the tape.
fn op(
    c: &mut Criterion,
    name: &str,
    inputs: [&Mat<f32>; 2],
    leaf: usize,
    record: impl Fn(&mut Tape<'_, f32>, [Var; 2]) -> Var,
) {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut grads = ParamGrads::zeros(&params);
    let mut group = c.benchmark_group("kernel");
    group.throughput(Throughput::Elements(inputs[0].as_slice().len() as u64));
    for backward in [false, true] {
        group.bench_function(format!("{name}{}", ["", " and backward"][usize::from(backward)]), |b| {
            b.iter(|| {
                let mut tape = workspace.tape(&params);
                let vars = [0, 1].map(|i| match i == leaf {
                    true => tape.leaf(black_box(inputs[i])),
                    false => tape.constant(black_box(inputs[i])),
                });
                let y = record(&mut tape, vars);
                if backward {
                    let loss = tape.sum(y);
                    tape.backward(loss, &mut grads);
                }
            });
        });
    }
    group.finish();
}

fn fused(c: &mut Criterion) {
    let (n, pixels) = (100, 784);
    let (x, t) = (random(n, pixels), random(n, pixels));
    op(c, "bce 100x784", [&x, &t], 0, |tape, [x, t]| tape.bce_with_logits(x, t));
    let logits = random(n, 512);
    op(c, "kl 64x8", [&logits, &logits], 0, |tape, [x, _]| tape.categorical_kl(x, 64));
    // Images: 19 % of the pixels are not 0.
    let (mut images, weight, bias) = (random(n, pixels), random(pixels, 512), Mat::zeros(1, 512));
    images.as_mut_slice().iter_mut().for_each(|x| *x = if *x < 0.31 { 0.0 } else { *x });
    op(c, "sparse 100x784x512", [&images, &weight], 1, |tape, [x, w]| {
        let b = tape.constant(&bias);
        tape.linear(x, w, b, Activation::Identity)
    });
}

fn optimizers(c: &mut Criterion) {
    let mut group = c.benchmark_group("optimizer");
    let mut params = ParamStore::new();
    params.add("w", random(1000, 1100));
    let mut grads = ParamGrads::zeros(&params);
    grads.flat_mut().copy_from_slice(random(1100, 1000).as_slice());
    let mut adam = Adam::new(AdamConfig::default()).expect("valid");
    let mut radam = RAdam::new(AdamConfig::default()).expect("valid");
    group.throughput(Throughput::Elements(1_100_000));
    group.bench_function("adam", |b| b.iter(|| adam.step(&mut params, &grads)));
    group.bench_function("radam", |b| b.iter(|| radam.step(&mut params, &grads)));
    group.finish();
}

/// Estimators of the gradient of the sample, by name.
fn estimators(draws: usize) -> Vec<(&'static str, EstimatorConfig)> {
    use EstimatorConfig as E;
    vec![
        ("st", E::StraightThrough { tau: 1.0 }),
        ("stgs", E::StraightThroughGumbelSoftmax { tau: 1.0 }),
        ("gst", E::GappedStraightThrough { gap: Gap::Fixed(1.0), tau: 1.0 }),
        ("reinmax", E::ReinMax { tau: 1.0 }),
        ("reinmax-rk2", E::ReinMaxRk2 { form: Rk2Form::Projected, beta: 0.4 }),
        ("gumbel-rao", E::GumbelRao { tau: 1.0, draws }),
        ("reinmax-rao", E::ReinMaxRao { tau: 0.7, draws }),
        ("reinmax-cv", E::ReinMaxCv { form: CvForm::AuthorCode, tau: 0.7, draws, eta: 1.5 }),
    ]
}

/// Sample and vjp of 800 variables.
fn samples(c: &mut Criterion) {
    const VARIABLES: usize = 800;
    let mut rng = from_key(0);
    for (categories, draws) in [(8, 100), (64, 100), (64, 10)] {
        let mut group = c.benchmark_group(format!("estimator C={categories} K={draws}"));
        group.sample_size(20).throughput(Throughput::Elements((VARIABLES * categories) as u64));
        let (logits, g) = (random(100, 8 * categories), random(100, 8 * categories));
        let (mut noise, mut scratch) = (Noise::new(), Scratch::new());
        noise.draw(&mut rng, VARIABLES * categories);
        let (mut one_hot, mut dlogits) = (logits.clone(), logits.clone());
        for (name, config) in estimators(draws) {
            let built = config.build::<f32>().expect("valid");
            let BuiltEstimator::Sample(estimator) = built else { continue };
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter(|| {
                    let logits = black_box(logits.as_slice());
                    estimator.sample(logits, &noise, categories, one_hot.as_mut_slice());
                    let at = At { logits, one_hot: one_hot.as_slice(), noise: &noise, categories };
                    estimator.add_vjp(at, g.as_slice(), dlogits.as_mut_slice(), &mut scratch);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, fused, optimizers, samples);
criterion_main!(benches);
