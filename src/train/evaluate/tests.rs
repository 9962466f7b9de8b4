//! Against an oracle in plain f64 arithmetic: a network by hand, all nine codes, and all pairs and triples of them.
#![allow(clippy::unwrap_used)] // a test that cannot unwrap has failed

use super::*;
use crate::data::{Dataset, Source, Split, digits};
use crate::rng::{from_key, uniform};
use crate::train::TrainConfig;
use crate::vae::{LatentShape, Vae};
use crate::{ParamStore, Workspace};

const LATENT: LatentShape = LatentShape { categories: 3, variables: 2 };
const CODES: usize = 9;
const IMAGES: usize = 8;

/// Weights are below 1.5, so the decoder's hidden numbers are below 4.5 and the pixels' logits below 22; the encoder's below 7.5
/// and 35. Each sum of at most five terms rounds by 2⁻²⁴ of that for each term: 9e-6 in a pixel's logit, 7e-5 in the
/// cross-entropy of four pixels, and as much in the log-softmax of two variables.
const ROUNDING: f64 = 2e-4;

/// Eight images of 2×2 pixels, each `copies` times.
fn data(copies: usize) -> Dataset {
    let split = |copies: usize| {
        let image = |i: usize| (0..4).map(move |k| ((i * 4 + k) * 37 % 256) as u8);
        let pixels = (0..IMAGES * copies).flat_map(|i| image(i % IMAGES)).collect();
        Split::new(Images::new(pixels, IMAGES * copies, 2, 2).unwrap(), None).unwrap()
    };
    Dataset {
        name: "copies".into(),
        train: split(1),
        test: split(copies),
        source: Source::Digits { seed: 0 },
    }
}

/// A small network with random weights, so that q is far from the prior and from the posterior.
fn trainer(data: &Dataset) -> Trainer<'_> {
    let mut config = TrainConfig { batch_size: 4, ..TrainConfig::default() };
    (config.vae.pixels, config.vae.hidden, config.vae.latent) = (4, vec![3], LATENT);
    let (mut trainer, mut rng) = (Trainer::new(config, data).unwrap(), from_key(5));
    for w in trainer.params.flat_mut() {
        *w = 3.0 * uniform::<f32>(&mut rng) - 1.5;
    }
    trainer
}

/// For each code z: log p(x|z) and q(z|x).
struct Oracle([(f64, f64); CODES]);

impl Oracle {
    fn new(trainer: &Trainer<'_>, image: usize) -> Self {
        let layer = |name: &str, input: &[f64], relu: bool| {
            let of = |part: &str| {
                let wanted = format!("{name}.{part}");
                trainer.params.get(trainer.params.iter().find(|(name, _)| *name == wanted).unwrap().1)
            };
            let (weight, bias) = (of("weight"), of("bias"));
            let output = |j: usize| {
                let sum: f64 = input.iter().enumerate().map(|(i, x)| x * f64::from(weight.row(i)[j])).sum();
                let y = sum + f64::from(bias.data[j]);
                if relu { y.max(0.0) } else { y }
            };
            (0..bias.cols).map(output).collect::<Vec<f64>>()
        };
        let pixels = trainer.data.test.images().image(image);
        let x: Vec<f64> = pixels.iter().map(|&v| f64::from(v) / 255.0).collect();
        let logits = layer("encoder.1", &layer("encoder.0", &x, true), false);
        let q = |l: usize, k: usize| {
            let e = |k: usize| logits[3 * l + k].exp();
            e(k) / (e(0) + e(1) + e(2))
        };
        Self(std::array::from_fn(|code| {
            let (a, b) = (code / 3, code % 3);
            let mut z = [0.0; 6];
            (z[a], z[3 + b]) = (1.0, 1.0);
            let pixels = layer("decoder.1", &layer("decoder.0", &z, true), false);
            let log_p = x.iter().zip(pixels).map(|(x, l)| {
                let ink = 1.0 / (1.0 + (-l).exp());
                x * ink.ln() + (1.0 - x) * (1.0 - ink).ln()
            });
            (log_p.sum(), q(0, a) * q(1, b))
        }))
    }

    /// w = p(x|z) p(z) / q(z|x) and q(z|x) of each code.
    fn weights(&self) -> [(f64, f64); CODES] {
        self.0.map(|(log_p, q)| (log_p.exp() / CODES as f64 / q, q))
    }

