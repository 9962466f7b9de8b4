//! Bias, variance and cost of the estimators, against the exact gradient of a small decoder by
//! enumeration of all codes. Writes `estimators.jsonl` and `estimators.svg` to
//! `runs/04_estimators_compared`.
//!
//! ```text
//! cargo run --release --example 04_estimators_compared              8x4, some seconds
//! cargo run --release --example 04_estimators_compared -- 64x2      another latent space, categories x variables
//! cargo run --release --example 04_estimators_compared -- 64x1      one variable: also the estimators of a single choice
//! cargo run --release --example 04_estimators_compared -- --smoke   2x4 and a check, a second
//! ```
//!
//! Estimators on the sample are enumerated. Estimators at the loss, marked *, are unbiased, and are
//! drawn 4096 times: the bias that is printed for them is noise of about sd/64. All numbers are
//! relative to the norm of the exact gradient.
//!
//! VIMCO is missing, because it estimates the gradient of another loss, the importance-weighted
//! bound. A pair without replacement and sum and sample are for a single choice, so they need a
//! latent space of one variable.

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::certify::{LossOf, certify};
use hardgrad::estimators::{
    At, Baseline, BuiltEstimator, Choice, CvForm, DoubleControlVariate, EstimatorConfig, Gap,
    LocalExpectation, Noise, PairWithoutReplacement, Reinforce, Scratch, SumAndSample,
};
use hardgrad::exact::Problem;
use hardgrad::files::write_atomically;
use hardgrad::stats::RunningMoments;
use hardgrad::{Error, Mat, MatRef, ParamGrads, ParamStore, Tape, Var, Workspace};
use hardgrad::{nn::Mlp, rng, vae::LatentShape};
use lab::output::tell as println; // std's panics if the output is closed
use lab::svg::{Chart, Mark, Series};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

const PIXELS: usize = 32;

/// A random two-layer decoder of 32 pixels; f(z) is their binary cross-entropy.
struct Decoder {
    params: ParamStore<f64>,
    mlp: Mlp,
}

impl Decoder {
    fn new(width: usize) -> Self {
        let mut params = ParamStore::new();
        let mlp = Mlp::new(&mut params, "decoder", &[width, PIXELS, PIXELS], &mut rng::from_key(2));
        // Larger weights, because the loss of a trained decoder depends strongly on the code.
        params.flat_mut().iter_mut().for_each(|w| *w *= 6.0);
        Self { params, mlp }
    }

    /// f of each code, `[N, 1]`.
    fn loss(&self, tape: &mut Tape<'_, f64>, z: Var) -> Var {
        let (pixels, rows) = (self.mlp.forward(tape, z), tape.shape(z).0);
        let target = Mat::from_fn(rows, PIXELS, |_, j| f64::from(j % 3 == 0));
        let target = tape.constant(&target);
        tape.bce_with_logits(pixels, target)
    }

    /// f of one code, and its gradient if there is room for it.
    fn at(&self, code: &[f64], gradient: Option<&mut [f64]>) -> f64 {
        let mut workspace = Workspace::new();
        let mut tape = workspace.tape(&self.params);
        let z = tape.leaf(MatRef::new(1, code.len(), code));
        let loss = self.loss(&mut tape, z);
        if let Some(gradient) = gradient {
            tape.backward(loss, &mut ParamGrads::zeros(&self.params));
            gradient.copy_from_slice(tape.grad_or_zeros(z).as_slice());
        }
        tape.scalar(loss)
    }

