//! Equal bits for any number of threads, and for a run that was stopped and resumed.

use hardgrad::data::{Dataset, digits};
use hardgrad::estimators::{BaselineConfig, EstimatorConfig, ScheduleShape, TemperatureSchedule};
use hardgrad::nn::Activation;
use hardgrad::optim::LrSchedule;
use hardgrad::train::{Checkpoint, OptimizerKind, TrainConfig, Trainer};

fn data() -> Dataset {
    digits(0, 450, 130)
}

/// The network of the paper, so that products are divided between threads. 450 images in batches of
/// 100 have a smaller last batch.
fn config(estimator: EstimatorConfig) -> TrainConfig {
    TrainConfig { estimator, ..TrainConfig::default() }
}

const REINMAX: EstimatorConfig = EstimatorConfig::ReinMax { tau: 0.9 };

/// One estimator of each kind: gradient of the sample without and with conditional draws, loss with
/// and without a state, three decoder passes, and no sample.
const KINDS: [EstimatorConfig; 7] = [
    EstimatorConfig::StraightThroughGumbelSoftmax { tau: 0.9 },
    REINMAX,
    EstimatorConfig::ReinMaxRao { tau: 0.9, draws: 3 },
    EstimatorConfig::Reinforce { baseline: BaselineConfig::RunningMean },
    EstimatorConfig::Reinforce { baseline: BaselineConfig::LeaveOneOut { samples: 2 } },
    EstimatorConfig::Rebar { tau: 0.9, eta: 1.0 },
    EstimatorConfig::Exact,
];

/// The checkpoint after `epochs` more epochs.
fn train(mut trainer: Trainer<'_>, epochs: usize) -> Checkpoint {
    for _ in 0..epochs {
        trainer.epoch(&mut |_| {}).unwrap();
    }
    trainer.checkpoint()
}

#[test]
#[cfg(feature = "rayon")]
fn any_number_of_threads() {
    let data = data();
    for kind in KINDS {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(Trainer::new(config(kind), &data).unwrap(), 2).to_bytes())
        };
        let one = run(1);
        for threads in [2, 5] {
            assert!(one == run(threads), "{kind:?}: {threads} threads give other bits");
        }
    }
}

/// Each step of two epochs and one more step, taken by a trainer that was resumed from the
/// checkpoint before it, gives the checkpoint of the uninterrupted run. By induction, so does any
/// other pattern of stops.
#[test]
fn stopped_and_resumed_at_every_step() {
    let data = data();
    for kind in KINDS {
        let schedule = TemperatureSchedule { shape: ScheduleShape::Linear, to: 0.5, over: 2 };
        let config = TrainConfig { tau_schedule: Some(schedule), clip_norm: Some(20.0), ..config(kind) };
        let mut whole = Trainer::new(config, &data).unwrap();
        for step in 0..11 {
            let before = whole.checkpoint();
            assert_eq!((before.history.len(), before.step), (step / 5, step % 5));
            let read = Checkpoint::from_bytes(&before.to_bytes(), "checkpoint".as_ref()).unwrap();
            assert_eq!(read, before);
            let mut resumed = Trainer::resume(read, &data).unwrap();
            let (a, b) = (whole.advance().unwrap(), resumed.advance().unwrap());
            assert_eq!(format!("{a:?}"), format!("{b:?}"));
            let (a, b) = (whole.checkpoint().to_bytes(), resumed.checkpoint().to_bytes());
            assert!(a == b, "{kind:?}: stopped after step {step}");
        }
    }
}

/// AdamW with a learning-rate schedule whose warm-up ends within the run, and LeakyReLU: a trainer
/// that is resumed at every step gives the checkpoints of the uninterrupted run.
#[test]
fn a_run_with_a_learning_rate_schedule_resumes_to_the_same_bits() {
    let data = data();
    let mut config = TrainConfig {
        optimizer: OptimizerKind::AdamW,
        weight_decay: 0.1,
        lr_schedule: Some(LrSchedule { warm_up: 1, start_factor: 0.25, total: 3, min_lr: 1e-5 }),
        ..config(REINMAX)
    };
    config.vae.activation = Activation::LeakyRelu(0.2);
    let mut whole = Trainer::new(config.clone(), &data).unwrap();
    for step in 0..16 {
        let read = Checkpoint::from_bytes(&whole.checkpoint().to_bytes(), "checkpoint".as_ref()).unwrap();
        let mut resumed = Trainer::resume(read, &data).unwrap();
        whole.advance().unwrap();
        resumed.advance().unwrap();
        assert!(
            whole.checkpoint().to_bytes() == resumed.checkpoint().to_bytes(),
            "resumed after step {step}"
        );
    }
    // Each of the options changes the bits.
    let without = |change: fn(&mut TrainConfig)| {
        let mut config = config.clone();
        change(&mut config);
        train(Trainer::new(config, &data).unwrap(), 3).params
    };
    let with = without(|_| {});
    assert!(with != without(|config| config.weight_decay = 0.0));
    assert!(with != without(|config| config.lr_schedule = None));
    assert!(with != without(|config| config.vae.activation = Activation::Relu));
}

