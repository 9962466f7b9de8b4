//! `bias_variance` as a user runs it, against enumeration: 3×2 on the built-in digits, before
//! training.

use crate::command_line::{example, stderr};
use crate::lab::bias_variance::plan;
use hardgrad::data::{DIGITS_TEST, DIGITS_TRAIN, digits};
use hardgrad::estimators::{Choice, Noise, ReinMax};
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, Vae, VaeConfig};
use hardgrad::{ParamGrads, ParamStore, Workspace, rng};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const BATCH: usize = 10;
const DRAWS: usize = 1024;
const LATENT: LatentShape = LatentShape { categories: 3, variables: 2 };

fn run(dir: &Path, args: &str) -> Output {
    Command::new(example("bias_variance"))
        .current_dir(dir)
        .env_remove("MNIST_DIR")
        .args(["--dataset", "digits"])
        .args(args.split_whitespace())
        .output()
        .unwrap()
}

/// The lines of `bias_variance.jsonl`.
fn lines(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("bias_variance.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines without the wall times.
fn numbers(out: &Path) -> Vec<Value> {
    let mut lines = lines(out);
    for line in &mut lines {
        assert!(line.as_object_mut().unwrap().remove("seconds").unwrap().is_number());
    }
    lines
}

/// The line of one estimator before training.
fn line<'a>(lines: &'a [Value], estimator: &str, key: &str, value: &Value) -> &'a Value {
    let is = |line: &&Value| line["epoch"] == 0 && line["estimator"] == estimator && &line[key] == value;
    lines.iter().find(is).unwrap()
}

fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or_else(|| panic!("{key} is not there: {line}"))
}

/// Statistics of ReinMax at τ = 1 by enumeration of D, in f64.
struct Enumerated {
    /// ‖mean‖²
    mean_square: f64,
    /// ‖exact‖
    exact_norm: f64,
    cosine: f64,
    /// Trace of the covariance.
    trace: f64,
    /// Variance of ‖estimate − mean‖², of which the trace is the mean.
    trace_variance: f64,
}

fn enumerated() -> Enumerated {
    let data = digits(0, DIGITS_TRAIN, DIGITS_TEST);
    let config = TrainConfig { vae: VaeConfig::paper(LATENT), ..TrainConfig::default() };
    let trainer = Trainer::new(config.clone(), &data).unwrap();
    let mut params = ParamStore::<f64>::new();
    let vae = Vae::new(&mut params, &config.vae, &mut rng::from_key(0));
    let weights = trainer.params().flat().iter();
    params.flat_mut().iter_mut().zip(weights).for_each(|(to, &from)| *to = f64::from(from));

    let codes = LATENT.one_hot_codes::<f64>().unwrap();
    let (count, width) = (codes.rows(), codes.cols());
    let sample: Vec<f64> = (0..BATCH).flat_map(|_| codes.as_slice().to_vec()).collect();
    let noise = Noise::from_gumbel(vec![0.0; sample.len()]).with_sample(sample);
    let choice = Choice::new(ReinMax::new(1.0).unwrap(), LATENT.categories).with_noise(noise);
    let indices: Vec<u32> = (0..BATCH as u32).collect();
    let mut workspace = Workspace::new();
    let mut tape = workspace.tape(&params);
    let x = tape.constant_with(BATCH, 784, |x| data.train.images().fill(&indices, x));
    let logits = vae.encode(&mut tape, x);
    let pi = tape.softmax(logits, LATENT.categories);
    let (x, logits) = (tape.repeat_rows(x, count), tape.repeat_rows(logits, count));
    let z = tape.sample(&choice, logits);
    let losses = vae.bce(&mut tape, x, z);
    tape.backward_from(losses, &vec![1.0; BATCH * count], &mut ParamGrads::zeros(&params));
    let (estimates, pi, f) =
        (tape.grad_or_zeros(logits), tape.value(pi).to_mat(), tape.value(losses).to_mat());

    let batch = BATCH as f64;
    let (mut mean_square, mut exact_square, mut product) = (0.0, 0.0, 0.0);
    let (mut trace, mut trace_variance) = (0.0, 0.0);
    for i in 0..BATCH {
        let pi = pi.row(i);
        let probability =
            |k: usize| codes.row(k).iter().zip(pi).filter(|c| *c.0 == 1.0).map(|c| c.1).product();
        let weights: Vec<f64> = (0..count).map(probability).collect();
        let estimate = |k: usize, j: usize| estimates.row(i * count + k)[j] / batch;
        let mean: Vec<f64> =
            (0..width).map(|j| (0..count).map(|k| weights[k] * estimate(k, j)).sum()).collect();
        for (j, mean) in mean.iter().enumerate() {
            // Eq. 2: ∂π(D)/∂θ = π(D)(D − π).
            let score = |k: usize| weights[k] * f.row(i * count + k)[0] * (codes.row(k)[j] - pi[j]) / batch;
            let exact: f64 = (0..count).map(score).sum();
            (mean_square, exact_square) = (mean_square + mean * mean, exact_square + exact * exact);
            product += mean * exact;
        }
        let far = |k: usize| (0..width).map(|j| (estimate(k, j) - mean[j]).powi(2)).sum::<f64>();
        let moment = |power: i32| (0..count).map(|k| weights[k] * far(k).powi(power)).sum::<f64>();
        (trace, trace_variance) = (trace + moment(1), trace_variance + moment(2) - moment(1).powi(2));
    }
    let cosine = product / (mean_square * exact_square).sqrt();
    Enumerated { mean_square, exact_norm: exact_square.sqrt(), cosine, trace, trace_variance }
}

