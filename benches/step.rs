//! Where a training step's time goes: the matrix products at the model's shapes, and the whole step.
//!
//! ```text
//! cargo bench --bench step
//! ```

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hardgrad::Mat;
use hardgrad::data::digits;
use hardgrad::gemm::gemm;
use hardgrad::train::{TrainConfig, Trainer};
use std::hint::black_box;

/// `[rows, inner, columns]` of the 8×4 VAE's layers at a batch of 100.
const LAYERS: [[usize; 3]; 5] =
    [[100, 784, 512], [100, 512, 256], [100, 256, 32], [100, 256, 512], [100, 512, 784]];

fn matrix(rows: usize, cols: usize) -> Mat<f32> {
    Mat::from_fn(rows, cols, |i, j| ((i * 31 + j * 17) % 13) as f32 * 0.1 - 0.6)
}

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("gemm");
    for [n, k, m] in LAYERS {
        let (x, w, g) = (matrix(n, k), matrix(k, m), matrix(n, m));
        let (mut y, mut dw, mut dx) = (Mat::zeros(n, m), Mat::zeros(k, m), Mat::zeros(n, k));
        group.throughput(Throughput::Elements(2 * (n * k * m) as u64));
        group.bench_function(format!("forward {n}x{k}x{m}"), |b| {
            b.iter(|| gemm(black_box(x.view()), w.view(), 0.0, y.view_mut()));
        });
        group.bench_function(format!("dW {k}x{n}x{m}"), |b| {
            b.iter(|| gemm(black_box(x.view()).t(), g.view(), 0.0, dw.view_mut()));
        });
        group.bench_function(format!("dx {n}x{m}x{k}"), |b| {
            b.iter(|| gemm(black_box(g.view()), w.view().t(), 0.0, dx.view_mut()));
        });
    }
}

fn epoch(c: &mut Criterion) {
    let data = digits(0, 2000, 100);
    let mut trainer = Trainer::new(TrainConfig::default(), &data).expect("the defaults are valid");
    let mut group = c.benchmark_group("train");
    group.sample_size(10);
    group.bench_function("20 updates and a test batch, 8x4, reinmax", |b| {
        b.iter(|| trainer.epoch(&mut |_| {}).expect("finite"));
    });
}

criterion_group!(benches, products, epoch);
criterion_main!(benches);
