//! A common toy problem: minimise the expectation of the mean of |D_l − c|^p over the logits of 128
//! binary variables D_l.
//!
//! ```text
//! cargo run --release --example polynomial
//! cargo run --release --example polynomial -- --p 3 --c 0.48 --steps 2000
//! ```
//!
//! The variables are independent, so the expected loss is known: π (1 − c)^p + (1 − π) c^p averaged
//! over the variables. Its minimum is min(c^p, (1 − c)^p). An estimator sees neither. An estimator
//! on the sample gets the derivative of |x − c|^p at the sample, x = 0 or 1. At p = 2 the mean of
//! ReinMax is the exact gradient, while that of straight-through vanishes at π = c, so training
//! stays there.
//!
//! An estimator at the loss gets the loss of whole samples, and as many samples as the others. Some
//! estimators have no curve of their own. The limit of MVE for λ → ∞ is ReinMax for two categories.
//! Local expectation, and for each variable on its own a pair without replacement and sum and
//! sample, are the exact gradient, because the variables are binary and the loss is a sum over
//! them. VIMCO minimises another loss, the importance-weighted bound.
//!
//! The program prints a table and writes `polynomial.jsonl` and `polynomial.svg` to `--out`: the
//! difference between the expected loss and the minimum after each step. The curve "exact gradient"
//! is that of the expected loss itself.

#[path = "lab/mod.rs"]
mod lab;

use clap::Parser;
use hardgrad::estimators::{
    Baseline, Blend, Choice, CvForm, Darn, DoubleControlVariate, Estimator, Gap, GappedStraightThrough,
    GumbelRao, GumbelSoftmax, LocalExpectation, Mve, ReinMax, ReinMaxArgmax, ReinMaxCv, ReinMaxRao,
    ReinMaxRk2, Reinforce, Rk2Form, StraightThrough, StraightThroughGumbelSoftmax,
};
use hardgrad::files::write_atomically;
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::rng::{Purpose, Streams};
use hardgrad::tape::{CustomOp, InputGrads, Inputs, Recorded};
use hardgrad::{Error, Mat, MatMut, ParamGrads, ParamStore, Tape, Var, Workspace};
use lab::numbers::{number, positive, whole};
use lab::output::tell as println; // std's panics if the output is closed
use lab::svg::{Chart, Mark, Scale, Series};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

const LATENTS: usize = 128;

/// Compare the estimators on E|D - c|^p over 128 binary variables.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Target c, in (0, 1)
    #[arg(long, default_value_t = 0.45, value_parser = target)]
    c: f64,
    /// Power p, > 1
    #[arg(long, default_value_t = 2.0, value_parser = power)]
    p: f64,
    /// Number of updates
    #[arg(long, default_value_t = 800, allow_negative_numbers = true, value_parser = positive::<u32>)]
    steps: u32,
    /// Learning rate of Adam
    #[arg(long, default_value_t = 0.05, allow_negative_numbers = true, value_parser = number)]
    lr: f64,
    /// Samples per update; estimators at the loss take an even number
    #[arg(long, default_value_t = 8, allow_negative_numbers = true, value_parser = positive::<u16>)]
    batch: u16,
    /// Seed of every sample
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = whole::<u64>)]
    seed: u64,
    /// Directory for the results
    #[arg(long, value_name = "DIR", default_value = "runs/polynomial")]
    out: PathBuf,
    /// Make few steps, and check that ReinMax removes 90% of the difference from the minimum and that local expectation is the
    /// exact gradient
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

/// The mean over the variables of |x − c|^p, where x is the coordinate of category 1: `[N, L·2] →
/// [N, 1]`.
struct Distance {
    c: f64,
    p: f64,
}

impl Distance {
    /// The losses of category 0 and of category 1.
    fn price(&self) -> [f64; 2] {
        [self.c.powf(self.p), (1.0 - self.c).powf(self.p)]
    }
}

impl CustomOp<f64> for Distance {
    fn name(&self) -> &str {
        "distance"
    }

