//! `reproduce report`: its tables against numbers computed by hand, and its errors.

mod refusals;
mod sample;

use crate::command_line::{example, stderr};
use crate::lab::preset::Preset;
use crate::lab::published;
use crate::lab::stats::{Comparison, Estimate, Mean, welch};
use hardgrad::estimators::EstimatorKind;

use sample::{MNIST, Result, cell, curve};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

fn report(out: &Path, args: &[&str]) -> Output {
    Command::new(example("reproduce")).args(["report", "--out"]).arg(out).args(args).output().unwrap()
}

/// The cells of a table.
fn table(out: &Path, id: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(out.join("report").join(format!("{id}.tsv"))).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Writes the sample to a directory and makes its report. `$REPORT_SAMPLE` names a directory that
/// the test in a browser reads afterwards.
#[test]
fn the_sample_makes_the_same_report_twice() {
    let own = tempfile::tempdir().unwrap();
    let out = std::env::var_os("REPORT_SAMPLE").map_or(own.path().to_path_buf(), Into::into);
    std::fs::create_dir_all(&out).unwrap();
    let (results, missing) = sample::everything();
    sample::write(&out, &results, &missing);
    std::fs::write(out.join("bias_variance.jsonl"), sample::bias_variance()).unwrap();
    let reinmax = results.iter().find(|r| r.name == "8x4 reinmax, adam 0.0005, seed 0").unwrap();
    let run = out.join("runs").join(&reinmax.id);
    std::fs::create_dir_all(&run).unwrap();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/pictures/reconstructions.png");
    if picture.exists() {
        std::fs::copy(picture, run.join("reconstructions.png")).unwrap();
    }
    let measured = out.join("bias_variance.jsonl");
    let make = || {
        let output = report(&out, &["--bias-variance", measured.to_str().unwrap()]);
        assert!(output.status.success(), "{}", stderr(&output));
        files(&out.join("report"))
    };
    let first = make();
    assert!(first == make());
    let ids: BTreeSet<_> = first.iter().filter_map(|(name, _)| name.strip_suffix(".tsv")).collect();
    for id in ["table2-as-run", "table3-table4-differences", "on-the-way", "cv-forms", "evaluation", "runs"] {
        assert!(ids.contains(id), "{id} of {ids:?}");
    }
}

/// With four degrees of freedom, the t-distribution has a closed form.
#[test]
fn welchs_p_value_is_that_of_the_closed_form() {
    let [a, b] = [&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]].map(|values| Mean::of(values).unwrap());
    let [x, y] = [a, b].map(|mean| Estimate::of(mean).unwrap());
    let square = 9.0 / (2.0 / 3.0_f64); // t² = 3² / (1/3 + 1/3)
    let q = square / (4.0 + square);
    let below = 0.5 + 0.75 * (q.sqrt() - q.sqrt().powi(3) / 3.0);
    let p = welch(x, y).unwrap();
    assert!((p - 2.0 * (1.0 - below)).abs() < 1e-12, "{p}");
    assert!(Estimate::of(Mean::of(&[1.0]).unwrap()).is_none());
    // A single run, pooled with three others, has their variance.
    let one = Estimate::pooled(Mean::of(&[7.0]).unwrap(), Some(a)).unwrap();
    assert_eq!((one.mean, one.freedom), (7.0, 2.0));
    assert!((one.error - 1.0).abs() < 1e-15);
}

/// Runs of a cell with these train losses after all 160 epochs.
fn ends(kind: EstimatorKind, losses: &[f64]) -> Vec<Result> {
    let run = |(seed, &end): (usize, &f64)| {
        let mut train = curve(160, end, seed as u64);
        train[159] = end;
        Result::new(MNIST, cell(Preset::AsRun, kind, "8x4", seed as u64), &train)
    };
    losses.iter().enumerate().map(run).collect()
}

/// The row of a table that begins with these labels.
fn row<'a>(table: &'a [Vec<String>], labels: &[&str]) -> &'a [String] {
    let found = table.iter().find(|row| row.iter().zip(labels).all(|(a, b)| a == b));
    found.unwrap_or_else(|| panic!("no row {labels:?} in {table:?}"))
}

