//! The published hyper-parameters, as printed and as run.

use crate::lab::preset::Preset;
use hardgrad::estimators::{EstimatorConfig, EstimatorKind};
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
