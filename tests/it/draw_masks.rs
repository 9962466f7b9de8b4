//! Masked categories and NaN, with a temperature of the draw that differs from the estimator's, for
//! every estimator on the sample.

use hardgrad::estimators::{BuiltEstimator, Choice, EstimatorKind};
use hardgrad::rng::{from_key, uniform};
use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};

const CATEGORIES: usize = 4;

/// One group of variables that SIMD vectors process together, and three more variables.
const VARIABLES: usize = 19;

/// The samples of 19 variables, and the gradient of their logits for random cotangents.
fn draw(kind: EstimatorKind, draw_tau: f64, logits: &Mat<f64>, key: u64) -> Option<(Mat<f64>, Mat<f64>)> {
    let BuiltEstimator::Sample(estimator) = kind.default_config().build::<f64>().unwrap() else {
        return None;
    };
    let choice = Choice::shared(estimator, CATEGORIES).with_draw_temperature(draw_tau);
    let (mut choice, mut rng) = (choice.unwrap(), from_key(key));
    choice.draw(&mut rng, VARIABLES);
    let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let leaf = tape.leaf(logits);
    let d = tape.sample(&choice, leaf);
    let g: Vec<f64> = (0..VARIABLES * CATEGORIES).map(|_| uniform::<f64>(&mut rng) - 0.5).collect();
    tape.backward_from(d, &g, &mut ParamGrads::zeros(&params));
    Some((tape.value(d).to_mat(), tape.grad_or_zeros(leaf)))
}

/// Logits in (−2, 2), with a mask for category (l + k) of variable l where this is even.
fn masked(key: u64) -> (Mat<f64>, Vec<bool>) {
    let mut rng = from_key(key);
    let masks: Vec<bool> =
        (0..VARIABLES * CATEGORIES).map(|i| (i / CATEGORIES + i % CATEGORIES).is_multiple_of(2)).collect();
    let logits = masks.iter().map(|&masked| match masked {
        true => f64::NEG_INFINITY,
        false => 4.0 * uniform::<f64>(&mut rng) - 2.0,
    });
    (Mat::from_vec(1, VARIABLES * CATEGORIES, logits.collect()), masks)
}

#[test]
fn a_masked_category_is_never_drawn_and_has_no_gradient() {
    let mut estimators = 0;
    for &kind in EstimatorKind::ALL {
        for (draw_tau, key) in [(0.25, 1), (0.25, 2), (3.0, 3), (3.0, 4)] {
            let (logits, masks) = masked(key);
            let Some((d, grad)) = draw(kind, draw_tau, &logits, key) else { continue };
            estimators += 1;
            for ((&d, &grad), &masked) in d.as_slice().iter().zip(grad.as_slice()).zip(&masks) {
                assert!(d.is_finite() && grad.is_finite(), "{kind}: sample {d}, gradient {grad}");
                assert!(!masked || (d, grad) == (0.0, 0.0), "{kind}: sample {d}, gradient {grad}");
            }
            // Softmax is shift-invariant, so the gradient of each variable sums to zero.
            for grad in grad.as_slice().chunks(CATEGORIES) {
                assert!(grad.iter().sum::<f64>().abs() < 1e-14, "{kind}: {grad:?}");
            }
            assert!(grad.as_slice().iter().any(|&grad| grad.abs() > 1e-3), "{kind}: no gradient at all");
        }
    }
    assert!(estimators >= 4 * 12, "{estimators}");
}

/// NaN in a logit of a variable gives NaN in the gradient of this variable, and nowhere else.
#[test]
fn nan_stays_nan_and_stays_in_its_variable() {
    for &kind in EstimatorKind::ALL {
        for variable in [3, VARIABLES - 1] {
            let (mut logits, _) = masked(7);
            logits.as_mut_slice()[variable * CATEGORIES + 1] = f64::NAN;
            let Some((_, grad)) = draw(kind, 2.0, &logits, 7) else { continue };
            for (l, grad) in grad.as_slice().chunks(CATEGORIES).enumerate() {
                let nan = grad.iter().filter(|grad| grad.is_nan()).count();
                assert!(if l == variable { nan > 0 } else { nan == 0 }, "{kind}, variable {l}: {grad:?}");
            }
        }
    }
}