#[test]
fn the_measurement_agrees_with_enumeration() {
    let dir = tempfile::tempdir().unwrap();
    let args = "--latent 3x2 --epochs 1 --every 1 --draws 3 --batch 10 --quiet";
    let done = run(dir.path(), &format!("{args} --samples {DRAWS} --out out"));
    assert!(done.status.success(), "{}", stderr(&done));
    let out = dir.path().join("out");
    let (lines, want) = (lines(&out), enumerated());
    let kept = Checkpoint::load(&out.join("seed-0/epoch-001.bin")).unwrap();
    assert_eq!(kept.history.len(), 1);

    // The estimator `exact` of the training agrees with enumeration. Its f32 losses of some 500
    // nats have errors of 1e-4; the gradient consists of differences of about a nat, so its
    // relative error is 1e-3, and that of the cosine is half of the square.
    let exact = line(&lines, "exact", "tau", &Value::Null);
    assert!((number(exact, "cosine") - 1.0).abs() < 1e-6, "{exact}");
    assert_eq!(number(exact, "sd_norm"), 0.0);
    assert!((number(exact, "exact_norm") / want.exact_norm - 1.0).abs() < 1e-9, "{exact}");

    // ReinMax is determined by D: all of its noise is enumerated.
    let reinmax = line(&lines, "reinmax", "tau", &1.0.into());
    let (n, trace, mean_norm) =
        (DRAWS as f64, number(reinmax, "covariance_trace"), number(reinmax, "mean_norm"));
    assert!((trace - want.trace).abs() < 5.0 * (want.trace_variance / n).sqrt(), "{trace}, {}", want.trace);
    // ‖m‖² of the draws' mean m: the noise adds S/N, with variance 4 mᵀΣm/N + 2 tr(Σ²)/N², and Σ is
    // at most S.
    let noise = want.trace / n;
    let sd = (4.0 * want.mean_square * noise + 2.0 * noise * noise).sqrt();
    let square = mean_norm * mean_norm;
    assert!((square - want.mean_square - noise).abs() < 5.0 * sd, "{square}, {}", want.mean_square);
    assert!((number(reinmax, "relative_sd") * mean_norm / trace.sqrt() - 1.0).abs() < 1e-12);
    let (cosine, se) = (number(reinmax, "cosine_corrected"), number(reinmax, "cosine_se"));
    assert!((cosine - want.cosine).abs() < 5.0 * se && se < 0.01, "{cosine} ± {se}, {}", want.cosine);

    // No bias: the cosine is 1.
    for form in ["running-mean", "leave-one-out"] {
        let found = line(&lines, "reinforce", "form", &form.into());
        let (cosine, se) = (number(found, "cosine_corrected"), number(found, "cosine_se"));
        assert!((cosine - 1.0).abs() < 5.0 * se && se < 0.02, "{form}: {cosine} ± {se}");
    }
}

