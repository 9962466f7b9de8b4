//! The VAE with estimators that see several codes of each image: fast paths against direct
//! computation, means against the exact gradient, and training.

use hardgrad::data::digits;
use hardgrad::estimators::{
    At, Choice, Estimator, EstimatorConfig, Noise, ReinMax, Scratch, StraightThrough, WeightConfig,
    importance_loss,
};
use hardgrad::rng::{from_key, uniform};
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use hardgrad::vae::{Vae, VaeConfig};
use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
use std::path::Path;
use std::sync::Arc;

fn random(key: u64, rows: usize, cols: usize, size: f64) -> Mat<f64> {
    let mut rng = from_key(key);
    let mut m = Mat::zeros(rows, cols);
    m.as_mut_slice().iter_mut().for_each(|x| *x = size * (2.0 * uniform::<f64>(&mut rng) - 1.0));
    m
}

/// Images, and a VAE whose weights are so large that the codes affect the loss.
fn small(hidden: &[usize], latent: &str) -> (ParamStore<f64>, Vae, Mat<f64>) {
    let mut params = ParamStore::new();
    let config = VaeConfig {
        pixels: 6,
        hidden: hidden.to_vec(),
        latent: latent.parse().unwrap(),
        ..VaeConfig::default()
    };
    let vae = Vae::new(&mut params, &config, &mut from_key(0));
    params.flat_mut().iter_mut().for_each(|w| *w *= 3.0);
    let x = Mat::from_fn(3, 6, |i, j| ((2 * i + j) % 3) as f64 / 2.0);
    (params, vae, x)
}

#[test]
fn losses_of_neighbours_by_differences_equal_the_decoder_s() {
    for (hidden, latent) in [(&[5][..], "3x2"), (&[], "4x1"), (&[7, 5], "2x3")] {
        let (params, vae, x) = small(hidden, latent);
        let (c, width) = (vae.latent().categories, vae.latent().width());
        let mut choice = Choice::without_gradient(c);
        choice.draw(&mut from_key(5), 3 * vae.latent().variables);
        let mut workspace = Workspace::new();
        let mut tape = workspace.tape(&params);
        let (x_var, logits) = (tape.constant(&x), tape.constant(&random(1, 3, width, 2.0)));
        let z = tape.sample(&choice, logits);
        let got = vae.bce_of_neighbours(&mut tape, x_var, z);
        let times = tape.shape(got).0 / 3;
        assert_eq!(times, vae.latent().variables * (c - 1));
        let d = tape.value(z).to_mat();
        let codes = Mat::from_fn(3 * times, width, |row, j| {
            let (n, l, offset) = (row / times, row % times / (c - 1), row % (c - 1) + 1);
            let from = if j / c == l { l * c + (j % c + c - offset) % c } else { j };
            d.row(n)[from]
        });
        let (codes, x_var) = (tape.constant(&codes), tape.repeat_rows(x_var, times));
        let want = vae.bce(&mut tape, x_var, codes);
        for (got, want) in tape.value(got).data.iter().zip(tape.value(want).data) {
            assert!((got - want).abs() < 1e-13 * want.abs(), "{hidden:?} {latent}: {got} for {want}");
        }
    }
}

