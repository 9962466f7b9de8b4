//! The same bits: for any number of threads, and for a run that was stopped and resumed.

use hardgrad::data::{Dataset, digits};
use hardgrad::estimators::{BaselineConfig, EstimatorConfig, ScheduleShape, TemperatureSchedule};
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};

fn data() -> Dataset {
    digits(0, 450, 130)
}

/// The real network, so that products are really cut; 450 images in batches of 100 leave a smaller last batch.
fn config(estimator: EstimatorConfig) -> TrainConfig {
    TrainConfig { estimator, ..TrainConfig::default() }
}

const REINMAX: EstimatorConfig = EstimatorConfig::ReinMax { tau: 0.9 };

/// One of each kind: a hook on the sample without and with conditional draws, at the loss with and without a state, three
/// decoder passes, and no sample at all.
#[cfg(feature = "rayon")]
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
            assert!(one == run(threads), "{kind:?}: {threads} threads gave other bits");
        }
    }
}

#[test]
fn stopped_and_resumed() {
    let data = data();
    for kind in [REINMAX, EstimatorConfig::Reinforce { baseline: BaselineConfig::RunningMean }] {
        let schedule = TemperatureSchedule { shape: ScheduleShape::Linear, to: 0.5, over: 2 };
        let config = TrainConfig { tau_schedule: Some(schedule), ..config(kind) };
        let whole = train(Trainer::new(config.clone(), &data).unwrap(), 3);
        for stop in 0..3 {
            let stopped = train(Trainer::new(config.clone(), &data).unwrap(), stop);
            let read = Checkpoint::from_bytes(&stopped.to_bytes(), "checkpoint".as_ref()).unwrap();
            assert_eq!(read, stopped);
            let resumed = train(Trainer::resume(read, &data).unwrap(), 3 - stop);
            assert!(whole.to_bytes() == resumed.to_bytes(), "{kind:?}: stopped after {stop}");
        }
    }
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
