//! The tables of `data/results/README.md` are those of the committed report.
//!
//! After new runs, `HARDGRAD_WRITE_TABLE=1 cargo test --release --test it results` rewrites them.

use crate::guide::check_table;
use std::fs;
use std::path::Path;

/// A row of a table of differences, as far as the README shows it.
struct Difference<'a> {
    method: &'a str,
    latent: &'a str,
    text: String,
}

fn difference(line: &str) -> Difference<'_> {
    let cells: Vec<_> = line.split('\t').collect();
    let [method, latent, _, here, _, published, .., verdict] = cells[..] else { panic!("{line}") };
    let text = format!("{here} / {published}");
    Difference { method, latent, text: if verdict == "beyond" { format!("**{text}**") } else { text } }
}

#[test]
fn tables_2_and_3_of_the_readme_are_the_reports() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/results");
    for (split, number) in [("train", 2), ("test", 3)] {
        let report = results.join("vae/report");
        let overview = fs::read_to_string(report.join(format!("table{number}-as-run.tsv"))).unwrap();
        let tsv = fs::read_to_string(report.join(format!("table{number}-as-run-differences.tsv"))).unwrap();
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
        check_table(&results.join("README.md"), &format!("| {split} | "), &table);
    }
}
