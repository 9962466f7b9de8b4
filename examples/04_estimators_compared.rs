//! Bias, variance and cost of every estimator that hooks onto the sample, against the exact gradient of a small decoder by
//! enumeration of all codes. Leaves `estimators.jsonl` and `estimators.svg` in `runs/04_estimators_compared`.
//!
//! ```text
//! cargo run --release --example 04_estimators_compared              8x4, four seconds
//! cargo run --release --example 04_estimators_compared -- 64x2      another latent space, categories x variables; ten seconds
//! cargo run --release --example 04_estimators_compared -- --smoke   2x4 and a check, a second
//!
//! 8x4, relative to the exact gradient's norm
//!                             bias      sd   error  µs a row
//! REINFORCE, b = E f         0.000   3.963   3.963         –
//! ST, τ 1                    0.101   0.817   0.823      0.26
//! ReinMax, τ 1               0.050   1.529   1.530      0.51
//! ReinMax-Rao, τ 1           0.397   1.215   1.278      4.98
//! …
//! ```

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::certify::certify;
use hardgrad::estimators::{At, BuiltEstimator, CvForm, EstimatorConfig, Gap, Noise, Scratch};
use hardgrad::exact::Problem;
use hardgrad::files::write_atomically;
use hardgrad::{Error, Mat, MatRef, ParamGrads, ParamStore, Workspace, nn::Mlp, rng, vae::LatentShape};
use lab::output::tell as println; // std's panics where nobody reads
use lab::svg::{Chart, Mark, Series};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// f(z) = binary cross-entropy of 32 pixels behind a random two-layer decoder; its gradient too, if there is room for it.
fn decoder(width: usize) -> impl Fn(&[f64], Option<&mut [f64]>) -> f64 {
    let (mut params, target) = (ParamStore::new(), Mat::from_fn(1, 32, |_, j| f64::from(j % 3 == 0)));
    let mlp = Mlp::new(&mut params, "decoder", &[width, 32, 32], &mut rng::from_key(2));
    params.flat_mut().iter_mut().for_each(|w| *w *= 6.0); // a decoder that has learnt something is not flat
    move |code, grad| {
        let mut workspace = Workspace::new();
        let mut tape = workspace.tape(&params);
        let z = tape.leaf(MatRef::new(1, width, code));
        let (pixels, target) = (mlp.forward(&mut tape, z), tape.constant(target.view()));
        let loss = tape.bce_with_logits(pixels, target);
        if let Some(grad) = grad {
            tape.backward(loss, &mut ParamGrads::zeros(&params));
            grad.copy_from_slice(tape.grad_or_zeros(z).as_slice());
        }
        tape.scalar(loss)
    }
}

/// Microseconds of one row's backward, in f32 and batches of 100 rows.
fn cost(config: EstimatorConfig, latent: LatentShape) -> Result<f64, Error> {
    const ROWS: usize = 100;
    let BuiltEstimator::Sample(estimator) = config.build::<f32>()? else { return Ok(f64::NAN) };
    let (mut noise, mut scratch, c) = (Noise::new(), Scratch::new(), latent.categories);
    let logits = Mat::from_fn(ROWS, latent.width(), |i, j| ((i + 3 * j) % 5) as f32);
    let (mut one_hot, mut dlogits) = (logits.clone(), logits.clone());
    noise.draw(&mut rng::from_key(0), ROWS * latent.width());
    estimator.sample(logits.as_slice(), &noise, c, one_hot.as_mut_slice());
    let at = At { logits: logits.as_slice(), one_hot: one_hot.as_slice(), noise: &noise, categories: c };
    let mut best = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        estimator.add_vjp(at, logits.as_slice(), dlogits.as_mut_slice(), &mut scratch);
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(1e6 * best / ROWS as f64)
}

