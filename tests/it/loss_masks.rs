//! Masks and NaN with the estimators that use the loss: a masked category has gradient 0 exactly,
//! even if its loss is NaN, and a NaN affects its own input only.

use hardgrad::certify::{LossOf, certify_loss};
use hardgrad::estimators::{
    Choice, DoubleControlVariate, LocalExpectation, Noise, PairWithoutReplacement, SumAndSample, Vimco,
};
use hardgrad::exact::Problem;
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace};

const OUT: f64 = f64::NEG_INFINITY;

/// Logits of two variables of three categories. The second category of the first variable is
/// masked, and all but one of the second variable.
const LOGITS: [f64; 6] = [0.3, OUT, -0.8, OUT, 0.4, OUT];

/// Records the loss of an estimator, with so many samples of each input.
fn record<'t>(
    name: &str,
    tape: &mut Tape<'t, f64>,
    logits: Var,
    choice: &Choice<f64>,
    f: LossOf<'_, 't>,
) -> Var {
    match name {
        "double" => DoubleControlVariate::new(2, -0.7).unwrap().loss(tape, logits, choice, f),
        "vimco" => Vimco::new(2).unwrap().loss(tape, logits, choice, f),
        "local" => LocalExpectation.loss(tape, logits, choice, |tape, d| f(tape, d)),
        _ => panic!("{name}"),
    }
}

#[allow(clippy::type_complexity)] // two closures, which are an objective
/// f(D), which is NaN at a masked category, and its gradient.
fn objective() -> (impl Fn(&[f64]) -> f64, impl Fn(&[f64], &mut [f64])) {
    let masked = |d: &[f64]| d.iter().zip(LOGITS).any(|(&d, theta)| d > 0.0 && theta == OUT);
    (
        move |d: &[f64]| if masked(d) { f64::NAN } else { (0.5 * d[0] - d[2] + 0.3 * d[4]).exp() },
        move |d: &[f64], g: &mut [f64]| {
            let f = (0.5 * d[0] - d[2] + 0.3 * d[4]).exp();
            g.copy_from_slice(&[0.5 * f, 0.1, -f, 0.2, 0.3 * f, -0.4]);
        },
    )
}

#[test]
fn a_masked_category_has_no_gradient() {
    let f = objective();
    let problem = Problem::new(&LOGITS, 3, &f).unwrap();
    for (name, samples) in [("double", 2), ("vimco", 2), ("local", 1)] {
        let found =
            certify_loss(&problem, samples, |tape, logits, choice, f| record(name, tape, logits, choice, f))
                .unwrap();
        for (i, (mean, theta)) in found.mean.iter().zip(LOGITS).enumerate() {
            assert!(mean.is_finite() && (theta != OUT || *mean == 0.0), "{name}, logit {i}: {mean}");
        }
        assert!(
            found.mean[0] != 0.0 && found.mean[4].abs() < 1e-15,
            "{name}: a certain choice has none either"
        );
        assert!(found.covariance_trace.is_finite(), "{name}");
    }
}

/// The gradient and the loss of one choice, for prices that are NaN where a category is masked.
fn of_one_choice(logits: &[f64], pair: bool, k: usize) -> (Vec<f64>, f64) {
    let c = logits.len();
    let noise = Noise::from_gumbel((0..c).map(|i| (i as f64 * 1.7).sin()).collect());
    let choice = Choice::without_gradient(c).with_noise(noise);
    let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let leaf = tape.leaf(&Mat::from_vec(1, c, logits.to_vec()));
    let f = |tape: &mut Tape<'_, f64>, d: Var| {
        let losses: Vec<f64> = (0..tape.shape(d).0)
            .map(|row| {
                let hot = tape.value(d).row(row).iter().position(|&x| x == 1.0).unwrap();
                if logits[hot] == OUT { f64::NAN } else { 2.0 + hot as f64 }
            })
            .collect();
        tape.constant(&Mat::from_vec(losses.len(), 1, losses))
    };
    let loss = match pair {
        true => PairWithoutReplacement.loss(&mut tape, leaf, &choice, f),
        false => SumAndSample::new(k).unwrap().loss(&mut tape, leaf, &choice, f),
    };
    let value = tape.scalar(loss);
    tape.backward(loss, &mut ParamGrads::zeros(&params));
    (tape.grad_or_zeros(leaf).as_slice().to_vec(), value)
}

#[test]
fn one_choice_with_masks_or_with_nan() {
    let inputs = [[0.3, OUT, -0.8, 0.1], [OUT, OUT, 0.5, OUT], [OUT, 0.2, OUT, 1.0]];
    for logits in inputs {
        for (pair, k) in [(true, 0), (false, 0), (false, 1), (false, 2), (false, 3), (false, 4)] {
            let (grad, value) = of_one_choice(&logits, pair, k);
            assert!(value.is_finite(), "{logits:?}, pair {pair}, k {k}: {value}");
            for (g, theta) in grad.iter().zip(logits) {
                assert!(
                    g.is_finite() && (theta != OUT || *g == 0.0),
                    "{logits:?}, pair {pair}, k {k}: {grad:?}"
                );
            }
            // With two possible categories both are drawn, and with a certain one the loss is
            // constant.
            let possible = logits.iter().filter(|&&theta| theta != OUT).count();
            if possible == 1 {
                assert!(grad.iter().all(|g| g.abs() < 1e-15) && value == 4.0, "{grad:?}, {value}");
            }
        }
    }
    for bad in [f64::NAN, f64::INFINITY] {
        for (pair, k) in [(true, 0), (false, 1), (false, 3)] {
            let (grad, value) = of_one_choice(&[0.1, bad, 0.2], pair, k);
            assert!(
                value.is_nan() && grad.iter().all(|g| g.is_nan()),
                "pair {pair}, k {k}: {grad:?}, {value}"
            );
        }
    }
}

/// Two inputs, of which the second has a logit that is NaN.
#[test]
fn a_nan_stays_with_its_input() {
    for (name, samples) in [("double", 2), ("vimco", 2), ("local", 1)] {
        let mut noise = Noise::new();
        noise.draw(&mut hardgrad::rng::from_key(1), 2 * samples * 6);
        let choice = Choice::without_gradient(3).with_noise(noise);
        let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
        let mut tape = workspace.tape(&params);
        let rows = [[0.3, 0.2, -0.8, 0.1, 0.4, 0.5], [0.3, f64::NAN, -0.8, 0.1, 0.4, 0.5]];
        let leaf = tape.leaf(&Mat::from_rows(&rows));
        let prices = Mat::from_vec(6, 1, vec![0.3, -0.2, 0.9, 0.4, 0.1, -0.6]);
        let loss = record(name, &mut tape, leaf, &choice, &mut |tape, d| {
            let prices = tape.constant(&prices);
            tape.matmul(d, prices)
        });
        let total = tape.sum(loss);
        tape.backward(total, &mut ParamGrads::zeros(&params));
        let grad = tape.grad_or_zeros(leaf);
        assert!(grad.row(0).iter().all(|g| g.is_finite() && *g != 0.0), "{name}: {:?}", grad.row(0));
        assert!(grad.row(1).iter().any(|g| g.is_nan()), "{name}: {:?}", grad.row(1));
    }
}