/// Published: ReinMax 125.08 ± 0.20, Rao 125.31 ± 0.28, CV 124.94 ± 0.24, STGS 127.59 ± 0.23, GST
/// 128.31 ± 0.21; test: ReinMax 127.27 ± 0.16.
#[test]
fn tables_contain_numbers_computed_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let mut results = Vec::new();
    results.extend(ends(EstimatorKind::ReinMax, &[125.0, 126.0, 127.0])); // sd 1, se 1/√3 = 0.577
    results.extend(ends(EstimatorKind::ReinMaxRao, &[124.6, 124.6]));
    results.extend(ends(EstimatorKind::ReinMaxCv, &[124.0, 124.0]));
    results.extend(ends(EstimatorKind::StraightThroughGumbelSoftmax, &[129.0]));
    results.extend(ends(EstimatorKind::GappedStraightThrough, &[130.0, 130.2])); // sd √0.02, se 0.1
    let diverging = cell(Preset::AsRun, EstimatorKind::StraightThrough, "8x4", 0);
    results.push(Result::new(MNIST, diverging, &curve(160, 136.0, 0)[..12]).diverged_of(160));
    // Shorter runs and those with other hyper-parameters do not belong to the table.
    let mut config = cell(Preset::AsRun, EstimatorKind::ReinMax, "8x4", 7);
    results.push(Result::new(MNIST, config.clone(), &curve(10, 90.0, 0)));
    config.lr = 0.1;
    results.push(Result::new(MNIST, config, &curve(160, 90.0, 0)));
    let mut missing = ends(EstimatorKind::ReinMaxCv, &[0.0, 0.0, 124.0]).split_off(2);
    missing.extend(ends(EstimatorKind::GumbelRao, &[125.0]));
    sample::write(dir.path(), &results, &missing);
    assert!(report(dir.path(), &[]).status.success());

    let train = table(dir.path(), "table2-as-run");
    for (labels, expected) in [
        (["STGS", "here"], "129.00 (1)"),
        (["STGS", "paper"], "127.59 ± 0.23 (10)"),
        (["Gumbel-Rao", "here"], "missing"),
        (["ST", "here"], "diverged"),
        (["GST", "here"], "130.10 ± 0.10 (2) †"),
        (["ReinMax", "here"], "126.00 ± 0.58 (3)"),
        (["ReinMax-Rao", "here"], "124.60 ± 0.00 (2)"),
        (["ReinMax-CV", "here"], "124.00 ± 0.00 (2 of 3)"),
    ] {
        assert_eq!(row(&train, &labels)[2], expected, "{labels:?}");
        assert_eq!(row(&train, &labels).len(), 8);
    }
    assert_eq!(row(&table(dir.path(), "table3-as-run"), &["ReinMax", "here"])[2], "128.00 ± 0.58 (3)");

    let apart = table(dir.path(), "table2-as-run-differences");
    assert_eq!(apart.len(), 1 + 5); // a cell without complete runs has no row
    for (method, expected) in [
        // 0.92 / √(1/3 + 0.04) = 0.92 / 0.6110 = 1.51
        ("ReinMax", ["126.00", "0.58", "125.08", "0.20", "10", "+0.92", "+1.5", "within"]),
        // −0.94 / 0.24 = −3.9, but below 1 nat
        ("ReinMax-CV", ["124.00", "0.00", "124.94", "0.24", "10", "-0.94", "-3.9", "within"]),
        // 1.79 / √(0.01 + 0.0441) = 1.79 / 0.2326 = 7.7
        ("GST", ["130.10", "0.10", "128.31", "0.21", "10", "+1.79", "+7.7", "beyond"]),
        // One run: 3 √(0.23² · 10 + 0.23²) = 2.29 is above 1.41
        ("STGS", ["129.00", "–", "127.59", "0.23", "10", "+1.41", "–", "within"]),
    ] {
        assert_eq!(row(&apart, &[method, "8x4"])[3..], expected, "{method}");
    }
    let apart = table(dir.path(), "table3-as-run-differences");
    assert_eq!(row(&apart, &["ReinMax", "8x4"])[7..10], ["10", "+0.73", "+1.2"]); // 0.73 / √(1/3 + 0.0256)
    assert_eq!(row(&table(dir.path(), "after-10-epochs-as-run"), &["ReinMax", "train"])[2], "90.00 (1)");
    assert_eq!(row(&table(dir.path(), "other-runs"), &["8x4", "ReinMax, τ 1.3", "adam 0.1"])[4], "90.00 (1)");

    // Variances pooled with the published seeds': CV √(0.24² · 90 / 10 / 2) = 0.509, ReinMax √((2 +
    // 0.2² · 90) / 11 / 3) = 0.412.
    let claims = table(dir.path(), "claims-train");
    assert_eq!(claims.len(), 2);
    assert_eq!(claims[1][2..], ["incomplete", "open", "-2.00", "0.65", "-0.14", "0.31"]);
    let ranking = table(dir.path(), "ranking-train");
    // It differs from ReinMax by 2.00 nats, 3.1 standard errors with 20 degrees of freedom: p =
    // 0.006, multiplied by the 4 pairs that follow in Holm's order.
    assert_eq!(row(&ranking, &["8x4", "ReinMax-CV"])[2..5], ["GST, STGS, ReinMax", "1", "1"]);
    assert_eq!(row(&ranking, &["8x4", "STGS"])[2..5], ["–", "4", "5"]);

    // Every run of the sample has 4 seconds per epoch.
    assert_eq!(
        row(&table(dir.path(), "minutes"), &["A processor <of> some & any \"kind\"", "1", "ReinMax"])[3],
        "10.7 (3)"
    );

    let text = std::fs::read_to_string(dir.path().join("report/report.md")).unwrap();
    for part in [
        "| ReinMax-CV | here | **124.00 ± 0.00 (2 of 3)** |",
        "| ReinMax-Rao | here | <u>124.60 ± 0.00 (2)</u> |",
        "| ReinMax | here | *126.00 ± 0.58 (3)* |",
        "8x4 st, adam 0.001, seed 0",
        "ended after 12 of 160 epochs: the loss is not finite at epoch 13, step 17",
        "2 runs of the manifest missing:",
        "5 of the 42 combinations of method and latent space have complete runs of 160 epochs, 10 runs in all \
         (combinations with 3 seeds: 1; with 2 seeds: 3; with 1 seed: 1).",
        // STGS, one run: 3 √(0.22² · 10 + 0.22²) = 2.19 is below 131.00 − 128.72 = 2.28.
        "7 of their 10 losses agree with the paper's within 3 combined standard errors or 1 nat; the others are STGS at \
         8x4 (test), GST at 8x4 (train), GST at 8x4 (test). Divided by",
        "8x4 gumbel-rao, adam 0.0005, 160 epochs on MNIST: seed 0",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

/// The losses with argmax codes are shown only where every run of a row has them.
#[test]
fn argmax_losses_are_means_over_all_runs_of_a_row() {
    let columns = |results: &[Result]| {
        let dir = tempfile::tempdir().unwrap();
        sample::write(dir.path(), results, &[]);
        assert!(report(dir.path(), &[]).status.success());
        let table = table(dir.path(), "evaluation");
        assert!(table.iter().all(|row| row.len() == table[0].len()), "{table:?}");
        table
    };
    let reinmax = ends(EstimatorKind::ReinMax, &[125.0, 126.0]).into_iter().map(Result::evaluated);
    let mut results: Vec<_> = reinmax.collect();
    results[0] = results[0].clone().without_argmax();
    let alone = columns(&results);
    assert!(!alone[0].iter().any(|heading| heading.contains("argmax")), "{alone:?}");
    assert_eq!(alone[1][6..8], ["125.10 ± 0.50", "127.50 ± 0.50"]); // 0.4 below 125.5; 125.5 + 2

    let rao = ends(EstimatorKind::ReinMaxRao, &[124.6, 124.6]).into_iter().map(Result::evaluated);
    results.extend(rao);
    let both = columns(&results);
    assert_eq!(both[0][8..12], ["Train, argmax", "Train, gap", "Test, argmax", "Test, gap"]);
    let row = |label: &str| both.iter().find(|row| row[1].starts_with(label)).unwrap();
    assert_eq!(row("ReinMax,")[8..12], ["–"; 4]);
    // 124.6 − 0.4 − 1.5 and 126.6 − 1.25
    let expected = ["122.70 ± 0.00", "1.50 ± 0.00", "125.35 ± 0.00", "1.25 ± 0.00"];
    assert_eq!(row("ReinMax-Rao")[8..12], expected);
}

/// Three runs of 160 epochs with 4 s each are 0.53 hours; the fourth has no time.
#[test]
fn runs_without_a_time_are_counted_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut results = ends(EstimatorKind::ReinMax, &[125.0, 126.0, 127.0, 128.0]);
    results[1] = results[1].clone().without_time();
    sample::write(dir.path(), &results, &[]);
    assert!(report(dir.path(), &[]).status.success());
    assert_eq!(table(dir.path(), "sources")[1][4..], ["4", "0.53 (3 of 4)"]);
    let text = std::fs::read_to_string(dir.path().join("report/report.md")).unwrap();
    let sentence =
        "4 runs of 4 planned; 0.5 hours of computing, 0.5 thread-hours, not counting 1 run without a time.";
    assert!(text.contains(sentence), "{text}");
}

