//! A policy with invalid actions: three contexts, four actions, and a different set of valid
//! actions in each context.
//!
//! The example shows the effect of a logit of −∞. The action has probability 0, is never drawn,
//! adds nothing to the entropy, and its logit has a gradient of exactly 0. The other actions have
//! the probabilities and gradients that they would have without this action. A logit multiplied by
//! 0 is a logit of 0: the action is still drawn, and the gradients of the valid actions are wrong.
//! If the probabilities of invalid actions are multiplied by 0, the probabilities do not sum to 1.
//!
//! ```text
//! cargo run --release --example 08_masked_actions        (a tenth of a second; with --smoke it prints nothing)
//!
//! MinusInfinity: π [0.750, 0.250, 0.000, 0.000], gradient [0.375, -0.375, 0.000, 0.000]
//! ZeroLogit: π [0.500, 0.167, 0.167, 0.167], gradient [0.000, -0.333, 0.000, 0.000]
//! ZeroProbability: π [0.423, 0.141, 0.000, 0.000], gradient [0.488, -0.119, -0.325, -0.044]
//! MinusInfinity, trained: 0.0 % invalid actions, off by at most 1.7e-16
//! ZeroLogit, trained: 4.1 % invalid actions, off by at most 7.1e-2
//! ```

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::estimators::{At, BuiltEstimator, EstimatorKind, Noise, Scratch};
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::{Error, Mat, ParamGrads, ParamStore, Tape, Var, Workspace, rng};
use lab::output::answer as println; // unlike std's, it does not panic if the pipe is closed

const C: usize = 4;
const VALID: [[f64; C]; 3] = [[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]];
/// Cost of each action, including the invalid ones.
const COSTS: [[f64; C]; 3] = [[2.0, 0.0, 3.0, 3.0], [3.0, 1.0, 0.5, 2.0], [1.0, 0.0, 0.2, 1.5]];
/// Weight of the entropy in the loss E f − λ H.
const LAMBDA: f64 = 1.0;

/// What is done with the invalid actions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    MinusInfinity,
    ZeroLogit,
    ZeroProbability,
}

/// The policy's probabilities, `[3, C]`, and E f − λ H, `[1, 1]`, from unmasked logits, `[3, C]`.
fn policy(tape: &mut Tape<'_, f64>, theta: Var, way: Way, lambda: f64) -> (Var, Var) {
    let zeros = tape.constant(&Mat::from_rows(&VALID));
    let infinities = tape.constant(&Mat::from_rows(&VALID.map(|row| row.map(f64::ln))));
    let logits = match way {
        Way::MinusInfinity => tape.add(theta, infinities),
        Way::ZeroLogit => tape.mul(theta, zeros),
        Way::ZeroProbability => theta,
    };
    let mut pi = tape.softmax(logits, C);
    if way == Way::ZeroProbability {
        pi = tape.mul(pi, zeros);
    }
    let costs = tape.constant(&Mat::from_rows(&COSTS));
    let (cost, entropy) = (tape.mul(pi, costs), tape.categorical_entropy(logits, C));
    let (cost, entropy) = (tape.sum(cost), tape.sum(entropy));
    let entropy = tape.affine(entropy, lambda, 0.0);
    (pi, tape.sub(cost, entropy))
}

/// Probabilities in the first context, and the gradient of the expected cost of this context.
fn first_context(way: Way) -> [Vec<f64>; 2] {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let theta = tape.leaf(&Mat::from_rows(&[[3.0_f64.ln(), 0.0, 1.0, -1.0]; 3]));
    let (pi, cost) = policy(&mut tape, theta, way, 0.0);
    tape.backward(cost, &mut ParamGrads::zeros(&params));
    [tape.value(pi).row(0).to_vec(), tape.grad_or_zeros(theta).row(0).to_vec()]
}