    /// −log p(x)
    fn exact(&self) -> f64 {
        -self.weights().iter().map(|(w, q)| w * q).sum::<f64>().ln()
    }

    /// Expectation and variance of −log (1/S) Σ w, over all S-tuples of codes.
    fn bound(&self, samples: u32) -> (f64, f64) {
        let weights = self.weights();
        let of_tuple = |mut tuple: usize| {
            let (mut sum, mut probability) = (0.0, 1.0);
            for _ in 0..samples {
                let (w, q) = weights[tuple % CODES];
                (sum, probability, tuple) = (sum + w, probability * q, tuple / CODES);
            }
            (-(sum / f64::from(samples)).ln(), probability)
        };
        let mean = |power: i32| -> f64 {
            (0..CODES.pow(samples))
                .map(of_tuple)
                .map(|(bound, probability)| bound.powi(power) * probability)
                .sum()
        };
        (mean(1), mean(2) - mean(1).powi(2))
    }

    /// Var w / p(x)²
    fn chi_square(&self) -> f64 {
        let moment = |power| self.weights().iter().map(|(w, q)| w.powi(power) * q).sum::<f64>();
        moment(2) / moment(1).powi(2) - 1.0
    }
}

fn oracles(trainer: &Trainer<'_>) -> Vec<Oracle> {
    (0..IMAGES).map(|i| Oracle::new(trainer, i)).collect()
}

fn go_on() -> Outcome<(), Ended> {
    Ok(())
}

impl Trainer<'_> {
    /// Each test image's bound.
    fn bounds(&mut self, samples: usize) -> Vec<f64> {
        self.importance(samples, &mut go_on).unwrap_or_else(|_| panic!("the bound is finite"))
    }
}

#[test]
fn the_exact_likelihood_is_the_sum_over_all_codes() {
    let data = data(63); // 504 images: a second batch, of four
    let mut trainer = trainer(&data);
    let each = trainer.exact(&mut go_on).unwrap_or_else(|_| panic!("finite")).unwrap();
    let oracles = oracles(&trainer);
    for (i, got) in each.iter().enumerate() {
        let want = oracles[i % IMAGES].exact();
        assert!((got - want).abs() < ROUNDING, "image {i}: {got} for {want}");
    }
    let whole = trainer.evaluate(0).unwrap();
    assert_eq!((whole.exact, whole.importance), (Some(mean(&each)), None));
}

/// The paper's network and 4096 codes, in blocks and in f32, against f64 at once. A sum over 784 pixels of numbers below 1 runs in
/// 16 lanes or more, so in 65 roundings of 2⁻²⁴ of at most 784; there are two of them, and four layers before, at most as large.
#[test]
fn the_exact_likelihood_of_the_papers_network() {
    let data = digits(0, 20, 20);
    let mut trainer = Trainer::new(TrainConfig::default(), &data).unwrap();
    let got = trainer.evaluate(0).unwrap().exact.unwrap();
    let mut params = ParamStore::<f64>::new();
    let vae = Vae::new(&mut params, &trainer.config().vae, &mut from_key(0));
    let flat = trainer.params.flat();
    params.flat_mut().iter_mut().zip(flat).for_each(|(to, &from)| *to = f64::from(from));
    let mut workspace = Workspace::new();
    let mut tape = workspace.tape(&params);
    let indices: Vec<u32> = (0..20).collect();
    let x = tape.constant_with(20, 784, |x| data.test.images().fill(&indices, x));
    let want = -mean(&vae.exact_log_likelihood(&mut tape, x));
    assert!((got - want).abs() < 6.0 * 65.0 * 784.0 * 2.0_f64.powi(-24), "{got} for {want}");
}

/// With one sample it is the loss, but for the KL divergence, which is sampled too: log q(z|x) − log p(z).
#[test]
fn one_sample_gives_the_sampled_loss() {
    let data = data(1);
    let mut trainer = trainer(&data);
    let got = trainer.bounds(1);
    trainer.draw(Purpose::Importance, 0, 0, IMAGES);
    for (i, oracle) in oracles(&trainer).iter().enumerate() {
        // The code that this noise draws: the largest of log q + G, each variable by itself.
        let noise = &trainer.sampler.noise().gumbel()[i * 6..][..6];
        let score = |code: usize| oracle.0[code].1.ln() + f64::from(noise[code / 3] + noise[3 + code % 3]);
        let z = (0..CODES).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
        let (log_p, q) = oracle.0[z];
        let want = -log_p + (q.ln() - (1.0 / CODES as f64).ln());
        assert!((got[i] - want).abs() < ROUNDING, "image {i}: {} for {want}", got[i]);
    }
}