/// The mean over all codes, and over draws within five standard errors, is the exact gradient; the
/// decoder's gradient is that of the drawn code.
#[test]
fn local_expectation_of_the_vae_is_unbiased() {
    let (params, vae, x) = small(&[5], "3x2");
    let (logits, mut workspace) = (random(2, 1, 6, 1.5), Workspace::new());
    let x = Mat::from_fn(1, 6, |_, j| x.row(1)[j]);
    let mut grads = ParamGrads::zeros(&params);
    let mut exact_grads = ParamGrads::zeros(&params);
    let (exact, q) = {
        let mut tape = workspace.tape(&params);
        let (x, logits) = (tape.constant(&x), tape.leaf(&logits));
        let bce = vae.expected_bce(&mut tape, x, logits);
        tape.backward(bce, &mut exact_grads);
        let log_pi = tape.log_softmax(logits, 3);
        let codes = tape.constant(&vae.latent().one_hot_codes().unwrap());
        let log_q = tape.matmul_transposed(log_pi, codes);
        let q: Vec<f64> = tape.value(log_q).data.iter().map(|x| x.exp()).collect();
        (tape.grad_or_zeros(logits), q)
    };
    let codes = vae.latent().one_hot_codes::<f64>().unwrap();
    let mut estimate = |noise: Noise<f64>| {
        let choice = Choice::without_gradient(3).with_noise(noise);
        let mut tape = workspace.tape(&params);
        let (x, logits) = (tape.constant(&x), tape.leaf(&logits));
        let bce = vae.local_expectation(&mut tape, x, logits, &choice);
        tape.backward(bce, &mut grads);
        (tape.grad_or_zeros(logits), grads.flat().to_vec())
    };
    let (mut mean, mut decoder) = (vec![0.0; 6], vec![0.0; params.flat().len()]);
    for (i, q) in q.iter().enumerate() {
        let (grad, flat) = estimate(Noise::from_gumbel(vec![0.0; 6]).with_sample(codes.row(i).to_vec()));
        mean.iter_mut().zip(grad.as_slice()).for_each(|(mean, g)| *mean += q * g);
        decoder.iter_mut().zip(flat).for_each(|(mean, g)| *mean += q * g);
    }
    for (mean, want) in mean.iter().zip(exact.as_slice()) {
        assert!((mean - want).abs() < 1e-12, "{mean} for {want}");
    }
    for (mean, want) in decoder.iter().zip(exact_grads.flat()) {
        assert!((mean - want).abs() < 1e-12, "decoder: {mean} for {want}");
    }
    const DRAWS: usize = 4000;
    let (mut noise, mut rng) = (Noise::new(), from_key(9));
    let draws: Vec<f64> = (0..DRAWS)
        .map(|_| {
            noise.draw(&mut rng, 6);
            estimate(noise.clone()).0.row(0)[1]
        })
        .collect();
    let mean = draws.iter().sum::<f64>() / DRAWS as f64;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
    let error = (mean - exact.row(0)[1]).abs() / (variance / DRAWS as f64).sqrt();
    assert!(error < 5.0 && variance > 0.0, "{error} standard errors");
}

/// The straight-through family on the importance-weighted bound: each D_k gets its own g_k =
/// ∂(−L̂)/∂D_k, to which log q(D_k) adds ln π; and the logits also get the gradient of log q(D_k)
/// directly.
#[test]
fn the_straight_through_family_on_the_importance_weighted_bound() {
    const K: usize = 4;
    let (params, vae, x) = small(&[5], "3x2");
    let logits = random(3, 3, 6, 1.5);
    let estimators: [Arc<dyn Estimator<f64>>; 2] =
        [Arc::new(ReinMax::new(1.0).unwrap()), Arc::new(StraightThrough::new(0.7).unwrap())];
    for estimator in estimators {
        let mut choice = Choice::shared(estimator.clone(), 3);
        choice.draw(&mut from_key(6), 3 * K * 2);
        let mut workspace = Workspace::new();
        let mut tape = workspace.tape(&params);
        let (x, logits) = (tape.constant(&x), tape.leaf(&logits));
        let (x, repeated) = (tape.repeat_rows(x, K), tape.repeat_rows(logits, K));
        let z = tape.sample(&choice, repeated);
        let bce = vae.bce(&mut tape, x, z);
        let weights = vae.log_weight(&mut tape, bce, repeated, z);
        let loss = importance_loss(&mut tape, weights, K);
        let total = tape.sum(loss);
        tape.backward(total, &mut ParamGrads::zeros(&params));
        let [theta, d, g, weights, got] = [
            tape.value(repeated).to_mat(),
            tape.value(z).to_mat(),
            tape.grad_or_zeros(z),
            tape.value(weights).to_mat(),
            tape.grad_or_zeros(logits),
        ];
        let mut want = vec![0.0; theta.as_slice().len()];
        let at = At { logits: theta.as_slice(), one_hot: d.as_slice(), noise: choice.noise(), categories: 3 };
        estimator.add_vjp(at, g.as_slice(), &mut want, &mut Scratch::new());
        for n in 0..3 {
            let soft: Vec<f64> = weights.as_slice()[n * K..(n + 1) * K].iter().map(|w| w.exp()).collect();
            let total: f64 = soft.iter().sum();
            for j in 0..6 {
                let of_sample = |k: usize| {
                    let (row, c) = (n * K + k, 3 * (j / 3));
                    let sum: f64 = theta.row(row)[c..c + 3].iter().map(|x| x.exp()).sum();
                    let pi = theta.row(row)[j].exp() / sum;
                    // ∂(−L̂)/∂ℓ_k = −softmax(ℓ)_k, ∂ℓ_k/∂θ = −(D_k − π)
                    want[row * 6 + j] + soft[k] / total * (d.row(row)[j] - pi)
                };
                let want: f64 = (0..K).map(of_sample).sum();
                assert!((got.row(n)[j] - want).abs() < 1e-12, "{estimator:?}: {} for {want}", got.row(n)[j]);
            }
        }
        let samples: Vec<&[f64]> = g.as_slice()[..6 * K].chunks(6).collect();
        assert!(samples.windows(2).any(|pair| pair[0] != pair[1]), "each sample has its own gradient");
    }
}

