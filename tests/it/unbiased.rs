//! The loss-side estimators are unbiased: REINFORCE by enumeration, REBAR within five standard errors, at 4 categories × 3
//! variables. The exact gradient comes from the tape: the derivative of Σ_D π(D) f(D).

use hardgrad::estimators::{Baseline, Choice, Noise, Rebar, Reinforce};
use hardgrad::rng::{self, uniform};
use hardgrad::vae::LatentShape;
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace};

const LATENT: LatentShape = LatentShape { categories: 4, variables: 3 };

fn random(key: u64, rows: usize, cols: usize) -> Mat<f64> {
    let mut rng = rng::from_key(key);
    let mut m = Mat::zeros(rows, cols);
    m.as_mut_slice().iter_mut().for_each(|x| *x = 4.0 * uniform::<f64>(&mut rng) - 2.0);
    m
}

/// A small network with an interaction between the variables: [N, 12] → [N, 1].
fn f(tape: &mut Tape<'_, f64>, z: Var) -> Var {
    let (w, v) = (tape.constant(random(1, 12, 6).view()), tape.constant(random(2, 6, 1).view()));
    let h = tape.matmul(z, w);
    let h = tape.sigmoid(h);
    let h = tape.matmul(h, v);
    let square = tape.mul(h, h);
    tape.add(h, square)
}

/// The exact gradient, and π(D) and f(D) of every code.
fn exact(logits: &Mat<f64>) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let leaf = tape.leaf(logits.view());
    let codes = tape.constant(LATENT.one_hot_codes().unwrap().view());
    let losses = f(&mut tape, codes);
    let log_pi = tape.log_softmax(leaf, LATENT.categories);
    let log_pi = tape.at_least(log_pi, -1e30); // a masked category has −∞ here, which times 0 would be NaN
    let log_q = tape.matmul_transposed(log_pi, codes);
    let q = tape.exp(log_q);
    let mean = tape.matmul(q, losses);
    tape.backward(mean, &mut ParamGrads::zeros(&params));
    let copy = |v| tape.value(v).data.to_vec();
    (tape.grad(leaf).unwrap().data.to_vec(), copy(q), copy(losses))
}