    fn shape(&self, inputs: &Inputs<'_, f64>) -> (usize, usize) {
        (inputs.get(0).rows, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, f64>, out: MatMut<'_, f64>) {
        for (i, out) in out.data.iter_mut().enumerate() {
            let x = inputs.get(0).row(i).chunks(2);
            *out = x.map(|x| (x[1] - self.c).abs().powf(self.p)).sum::<f64>() / LATENTS as f64;
        }
    }

    fn vjp(&self, node: &Recorded<'_, f64>, grads: &mut InputGrads<'_, '_, f64>, _: &mut [f64]) {
        let x = node.inputs.get(0);
        let Some(dx) = grads.get(0) else { return };
        for (i, dx) in dx.data.chunks_mut(2 * LATENTS).enumerate() {
            let weight = node.g.data[i] * self.p / LATENTS as f64;
            for (dx, x) in dx.chunks_mut(2).zip(x.row(i).chunks(2)) {
                let from_c = x[1] - self.c;
                dx[1] += weight * from_c.abs().powf(self.p - 1.0) * from_c.signum();
            }
        }
    }
}

/// The source of the gradient.
enum Method {
    /// The expected loss.
    Exact,
    /// An estimator on the sample.
    Sample(Arc<dyn Estimator<f64>>),
    /// REINFORCE with leave-one-out over two samples.
    LeaveOneOut(Reinforce),
    /// The double control variate with two samples.
    Double(DoubleControlVariate),
    /// All neighbours of a sample.
    Local,
}

/// The methods at usual temperatures, with 10 conditional draws.
fn methods() -> Result<Vec<(&'static str, Method)>, Error> {
    let (k, reinmax) = (10, ReinMax::new(1.0)?);
    let rao = ReinMaxRao::new(1.0, k)?;
    let cv = |form| ReinMaxCv::new(form, 1.0, k, 1.0);
    let leave_one_out = Baseline::leave_one_out(2)?;
    Ok(vec![
        ("exact gradient", Method::Exact),
        ("ST", on_sample(StraightThrough::new(1.0)?)),
        ("STGS, τ = 0.5", on_sample(StraightThroughGumbelSoftmax::new(0.5)?)),
        ("Gumbel-softmax, τ = 0.5", on_sample(GumbelSoftmax::new(0.5)?)),
        ("Gumbel-Rao, τ = 0.5", on_sample(GumbelRao::new(0.5, k)?)),
        ("GST-1.0", on_sample(GappedStraightThrough::new(Gap::Fixed(1.0), 1.0)?)),
        ("GST-p", on_sample(GappedStraightThrough::new(Gap::Probability, 1.0)?)),
        ("ReinMax", on_sample(reinmax)),
        ("ReinMax-Argmax", on_sample(ReinMaxArgmax::new(1.0)?)),
        ("ReinMax-RK2, β = 0.6", on_sample(ReinMaxRk2::new(Rk2Form::Projected, 0.6)?)),
        ("ReinMax-Rao", on_sample(rao)),
        ("ReinMax-CV, coupled", on_sample(cv(CvForm::Coupled)?)),
        ("ReinMax-CV, author-code", on_sample(cv(CvForm::AuthorCode)?)),
        ("½ ReinMax + ½ Rao", on_sample(Blend::new(reinmax, rao, 0.5)?)),
        ("MVE, λ = 10", on_sample(Mve::new(10.0)?)),
        ("DARN", on_sample(Darn)),
        ("leave-one-out, n = 2", Method::LeaveOneOut(Reinforce::new(leave_one_out))),
        ("double CV, n = 2, α = −1", Method::Double(DoubleControlVariate::new(2, -1.0)?)),
    ])
}

fn on_sample(estimator: impl Estimator<f64> + 'static) -> Method {
    Method::Sample(Arc::new(estimator))
}

/// The expected loss at these logits, where `price` has the losses of category 0 and of category 1.
fn expected<'t>(tape: &mut Tape<'t, f64>, theta: Var, price: [f64; 2]) -> Var {
    let pi = tape.softmax(theta, 2);
    let prices = tape.constant_with(1, LATENTS * 2, |out| {
        out.chunks_mut(2).for_each(|out| out.copy_from_slice(&price));
    });
    let priced = tape.mul(pi, prices);
    let total = tape.sum(priced);
    tape.affine(total, 1.0 / LATENTS as f64, 0.0)
}

