//! The hyper-parameters of published runs: of the paper's table 4, as printed and as run for the
//! published numbers, and of the table in the paper on MVE.

use clap::ValueEnum;
use hardgrad::estimators::{CvForm, EstimatorConfig, EstimatorKind, Gap};
use hardgrad::estimators::{ScheduleShape, TemperatureSchedule};
use hardgrad::nn::Activation;
use hardgrad::optim::LrSchedule;
use hardgrad::train::{OptimizerKind, TrainConfig};
use hardgrad::vae::{LatentShape, VaeConfig};
use hardgrad::{Error, Result};

/// Hyper-parameters of published runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The paper's table 4 as printed
    Table4,
    // ST 10×30 at ten times the learning rate, Gumbel-Rao 4×24 at 5e-4, ReinMax-CV 4×24 with Adam
    // and 10×30 with η = 1.
    /// What was run for tables 2 and 3, where it differs from table 4
    AsRun,
    /// The table of "Generalized and Optimal Straight-Through Estimators" (AISTATS 2026), 500
    /// epochs: mve, reinmax, st and gumbel-rao with AdamW, warm-up and cosine, LeakyReLU and
    /// batches of 200; the learning rate there is the best of 1e-4 to 1e-2, here 1e-3
    MveTable,
}

/// The latent spaces of the tables, in their order.
pub const TABLE_LATENTS: [&str; 6] = ["8x4", "4x24", "8x16", "16x12", "64x8", "10x30"];

/// Reason why other latent spaces and estimators are errors.
const ONLY_PRESETS: &str = "for which --preset has hyper-parameters";

/// The latent spaces of the table in the paper on MVE: 128 × 4, 32 × 16 and 8 × 64 there, with the
/// number of variables first.
pub const MVE_LATENTS: [&str; 3] = ["4x128", "16x32", "64x8"];

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
    /// The number of epochs of the published runs.
    pub fn epochs(self) -> usize {
        match self {
            Self::Table4 | Self::AsRun => 160,
            Self::MveTable => 500,
        }
    }

    /// The run of an estimator in a latent space, with seed 0.
    ///
    /// # Errors
    /// If the tables have no such estimator or latent space.
    pub fn run(self, kind: EstimatorKind, latent: LatentShape) -> Result<TrainConfig> {
        self.run_of(kind, latent, self.epochs())
    }

    /// The run of an estimator in a latent space with this number of epochs, over which its
    /// schedules extend, and with seed 0.
    ///
    /// # Errors
    /// If the tables have no such estimator or latent space.
    pub fn run_of(self, kind: EstimatorKind, latent: LatentShape, epochs: usize) -> Result<TrainConfig> {
        match self {
            Self::Table4 | Self::AsRun => self.cell(kind, latent),
            Self::MveTable => mve_table(kind, latent, epochs),
        }
    }

    /// A cell of table 4.
    fn cell(self, kind: EstimatorKind, latent: LatentShape) -> Result<TrainConfig> {
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
        Ok(TrainConfig { vae: VaeConfig::paper(latent), estimator, optimizer, lr, ..TrainConfig::default() })
    }
}

/// A run of the table in "Generalized and Optimal Straight-Through Estimators" (AISTATS 2026). The
/// publication has the latent spaces of [`MVE_LATENTS`]; the hyper-parameters do not depend on
/// them.
///
/// Two settings are assumptions of ours: the temperature of Gumbel-Rao changes exponentially, as λ
/// does, and the weight decay is PyTorch's default.
fn mve_table(kind: EstimatorKind, latent: LatentShape, epochs: usize) -> Result<TrainConfig> {
    let over = |to| Some(TemperatureSchedule { shape: ScheduleShape::Exponential, to, over: epochs });
    let (estimator, tau_schedule) = match kind {
        EstimatorKind::Mve => (EstimatorConfig::Mve { lambda: 1.0 }, over(1e6)),
        EstimatorKind::ReinMax => (EstimatorConfig::ReinMax { tau: 1.0 }, None),
        EstimatorKind::StraightThrough => (EstimatorConfig::StraightThrough { tau: 1.0 }, None),
        EstimatorKind::GumbelRao => (EstimatorConfig::GumbelRao { tau: 1.0, draws: 20 }, over(0.1)),
        _ => {
            let expected = "one of mve, reinmax, st, gumbel-rao with --preset mve-table";
            return Err(Error::argument("estimator", kind, expected));
        }
    };
    Ok(TrainConfig {
        vae: VaeConfig { activation: Activation::LeakyRelu(0.2), ..VaeConfig::paper(latent) },
        estimator,
        tau_schedule,
        optimizer: OptimizerKind::AdamW,
        lr: 1e-3,
        lr_schedule: Some(LrSchedule { warm_up: 10, start_factor: 1e-3, total: epochs, min_lr: 0.0 }),
        batch_size: 200,
        ..TrainConfig::default()
    })
}