/// Probabilities after training a table of logits.
fn train(way: Way) -> Result<Mat<f64>, Error> {
    let (mut params, mut workspace) = (ParamStore::new(), Workspace::new());
    let table = params.add("table", Mat::zeros(3, C));
    let mut grads = ParamGrads::zeros(&params);
    let mut optimizer = Adam::new(AdamConfig { lr: 0.05, ..AdamConfig::default() })?;
    for _ in 0..2000 {
        let mut tape = workspace.tape(&params);
        let theta = tape.param(table);
        let (_, loss) = policy(&mut tape, theta, way, LAMBDA);
        tape.backward(loss, &mut grads);
        optimizer.step(&mut params, &grads);
    }
    let mut tape = workspace.tape(&params);
    let theta = tape.param(table);
    let (pi, _) = policy(&mut tape, theta, way, LAMBDA);
    Ok(tape.value(pi).to_mat())
}

/// Checks that no estimator on the sample gives a masked logit a gradient or draws a masked action.
fn check_estimators() -> Result<(), Error> {
    let (logits, g) = ([0.3, f64::NEG_INFINITY, -0.4, f64::NEG_INFINITY], [1.0, 2.0, -1.0, 0.5]);
    let (mut noise, mut scratch) = (Noise::new(), Scratch::new());
    for kind in EstimatorKind::ALL {
        let BuiltEstimator::Sample(estimator) = kind.default_config().build::<f64>()? else { continue };
        for key in 0..50 {
            noise.draw(&mut rng::from_key(key), C);
            let (mut one_hot, mut dlogits) = ([0.0; C], [0.0; C]);
            estimator.sample(&logits, &noise, C, &mut one_hot);
            let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: C };
            estimator.add_vjp(at, &g, &mut dlogits, &mut scratch);
            let masked = [one_hot[1], one_hot[3], dlogits[1], dlogits[3]];
            assert_eq!(masked, [0.0; 4], "{kind}: {one_hot:?} {dlogits:?}");
            assert!(dlogits[0] != 0.0, "{kind}: {dlogits:?}");
        }
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    let smoke = lab::smoke::is_wanted();
    check_estimators()?;
    // Two valid actions: π = (¾, ¼), and the gradient is ± π_0 π_1 (f_0 − f_1).
    let want = [[0.75, 0.25, 0.0, 0.0], [0.375, -0.375, 0.0, 0.0]];
    let distance = |a: &[f64], b: [f64; C]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    for way in [Way::MinusInfinity, Way::ZeroLogit, Way::ZeroProbability] {
        let [pi, gradient] = first_context(way);
        let off = distance(&pi, want[0]).max(distance(&gradient, want[1]));
        if !smoke {
            println!("{way:?}: π {pi:.3?}, gradient {gradient:.3?}");
        }
        // The first has about ten roundings of numbers up to 4. The other two are off by more than
        // a tenth.
        assert!(
            if way == Way::MinusInfinity { off < 40.0 * f64::EPSILON } else { off > 0.1 },
            "{way:?}: {off}"
        );
        let masked = pi[2..].iter().chain(&gradient[2..]).all(|&x| x == 0.0);
        assert!(masked || way != Way::MinusInfinity, "{pi:?} {gradient:?}");
    }
    for way in [Way::MinusInfinity, Way::ZeroLogit] {
        let pi = train(way)?;
        let (mut invalid, mut off) = (0.0, 0.0_f64);
        for (i, (costs, valid)) in COSTS.iter().zip(VALID).enumerate() {
            // The optimum of E f − λ H over the valid actions: π ∝ exp(−f/λ).
            let weights: Vec<f64> =
                costs.iter().zip(valid).map(|(f, valid)| valid * (-f / LAMBDA).exp()).collect();
            let total: f64 = weights.iter().sum();
            off = off.max(distance(pi.row(i), std::array::from_fn(|k| weights[k] / total)));
            invalid += pi.row(i).iter().zip(valid).map(|(pi, valid)| pi * (1.0 - valid)).sum::<f64>() / 3.0;
        }
        if !smoke {
            println!("{way:?}, trained: {:.1} % invalid actions, off by at most {off:.1e}", 100.0 * invalid);
        }
        match way {
            // The training has converged: for a gradient that consists of rounding errors, Adam
            // moves by lr · 1e-17 / 1e-8 per step, for about a hundred steps.
            Way::MinusInfinity => assert!(invalid == 0.0 && off < 1e-8, "{invalid} {off}"),
            _ => assert!(invalid > 0.01, "{invalid}"),
        }
    }
    Ok(())
}
