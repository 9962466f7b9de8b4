//! Time of a training step: the matrix products at the model's shapes, and the whole step.
//!
//! ```text
//! cargo bench --bench step
//! ```

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hardgrad::data::digits;
use hardgrad::train::{TrainConfig, Trainer};
use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
use std::hint::black_box;

/// `[rows, inner, columns]` of the 8×4 VAE's layers at a batch of 100.
const LAYERS: [[usize; 3]; 5] =
    [[100, 784, 512], [100, 512, 256], [100, 256, 32], [100, 256, 512], [100, 512, 784]];

fn matrix(rows: usize, cols: usize) -> Mat<f32> {
    Mat::from_fn(rows, cols, |i, j| ((i * 31 + j * 17) % 13) as f32 * 0.1 - 0.6)
}

/// Benchmarks the product of a layer, alone and with both products of its vjp.
fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("product");
    for [n, k, m] in LAYERS {
        let (x, g) = (matrix(n, k), matrix(n, m));
        let mut params = ParamStore::new();
        let w = params.add("w", matrix(k, m));
        let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));
        group.throughput(Throughput::Elements(2 * (n * k * m) as u64));
        for backward in [false, true] {
            let name = if backward { "forward and back" } else { "forward" };
            group.bench_function(format!("{name} {n}x{k}x{m}"), |b| {
                b.iter(|| {
                    let mut tape = workspace.tape(&params);
                    let (x, w) = (tape.leaf(black_box(&x)), tape.param(w));
                    let y = tape.matmul(x, w);
                    if backward {
                        tape.backward_from(y, g.as_slice(), &mut grads);
                    }
                });
            });
        }
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