/// REINFORCE's gradients at these samples, one row per sample.
fn reinforce(baseline: Baseline, logits: &Mat<f64>, samples: &Mat<f64>) -> Mat<f64> {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let rows = samples.rows();
    let leaf = tape.leaf(Mat::from_fn(rows, LATENT.width(), |_, j| logits.row(0)[j]).view());
    let noise = Noise::from_gumbel(vec![0.0; rows * LATENT.width()]).with_sample(samples.as_slice().to_vec());
    let choice = Choice::without_gradient(LATENT.categories).with_noise(noise);
    let loss = Reinforce::new(baseline).loss(&mut tape, leaf, &choice, f);
    let total = tape.sum(loss);
    tape.backward(total, &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(leaf)
}

#[test]
fn reinforce_by_enumeration() {
    for key in 10..15 {
        let logits = random(key, 1, LATENT.width());
        let (want, q, _) = exact(&logits);
        let codes = LATENT.one_hot_codes().unwrap();
        for b in [0.0, 3.7] {
            let grads = reinforce(Baseline::Constant(b), &logits, &codes);
            for (j, want) in want.iter().enumerate() {
                let mean: f64 = (0..codes.rows()).map(|i| q[i] * grads.row(i)[j]).sum();
                assert!((mean - want).abs() < 1e-12, "b = {b}, logit {j}: {mean} for {want}");
            }
        }
    }
}

/// Leave-one-out over two samples: all pairs of codes.
#[test]
fn leave_one_out_by_enumeration() {
    let logits = random(20, 1, LATENT.width());
    let (want, q, _) = exact(&logits);
    let codes = LATENT.one_hot_codes::<f64>().unwrap();
    let n = codes.rows();
    let pairs = Mat::from_fn(2 * n * n, LATENT.width(), |i, j| {
        let pair = i / 2;
        codes.row(if i % 2 == 0 { pair / n } else { pair % n })[j]
    });
    let grads = reinforce(Baseline::leave_one_out(2).unwrap(), &logits, &pairs);
    for (j, want) in want.iter().enumerate() {
        let of_pair = |p: usize| 0.5 * (grads.row(2 * p)[j] + grads.row(2 * p + 1)[j]);
        let mean: f64 = (0..n * n).map(|p| q[p / n] * q[p % n] * of_pair(p)).sum();
        assert!((mean - want).abs() < 1e-12, "logit {j}: {mean} for {want}");
    }
    assert!(Baseline::leave_one_out(1).is_err());
}

/// REBAR's gradients for f + `offset` at many draws of its noise, one row per draw.
fn rebar(rebar: &Rebar, logits: &Mat<f64>, draws: usize, offset: f64) -> Mat<f64> {
    let mut choice = Choice::without_gradient(LATENT.categories);
    choice.draw(&mut rng::from_key(30), draws * LATENT.variables);
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let leaf = tape.leaf(Mat::from_fn(draws, LATENT.width(), |_, j| logits.row(0)[j]).view());
    let loss = rebar.loss(&mut tape, leaf, &choice, |tape, z| {
        let f = f(tape, z);
        tape.affine(f, 1.0, offset)
    });
    let total = tape.sum(loss);
    tape.backward(total, &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(leaf)
}

/// Mean and variance of a column.
fn moments(m: &Mat<f64>, j: usize) -> (f64, f64) {
    let n = m.rows() as f64;
    let mean = (0..m.rows()).map(|i| m.row(i)[j]).sum::<f64>() / n;
    let squares: f64 = (0..m.rows()).map(|i| (m.row(i)[j] - mean).powi(2)).sum();
    (mean, squares / (n - 1.0))
}

#[test]
fn rebar_within_five_standard_errors() {
    const DRAWS: usize = 40_000;
    let logits = random(21, 1, LATENT.width());
    let (want, ..) = exact(&logits);
    for (tau, eta) in [(0.5, 0.0), (0.5, 1.0), (1.0, 0.7)] {
        let grads = rebar(&Rebar::new(tau, eta).unwrap(), &logits, DRAWS, 0.0);
        for (j, want) in want.iter().enumerate() {
            let (mean, variance) = moments(&grads, j);
            let standard_error = (variance / DRAWS as f64).sqrt();
            let off = (mean - want).abs() / standard_error;
            assert!(off < 5.0, "τ {tau}, η {eta}, logit {j}: {mean} for {want}, {off} standard errors");
        }
    }
}

/// At η = 1 a constant added to f cancels between f(D) and f(s(Y)): REBAR needs no baseline.
#[test]
fn a_constant_in_f_does_not_change_rebar_at_eta_1() {
    let logits = random(22, 1, LATENT.width());
    let estimator = Rebar::new(0.5, 1.0).unwrap();
    let (plain, shifted) = (rebar(&estimator, &logits, 50, 0.0), rebar(&estimator, &logits, 50, 1000.0));
    for (a, b) in plain.as_slice().iter().zip(shifted.as_slice()) {
        // Losses near 1000 have errors of 1000 ε, which the few terms of a gradient do not amplify.
        assert!((a - b).abs() < 1e4 * f64::EPSILON, "{a} and {b}");
    }
}

/// REINFORCE, REBAR and the exact gradient are 0 at a masked category, and at the others equal to
/// those of a problem without it.
#[test]
fn a_masked_category_gets_no_gradient_from_the_loss() {
    let mut logits = random(23, 1, LATENT.width());
    logits.as_mut_slice()[5] = f64::NEG_INFINITY;
    let (want, q, _) = exact(&logits);
    let codes = LATENT.one_hot_codes().unwrap();
    assert!(want[5] == 0.0 && want.iter().all(|x| x.is_finite()), "{want:?}");
    let grads = reinforce(Baseline::Constant(3.7), &logits, &codes);
    for (j, want) in want.iter().enumerate() {
        let possible = (0..codes.rows()).filter(|&i| q[i] > 0.0);
        let mean: f64 = possible.map(|i| q[i] * grads.row(i)[j]).sum();
        assert!((mean - want).abs() < 1e-12, "logit {j}: {mean} for {want}");
    }
    const DRAWS: usize = 40_000;
    let grads = rebar(&Rebar::new(0.5, 1.0).unwrap(), &logits, DRAWS, 0.0);
    for (j, want) in want.iter().enumerate() {
        let (mean, variance) = moments(&grads, j);
        let error = (mean - want).abs();
        assert!(error <= 5.0 * (variance / DRAWS as f64).sqrt(), "logit {j}: {mean} for {want}");
    }
    assert!((0..DRAWS).all(|i| grads.row(i)[5] == 0.0));
}
