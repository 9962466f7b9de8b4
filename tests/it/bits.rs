//! The same bits: for any number of threads, and for a run that was stopped and resumed.

use hardgrad::data::{Dataset, digits};
use hardgrad::estimators::{EstimatorConfig, EstimatorKind};
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};

fn data() -> Dataset {
    digits(0, 450, 130)
}

/// The real network, so that products are really cut; 450 images in batches of 100 leave a smaller last batch.
fn config(kind: EstimatorKind) -> TrainConfig {
    TrainConfig { estimator: EstimatorConfig { kind, tau: 0.9 }, ..TrainConfig::default() }
}

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
    for &kind in EstimatorKind::ALL {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(Trainer::new(config(kind), &data).unwrap(), 2).to_bytes())
        };
        let one = run(1);
        for threads in [2, 3, 5] {
            assert!(one == run(threads), "{kind}: {threads} threads gave other bits");
        }
    }
}

#[test]
fn stopped_and_resumed() {
    let data = data();
    let config = config(EstimatorKind::ReinMax);
    let whole = train(Trainer::new(config.clone(), &data).unwrap(), 3);
    for stop in 0..3 {
        let stopped = train(Trainer::new(config.clone(), &data).unwrap(), stop);
        let read = Checkpoint::from_bytes(&stopped.to_bytes(), "checkpoint".as_ref()).unwrap();
        assert_eq!(read, stopped);
        let resumed = train(Trainer::resume(read, &data).unwrap(), 3 - stop);
        assert!(whole.to_bytes() == resumed.to_bytes(), "stopped after {stop}");
    }
}

#[test]
fn two_seeds_differ() {
    let data = data();
    let run = |seed| {
        let config = TrainConfig { seed, ..config(EstimatorKind::ReinMax) };
        train(Trainer::new(config, &data).unwrap(), 1)
    };
    let (a, b) = (run(1), run(2));
    assert_ne!(a.params, b.params);
    assert_ne!(a.history, b.history);
}

#[test]
fn a_checkpoint_of_other_data_is_refused() {
    let data = data();
    let checkpoint = Trainer::new(config(EstimatorKind::ReinMax), &data).unwrap().checkpoint();
    let e = Trainer::resume(checkpoint, &digits(1, 450, 130)).unwrap_err().to_string();
    assert!(e.contains("checksum of the training images"), "{e}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_epoch() {
    let data = data();
    let config = TrainConfig { lr: 1e30, ..config(EstimatorKind::ReinMax) };
    let e = Trainer::new(config, &data).unwrap().epoch(&mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("is not finite at epoch 1, step "), "{e}");
}
