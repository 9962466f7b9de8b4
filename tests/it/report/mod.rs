//! `reproduce report`: its tables against numbers worked out by hand, and what it refuses.

mod sample;

use crate::command_line::{example, stderr};
use hardgrad::estimators::EstimatorKind;
use hardgrad::train::Preset;
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

/// The sample in a directory; that of `$REPORT_SAMPLE`, if it is set, for the test in a browser.
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
