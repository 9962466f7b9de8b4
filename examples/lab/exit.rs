//! A program's exit status.

use super::error::RunError;
use super::output::note;
use super::run::End;
use std::error::Error;
use std::process::ExitCode;

/// Exit status of a run: 0 if it is complete; 128 plus the signal's number, as a shell reports it,
/// if a signal stopped it; otherwise the status of the error, which is printed.
pub fn status(end: Result<End, RunError>) -> ExitCode {
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Stopped(signal)) => ExitCode::from(128 + signal as u8),
        Err(e) => failure(&e),
    }
}

/// Exit status of a program: 0, or that of the error, which is printed: 2 for a wrong argument, 1
/// for all others.
pub fn of(result: Result<(), Box<dyn Error>>) -> ExitCode {
    result.map_or_else(|e| failure(&e.into()), |()| ExitCode::SUCCESS)
}

/// Prints the error and returns its exit status.
pub fn failure(e: &RunError) -> ExitCode {
    note!("error: {e}");
    ExitCode::from(e.exit_code())
}