#[test]
fn numbers_do_not_depend_on_threads_and_earlier_results_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let args = "--latent 2x2 --epochs 2 --every 2 --draws 3 --batch 4 --samples 128 --seed 3";
    for (threads, out) in [(1, "one"), (2, "two")] {
        let done = run(dir.path(), &format!("{args} --threads {threads} --out {out}"));
        assert!(done.status.success(), "{}", stderr(&done));
    }
    let [one, two] = ["one", "two"].map(|out| dir.path().join(out));
    assert_eq!(numbers(&one), numbers(&two));
    let estimators = plan::all(3).len();
    assert_eq!(numbers(&one).iter().filter(|line| line["epoch"] == 2).count(), estimators);
    for file in ["cosine.svg", "relative_sd.svg", "forms_cosine.svg", "field_error.svg", "table.md"] {
        assert!(one.join(file).exists(), "{file}");
    }
    // Lines of an earlier run are kept with their wall times.
    let before = lines(&one);
    std::fs::remove_file(one.join("seed-3/epoch-000.jsonl")).unwrap();
    let again = run(dir.path(), &format!("{args} --out one"));
    assert!(
        stderr(&again).contains(&format!("seed 3, epoch 0: {estimators} estimators measured")),
        "{}",
        stderr(&again)
    );
    assert!(!stderr(&again).contains("epoch 2"), "{}", stderr(&again));
    assert_eq!((numbers(&one), &lines(&one)[estimators..]), (numbers(&two), &before[estimators..]));
    // A checkpoint that was removed is an error if the run has continued.
    std::fs::remove_file(one.join("seed-3/epoch-002.bin")).unwrap();
    let missing = run(dir.path(), &format!("{args} --epochs 4 --out one").replace("--epochs 2 ", ""));
    assert!(missing.status.success(), "{}", stderr(&missing)); // the run is at epoch 2, so its checkpoint is written again
    std::fs::remove_file(one.join("seed-3/epoch-002.bin")).unwrap();
    let missing = run(dir.path(), &format!("{args} --epochs 4 --out one").replace("--epochs 2 ", ""));
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("the run has continued to epoch 4"), "{}", stderr(&missing));
}

/// Local expectation as the reference differs from the exact gradient by its standard error, and no
/// cosine differs by more than the angle that belongs to this error. Where codes cannot be
/// enumerated, it is used without an option.
#[test]
fn local_expectation_as_reference() {
    let dir = tempfile::tempdir().unwrap();
    let args = "--latent 3x2 --epochs 1 --every 1 --batch 10 --draws 2 --samples 256 --quiet --out";
    for (out, more) in [("exact", ""), ("local", "--reference local --reference-samples 1024")] {
        let output = run(dir.path(), &format!("{args} {out} {more}"));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let [mut exact, local] = ["exact", "local"].map(|out| lines(&dir.path().join(out)));
    exact.retain(|line| line["estimator"] != "local-expectation");
    assert_eq!(exact.len(), local.len());
    for (exact, local) in exact.iter().zip(&local) {
        assert_eq!((&exact["estimator"], exact.get("reference_se")), (&local["estimator"], None));
        let se = number(local, "reference_se") / number(exact, "exact_norm");
        assert!(se > 0.0 && se < 0.05, "{se}");
        let norm = number(local, "exact_norm") / number(exact, "exact_norm");
        assert!((norm - 1.0).abs() < 5.0 * se, "{norm} with standard error {se}");
        let (a, b) = (&exact["cosine_corrected"], &local["cosine_corrected"]);
        let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { continue };
        assert!((a - b).abs() < 5.0 * se, "{a} and {b} with standard error {se}: {local}");
    }
    let table = std::fs::read_to_string(dir.path().join("local/table.md")).unwrap();
    assert!(table.contains("a mean of 1024 samples of local expectation"), "{table}");

    let args = "--latent 6x6 --epochs 1 --every 1 --batch 2 --draws 2 --samples 128 --reference-samples 32 --quiet --out large";
    let output = run(dir.path(), args);
    assert!(output.status.success(), "{}", stderr(&output));
    let large = lines(&dir.path().join("large"));
    assert!(large.iter().all(|line| line["reference_samples"] == 32 && line["estimator"] != "exact"));
}

#[test]
fn wrong_arguments_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    for (args, expected) in [
        ("--samples 100", "--samples: got 100, expected a multiple of 64"),
        ("--latent 64x8 --reference exact", "at most 16384 codes"),
        (
            "--reference local --reference-samples 40",
            "--reference-samples: got 40, expected a multiple of 16, at least 32",
        ),
        ("--tau 0", "tau: got 0, expected a finite number > 0"),
        ("--every 0", "every: got 0, expected at least 1"),
        ("--epochs 0", "epochs: got 0, expected at least 1"),
        ("--batch 20000", "batch: got 20000, expected at most 10000"),
        ("--draws 0", "--draws: got 0, expected a number from 1"),
        ("--k 0", "--draws: got 0, expected a number from 1"),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{args}: {}", stderr(&output));
    }
}

/// A wrong number of samples is an error before the training starts. The smallest valid number
/// works.
#[test]
fn wrong_numbers_of_samples() {
    let dir = tempfile::tempdir().unwrap();
    for samples in [0, 1, 64, 100, 160] {
        let output = run(dir.path(), &format!("--samples {samples} --out out"));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let expected = format!("--samples: got {samples}, expected a multiple of 64 from 128 on");
        assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
        assert!(!dir.path().join("out").exists());
    }
    let args = "--latent 2x2 --epochs 1 --every 1 --batch 5 --k 2 --samples 128 --out out";
    let output = run(dir.path(), args);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(number(line(&lines(&dir.path().join("out")), "st", "tau", &1.0.into()), "draws"), 128.0);
}