impl Method {
    /// Records the mean loss of `rows` samples whose logits are the row `theta`.
    fn loss<'t>(
        &self,
        tape: &mut Tape<'t, f64>,
        theta: Var,
        rows: usize,
        choice: &Choice<f64>,
        f: &'t Distance,
    ) -> Var {
        let (distance, f) = (f, |tape: &mut Tape<'t, f64>, d: Var| tape.custom(f, &[d]));
        // The double control variate repeats the rows itself.
        let inputs = if let Self::Double(_) = self { rows / 2 } else { rows };
        let logits = tape.repeat_rows(theta, inputs);
        let loss = match self {
            Self::Exact => return expected(tape, theta, distance.price()),
            Self::Sample(_) => {
                let d = tape.sample(choice, logits);
                f(tape, d)
            }
            Self::LeaveOneOut(reinforce) => reinforce.loss(tape, logits, choice, f),
            Self::Double(double) => double.loss(tape, logits, choice, f),
            Self::Local => LocalExpectation.loss(tape, logits, choice, f),
        };
        tape.mean(loss)
    }
}

/// Trains from equal logits. Returns the expected loss before each update and after the last.
fn train(args: &Args, method: &Method) -> Result<Vec<f64>, Error> {
    let f = Distance { c: args.c, p: args.p };
    let rows = match method {
        Method::LeaveOneOut(_) | Method::Double(_) => usize::from(args.batch).next_multiple_of(2),
        _ => usize::from(args.batch),
    };
    let mut params = ParamStore::new();
    let id = params.add("theta", Mat::zeros(1, LATENTS * 2));
    let (mut grads, mut workspace) = (ParamGrads::zeros(&params), Workspace::new());
    let mut adam = Adam::new(AdamConfig { lr: args.lr, ..AdamConfig::default() })?;
    let mut choice = match method {
        Method::Sample(estimator) => Choice::shared(estimator.clone(), 2),
        _ => Choice::without_gradient(2),
    };
    let (streams, mut curve) = (Streams::new(args.seed), Vec::new());
    for step in 0..=args.steps {
        choice.draw(&mut streams.rng(Purpose::Check, 0, step.into()), rows * LATENTS);
        let mut tape = workspace.tape(&params);
        let theta = tape.param(id);
        let exact = expected(&mut tape, theta, f.price());
        curve.push(tape.scalar(exact));
        let loss = method.loss(&mut tape, theta, rows, &choice, &f);
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
    // Before the training, so that an error is seen at once.
    std::fs::create_dir_all(&args.out).map_err(|e| Error::io("make the directory", &args.out, e))?;
    let optimum = args.c.min(1.0 - args.c).powf(args.p);
    println!("{:26} {:>10} {:>10} {:>8}", "estimator", "final loss", "excess", "seconds");
    let (mut series, mut lines) = (Vec::new(), String::new());
    for (name, method) in &methods()? {
        let start = Instant::now();
        let excess: Vec<_> = train(args, method)?.iter().map(|x| x - optimum).collect();
        let (first, last) = (excess[0], excess[excess.len() - 1]);
        let seconds = start.elapsed().as_secs_f64();
        println!("{name:26} {:>10.6} {last:>10.6} {seconds:>8.2}", optimum + last);
        if args.smoke && *name == "ReinMax" && last > 0.1 * first {
            return Err(format!("ReinMax: {last} above the minimum, expected at most {}", 0.1 * first).into());
        }
        lines += &format!("{{\"estimator\":\"{name}\",\"excess\":{excess:?}}}\n");
        let points = excess.iter().enumerate().map(|(step, &y)| (step as f64, y)).collect();
        series.push(Series { name: (*name).to_owned(), points });
    }
    println!("{:26} {optimum:>10.6}", "minimum");
    if args.smoke {
        let (exact, local) = (train(args, &Method::Exact)?, train(args, &Method::Local)?);
        let difference = exact.iter().zip(&local).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if difference > 1e-9 {
            return Err(format!("local expectation: {difference} from the exact gradient's curve").into());
        }
    }
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
        y_label: "expected loss above the minimum".into(),
        x: Scale::Linear { low: 0.0 },
        y: Scale::Log { floor },
        mark: Mark::Line,
        series,
    };
    chart.save(path)
}
