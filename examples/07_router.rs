//! The router of a mixture of experts: one choice among eight experts for each input, trained with
//! four gradients.
//!
//! The example shows which loss a router minimises. The squared error of the chosen expert is
//! (r · D)², with r the residuals of all experts and D the one-hot choice. The mean of
//! Straight-Through is the gradient of (r · π)², the squared error of the *averaged* experts: its
//! router mixes experts whose average is right although each of them is wrong. ReinMax is unbiased
//! here, because the error is quadratic in D. The pair without replacement and the sum over all
//! experts are unbiased for every loss, with two and eight evaluations for each input.
//!
//! ```text
//! cargo run --release --example 07_router        (eight seeds of 600 steps each, 2 s; with --smoke it prints nothing)
//!
//! squared error at new points, mean over the seeds ± standard error
//! ST       1 evaluation(s)  chosen expert 0.7441 ± 0.0077  averaged experts 0.3801 ± 0.0065
//! ReinMax  1 evaluation(s)  chosen expert 0.5525 ± 0.0153  averaged experts 0.4808 ± 0.0214
//! pair     2 evaluation(s)  chosen expert 0.5370 ± 0.0174  averaged experts 0.4789 ± 0.0241
//! exact    8 evaluation(s)  chosen expert 0.4949 ± 0.0140  averaged experts 0.4397 ± 0.0162
//! ```

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::certify::certify;
use hardgrad::estimators::{Choice, PairWithoutReplacement, ReinMax, StraightThrough};
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::rng::{Pcg64, Purpose, Streams, from_key, uniform};
use hardgrad::{Error, Mat, ParamGrads, ParamStore, Tape, Var, Workspace, exact::Problem, nn::Mlp};
use lab::output::answer as println; // unlike std's, it does not panic if the pipe is closed
use lab::stats::Mean;

const C: usize = 8;
const ESTIMATORS: [(&str, usize); 4] = [("ST", 1), ("ReinMax", 1), ("pair", 2), ("exact", C)];

/// N points of a square, `[N, 2]`, and the residuals of the experts at these points, `[N, C]`. Each
/// expert is a linear function, and in each of eight sectors the target is the output of another
/// expert.
fn draw(rng: &mut Pcg64, n: usize) -> (Mat<f64>, Mat<f64>) {
    let x = Mat::from_vec(n, 2, (0..2 * n).map(|_| 2.0 * uniform::<f64>(rng) - 1.0).collect());
    let expert = |x: &[f64], k: usize| {
        let (sin, cos) = (2.4 * k as f64).sin_cos();
        2.0 * (cos * x[0] + sin * x[1])
    };
    let target = |x: &[f64]| {
        let turns = x[1].atan2(x[0]) / std::f64::consts::TAU + 0.5;
        expert(x, (turns * C as f64) as usize % C)
    };
    let residuals = Mat::from_fn(n, C, |i, k| expert(x.row(i), k) - target(x.row(i)));
    (x, residuals)
}

/// (r · d)² of each row: `[N, C]` → `[N, 1]`.
fn squared(tape: &mut Tape<'_, f64>, r: Var, d: Var) -> Var {
    let chosen = tape.mul(r, d);
    let away = tape.row_sum(chosen);
    tape.mul(away, away)
}

/// Σ_k π_k r_k² of each row.
fn expected(tape: &mut Tape<'_, f64>, r: Var, pi: Var) -> Var {
    let errors = tape.mul(r, r);
    let weighted = tape.mul(pi, errors);
    tape.row_sum(weighted)
}