    /// Mean and covariance trace of 4096 estimates of an estimator at the loss. `record` records
    /// the loss of rows of logits, with `samples` samples for each row.
    fn draw(
        &self,
        theta: &[f64],
        categories: usize,
        samples: usize,
        record: impl for<'t> Fn(&mut Tape<'t, f64>, Var, &Choice<f64>, LossOf<'_, 't>) -> Var,
    ) -> Moments {
        const ROWS: usize = 256;
        let (mut moments, mut workspace) = (RunningMoments::new(theta.len()), Workspace::new());
        let mut choice = Choice::without_gradient(categories);
        for batch in 0..16 {
            choice.draw(&mut rng::from_key(batch), ROWS * samples * theta.len() / categories);
            let mut tape = workspace.tape(&self.params);
            let logits = tape.leaf(&Mat::from_fn(ROWS, theta.len(), |_, j| theta[j]));
            let loss = record(&mut tape, logits, &choice, &mut |tape, z| self.loss(tape, z));
            let losses = tape.shape(loss).0;
            let weights = vec![ROWS as f64 / losses as f64; losses];
            tape.backward_from(loss, &weights, &mut ParamGrads::zeros(&self.params));
            tape.grad_or_zeros(logits).as_slice().chunks(theta.len()).for_each(|row| moments.add(1.0, row));
        }
        let squares: f64 = moments.squares().iter().sum();
        (moments.mean().to_vec(), squares / (moments.weight() - 1.0))
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

/// Mean and covariance trace of estimates.
type Moments = (Vec<f64>, f64);

/// The moments of the estimators at the loss, by name.
fn at_the_loss(
    decoder: &Decoder,
    theta: &[f64],
    latent: LatentShape,
) -> Result<Vec<(&'static str, Moments)>, Error> {
    let c = latent.categories;
    let leave_one_out = Reinforce::new(Baseline::leave_one_out(2)?);
    let double = DoubleControlVariate::new(2, -1.0)?;
    let sum = SumAndSample::new(1)?;
    let mut found = vec![
        (
            "leave-one-out, n 2 *",
            decoder.draw(theta, c, 2, |tape, logits, choice, f| {
                let repeated = tape.repeat_rows(logits, 2);
                leave_one_out.loss(tape, repeated, choice, f)
            }),
        ),
        (
            "double CV, n 2, α −1 *",
            decoder.draw(theta, c, 2, |t, logits, choice, f| double.loss(t, logits, choice, f)),
        ),
        (
            "local expectation *",
            decoder.draw(theta, c, 1, |t, logits, choice, f| LocalExpectation.loss(t, logits, choice, f)),
        ),
    ];
    if latent.variables == 1 {
        found.push((
            "pair w/o replacement *",
            decoder
                .draw(theta, c, 1, |t, logits, choice, f| PairWithoutReplacement.loss(t, logits, choice, f)),
        ));
        found.push((
            "sum and sample, k 1 *",
            decoder.draw(theta, c, 1, |t, logits, choice, f| sum.loss(t, logits, choice, f)),
        ));
    }
    Ok(found)
}

fn main() -> ExitCode {
    lab::exit::of(run())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1).unwrap_or_else(|| "8x4".into());
    let smoke = argument == "--smoke";
    let latent: LatentShape = if smoke { "2x4" } else { argument.as_str() }.parse()?;
    latent.codes()?; // an error if they are too many to enumerate
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
        ("DARN", EstimatorConfig::Darn),
        ("MVE, λ 10", EstimatorConfig::Mve { lambda: 10.0 }),
        ("MVE, λ = ∞", EstimatorConfig::Mve { lambda: f64::INFINITY }),
    ];
    let decoder = Decoder::new(latent.width());
    let value = |d: &[f64]| decoder.at(d, None);
    let gradient = |d: &[f64], g: &mut [f64]| {
        decoder.at(d, Some(g));
    };
    let objective = (value, gradient);
    let theta: Vec<f64> = (0..latent.width()).map(|j| 1.5 * (2.7 * j as f64).sin()).collect();
    let problem = Problem::new(&theta, latent.categories, &objective)?;
    let (exact, mean) = (problem.gradient(), problem.expectation());
    let norm = exact.iter().map(|g| g * g).sum::<f64>().sqrt();
    // REINFORCE with the best constant baseline in reach, E f: unbiased, its variance a sum over
    // the codes.
    let square = |d: &[f64]| d.iter().zip(problem.pi()).map(|(d, pi)| (d - pi).powi(2)).sum::<f64>();
    let weight = |d: &[f64]| (value(d) - mean).powi(2) * square(d);
    let second = problem.codes().map(|code| code.probability * weight(&code.one_hot)).sum::<f64>();
    let mut rows = vec![("REINFORCE, b = E f", 0.0, (second / norm.powi(2) - 1.0).sqrt(), "–".to_string())];
    for (name, config) in configs {
        let BuiltEstimator::Sample(estimator) = config.build::<f64>()? else { continue };
        // The average of 400 draws of noise given each code; the others average over theirs themselves.
        let repeats =
            if matches!(config, EstimatorConfig::StraightThroughGumbelSoftmax { .. }) { 400 } else { 4 };
        let found = certify(&*estimator, &problem, repeats, &mut rng::from_key(1))?;
        let (bias, sd) = (found.bias_norm() / norm, found.covariance_trace.sqrt() / norm);
        assert!(name != "ReinMax, τ 1" || bias < rows[1].1, "ReinMax should be less biased than ST");
        rows.push((name, bias, sd, format!("{:.2}", cost(config, latent)?)));
    }
    for (name, (mean, trace)) in at_the_loss(&decoder, &theta, latent)? {
        let error: f64 = mean.iter().zip(&exact).map(|(m, e)| (m - e).powi(2)).sum();
        // E ‖mean − exact‖² is trace/4096.
        assert!(error < 9.0 * trace / 4096.0 + 1e-20, "{name} should be unbiased");
        rows.push((name, error.sqrt() / norm, trace.sqrt() / norm, "–".into()));
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
