//! The classic toy problem: minimise E[mean over l of |D_l − c|^p] over the logits of 128 binary variables D_l.
//!
//! ```text
//! cargo run --release --example polynomial
//! cargo run --release --example polynomial -- --p 3 --c 0.48 --steps 2000
//! ```
//!
//! The variables are independent, so the expected loss is known, π (1 − c)^p + (1 − π) c^p averaged over them, and so is the
//! optimum, min(c^p, (1 − c)^p). An estimator sees neither: it gets the derivative of |x − c|^p at the sample, x = 0 or 1. At p = 2
//! ReinMax is exact in the mean, while Straight-Through's first-order gradient vanishes at π = c and keeps it there.
//!
//! Prints a table and leaves `polynomial.jsonl` and `polynomial.svg` in `--out`: how far the expected loss lies above the optimum, step by step. The curve
//! "exact gradient" is that of the expected loss itself.

#[path = "lab/mod.rs"]
mod lab;

use clap::Parser;
use hardgrad::estimators::{
    Blend, Choice, CvForm, Estimator, Gap, GappedStraightThrough, GumbelRao, GumbelSoftmax, ReinMax,
    ReinMaxArgmax, ReinMaxCv, ReinMaxRao, ReinMaxRk2, Rk2Form, StraightThrough, StraightThroughGumbelSoftmax,
};
use hardgrad::files::write_atomically;
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::rng::{Purpose, Streams};
use hardgrad::tape::{CustomOp, InputGrads, Inputs, Recorded};
use hardgrad::{Error, Mat, MatMut, ParamGrads, ParamStore, Tape, Var, Workspace};
use lab::output::tell as println; // std's panics where nobody reads
use lab::svg::{Chart, Mark, Scale, Series};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

const LATENTS: usize = 128;

/// Compare the estimators on E|D - c|^p over 128 binary variables.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// The target, in (0, 1)
    #[arg(long, default_value_t = 0.45, value_parser = target)]
    c: f64,
    /// The power, > 1
    #[arg(long, default_value_t = 2.0, value_parser = power)]
    p: f64,
    /// Updates
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Learning rate of Adam
    #[arg(long, default_value_t = 0.05)]
    lr: f64,
    /// Samples to an update
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Determines every sample
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Directory for the picture
    #[arg(long, value_name = "DIR", default_value = "runs/polynomial")]
    out: PathBuf,
    /// Few steps, and a check that ReinMax comes within 10% of the way from the start to the optimum
    #[arg(long)]
    smoke: bool,
}

fn target(s: &str) -> Result<f64, String> {
    s.parse().ok().filter(|&c| c > 0.0 && c < 1.0).ok_or_else(|| "expected a number in (0, 1)".into())
}

fn power(s: &str) -> Result<f64, String> {
    s.parse()
        .ok()
        .filter(|&p: &f64| p > 1.0 && p.is_finite())
        .ok_or_else(|| "expected a finite number > 1".into())
}

/// |x − c|^p of category 1's coordinate x, averaged over batch and variables: `[N, L·2] → [1, 1]`.
struct Distance {
    c: f64,
    p: f64,
}

impl CustomOp<f64> for Distance {
    fn name(&self) -> &str {
        "distance"
    }

    fn shape(&self, _: &Inputs<'_, f64>) -> (usize, usize) {
        (1, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, f64>, out: MatMut<'_, f64>) {
        let x = inputs.get(0).data;
        let total: f64 = x.chunks(2).map(|x| (x[1] - self.c).abs().powf(self.p)).sum();
        out.data[0] = total / (x.len() / 2) as f64;
    }

    fn vjp(&self, node: &Recorded<'_, f64>, grads: &mut InputGrads<'_, '_, f64>, _: &mut [f64]) {
        let x = node.inputs.get(0).data;
        let weight = node.g.data[0] * self.p / (x.len() / 2) as f64;
        let Some(dx) = grads.get(0) else { return };
        for (dx, x) in dx.data.chunks_mut(2).zip(x.chunks(2)) {
            let from_c = x[1] - self.c;
            dx[1] += weight * from_c.abs().powf(self.p - 1.0) * from_c.signum();
        }
    }
}

type Shared = Arc<dyn Estimator<f64>>;

/// Every estimator that hooks onto the sample, at usual temperatures and 10 conditional draws.
fn estimators() -> Result<Vec<(&'static str, Shared)>, Error> {
    let (k, reinmax) = (10, ReinMax::new(1.0)?);
    let rao = ReinMaxRao::new(1.0, k)?;
    Ok(vec![
        ("ST", Arc::new(StraightThrough::new(1.0)?)),
        ("STGS, τ = 0.5", Arc::new(StraightThroughGumbelSoftmax::new(0.5)?)),
        ("Gumbel-softmax, τ = 0.5", Arc::new(GumbelSoftmax::new(0.5)?)),
        ("Gumbel-Rao, τ = 0.5", Arc::new(GumbelRao::new(0.5, k)?)),
        ("GST-1.0", Arc::new(GappedStraightThrough::new(Gap::Fixed(1.0), 1.0)?)),
        ("GST-p", Arc::new(GappedStraightThrough::new(Gap::Probability, 1.0)?)),
        ("ReinMax", Arc::new(reinmax)),
        ("ReinMax-Argmax", Arc::new(ReinMaxArgmax::new(1.0)?)),
        ("ReinMax-RK2, β = 0.6", Arc::new(ReinMaxRk2::new(Rk2Form::Projected, 0.6)?)),
        ("ReinMax-Rao", Arc::new(rao)),
        ("ReinMax-CV, coupled", Arc::new(ReinMaxCv::new(CvForm::Coupled, 1.0, k, 1.0)?)),
        ("ReinMax-CV, author-code", Arc::new(ReinMaxCv::new(CvForm::AuthorCode, 1.0, k, 1.0)?)),
        ("½ ReinMax + ½ Rao", Arc::new(Blend::new(reinmax, rao, 0.5)?)),
    ])
}

/// The expected loss at these logits: `price` is the loss of category 0 and of category 1.
fn expected<'t>(tape: &mut Tape<'t, f64>, theta: Var, price: [f64; 2]) -> Var {
    let pi = tape.softmax(theta, 2);
    let prices = tape.constant_with(1, LATENTS * 2, |out| {
        out.chunks_mut(2).for_each(|out| out.copy_from_slice(&price));
    });
    let priced = tape.mul(pi, prices);
    let total = tape.sum(priced);
    tape.affine(total, 1.0 / LATENTS as f64, 0.0)
}