fn main() -> ExitCode {
    lab::exit::of(run())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1).unwrap_or_else(|| "8x4".into());
    let smoke = argument == "--smoke";
    let latent: LatentShape = if smoke { "2x4" } else { argument.as_str() }.parse()?;
    let (tau, draws, gap, form, eta) = (1.0, 100, Gap::Fixed(1.0), CvForm::AuthorCode, 1.5);
    let configs = [
        ("ST, τ 1", EstimatorConfig::StraightThrough { tau }),
        ("STGS, τ 0.5", EstimatorConfig::StraightThroughGumbelSoftmax { tau: 0.5 }),
        ("Gumbel-Rao, τ 0.5", EstimatorConfig::GumbelRao { tau: 0.5, draws }),
        ("GST-1.0, τ 1", EstimatorConfig::GappedStraightThrough { gap, tau }),
        ("ReinMax, τ 1", EstimatorConfig::ReinMax { tau }),
        ("ReinMax, τ 1.3", EstimatorConfig::ReinMax { tau: 1.3 }),
        ("ReinMax-Rao, τ 1", EstimatorConfig::ReinMaxRao { tau, draws }),
        ("ReinMax-CV, τ 1, η 1.5", EstimatorConfig::ReinMaxCv { form, tau, draws, eta }),
        ("½ ReinMax + ½ Rao, τ 1", EstimatorConfig::ReinMaxBlend { lambda: 0.5, tau, rao_tau: tau, draws }),
    ];
    let f = decoder(latent.width());
    let value = |d: &[f64]| f(d, None);
    let gradient = |d: &[f64], g: &mut [f64]| {
        f(d, Some(g));
    };
    let objective = (value, gradient);
    let theta: Vec<f64> = (0..latent.width()).map(|j| 1.5 * (2.7 * j as f64).sin()).collect();
    let problem = Problem::new(&theta, latent.categories, &objective)?;
    let (exact, mean) = (problem.gradient(), problem.expectation());
    let norm = exact.iter().map(|g| g * g).sum::<f64>().sqrt();
    // REINFORCE with the best constant baseline in reach, E f: unbiased, its variance a sum over the codes.
    let square = |d: &[f64]| d.iter().zip(problem.pi()).map(|(d, pi)| (d - pi).powi(2)).sum::<f64>();
    let weight = |d: &[f64]| (value(d) - mean).powi(2) * square(d);
    let second = problem.codes().map(|code| code.probability * weight(&code.one_hot)).sum::<f64>();
    let mut rows = vec![("REINFORCE, b = E f", 0.0, (second / norm.powi(2) - 1.0).sqrt(), "–".to_string())];
    for (name, config) in configs {
        let BuiltEstimator::Sample(estimator) = config.build::<f64>()? else { continue };
        let found = certify(&*estimator, &problem, 4, &mut rng::from_key(1))?;
        let (bias, sd) = (found.bias_norm() / norm, found.covariance_trace.sqrt() / norm);
        assert!(name != "ReinMax, τ 1" || bias < rows[1].1, "ReinMax should be less biased than ST");
        rows.push((name, bias, sd, format!("{:.2}", cost(config, latent)?)));
    }
    let (out, mut series, mut lines) = (Path::new("runs/04_estimators_compared"), Vec::new(), String::new());
    println!("{latent}, relative to the exact gradient's norm");
    println!("{:24} {:>7} {:>7} {:>7} {:>9}", "", "bias", "sd", "error", "µs a row");
    for (name, bias, sd, micros) in rows {
        println!("{name:24} {bias:7.3} {sd:7.3} {:7.3} {micros:>9}", bias.hypot(sd));
        lines += &format!("{{\"estimator\":\"{name}\",\"bias\":{bias},\"sd\":{sd}}}\n");
        series.push(Series { name: name.into(), points: vec![(bias, sd)] });
    }
    let title = format!("{latent}, a small decoder");
    let chart = Chart::linear(title, ["|bias| / |exact|", "sd / |exact|"], Mark::Dot, series);
    chart.save(&out.join("estimators.svg"))?;
    Ok(write_atomically(&out.join("estimators.jsonl"), lines.as_bytes())?)
}
