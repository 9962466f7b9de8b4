//! A program's exit status.

use super::error::RunError;
use super::output::note;
use super::run::End;
use std::error::Error;
use std::process::ExitCode;

/// 0 if all is done; 128 and the signal's number, as a shell reports it, if a signal stopped the run; or the error's, which is
/// printed.
pub fn status(end: Result<End, RunError>) -> ExitCode {
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Stopped(signal)) => ExitCode::from(128 + signal as u8),
        Err(e) => failure(&e),
    }
}

/// 0, or the error's status: 2 for a wrong argument, 1 for all others. The error is printed.
pub fn of(result: Result<(), Box<dyn Error>>) -> ExitCode {
    result.map_or_else(|e| failure(&e.into()), |()| ExitCode::SUCCESS)
}

/// Prints the error.
pub fn failure(e: &RunError) -> ExitCode {
    note!("error: {e}");
    ExitCode::from(e.exit_code())
}
