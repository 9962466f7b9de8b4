//! Writes a page that shows the gradient estimators on one variable of 2, 3 or 8 categories: bias,
//! variance and the cloud of gradient draws; training of 1 to 3 variables; the Gumbel-max trick;
//! rules of integration; paths as a parameter moves; the limit of low temperature; and every
//! estimator for a loss that is typed in the page.
//!
//! ```text
//! cargo run --release --example explorer
//! cargo run --release --example explorer -- --out estimators.html
//! ```
//!
//! The page is one file that needs no network; its path is printed. It computes everything itself,
//! and its sources are in `examples/explorer/`. With `--answer FILE` this program prints the
//! library's numbers for settings of the page instead. `tests/browser/` compares them with what the
//! page shows.
//!
//! Exit status: 0 if done; 1 if a file cannot be read or written, or a setting is wrong; 2 for
//! wrong arguments; 141 if standard output is closed.

#[path = "../lab/mod.rs"]
mod lab;
mod losses;
mod page;
mod reference;

use clap::Parser;
use hardgrad::files::write_atomically;
use lab::output::{answer, tell};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write a page that shows bias and variance of the gradient estimators.
#[derive(Debug, Parser)]
struct Args {
    /// File to which the page is written
    #[arg(long, value_name = "FILE", default_value = "explorer.html")]
    out: PathBuf,
    /// Print the library's numbers for the settings in this file instead: a JSON list of
    /// {"PANEL": SETTING}, where PANEL is evaluate, train, gumbel or rule, as in
    /// {"evaluate": hardgrad.settings('A')} with what the page's console gives
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.answer {
        Some(path) => answer(path),
        None => write_page(&args.out),
    };
    lab::exit::of(done.map_err(Into::into))
}

fn write_page(path: &Path) -> Result<(), String> {
    write_atomically(path, page::assemble().as_bytes()).map_err(|e| e.to_string())?;
    tell!("{}", path.display());
    Ok(())
}

fn answer(path: &Path) -> Result<(), String> {
    let at = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| at(&e))?;
    let questions: Vec<reference::Question> = serde_json::from_str(&text).map_err(|e| at(&e))?;
    let numbers = reference::answer(&questions).map_err(|e| at(&e))?;
    answer!("{}", serde_json::to_string(&numbers).map_err(|e| at(&e))?);
    Ok(())
}
