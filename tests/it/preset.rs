//! The published hyper-parameters, as printed and as run.

use crate::lab::preset::Preset;
use hardgrad::estimators::{EstimatorConfig, EstimatorKind};
use hardgrad::nn::Activation;
use hardgrad::train::OptimizerKind;

#[test]
fn what_was_run_differs_from_table_4_in_four_cells() {
    let run = |preset: Preset, kind, latent: &str| preset.run(kind, latent.parse().unwrap()).unwrap();
    let both = |kind, latent| [Preset::Table4, Preset::AsRun].map(|preset| run(preset, kind, latent));
    let [printed, real] = both(EstimatorKind::StraightThrough, "10x30");
    assert_eq!([printed.lr, real.lr], [0.0007, 0.007]);
    let [printed, real] = both(EstimatorKind::GumbelRao, "4x24");
    assert_eq!([printed.lr, real.lr], [0.00055, 0.0005]);
    let [printed, real] = both(EstimatorKind::ReinMaxCv, "4x24");
    assert_eq!([printed.optimizer, real.optimizer], [OptimizerKind::RAdam, OptimizerKind::Adam]);
    let eta = both(EstimatorKind::ReinMaxCv, "10x30").map(|run| match run.estimator {
        EstimatorConfig::ReinMaxCv { eta, .. } => eta,
        other => panic!("{other:?}"),
    });
    assert_eq!(eta, [1.5, 1.0]);
    let [printed, real] = both(EstimatorKind::ReinMax, "8x4");
    assert_eq!(printed, real);
    let unknown = Preset::AsRun.run(EstimatorKind::Exact, "8x4".parse().unwrap()).unwrap_err().to_string();
    assert!(unknown.contains("estimator: got exact, expected one of st, stgs"), "{unknown}");
}

#[test]
fn the_schedules_of_the_mve_table_extend_over_the_run() {
    let latent = "4x128".parse().unwrap();
    let run = |kind, epochs| Preset::MveTable.run_of(kind, latent, epochs).unwrap().validated().unwrap();
    let mve = run(EstimatorKind::Mve, 500);
    assert_eq!(mve, Preset::MveTable.run(EstimatorKind::Mve, latent).unwrap());
    assert_eq!((mve.optimizer, mve.batch_size, mve.lr), (OptimizerKind::AdamW, 200, 1e-3));
    assert_eq!(
        (mve.vae.hidden.as_slice(), mve.vae.activation),
        (&[512, 256][..], Activation::LeakyRelu(0.2))
    );
    let lambda = |config: EstimatorConfig| match config {
        EstimatorConfig::Mve { lambda } => lambda,
        other => panic!("{other:?}"),
    };
    for epochs in [500, 50] {
        let mve = run(EstimatorKind::Mve, epochs);
        let lambdas = [1, epochs / 2 + 1, epochs + 1].map(|epoch| lambda(mve.estimator_at(epoch)));
        for (lambda, expected) in lambdas.into_iter().zip([1.0, 1e3, 1e6]) {
            assert!((lambda / expected - 1.0).abs() < 1e-12, "{lambda}");
        }
        // 10 epochs from a thousandth of the rate, then half a cosine period, with half the rate in
        // its middle.
        assert_eq!((mve.lr_at(1), mve.lr_at(11)), (1e-3 * 1e-3, 1e-3));
        assert!((mve.lr_at(11 + (epochs - 10) / 2) - 5e-4).abs() < 1e-15);
        let rao = run(EstimatorKind::GumbelRao, epochs);
        assert_eq!(rao.estimator, EstimatorConfig::GumbelRao { tau: 1.0, draws: 20 });
        match rao.estimator_at(epochs + 1) {
            EstimatorConfig::GumbelRao { tau, .. } => assert!((tau - 0.1).abs() < 1e-12, "{tau}"),
            other => panic!("{other:?}"),
        }
    }
}
