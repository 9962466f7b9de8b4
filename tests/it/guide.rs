//! The guide's table of measured numbers is the committed results, and these are what the program
//! computes today.
//!
//! After an intended change, `HARDGRAD_WRITE_TABLE=1 cargo test --release --test it guide` rewrites
//! the committed results of 2x8 to 64x2 and the table.

use crate::command_line::example;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LATENTS: [&str; 4] = ["2x8", "8x4", "16x3", "64x2"];

/// A line of `estimators.jsonl`.
#[derive(Deserialize)]
struct Row {
    estimator: String,
    bias: f64,
    sd: f64,
}

fn rows(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn committed(latent: &str) -> PathBuf {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/results/estimators_compared");
    results.join(format!("{latent}.jsonl"))
}

/// What `04_estimators_compared` writes for a latent space.
fn measured(latent: &str, dir: &Path) -> PathBuf {
    let output =
        Command::new(example("04_estimators_compared")).current_dir(dir).arg(latent).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dir.join("runs/04_estimators_compared/estimators.jsonl")
}

fn rewrites() -> bool {
    std::env::var_os("HARDGRAD_WRITE_TABLE").is_some()
}

/// Unbiased estimators that are drawn, not enumerated, have the error of their mean as bias; theirs
/// is 0.
fn cell(row: &Row) -> String {
    let digits = |x: f64| if x < 9.995 { format!("{x:.2}") } else { format!("{x:.1}") };
    let bias = if row.estimator.ends_with('*') { 0.0 } else { row.bias };
    let bias = if bias == 0.0 { "0".into() } else { digits(bias) };
    format!("{bias} / {}", digits(row.sd))
}

#[test]
fn chapter_6_shows_what_the_program_computes() {
    the_program_computes_the_committed_results();
    the_table_is_the_committed_results();
}

fn the_program_computes_the_committed_results() {
    let dir = tempfile::tempdir().unwrap();
    if rewrites() {
        for latent in LATENTS {
            fs::create_dir_all(committed(latent).parent().unwrap()).unwrap();
            fs::copy(measured(latent, dir.path()), committed(latent)).unwrap();
        }
    }
    let (now, then) = (rows(&measured("2x8", dir.path())), rows(&committed("2x8")));
    assert_eq!(now.len(), then.len());
    for (now, then) in now.iter().zip(&then) {
        // Sums of some thousand terms; another SIMD width rounds them differently.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b);
        assert_eq!(now.estimator, then.estimator);
        assert!(close(now.bias, then.bias) && close(now.sd, then.sd), "{}", now.estimator);
    }
}

fn the_table_is_the_committed_results() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/chapter_6.md");
    let results = LATENTS.map(|latent| rows(&committed(latent)));
    let mut table = String::from("| | 2×8 | 8×4 | 16×3 | 64×2 |\n|---|---|---|---|---|\n");
    for row in &results[0] {
        let cells = results.each_ref().map(|rows| {
            let same = rows.iter().find(|other| other.estimator == row.estimator);
            cell(same.unwrap_or_else(|| panic!("no row {}", row.estimator)))
        });
        let name = row.estimator.trim_end_matches(" *");
        table += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    check_table(&path, "| | 2×8", &table);
}

/// Asserts that the table of a Markdown file which begins so is `table`, or writes it there.
pub fn check_table(path: &Path, begins: &str, table: &str) {
    let text = fs::read_to_string(path).unwrap();
    let from =
        text.find(begins).unwrap_or_else(|| panic!("{}: no table begins with {begins}", path.display()));
    let to = text[from..].find("\n\n").map_or(text.len(), |length| from + length + 1);
    if rewrites() {
        fs::write(path, [&text[..from], table, &text[to..]].concat()).unwrap();
    } else {
        assert_eq!(&text[from..to], table);
    }
}