/// Its expectation over all codes, pairs and triples, five standard errors of those; it falls with S and stays above the exact
/// number.
#[test]
fn its_expectation_falls_towards_the_exact_likelihood() {
    const COPIES: usize = 2000;
    let data = data(COPIES);
    let mut trainer = trainer(&data);
    let oracles = oracles(&trainer);
    let exact = mean(&oracles.iter().map(Oracle::exact).collect::<Vec<_>>());
    let mut before = f64::INFINITY;
    for samples in [1, 2, 3] {
        let expected: Vec<(f64, f64)> = oracles.iter().map(|o| o.bound(samples)).collect();
        let want = expected.iter().map(|e| e.0).sum::<f64>() / IMAGES as f64;
        let variance = expected.iter().map(|e| e.1).sum::<f64>() / IMAGES as f64;
        let error = 5.0 * (variance / (IMAGES * COPIES) as f64).sqrt() + ROUNDING;
        let got = trainer.evaluate(samples as usize).unwrap().importance.unwrap();
        assert!((got.bound - want).abs() < error, "S = {samples}: {} for {want} ± {error}", got.bound);
        assert!(before - want > 2.0 * error && want - exact > 2.0 * error, "a test that can see the fall");
        before = want;
    }
    // At S = 1 the expectation is the loss, exactly.
    for oracle in &oracles {
        let loss: f64 = oracle.0.iter().map(|(log_p, q)| q * (-log_p + (q * CODES as f64).ln())).sum();
        assert!((oracle.bound(1).0 - loss).abs() < 1e-12);
    }
}

/// For many samples −log (1/S) Σ w has the mean −log p(x) + χ²/2S and the variance χ²/S, up to parts of relative size χ²/S.
#[test]
fn many_samples_reach_the_exact_likelihood() {
    const SAMPLES: usize = 4000;
    let data = data(10);
    let mut trainer = trainer(&data);
    let oracles = oracles(&trainer);
    let chi: Vec<f64> = oracles.iter().map(Oracle::chi_square).collect();
    let small = chi.iter().fold(0.0_f64, |a, &b| a.max(b)) / SAMPLES as f64;
    assert!(small < 0.05, "χ²/S = {small}");
    let bias = mean(&chi) / (2.0 * SAMPLES as f64);
    let error = 5.0 * (mean(&chi) / SAMPLES as f64 / (10 * IMAGES) as f64).sqrt();
    let evaluation = trainer.evaluate(SAMPLES).unwrap();
    let (got, want) = (evaluation.importance.unwrap().bound, evaluation.exact.unwrap() + bias);
    assert!(
        (got - want).abs() < error * (1.0 + small) + bias * small + ROUNDING,
        "{got} for {want} ± {error}"
    );
}

/// exp(−bound) = (1/S) Σ w is an unbiased estimate of p(x), with variance Var w / S; and the first sample of three is the only one
/// of one.
#[test]
fn the_weights_are_unbiased() {
    const COPIES: usize = 500;
    let data = data(COPIES);
    let mut trainer = trainer(&data);
    let (one, three) = (trainer.bounds(1), trainer.bounds(3));
    for (i, oracle) in oracles(&trainer).iter().enumerate() {
        let p = (-oracle.exact()).exp();
        let of_image = || three.iter().skip(i).step_by(IMAGES);
        let got = of_image().map(|b| (-b).exp()).sum::<f64>() / COPIES as f64;
        let error = 5.0 * p * (oracle.chi_square() / (3 * COPIES) as f64).sqrt() + p * ROUNDING;
        assert!((got - p).abs() < error, "image {i}: {got} for {p} ± {error}");
    }
    for (one, three) in one.iter().zip(&three) {
        assert!((-three).exp() * 3.0 >= (-one).exp() * (1.0 - 1e-12));
    }
}

