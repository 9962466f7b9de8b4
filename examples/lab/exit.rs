//! A training program's exit status.

use super::run::End;
use super::run_dir::RunError;
use std::process::ExitCode;

/// 0 where all is done; as a shell reports a program that a signal ended; or the error's, which is printed.
pub fn status(end: Result<End, RunError>) -> ExitCode {
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Stopped(signal)) => ExitCode::from(128 + signal as u8),
        Err(e) => {
            eprintln!("error: {}", e.message);
            ExitCode::from(e.exit_code())
        }
    }
}