/// A run with a schedule that is constant over its epochs gives the bits of a run without a
/// schedule, and AdamW without decay gives those of Adam.
#[test]
fn a_schedule_or_decay_that_changes_nothing_keeps_the_bits() {
    let data = data();
    let run = |change: fn(&mut TrainConfig)| {
        let mut config = config(REINMAX);
        change(&mut config);
        train(Trainer::new(config, &data).unwrap(), 2).params
    };
    let plain = run(|_| {});
    let constant = LrSchedule { warm_up: 0, start_factor: 1.0, total: 2, min_lr: 5e-4 };
    assert_eq!([0, 1, 2].map(|done| constant.at(5e-4, done)), [5e-4; 3]);
    assert!(plain == run(|config| config.lr_schedule = Some("cosine:2:0:1:0.0005".parse().unwrap())));
    assert!(plain == run(|config| (config.optimizer, config.weight_decay) = (OptimizerKind::AdamW, 0.0)));
}

/// A checkpoint of an earlier version has no usage of the codes. Its epochs remain without it, and
/// the run continues to the bits of a run that has the usage of every epoch.
#[test]
fn a_run_without_usage_continues_with_it() {
    let data = data();
    let start = || Trainer::new(config(REINMAX), &data).unwrap();
    let whole = train(start(), 3);
    let mut earlier = train(start(), 1);
    let with_usage = earlier.to_bytes();
    earlier.history[0].usage = None;
    let bytes = earlier.to_bytes();
    // Nothing follows the losses: no weight of 4 + 1 numbers, and no usage of 4 variables.
    let usage = 8 + 4 * 8 + 8 + 4 * 4;
    assert!(bytes.len() + usage < with_usage.len(), "{} {}", bytes.len(), with_usage.len());
    let read = Checkpoint::from_bytes(&bytes, "checkpoint".as_ref()).unwrap();
    assert_eq!(read, earlier);
    let mut resumed = train(Trainer::resume(read, &data).unwrap(), 2);
    assert_eq!(Checkpoint::from_bytes(&resumed.to_bytes(), "checkpoint".as_ref()).unwrap(), resumed);
    resumed.history[0].usage.clone_from(&whole.history[0].usage);
    assert!(whole.history[0].usage.is_some() && resumed.to_bytes() == whole.to_bytes());
}

#[test]
fn usage_that_is_not_of_whole_epochs_is_refused() {
    let data = data();
    let checkpoint = train(Trainer::new(config(REINMAX), &data).unwrap(), 1);
    let whole = checkpoint.to_bytes();
    // The end holds the 4 perplexities and the 4 numbers of categories, each after its length.
    let cut = |perplexities: usize, used: usize| {
        let at = whole.len() - (8 + 4 * 8 + 8 + 4 * 4);
        let mut bytes = whole[..at].to_vec();
        bytes.extend((perplexities as u64).to_le_bytes());
        bytes.extend(&whole[at + 8..][..8 * perplexities]);
        bytes.extend((used as u64).to_le_bytes());
        bytes.extend(&whole[at + 48..][..4 * used]);
        let length = (bytes.len() - 24) as u64;
        bytes[12..20].copy_from_slice(&length.to_le_bytes());
        let crc = crc32fast::hash(&[&bytes[8..20], &bytes[24..]].concat());
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        Checkpoint::from_bytes(&bytes, "checkpoint".as_ref())
    };
    assert_eq!(cut(4, 4).unwrap(), checkpoint);
    for (perplexities, used) in [(4, 3), (3, 4), (3, 3), (0, 4)] {
        let e = cut(perplexities, used).unwrap_err().to_string();
        assert!(e.contains("the usage of the codes is not that of whole epochs"), "{e}");
    }
}

#[test]
#[cfg(feature = "rayon")]
fn an_evaluation_gives_equal_bits_for_any_number_of_threads() {
    let data = data();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Trainer::new(config(REINMAX), &data).unwrap().evaluate(3).unwrap())
    };
    let one = run(1);
    assert!(one.importance.is_some() && one.exact.is_some());
    assert_eq!((one, one), (run(2), run(5)));
}

/// After an evaluation before the first step, within an epoch or after it, the run continues with
/// equal bits. A second evaluation gives the bits of the first, also in a resumed trainer.
#[test]
fn an_evaluation_changes_nothing() {
    let data = data();
    for kind in [REINMAX, KINDS[3]] {
        let [mut plain, mut evaluated] = [(); 2].map(|()| Trainer::new(config(kind), &data).unwrap());
        for _ in 0..7 {
            let first = evaluated.evaluate(2).unwrap();
            assert_eq!(first, evaluated.evaluate(2).unwrap());
            assert_eq!(first, Trainer::resume(evaluated.checkpoint(), &data).unwrap().evaluate(2).unwrap());
            if let (0, Some(record)) = (evaluated.step().0, evaluated.history().last()) {
                assert_eq!(first.test, record.test);
            }
            plain.advance().unwrap();
            evaluated.advance().unwrap();
        }
        assert!(plain.checkpoint().to_bytes() == evaluated.checkpoint().to_bytes(), "{kind:?}");
    }
}