/// The code of the largest q decides the cross-entropy; the divergence stays that of q.
#[test]
fn the_argmax_loss_decodes_the_most_probable_code() {
    let data = data(63);
    let mut trainer = trainer(&data);
    let evaluation = trainer.evaluate(0).unwrap();
    let argmax = evaluation.argmax.unwrap();
    let parts: Vec<(f64, f64)> = oracles(&trainer)
        .iter()
        .map(|oracle| {
            let mut codes = oracle.0;
            codes.sort_by(|a, b| b.1.total_cmp(&a.1));
            assert!(codes[0].1 > (1.0 + ROUNDING) * codes[1].1, "f32 finds the same code");
            let kl: f64 = codes.iter().map(|(_, q)| q * (q * CODES as f64).ln()).sum();
            (-codes[0].0, kl)
        })
        .collect();
    let bce = mean(&parts.iter().map(|part| part.0).collect::<Vec<_>>());
    let kl = mean(&parts.iter().map(|part| part.1).collect::<Vec<_>>());
    // The test images are copies of the training images.
    for (got, gap, sampled) in
        [(argmax.train, argmax.train_gap, evaluation.train), (argmax.test, argmax.test_gap, evaluation.test)]
    {
        assert!((got.bce - bce).abs() < ROUNDING && (got.kl - kl).abs() < ROUNDING, "{got:?}: {bce} + {kl}");
        assert_eq!((got.kl, gap), (sampled.kl, sampled.loss - got.loss));
        assert!(gap.abs() > 100.0 * ROUNDING, "a test that can see which code was decoded: {gap}");
    }
}

/// The counts of the codes that the noise of the test pass draws, in both of its batches.
#[test]
fn the_usage_is_that_of_the_test_codes() {
    const TESTED: usize = 63 * IMAGES;
    let data = data(63);
    let mut trainer = trainer(&data);
    let record = trainer.epoch(&mut |_| {}).unwrap();
    let oracles = oracles(&trainer);
    let mut usage = CodeUsage::new(2, 3);
    for (step, first) in [(0, 0), (1, BATCH)] {
        let count = BATCH.min(TESTED - first);
        trainer.draw(Purpose::Test, 1, step, count);
        for (i, noise) in trainer.sampler.noise().gumbel().chunks(6).enumerate() {
            let oracle = &oracles[(first + i) % IMAGES];
            let score =
                |code: usize| oracle.0[code].1.ln() + f64::from(noise[code / 3] + noise[3 + code % 3]);
            let z = (0..CODES).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
            let mut one_hot = [0.0; 6];
            (one_hot[z / 3], one_hot[3 + z % 3]) = (1.0, 1.0);
            usage.add(&one_hot).unwrap();
        }
    }
    assert_eq!(usage.counts(0).iter().sum::<u64>(), TESTED as u64);
    assert_eq!(record.usage, Some(usage.summary()));
    assert!(usage.perplexity(0) > 1.1 && usage.perplexity(1) > 1.1, "codes that differ: {usage:?}");
}

#[test]
fn the_standard_error_is_that_of_a_mean() {
    let bound = ImportanceBound::of(7, &[1.0, 2.0, 6.0]);
    assert_eq!((bound.samples, bound.bound), (7, 3.0));
    assert!((bound.standard_error - (14.0_f64 / 2.0 / 3.0).sqrt()).abs() < 1e-15);
    assert_eq!(ImportanceBound::of(1, &[5.0]).standard_error, 0.0);
}

#[test]
fn it_stops_when_told_and_counts_its_passes() {
    let data = data(63);
    let mut trainer = trainer(&data);
    let mut seen = Vec::new();
    let evaluation = trainer.evaluate_while(2, &mut |p| {
        seen.push(p);
        true
    });
    assert!(evaluation.unwrap().is_some());
    let of = 1 + 2 + 2 * 2 + 2; // training, test, importance, exact
    assert!(seen.iter().enumerate().all(|(i, p)| (p.done, p.of) == (i + 1, of)) && seen.len() == of);
    for stop_after in 1..=of {
        assert!(trainer.evaluate_while(2, &mut |p| p.done < stop_after).unwrap().is_none());
    }
}

#[test]
fn what_is_not_finite_is_named() {
    let data = data(1);
    let mut trainer = trainer(&data);
    *trainer.params.flat_mut().last_mut().unwrap() = f32::NAN; // the bias of the last pixel
    let e = trainer.evaluate(1).unwrap_err().to_string();
    assert_eq!(e, "the training loss is not finite at epoch 0, step 1");
}
