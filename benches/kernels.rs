//! Each fused kernel at the model's sizes, and each estimator's draw and vjp against K and C, on one thread.
//!
//! ```text
//! cargo bench --bench kernels
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hardgrad::estimators::{
    CvForm, Estimator, EstimatorConfig, Gap, Noise, Rk2Form, SampleEstimator, SampleNode,
};
use hardgrad::kernels::{bernoulli, softmax, sparse::SparseRows};
use hardgrad::optim::{Adam, AdamConfig, Optimizer, RAdam};
use hardgrad::rng::{LaneRng, from_key, uniform};
use hardgrad::{Mat, MatRef, ParamGrads, ParamStore, Workspace};
use std::hint::black_box;

fn random(rows: usize, cols: usize) -> Mat<f32> {
    let mut rng = from_key((rows * cols) as u64);
    let mut m = Mat::zeros(rows, cols);
    m.as_mut_slice().iter_mut().for_each(|x| *x = uniform::<f32>(&mut rng) - 0.5);
    m
}

fn fused(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernel");
    let (n, pixels) = (100, 784);
    let (x, t) = (random(n, pixels), random(n, pixels));
    let (mut loss, mut dx, ones) = (vec![0.0; n], vec![0.0; n * pixels], vec![1.0; n]);
    group.throughput(Throughput::Elements((n * pixels) as u64));
    group.bench_function("bce 100x784", |b| {
        b.iter(|| bernoulli::bce_with_logits(black_box(x.as_slice()), t.as_slice(), pixels, &mut loss));
    });
    group.bench_function("bce vjp 100x784", |b| {
        b.iter(|| {
            bernoulli::bce_with_logits_vjp(black_box(x.as_slice()), t.as_slice(), pixels, &ones, &mut dx)
        });
    });
    let logits = random(n, 512);
    let (mut kl, mut scratch) = (vec![0.0; n], vec![0.0; softmax::categorical_kl_scratch(n, 512, 64)]);
    group.throughput(Throughput::Elements(n as u64 * 512));
    group.bench_function("kl 64x8", |b| {
        b.iter(|| softmax::categorical_kl(black_box(logits.as_slice()), 512, 64, &mut kl, &mut scratch));
    });
    // Images: 19 % of the pixels are not 0.
    let mut images = random(n, pixels);
    images.as_mut_slice().iter_mut().for_each(|x| *x = if *x < 0.31 { 0.0 } else { *x });
    let (weight, mut y, mut rows) = (random(pixels, 512), Mat::zeros(n, 512), SparseRows::default());
    group.throughput(Throughput::Elements((n * pixels * 512) as u64));
    group.bench_function("sparse 100x784x512", |b| {
        b.iter(|| {
            rows.assign(black_box(images.view()));
            rows.multiply(weight.view(), 0.0, y.view_mut());
        });
    });
    let mut e = vec![0.0_f32; 1 << 14];
    let mut lanes = LaneRng::from_key(0);
    group.throughput(Throughput::Elements(e.len() as u64));
    group.bench_function("exponential numbers", |b| b.iter(|| lanes.fill_exponential(black_box(&mut e))));
    group.finish();
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

/// Sample-side estimators by name.
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

/// Forward and backward of the sample's node, for 800 variables.
fn nodes(c: &mut Criterion) {
    const VARIABLES: usize = 800;
    let (params, mut workspace, mut rng) = (ParamStore::<f32>::new(), Workspace::new(), from_key(0));
    let mut grads = ParamGrads::zeros(&params);
    for (categories, draws) in [(8, 100), (64, 100), (64, 10)] {
        let mut group = c.benchmark_group(format!("estimator C={categories} K={draws}"));
        group.sample_size(20).throughput(Throughput::Elements((VARIABLES * categories) as u64));
        let (logits, g) = (random(100, 8 * categories), random(100, 8 * categories));
        let mut noise = Noise::new();
        noise.draw(&mut rng, VARIABLES * categories);
        for (name, config) in estimators(draws) {
            let built = config.build::<f32>().expect("valid");
            let Estimator::Sample(estimator) = built else { continue };
            let estimator: &dyn SampleEstimator<f32> = &*estimator;
            let node = SampleNode::new(estimator, &noise, categories);
            group.bench_with_input(BenchmarkId::from_parameter(name), &node, |b, node| {
                b.iter(|| {
                    let mut tape = workspace.tape(&params);
                    let theta = tape.leaf(MatRef::new(100, 8 * categories, logits.as_slice()));
                    let d = tape.custom(node, &[theta]);
                    tape.backward_from(d, g.as_slice(), &mut grads);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, fused, optimizers, nodes);
criterion_main!(benches);
