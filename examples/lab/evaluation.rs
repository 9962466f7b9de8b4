//! Evaluation of a finished run: `evaluation.json`, and a summary on standard output.

use super::error::RunError;
use super::output::{note, tell};
use super::progress::{bar, bars_are_drawn};
use super::run::End;
use super::run_dir::RunDir;
use super::stop::Stop;
use hardgrad::files::write_atomically;
use hardgrad::train::{Evaluation, EvaluationProgress, Trainer};
use indicatif::ProgressBar;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Content of `evaluation.json`.
#[derive(Serialize)]
struct File {
    /// Epochs that the measured parameters were trained for.
    epoch: usize,
    #[serde(flatten)]
    evaluation: Evaluation,
}

/// Evaluates the parameters with `samples` samples for the importance-weighted bound, writes
/// `evaluation.json` and prints the numbers. After a signal it returns and writes nothing.
pub fn run(
    dir: &RunDir,
    trainer: &mut Trainer<'_>,
    samples: usize,
    stop: &Stop,
    quiet: bool,
) -> Result<End, RunError> {
    let (start, epoch) = (Instant::now(), trainer.history().len());
    let progress = Passes::new(quiet);
    let mut signal = None;
    let measured = trainer.evaluate_while(samples, &mut |p| {
        progress.report(p);
        signal = stop.signal();
        signal.is_none()
    })?;
    progress.finish();
    let Some(evaluation) = measured else {
        note!("the evaluation was stopped by a signal: start it again with --resume --evaluate");
        return Ok(signal.map_or(End::Done, End::Stopped));
    };
    let text = serde_json::to_string(&File { epoch, evaluation });
    let text = text.map_err(|e| RunError::machine(e.to_string()))? + "\n";
    write_atomically(&dir.file("evaluation.json"), text.as_bytes())?;
    print(epoch, &evaluation, start.elapsed().as_secs_f64());
    Ok(End::Done)
}

fn print(epoch: usize, evaluation: &Evaluation, seconds: f64) {
    tell!("evaluation after epoch {epoch}, parameters fixed, nats per image ({seconds:.1} s):");
    for (name, l) in [("training", evaluation.train), ("test", evaluation.test)] {
        tell!("  {name} images: loss {:.2} = bce {:.2} + kl {:.2}, one sample each", l.loss, l.bce, l.kl);
    }
    if let Some(a) = evaluation.argmax {
        for (name, l, gap) in [("training", a.train, a.train_gap), ("test", a.test, a.test_gap)] {
            tell!("  {name} images: loss {:.2} with argmax codes; sampled minus argmax {gap:.2}", l.loss);
        }
    }
    if let Some(i) = evaluation.importance {
        tell!(
            "  test images: importance-weighted bound {:.2} ± {:.2} with {} samples",
            i.bound,
            i.standard_error,
            i.samples
        );
    }
    match evaluation.exact {
        Some(exact) => tell!("  test images: exact -log p(x) {exact:.2}"),
        None => tell!("  no exact -log p(x): there are too many codes to enumerate"),
    }
}

/// Progress of the evaluation: a bar on a terminal, otherwise a line every half minute.
struct Passes {
    bar: Option<ProgressBar>,
    quiet: bool,
    next: std::cell::Cell<Instant>,
}

/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(30);

impl Passes {
    fn new(quiet: bool) -> Self {
        let bar = (!quiet && bars_are_drawn()).then(|| bar(0, "evaluation {bar:32} {percent}%  {eta} left"));
        Self { bar, quiet, next: (Instant::now() + LINE_EVERY).into() }
    }

    fn report(&self, p: EvaluationProgress) {
        if let Some(bar) = &self.bar {
            bar.set_length(p.of as u64);
            bar.set_position(p.done as u64);
        } else if !self.quiet && Instant::now() >= self.next.get() {
            note!("evaluation: {} of {} passes", p.done, p.of);
            self.next.set(Instant::now() + LINE_EVERY);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