/// Trains from equal logits. The expected loss before each update and after the last, with the exact gradient if there is no
/// estimator.
fn train(args: &Args, estimator: Option<&Shared>) -> Result<Vec<f64>, Error> {
    let price = [args.c.powf(args.p), (1.0 - args.c).powf(args.p)];
    let (f, rows) = (Distance { c: args.c, p: args.p }, usize::from(args.batch));
    let mut params = ParamStore::new();
    let id = params.add("theta", Mat::zeros(1, LATENTS * 2));
    let (mut grads, mut workspace) = (ParamGrads::zeros(&params), Workspace::new());
    let mut adam = Adam::new(AdamConfig { lr: args.lr, ..AdamConfig::default() })?;
    let mut choice = estimator.map(|e| Choice::shared(e.clone(), 2));
    let (streams, mut curve) = (Streams::new(args.seed), Vec::new());
    for step in 0..=args.steps {
        if let Some(choice) = &mut choice {
            choice.draw(&mut streams.rng(Purpose::Check, 0, step.into()), rows * LATENTS);
        }
        let mut tape = workspace.tape(&params);
        let theta = tape.param(id);
        let exact = expected(&mut tape, theta, price);
        curve.push(tape.scalar(exact));
        let loss = choice.as_ref().map_or(exact, |choice| {
            let zeros = tape.constant_with(rows, LATENTS * 2, |out| out.fill(0.0));
            let logits = tape.add_bias(zeros, theta); // the same logits in every row
            let d = tape.sample(choice, logits);
            tape.custom(&f, &[d])
        });
        tape.backward(loss, &mut grads);
        adam.step(&mut params, &grads);
    }
    Ok(curve)
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    if args.smoke {
        args.steps = args.steps.min(300);
    }
    lab::exit::of(run(&args))
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let optimum = args.c.min(1.0 - args.c).powf(args.p);
    println!("{:26} {:>10} {:>10} {:>8}", "estimator", "final loss", "excess", "seconds");
    let (mut series, mut lines) = (Vec::new(), String::new());
    let exact = std::iter::once(("exact gradient", None));
    let estimators = estimators()?;
    for (name, estimator) in exact.chain(estimators.iter().map(|(name, e)| (*name, Some(e)))) {
        let start = Instant::now();
        let excess: Vec<_> = train(args, estimator)?.iter().map(|x| x - optimum).collect();
        let (first, last) = (excess[0], excess[excess.len() - 1]);
        let seconds = start.elapsed().as_secs_f64();
        println!("{name:26} {:>10.6} {last:>10.6} {seconds:>8.2}", optimum + last);
        if args.smoke && name == "ReinMax" && last > 0.1 * first {
            return Err(format!("ReinMax: {last} above the optimum, expected at most {}", 0.1 * first).into());
        }
        lines += &format!("{{\"estimator\":\"{name}\",\"excess\":{excess:?}}}\n");
        let points = excess.iter().enumerate().map(|(step, &y)| (step as f64, y)).collect();
        series.push(Series { name: name.to_owned(), points });
    }
    println!("{:26} {optimum:>10.6}", "optimum");
    picture(args, series, &args.out.join("polynomial.svg"))?;
    write_atomically(&args.out.join("polynomial.jsonl"), lines.as_bytes())?;
    println!("in {}: polynomial.jsonl, polynomial.svg", args.out.display());
    Ok(())
}

fn picture(args: &Args, series: Vec<Series>, path: &Path) -> hardgrad::Result<()> {
    let lowest = series.iter().flat_map(|s| &s.points).map(|p| p.1).filter(|&y| y > 0.0);
    let floor = lowest.fold(1.0, f64::min).max(1e-8);
    let chart = Chart {
        title: format!(
            "E|D − {}|<tspan dy=\"-6\" font-size=\"11\">{}</tspan>\
             <tspan dx=\"6\" dy=\"6\">over {LATENTS} binary variables</tspan>",
            args.c, args.p
        ),
        x_label: "step".into(),
        y_label: "expected loss above the optimum".into(),
        x: Scale::Linear { low: 0.0 },
        y: Scale::Log { floor },
        mark: Mark::Line,
        series,
    };
    chart.save(path)
}