/// Epoch 10 of runs with any number of epochs; each seed counts once.
#[test]
fn short_runs_are_compared_with_the_stored_seeds() {
    let dir = tempfile::tempdir().unwrap();
    let run = |seed, epochs, at_ten| {
        let mut train = curve(epochs, 130.0, seed);
        train[9] = at_ten;
        Result::new(MNIST, cell(Preset::AsRun, EstimatorKind::ReinMax, "8x4", seed), &train)
    };
    let results = [run(0, 10, 139.0), run(1, 10, 140.0), run(1, 160, 140.0)];
    sample::write(dir.path(), &results, &[]);
    assert!(report(dir.path(), &[]).status.success());
    let table = table(dir.path(), "on-the-way");
    // Published: 139.83, sd of a seed 0.59, √10 seeds: 0.187. −0.33 / √(0.25 + 0.0348) = −0.6
    let expected = ["2", "139.50", "0.50", "139.83", "0.19", "10", "-0.33", "-0.6", "within"];
    assert_eq!(row(&table, &["ReinMax", "8x4", "10", "train"])[4..], expected);
    assert_eq!(row(&table, &["ReinMax", "8x4", "1", "train"])[12], "–"); // no spread is known for epoch 1
}

/// A single run 1.41 nats from ten published ones with a standard error of 0.23, whose sd is 0.23 √10:
/// 1.41 / (0.23 √(10 + 1)) = 1.848. Two runs: 1.41 / (0.23 √(10/2 + 1)) = 2.503.
#[test]
fn a_difference_is_standardised_by_the_published_spread() {
    let theirs = Mean { n: 10, mean: 127.59, error: Some(0.23) };
    let of = |n| Comparison::new(Mean { n, mean: 129.0, error: None }, theirs).standardised.unwrap();
    assert!((of(1) - 1.848).abs() < 5e-4 && (of(2) - 2.503).abs() < 5e-4, "{} {}", of(1), of(2));
    assert_eq!(Comparison::new(theirs, Mean { error: None, ..theirs }).standardised, None);
}

