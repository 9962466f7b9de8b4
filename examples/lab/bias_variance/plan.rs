//! The estimators that `bias_variance` measures.

use hardgrad::estimators::{BaselineConfig, CvForm, EstimatorConfig, Gap, Rk2Form, WeightConfig};

/// The seven estimators of figure 1, all at τ = 1. The figure's caption has ReinMax-CV at τ = 0.1,
/// at which the mean of the published code's estimates has a negative cosine with the gradient; the
/// list has ReinMax-CV at both τ. The paper does not give its η, which is 1 in the published
/// script.
pub fn figure(draws: usize) -> Vec<EstimatorConfig> {
    let tau = 1.0;
    vec![
        EstimatorConfig::StraightThrough { tau },
        EstimatorConfig::StraightThroughGumbelSoftmax { tau },
        EstimatorConfig::GumbelRao { tau, draws },
        EstimatorConfig::GappedStraightThrough { gap: Gap::Fixed(1.0), tau },
        EstimatorConfig::ReinMax { tau },
        EstimatorConfig::ReinMaxRao { tau, draws },
        control_variate(CvForm::AuthorCode, 1.0, 1.0, draws),
        control_variate(CvForm::AuthorCode, 0.1, 1.0, draws),
    ]
}

/// The three estimators of table 1, at τ = 1.3.
pub fn table() -> Vec<EstimatorConfig> {
    let tau = 1.3;
    vec![
        EstimatorConfig::ReinMax { tau },
        EstimatorConfig::StraightThrough { tau },
        EstimatorConfig::ReinMaxArgmax { tau },
    ]
}

/// ReinMax, ReinMax-Rao, a blend of the two, and the forms of ReinMax-CV, at τ = 1.
pub fn forms(draws: usize) -> Vec<EstimatorConfig> {
    let tau = 1.0;
    let mut configs = vec![
        EstimatorConfig::ReinMax { tau },
        EstimatorConfig::ReinMaxRao { tau, draws },
        EstimatorConfig::ReinMaxBlend { lambda: 0.25, tau, rao_tau: tau, draws },
    ];
    configs.extend(FORMS.map(|form| control_variate(form, tau, ETA, draws)));
    configs
}

/// Estimators that the paper does not have, beside ST, Gumbel-Rao, ReinMax and ReinMax-Rao at τ = 1:
/// the line from ST to DARN, MVE, and estimators at the loss. Leave-one-out has as many samples as
/// the double control variate.
pub fn field(draws: usize) -> Vec<EstimatorConfig> {
    let tau = 1.0;
    vec![
        EstimatorConfig::StraightThrough { tau },
        EstimatorConfig::GumbelRao { tau, draws },
        EstimatorConfig::ReinMax { tau },
        EstimatorConfig::ReinMaxRao { tau, draws },
        EstimatorConfig::ReinMaxRk2 { form: Rk2Form::Projected, beta: 0.25 },
        EstimatorConfig::Darn,
        EstimatorConfig::Mve { lambda: 1.0 },
        EstimatorConfig::Mve { lambda: 10.0 },
        EstimatorConfig::Mve { lambda: f64::INFINITY },
        EstimatorConfig::Reinforce { baseline: BaselineConfig::LeaveOneOut { samples: 2 } },
        EstimatorConfig::DoubleControlVariate { samples: 2, alpha: WeightConfig::Fixed(-1.0) },
        EstimatorConfig::DoubleControlVariate { samples: 2, alpha: WeightConfig::Adapted },
        EstimatorConfig::LocalExpectation,
    ]
}

/// All estimators of these lists, each once, and others that the paper does not measure.
pub fn all(draws: usize) -> Vec<EstimatorConfig> {
    let mut configs = vec![EstimatorConfig::Exact];
    let mut add = |more: Vec<EstimatorConfig>| {
        for config in more {
            if !configs.contains(&config) {
                configs.push(config);
            }
        }
    };
    add(figure(draws));
    add(table());
    add(forms(draws));
    add(FORMS.map(|form| control_variate(form, 0.1, ETA, draws)).to_vec());
    let others = [(1.0, 0.5), (1.0, 2.0), (0.1, 0.1), (0.1, 0.3)];
    add(others.map(|(tau, eta)| control_variate(CvForm::AuthorCode, tau, eta, draws)).to_vec());
    add(vec![
        EstimatorConfig::ReinMaxBlend { lambda: 0.5, tau: 1.3, rao_tau: 1.0, draws },
        EstimatorConfig::Reinforce { baseline: BaselineConfig::RunningMean },
        EstimatorConfig::Reinforce { baseline: BaselineConfig::LeaveOneOut { samples: 4 } },
        EstimatorConfig::Rebar { tau: 1.0, eta: 1.0 },
    ]);
    add(field(draws));
    configs
}

const FORMS: [CvForm; 4] = [CvForm::AuthorCode, CvForm::Shared, CvForm::Printed, CvForm::Coupled];

/// The weight of the control variate in the published training runs.
const ETA: f64 = 1.5;

fn control_variate(form: CvForm, tau: f64, eta: f64, draws: usize) -> EstimatorConfig {
    EstimatorConfig::ReinMaxCv { form, tau, draws, eta }
}
