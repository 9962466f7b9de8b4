//! A page to look at the estimators with: bias, variance and the cloud of gradient draws, on one variable of 2, 3 or 8 categories.
//!
//! ```text
//! cargo run --release --example explorer
//! cargo run --release --example explorer -- --out estimators.html
//! ```
//!
//! Writes one file that needs no network and prints its path. The page computes everything itself; its sources lie in
//! `examples/explorer/`. With `--answer FILE` this program gives the library's own numbers for settings of the page instead, which
//! `tests/browser/` compares with what the page shows.
//!
//! Exit status: 0 done; 1 a file that cannot be read or written, or settings that are none; 2 wrong arguments; 141 nobody reads the
//! answers any more.

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
    /// The page
    #[arg(long, value_name = "FILE", default_value = "explorer.html")]
    out: PathBuf,
    /// Print the library's numbers for these settings instead: a JSON list of what `hardgrad.settings('A')` gives in the page
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