#[test]
fn published_numbers_are_those_of_the_paper() {
    let all = published::all().unwrap();
    let of = |source: &str| all.iter().filter(|p| p.source == source).collect::<Vec<_>>();
    let counts =
        ["table-1", "table-2", "table-3", "figure-1", "figure-2", "stored"].map(|source| of(source).len());
    assert_eq!(counts, [3, 42, 42, 7, 7, 23]);
    assert_eq!(all.len(), counts.iter().sum::<usize>());
    let cell = |source, kind, latent| {
        let found = of(source).into_iter().find(|p| p.method == kind && p.latent == latent).unwrap();
        (found.value, found.error, found.seeds)
    };
    assert_eq!(cell("table-2", EstimatorKind::GumbelRao, "16x12"), (109.72, Some(6.83), Some(5)));
    assert_eq!(cell("table-2", EstimatorKind::StraightThrough, "10x30"), (136.73, Some(0.40), Some(10)));
    assert_eq!(cell("table-3", EstimatorKind::ReinMaxCv, "8x16"), (100.16, Some(0.07), Some(10)));
    assert_eq!(cell("table-1", EstimatorKind::ReinMaxArgmax, "8x4"), (2.873, None, None));
    assert_eq!(cell("figure-1", EstimatorKind::ReinMaxCv, "8x4"), (0.71, None, None));
}