#[test]
fn a_position_that_does_not_exist_is_an_error() {
    let data = data();
    let mut trainer = Trainer::new(config(REINMAX), &data).unwrap();
    for _ in 0..7 {
        trainer.advance().unwrap();
    }
    let good = trainer.checkpoint();
    let refused = |change: fn(&mut Checkpoint), expected: &str| {
        let mut checkpoint = good.clone();
        change(&mut checkpoint);
        let e = Trainer::resume(checkpoint, &data).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    };
    refused(|c| c.step = 6, "step in the checkpoint: got 6, expected at most 5");
    refused(|c| c.step = usize::MAX, "step in the checkpoint");
    refused(|c| c.step = 3, "losses in the checkpoint: got 200, expected 300, as after step 3");
    refused(|c| c.moments.step = 8, "updates in the checkpoint: got 8, expected 7, as after 1 epochs and 2");
    refused(|c| c.history[0].epoch = 2, "epochs in the checkpoint");
    refused(|c| c.config.batch_size = 50, "losses in the checkpoint");
    refused(|c| c.config.batch_size = 0, "batch_size: got 0");
    refused(|c| c.moments.mean.resize(0, 0.0), "moments in the checkpoint: got 0, expected 1083696");
    // Terabytes, and more samples than the number type can count, are errors before memory is
    // allocated.
    refused(
        |c| c.config.vae.hidden = vec![1 << 32],
        "parameters in the checkpoint: got 1083696, expected 70",
    );
    refused(|c| c.config.vae.hidden = vec![usize::MAX, 2], "network in the checkpoint");
}

#[test]
fn two_seeds_differ() {
    let data = data();
    let run = |seed| {
        let config = TrainConfig { seed, ..config(REINMAX) };
        train(Trainer::new(config, &data).unwrap(), 1)
    };
    let (a, b) = (run(1), run(2));
    assert_ne!(a.params, b.params);
    assert_ne!(a.history, b.history);
}

#[test]
fn a_checkpoint_of_other_data_is_refused() {
    let data = data();
    let checkpoint = Trainer::new(config(REINMAX), &data).unwrap().checkpoint();
    let e = Trainer::resume(checkpoint, &digits(1, 450, 130)).unwrap_err().to_string();
    assert!(e.contains("checksum of the training images"), "{e}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_epoch() {
    let data = data();
    let config = TrainConfig { lr: 1e30, ..config(REINMAX) };
    let e = Trainer::new(config, &data).unwrap().epoch(&mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("is not finite at epoch 1, step "), "{e}");
}

#[test]
fn what_is_not_finite_is_named() {
    let data = data();
    let good = Trainer::new(config(REINMAX), &data).unwrap().checkpoint();
    let after_setting = |parameter: usize, value: f32, clip_norm| {
        let mut checkpoint = good.clone();
        checkpoint.params[parameter] = value;
        checkpoint.config.clip_norm = clip_norm;
        Trainer::resume(checkpoint, &data).unwrap().advance().unwrap_err().to_string()
    };
    let last_bias = good.params.len() - 1;
    assert_eq!(after_setting(last_bias, f32::NAN, None), "the loss is not finite at epoch 1, step 1");
    // The weight of a pixel that is always 0: 0 · NaN is NaN, also in a sparse product.
    assert_eq!(after_setting(0, f32::NAN, None), "the loss is not finite at epoch 1, step 1");
    // A weight of the decoder's last layer: the loss and the gradients of the earlier layers are
    // large but finite, and the squares of these gradients are not finite. Clipping does not hide
    // the overflow.
    let last = good.params.len() - 784 - 512 * 784 + 100;
    let e = after_setting(last, 1e30, None);
    assert!(e.starts_with("the mean squared gradient of encoder."), "{e}");
    let e = after_setting(last, 3e38, Some(1.0));
    assert!(e.contains("is not finite at epoch 1, step 1"), "{e}");
    // The update overflows.
    let config = TrainConfig { lr: 1e39, ..config(REINMAX) };
    let e = Trainer::new(config, &data).unwrap().advance().unwrap_err().to_string();
    assert_eq!(e, "encoder.0.weight is not finite at epoch 1, step 1");
}

#[test]
fn clipping_changes_bits_only_where_it_clips() {
    let data = data();
    let run = |clip_norm| {
        let config = TrainConfig { clip_norm, ..config(REINMAX) };
        train(Trainer::new(config, &data).unwrap(), 1).params
    };
    let off = run(None);
    assert!(off == run(Some(1e9)), "a norm that is never reached must change no bits");
    assert!(off != run(Some(1.0)), "a norm that is reached must change bits");
    for norm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let config = TrainConfig { clip_norm: Some(norm), ..config(REINMAX) };
        assert!(config.validated().unwrap_err().to_string().contains("clip_norm"));
    }
}