/// Training with every estimator that uses the loss reduces it, and continues from a checkpoint
/// with equal bits.
#[test]
fn training_with_the_estimators_at_the_loss() {
    let data = digits(0, 200, 50);
    for estimator in [
        EstimatorConfig::DoubleControlVariate { samples: 2, alpha: WeightConfig::Fixed(-0.5) },
        EstimatorConfig::DoubleControlVariate { samples: 3, alpha: WeightConfig::Adapted },
        EstimatorConfig::Vimco { samples: 3 },
        EstimatorConfig::LocalExpectation,
        EstimatorConfig::Mve { lambda: 10.0 },
        EstimatorConfig::Mve { lambda: f64::INFINITY },
    ] {
        let mut config = TrainConfig { estimator, batch_size: 20, lr: 2e-3, ..TrainConfig::default() };
        config.vae.hidden = vec![16];
        config.vae.latent = "4x3".parse().unwrap();
        let mut trainer = Trainer::new(config, &data).unwrap();
        let first = trainer.epoch(&mut |_| {}).unwrap();
        trainer.advance().unwrap();
        // Through the bytes of a checkpoint, which contain an adapted weight.
        let stored = Checkpoint::from_bytes(&trainer.checkpoint().to_bytes(), Path::new("stored")).unwrap();
        assert_eq!(stored, trainer.checkpoint());
        let adapted = estimator.to_string().ends_with("alpha adapted");
        assert_eq!(stored.weight.get() != 0.0, adapted, "{estimator}");
        let mut resumed = Trainer::resume(stored, &data).unwrap();
        let second = trainer.epoch(&mut |_| {}).unwrap();
        assert!(second.train.loss < first.train.loss, "{estimator}");
        assert_eq!(resumed.epoch(&mut |_| {}).unwrap(), second, "{estimator}");
        assert_eq!(resumed.params().flat(), trainer.params().flat(), "{estimator}");
    }
}

/// A schedule changes MVE's λ as it changes a temperature, beginning at the estimator's value.
#[test]
fn a_schedule_changes_lambda() {
    let schedule = "exponential:100:2".parse().unwrap();
    let of = |lambda: f64| TrainConfig {
        estimator: EstimatorConfig::Mve { lambda },
        tau_schedule: Some(schedule),
        ..TrainConfig::default()
    };
    let at = |epoch| of(1.0).validated().unwrap().estimator_at(epoch);
    assert_eq!(at(1), EstimatorConfig::Mve { lambda: 1.0 });
    assert_eq!(at(2), EstimatorConfig::Mve { lambda: 10.0 });
    assert_eq!(at(9), EstimatorConfig::Mve { lambda: 100.0 });
    for start in [0.0, f64::INFINITY] {
        let e = of(start).validated().unwrap_err().to_string();
        assert!(e.starts_with("start of the schedule: got "), "{e}");
    }
}

