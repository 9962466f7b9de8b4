//! Errors of `reproduce report` about invalid files: the message names file and line, and nothing
//! is written.

use super::sample::{self, MNIST, Result, cell, curve};
use super::{files, report};
use crate::command_line::stderr;
use crate::lab::preset::Preset;
use hardgrad::estimators::EstimatorKind;
use std::path::Path;

fn runs() -> Vec<Result> {
    let run = |seed| {
        Result::new(MNIST, cell(Preset::AsRun, EstimatorKind::ReinMax, "8x4", seed), &curve(3, 130.0, seed))
    };
    (0..3).map(run).collect()
}

/// The message about these bytes as `results.jsonl`.
fn message(results: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("results.jsonl"), results).unwrap();
    refused(dir.path(), &[])
}

fn refused(out: &Path, args: &[&str]) -> String {
    let output = report(out, args);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(!out.join("report").exists());
    stderr(&output)
}

#[test]
fn damaged_results_are_named_by_line() {
    let lines: Vec<String> = runs().iter().map(Result::line).collect();
    let (first, second) = (&lines[0], &lines[1]);
    let mut other = runs().remove(1);
    other.config.lr = 0.3; // the check matches, but the id is that of another config
    let mut short = runs().remove(1);
    short.history.pop();
    let cut = &second[..second.len() / 2];
    let text = |lines: &[&str]| lines.concat().into_bytes();
    for (bytes, expected) in [
        (Vec::new(), "results.jsonl: there is no result in it"),
        (text(&["\n \n"]), "results.jsonl: there is no result in it"),
        (text(&[first, cut]), "results.jsonl, line 2: not a result: "),
        (text(&[first, "\n", "[]\n"]), "results.jsonl, line 3: not a result: "),
        (
            text(&[first, &second.replace("0.0005", "0.0006")]),
            "results.jsonl, line 2: the line is damaged: its check is ",
        ),
        (text(&[first, &other.line()]), "results.jsonl, line 2: the id "),
        (
            text(&[first, &short.line()]),
            "results.jsonl, line 2: found 2 epochs, expected the epochs 1 to 3 in order",
        ),
        (text(&[first, second, first]), "line 3: run "),
        ([first.as_bytes(), b"\xff\xfe\n"].concat(), "results.jsonl, line 2: not UTF-8"),
    ] {
        let message = message(&bytes);
        assert!(message.contains(expected), "{message} instead of {expected}");
    }
    assert!(message(text(&[first, second, first]).as_slice()).contains("has a result in line 1 already"));
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(dir.path(), &[]).contains("cannot read "));
}

#[test]
fn a_damaged_manifest_or_measurement_is_named_by_line() {
    let (dir, results) = (tempfile::tempdir().unwrap(), runs());
    sample::write(dir.path(), &results, &[]);
    let manifest = dir.path().join("manifest.jsonl");
    let plans: String = results.iter().map(Result::plan).collect();
    std::fs::write(&manifest, plans.replacen("\"epochs\":3", "\"epochs\":4", 1)).unwrap();
    let e = refused(dir.path(), &[]);
    assert!(e.contains("manifest.jsonl, line 1: the id is ") && e.contains("replace the id by "), "{e}");
    std::fs::write(&manifest, plans).unwrap();

    let file = dir.path().join("measured.jsonl");
    let measured = sample::bias_variance();
    let first = measured.lines().next().unwrap();
    for (text, expected) in [
        (String::new(), "measured.jsonl: there is no measurement in it"),
        (format!("{first}\n{{\n"), "measured.jsonl, line 2: not a measurement: "),
        (
            first.replace("reinmax", "reinmin"),
            "measured.jsonl, line 1: estimator: got reinmin, expected one of st, ",
        ),
        (
            format!("{first}\n{first}\n"),
            "measured.jsonl, line 2: ReinMax, τ 1 at epoch 0, seed 0 is in an earlier",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let e = refused(dir.path(), &["--bias-variance", file.to_str().unwrap()]);
        assert!(e.contains(expected), "{e} instead of {expected}");
    }
}

#[test]
fn a_missing_manifest_is_reported_and_the_order_of_lines_does_not_matter() {
    let report_of = |results: &[Result]| {
        let dir = tempfile::tempdir().unwrap();
        let lines: String = results.iter().map(Result::line).collect();
        std::fs::write(dir.path().join("results.jsonl"), lines).unwrap();
        let output = report(dir.path(), &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        files(&dir.path().join("report"))
    };
    let mut runs = runs();
    let report = report_of(&runs);
    runs.reverse();
    assert!(report == report_of(&runs));
    let (_, text) = report.iter().find(|(name, _)| name == "report.md").unwrap();
    assert!(String::from_utf8_lossy(text).contains("3 runs and no manifest with the planned runs"));
}
