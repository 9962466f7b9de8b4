//! The hyper-parameters of the paper's table 4: those that it prints, and those with which the
//! published numbers were made.

use clap::ValueEnum;
use hardgrad::estimators::{CvForm, EstimatorConfig, EstimatorKind, Gap};
use hardgrad::train::OptimizerKind;
use hardgrad::vae::LatentShape;
use hardgrad::{Error, Result};

/// Hyper-parameters of a published run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The paper's table 4 as printed
    Table4,
    // ST 10×30 at ten times the learning rate, Gumbel-Rao 4×24 at 5e-4, ReinMax-CV 4×24 with Adam and 10×30 with η = 1.
    /// What was run for tables 2 and 3, where it differs from table 4
    AsRun,
}

/// An estimator with the optimiser and learning rate that go with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetRun {
    /// The estimator with all its hyper-parameters.
    pub estimator: EstimatorConfig,
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// The learning rate.
    pub lr: f64,
}

/// The latent spaces of the tables, in their order.
pub const TABLE_LATENTS: [&str; 6] = ["8x4", "4x24", "8x16", "16x12", "64x8", "10x30"];

/// Reason why other latent spaces and estimators are errors.
const ONLY_PRESETS: &str = "for which --preset has hyper-parameters";

/// K of every Gumbel-Rao term.
const DRAWS: usize = 100;

const ADAM: OptimizerKind = OptimizerKind::Adam;
const RADAM: OptimizerKind = OptimizerKind::RAdam;

/// A row of table 4: (optimiser, learning rate, temperature) for each of [`TABLE_LATENTS`].
type Row = [(OptimizerKind, f64, f64); 6];

const STGS: Row = [
    (ADAM, 0.0003, 0.5),
    (RADAM, 0.0005, 0.3),
    (RADAM, 0.0005, 0.5),
    (RADAM, 0.0007, 0.7),
    (RADAM, 0.0007, 0.7),
    (RADAM, 0.0005, 0.5),
];
const GUMBEL_RAO: Row = [
    (ADAM, 0.0005, 0.5),
    (RADAM, 0.00055, 0.3),
    (RADAM, 0.0007, 0.7),
    (ADAM, 0.0005, 1.0),
    (ADAM, 0.0007, 2.0),
    (RADAM, 0.0005, 1.0),
];
const ST: Row = [
    (ADAM, 0.001, 1.3),
    (RADAM, 0.001, 1.5),
    (RADAM, 0.001, 1.5),
    (ADAM, 0.0005, 1.5),
    (ADAM, 0.0005, 1.5),
    (RADAM, 0.0007, 1.4),
];
const GST: Row = [
    (ADAM, 0.0005, 1.0),
    (RADAM, 0.0005, 0.5),
    (RADAM, 0.0007, 0.5),
    (RADAM, 0.0007, 0.5),
    (RADAM, 0.0007, 0.7),
    (RADAM, 0.0005, 0.5),
];
const REINMAX: Row = [
    (ADAM, 0.0005, 1.3),
    (RADAM, 0.0005, 1.5),
    (RADAM, 0.0007, 1.5),
    (RADAM, 0.0007, 1.5),
    (RADAM, 0.0005, 1.5),
    (RADAM, 0.0005, 1.3),
];
const REINMAX_RAO: Row = [
    (ADAM, 0.0005, 1.0),
    (RADAM, 0.0005, 0.7),
    (RADAM, 0.0007, 1.0),
    (RADAM, 0.0007, 1.0),
    (RADAM, 0.0007, 1.0),
    (RADAM, 0.0005, 0.7),
];
const REINMAX_CV: Row = [
    (ADAM, 0.0005, 1.0),
    (RADAM, 0.0005, 1.3),
    (RADAM, 0.0005, 1.1),
    (RADAM, 0.0005, 0.7),
    (RADAM, 0.0005, 0.7),
    (RADAM, 0.0005, 0.7),
];

impl Preset {
    /// The run of an estimator in a latent space.
    ///
    /// # Errors
    /// If the tables have no such estimator or latent space.
    pub fn run(self, kind: EstimatorKind, latent: LatentShape) -> Result<PresetRun> {
        let name = latent.to_string();
        let column = TABLE_LATENTS.iter().position(|&l| l == name);
        let Some(column) = column else {
            let expected = format!("one of {}, {ONLY_PRESETS}", TABLE_LATENTS.join(", "));
            return Err(Error::argument("latent", name, expected));
        };
        let as_run = self == Self::AsRun;
        let ((mut optimizer, mut lr, tau), estimator): (_, fn(f64) -> EstimatorConfig) = match kind {
            EstimatorKind::StraightThrough => (ST[column], |tau| EstimatorConfig::StraightThrough { tau }),
            EstimatorKind::StraightThroughGumbelSoftmax => {
                (STGS[column], |tau| EstimatorConfig::StraightThroughGumbelSoftmax { tau })
            }
            EstimatorKind::GumbelRao => {
                (GUMBEL_RAO[column], |tau| EstimatorConfig::GumbelRao { tau, draws: DRAWS })
            }
            EstimatorKind::GappedStraightThrough => {
                (GST[column], |tau| EstimatorConfig::GappedStraightThrough { gap: Gap::Fixed(1.0), tau })
            }
            EstimatorKind::ReinMax => (REINMAX[column], |tau| EstimatorConfig::ReinMax { tau }),
            EstimatorKind::ReinMaxRao => {
                (REINMAX_RAO[column], |tau| EstimatorConfig::ReinMaxRao { tau, draws: DRAWS })
            }
            EstimatorKind::ReinMaxCv => (REINMAX_CV[column], |tau| EstimatorConfig::ReinMaxCv {
                form: CvForm::AuthorCode,
                tau,
                draws: DRAWS,
                eta: 1.5,
            }),
            _ => {
                let names = "st, stgs, gumbel-rao, gst, reinmax, reinmax-rao, reinmax-cv";
                let expected = format!("one of {names}, {ONLY_PRESETS}");
                return Err(Error::argument("estimator", kind, expected));
            }
        };
        let mut estimator = estimator(tau);
        match (&mut estimator, name.as_str()) {
            (EstimatorConfig::StraightThrough { .. }, "10x30") if as_run => lr = 0.007,
            (EstimatorConfig::GumbelRao { .. }, "4x24") if as_run => lr = 0.0005,
            (EstimatorConfig::ReinMaxCv { .. }, "4x24") if as_run => optimizer = ADAM,
            (EstimatorConfig::ReinMaxCv { eta, .. }, "10x30") if as_run => *eta = 1.0,
            _ => {}
        }
        Ok(PresetRun { estimator, optimizer, lr })
    }
}