/// The code is drawn from softmax(θ/τ_f), with the divergence of that distribution; the gradient of
/// the sample is the estimator's at θ.
#[test]
fn a_draw_temperature_changes_the_law_and_not_the_estimator() {
    let (params, vae, x) = small(&[5], "3x2");
    let (theta, tau) = (random(4, 3, 6, 2.0), 2.5);
    let estimator: Arc<dyn Estimator<f64>> = Arc::new(ReinMax::new(1.0).unwrap());
    let mut choice = Choice::shared(estimator.clone(), 3).with_draw_temperature(tau).unwrap();
    choice.draw(&mut from_key(7), 6);
    let mut workspace = Workspace::new();
    let mut tape = workspace.tape(&params);
    let (x, logits) = (tape.constant(&x), tape.leaf(&theta));
    let z = tape.sample(&choice, logits);
    let law = choice.draw_logits(&mut tape, logits);
    let loss = vae.loss(&mut tape, x, law, z);
    tape.backward(loss.total, &mut ParamGrads::zeros(&params));
    let (d, g, got) = (tape.value(z).to_mat(), tape.grad_or_zeros(z), tape.grad_or_zeros(logits));

    let (mut drawn, mut plain) = (vec![0.0; 18], vec![0.0; 18]);
    let scaled: Vec<f64> = theta.as_slice().iter().map(|x| x * (1.0 / tau)).collect();
    estimator.sample(&scaled, choice.noise(), 3, &mut drawn);
    estimator.sample(theta.as_slice(), choice.noise(), 3, &mut plain);
    assert!(d.as_slice() == drawn && drawn != plain);
    let at = At { logits: theta.as_slice(), one_hot: &drawn, noise: choice.noise(), categories: 3 };
    let mut want = vec![0.0; 18];
    estimator.add_vjp(at, g.as_slice(), &mut want, &mut Scratch::new());
    let kl = tape.constant(&Mat::from_vec(3, 6, scaled));
    let kl = {
        let leaf = tape.value(kl).to_mat();
        let leaf = tape.leaf(&leaf);
        let kl = tape.categorical_kl(leaf, 3);
        let mean = tape.mean(kl);
        tape.backward(mean, &mut ParamGrads::zeros(&params));
        tape.grad_or_zeros(leaf)
    };
    for ((got, want), kl) in got.as_slice().iter().zip(want).zip(kl.as_slice()) {
        assert!((got - (want + kl / tau)).abs() < 1e-13, "{got} for {want} + {kl} / τ");
    }
    assert!(Choice::<f64>::without_gradient(3).with_draw_temperature(0.0).is_err());
}

#[test]
fn training_with_a_draw_temperature() {
    let data = digits(0, 200, 50);
    let losses = [1.0, 0.5, 2.0].map(|draw_tau| {
        let mut config = TrainConfig { draw_tau, batch_size: 20, lr: 2e-3, ..TrainConfig::default() };
        config.vae.hidden = vec![16];
        config.vae.latent = "4x3".parse().unwrap();
        let mut trainer = Trainer::new(config, &data).unwrap();
        let [first, second] = [(); 2].map(|()| trainer.epoch(&mut |_| {}).unwrap());
        assert!(second.train.loss < first.train.loss && second.test.kl > 0.0, "τ_f = {draw_tau}");
        let mut resumed = Trainer::resume(trainer.checkpoint(), &data).unwrap();
        assert_eq!(resumed.epoch(&mut |_| {}).unwrap(), trainer.epoch(&mut |_| {}).unwrap());
        second.train.loss
    });
    assert!(losses[1] != losses[0] && losses[2] != losses[0]);
    assert!(TrainConfig { draw_tau: 0.0, ..TrainConfig::default() }.validated().is_err());
}
