//! The tables of `data/results/README.md` are those of the committed report, and its first sentence
//! counts what the report lists.
//!
//! After new runs, `HARDGRAD_WRITE_TABLE=1 cargo test --release --test it results` rewrites them.

use crate::guide::check_table;
use std::fs;
use std::path::{Path, PathBuf};

/// A row of a table of differences, as far as the README shows it.
struct Difference<'a> {
    method: &'a str,
    latent: &'a str,
    /// Complete runs, and the runs planned.
    runs: (usize, usize),
    beyond: bool,
    text: String,
}

fn difference(line: &str) -> Difference<'_> {
    let cells: Vec<_> = line.split('\t').collect();
    let [method, latent, runs, here, _, published, .., verdict] = cells[..] else { panic!("{line}") };
    let (complete, planned) = runs.split_once(" of ").unwrap_or((runs, runs));
    let runs = (complete.parse().unwrap(), planned.parse().unwrap());
    let beyond = verdict == "beyond";
    let text = format!("{here} / {published}");
    Difference { method, latent, runs, beyond, text: if beyond { format!("**{text}**") } else { text } }
}

fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/results")
}

fn read(path: &str) -> String {
    fs::read_to_string(results().join(path)).unwrap()
}

#[test]
fn the_counts_of_the_readme_are_the_reports() {
    let tables = [2, 3].map(|number| read(&format!("vae/report/table{number}-as-run-differences.tsv")));
    let rows: Vec<_> = tables.iter().flat_map(|tsv| tsv.lines().skip(1)).map(difference).collect();
    let cells = &rows[..rows.len() / 2];
    let complete: usize = cells.iter().map(|row| row.runs.0).sum();
    let planned: usize = cells.iter().map(|row| row.runs.1).sum();
    let agree = rows.iter().filter(|row| !row.beyond).count();
    let readme = read("README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for count in [
        format!("all {} combinations of method and latent space", cells.len()),
        format!("({complete} runs of {planned})"),
        format!("{agree} of their {} losses agree", rows.len()),
    ] {
        assert!(readme.contains(&count), "data/results/README.md does not say: {count}");
    }
}

#[test]
fn tables_2_and_3_of_the_readme_are_the_reports() {
    for (split, number) in [("train", 2), ("test", 3)] {
        let overview = read(&format!("vae/report/table{number}-as-run.tsv"));
        let tsv = read(&format!("vae/report/table{number}-as-run-differences.tsv"));
        let held: Vec<_> = tsv.lines().skip(1).map(difference).collect();
        let latents: Vec<_> = overview.lines().next().unwrap().split('\t').skip(2).collect();
        let mut table = format!("| {split} | {} |\n|---|", latents.join(" | ")).replace('x', "×");
        table += &("---|".repeat(latents.len()) + "\n");
        for method in overview.lines().skip(1).step_by(2).map(|line| line.split('\t').next().unwrap()) {
            let text = |latent: &&str| {
                let found = held.iter().find(|row| row.method == method && row.latent == *latent);
                found.map_or("–", |row| &row.text)
            };
            let cells: Vec<_> = latents.iter().map(text).collect();
            let method = if method == "GST" { "GST-1.0" } else { method };
            table += &format!("| {method} | {} |\n", cells.join(" | "));
        }
        check_table(&results().join("README.md"), &format!("| {split} | "), &table);
    }
}
