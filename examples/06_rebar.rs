//! Variance of unbiased estimators: REINFORCE, REINFORCE with a baseline, leave-one-out, and REBAR,
//! on E (Σ_l b_l / L − 0.45)² over L = 8 binary variables, whose exact gradient is a sum over 256
//! codes. It writes `rebar.jsonl` and `rebar.svg` to `runs/06_rebar`.
//!
//! ```text
//! cargo run --release --example 06_rebar        10,000 gradients of each estimator, a second, also with --smoke
//!
//! REINFORCE              sd of the mean of 4 0.05035, mean within 1.3 standard errors of exact
//! REINFORCE, b = E f     sd of the mean of 4 0.04031, mean within 1.8 standard errors of exact
//! leave-one-out of 4     sd of the mean of 4 0.04666, mean within 2.2 standard errors of exact
//! REBAR, τ 1, η 0.5      sd of the mean of 4 0.04402, mean within 1.6 standard errors of exact
//! REBAR, τ 1, η 1        sd of the mean of 4 0.03903, mean within 2.0 standard errors of exact
//! REBAR, τ 0.5, η 1      sd of the mean of 4 0.03438, mean within 1.7 standard errors of exact
//! REBAR, τ 0.1, η 1      sd of the mean of 4 0.05085, mean within 1.3 standard errors of exact
//! ```

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::estimators::{Baseline, Choice, Rebar, Reinforce};
use hardgrad::files::write_atomically;
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace, exact::Problem, rng};
use lab::output::tell as println; // unlike std's, it does not panic if the pipe is closed
use lab::svg::{Chart, Mark, Series};
use std::path::Path;
use std::process::ExitCode;

const L: usize = 8;
const DRAWS: usize = 40_000;
/// Number of gradients, each the mean of four draws.
const N: usize = DRAWS / 4;
const LOGITS: [f64; 2 * L] =
    [0.0, 0.5, 0.0, -0.3, 0.0, 1.0, 0.0, 0.1, 0.0, -1.2, 0.0, 0.4, 0.0, 0.0, 0.0, -0.6];

enum Estimator {
    Reinforce(Reinforce),
    Rebar(Rebar),
}

/// (Σ_l b_l / L − 0.45)², where b_l is category 1's coordinate. Shapes: `[N, 2 L] → [N, 1]`.
fn f(tape: &mut Tape<'_, f64>, z: Var) -> Var {
    let pick = tape.constant(Mat::from_fn(2 * L, 1, |i, _| (i % 2) as f64 / L as f64).view());
    let mean = tape.matmul(z, pick);
    let away = tape.affine(mean, 1.0, -0.45);
    tape.mul(away, away)
}

/// One gradient for each of `DRAWS` rows.
fn gradients(estimator: &Estimator) -> Mat<f64> {
    let mut choice = Choice::without_gradient(2); // the gradient comes from the loss
    choice.draw(&mut rng::from_key(1), DRAWS * L);
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(Mat::from_fn(DRAWS, 2 * L, |_, j| LOGITS[j]).view());
    let loss = match estimator {
        Estimator::Reinforce(reinforce) => reinforce.loss(&mut tape, logits, &choice, f),
        Estimator::Rebar(rebar) => rebar.loss(&mut tape, logits, &choice, f),
    };
    let total = tape.sum(loss);
    tape.backward(total, &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(logits)
}

fn main() -> ExitCode {
    lab::exit::of(run())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    lab::smoke::is_wanted(); // it changes nothing here, and any other argument is an error
    let away = |z: &[f64]| z.chunks(2).map(|z| z[1]).sum::<f64>() / L as f64 - 0.45;
    let value = |z: &[f64]| away(z).powi(2);
    let slope = |z: &[f64], g: &mut [f64]| {
        g.chunks_mut(2).for_each(|g| g.copy_from_slice(&[0.0, 2.0 * away(z) / L as f64]))
    };
    let objective = (value, slope);
    let problem = Problem::new(&LOGITS, 2, &objective)?;
    let (exact, mean_f) = (problem.gradient(), problem.expectation());

    let leave_one_out = Baseline::leave_one_out(4)?;
    let reinforce = |baseline| Estimator::Reinforce(Reinforce::new(baseline));
    let mut rows = vec![
        ("REINFORCE".to_string(), reinforce(Baseline::Constant(0.0))),
        ("REINFORCE, b = E f".to_string(), reinforce(Baseline::Constant(mean_f))),
        ("leave-one-out of 4".to_string(), reinforce(leave_one_out)),
    ];
    for (tau, eta) in [(1.0, 0.5), (1.0, 1.0), (0.5, 1.0), (0.1, 1.0)] {
        rows.push((format!("REBAR, τ {tau}, η {eta}"), Estimator::Rebar(Rebar::new(tau, eta)?)));
    }
    let (mut traces, mut series, mut lines) = (Vec::new(), Vec::new(), String::new());
    for (name, estimator) in rows {
        let grads = gradients(&estimator);
        let (mut trace, mut worst) = (0.0, 0.0_f64);
        for (j, exact) in exact.iter().enumerate() {
            // The mean of four draws, which leave-one-out combines in one estimate. It is
            // independent of the next four.
            let four = |k: usize| (4 * k..4 * k + 4).map(|i| grads.row(i)[j]).sum::<f64>() / 4.0;
            let column = || (0..N).map(four);
            let mean = column().sum::<f64>() / N as f64;
            let variance = column().map(|g| (g - mean).powi(2)).sum::<f64>() / (N - 1) as f64;
            trace += variance;
            worst = worst.max((mean - exact).abs() / (variance / N as f64).sqrt());
        }
        println!(
            "{name:22} sd of the mean of 4 {:.5}, mean within {worst:.1} standard errors of exact",
            trace.sqrt()
        );
        assert!(worst < 5.0, "{name}: {worst} standard errors");
        traces.push(trace);
        lines += &format!("{{\"estimator\":\"{name}\",\"sd\":{},\"worst\":{worst}}}\n", trace.sqrt());
        series.push(Series { name, points: vec![(worst, trace.sqrt())] });
    }
    let labels = ["distance of the mean from exact, standard errors", "sd of the mean of 4"];
    let out = Path::new("runs/06_rebar");
    Chart::linear("Eight binary variables".into(), labels, Mark::Dot, series).save(&out.join("rebar.svg"))?;
    write_atomically(&out.join("rebar.jsonl"), lines.as_bytes())?;
    let (reinforce, best) = (traces[0], traces[3..].iter().copied().fold(f64::INFINITY, f64::min));
    assert!(best < 0.5 * reinforce, "REBAR's best variance is {best}, REINFORCE's {reinforce}");
    Ok(())
}
