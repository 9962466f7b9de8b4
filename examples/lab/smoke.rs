//! The command line of the small examples: `--smoke`, and no other argument.

use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Run the checks without the output, or with less work
    #[arg(long)]
    smoke: bool,
}

/// Returns whether `--smoke` was given. Any other argument ends the program with status 2.
pub fn is_wanted() -> bool {
    Args::parse().smoke
}