/// Trains a router. Returns the mean squared errors of its chosen and of its averaged experts at
/// new points.
fn train(estimator: &str, seed: u64) -> Result<[f64; 2], Error> {
    let (streams, mut params) = (Streams::new(seed), ParamStore::new());
    let router = Mlp::new(&mut params, "router", &[2, 32, C], &mut streams.rng(Purpose::Init, 0, 0));
    let mut optimizer = Adam::new(AdamConfig { lr: 5e-3, ..AdamConfig::default() })?;
    let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));
    let mut choice = match estimator {
        "ST" => Choice::new(StraightThrough::new(1.0)?, C),
        "ReinMax" => Choice::new(ReinMax::new(1.0)?, C),
        _ => Choice::without_gradient(C),
    };
    for step in 0..600 {
        let (x, r) = draw(&mut streams.rng(Purpose::Shuffle, 0, step), 64);
        choice.draw(&mut streams.rng(Purpose::Train, 0, step), 64);
        let mut tape = workspace.tape(&params);
        let (x, r) = (tape.constant(&x), tape.constant(&r));
        let logits = router.forward(&mut tape, x);
        let loss = match estimator {
            "exact" => {
                let pi = tape.softmax(logits, C);
                expected(&mut tape, r, pi)
            }
            "pair" => PairWithoutReplacement.loss(&mut tape, logits, &choice, |tape, d| {
                let r = tape.repeat_rows(r, 2);
                squared(tape, r, d)
            }),
            _ => {
                let d = tape.sample(&choice, logits);
                squared(&mut tape, r, d)
            }
        };
        let loss = tape.mean(loss);
        tape.backward(loss, &mut grads);
        optimizer.step(&mut params, &grads);
    }
    let (x, r) = draw(&mut streams.rng(Purpose::Test, 0, 0), 2000);
    let mut tape = workspace.tape(&params);
    let (x, r) = (tape.constant(&x), tape.constant(&r));
    let logits = router.forward(&mut tape, x);
    let pi = tape.softmax(logits, C);
    let means = [expected(&mut tape, r, pi), squared(&mut tape, r, pi)].map(|each| tape.mean(each));
    Ok(means.map(|mean| tape.scalar(mean)))
}

/// Checks the means of Straight-Through and ReinMax at one input, by enumeration.
fn check_means() -> Result<(), Error> {
    let (r, logits) = (draw(&mut from_key(3), 1).1, [0.3, -0.2, 0.8, 0.0, -1.0, 0.5, 0.1, -0.4]);
    let dot = |d: &[f64]| d.iter().zip(r.row(0)).map(|(d, r)| d * r).sum::<f64>();
    let slope = |d: &[f64], g: &mut [f64]| {
        g.iter_mut().zip(r.row(0)).for_each(|(g, r)| *g = 2.0 * dot(d) * r);
    };
    let objective = (|d: &[f64]| dot(d).powi(2), slope);
    let problem = Problem::new(&logits, C, &objective)?;
    let st = certify(&StraightThrough::new(1.0)?, &problem, 2, &mut from_key(0))?;
    let reinmax = certify(&ReinMax::new(1.0)?, &problem, 2, &mut from_key(0))?;
    // Residuals are below 4√2 and their products below 32. The tolerance is a hundred roundings of
    // such products.
    let (pi, tolerance) = (problem.pi(), 100.0 * 32.0 * f64::EPSILON);
    for (k, mean) in st.mean.iter().enumerate() {
        let of_average = 2.0 * dot(pi) * pi[k] * (r.row(0)[k] - dot(pi)); // ∂(r · π)²/∂θ_k
        assert!((mean - of_average).abs() < tolerance, "{mean} for {of_average}");
    }
    assert!(reinmax.bias_norm() < tolerance && st.bias_norm() > 0.01, "{st:?} {reinmax:?}");
    Ok(())
}

fn main() -> Result<(), Error> {
    let smoke = lab::smoke::is_wanted();
    check_means()?;
    if !smoke {
        println!("squared error at new points, mean over the seeds ± standard error");
    }
    let mut found = Vec::new();
    let error = |m: &Mean| m.error.expect("eight seeds");
    for (name, evaluations) in ESTIMATORS {
        let losses = (0..8).map(|seed| train(name, seed)).collect::<Result<Vec<_>, _>>()?;
        let mean = |which: usize| Mean::of(&losses.iter().map(|loss| loss[which]).collect::<Vec<_>>());
        let [chosen, average] = [0, 1].map(|which| mean(which).expect("eight seeds"));
        if !smoke {
            let text = |m: &Mean| format!("{:.4} ± {:.4}", m.mean, error(m));
            let (chosen, average) = (text(&chosen), text(&average));
            println!(
                "{name:8} {evaluations} evaluation(s)  chosen expert {chosen}  averaged experts {average}"
            );
        }
        found.push(chosen);
    }
    for other in &found[1..] {
        let five_errors = 5.0 * error(&found[0]).hypot(error(other));
        assert!(found[0].mean - other.mean > five_errors, "ST {:?}, other {other:?}", found[0]);
    }
    Ok(())
}
