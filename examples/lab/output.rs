//! Macros for all output of the programs.
//!
//! `println!` panics when the reader has closed the pipe (`| head -1`) and when the disk is full.
//! These macros do not panic:
//!
//! - `note!` prints progress, warnings and errors to standard error. A line that cannot be written is dropped.
//! - `tell!` prints to standard output what the program also writes to files. A line that cannot be
//!   written is dropped.
//! - `answer!` prints to standard output the only result of a program. If the line cannot be
//!   written the program ends: without a message and with status 141, as a shell reports a broken
//!   pipe, if the reader has closed the pipe; otherwise with a message and status 1.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Exit status of a program whose reader has closed the pipe: 128 plus the number of SIGPIPE.
const BROKEN_PIPE: i32 = 128 + 13;

/// `eprintln!` that drops what cannot be written.
macro_rules! note {
    ($($line:tt)*) => { $crate::lab::output::write_note(format_args!($($line)*)) };
}
pub(crate) use note;

/// `println!` that drops what cannot be written.
macro_rules! tell {
    ($($line:tt)*) => { $crate::lab::output::write_summary(format_args!($($line)*)) };
}
pub(crate) use tell;

/// `println!` that ends the program if the line cannot be written.
macro_rules! answer {
    ($($line:tt)*) => { $crate::lab::output::write_answer(format_args!($($line)*)) };
}
pub(crate) use answer;

/// See `note!`.
pub fn write_note(line: Arguments<'_>) {
    // In one piece, so that lines of several processes do not mix.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// See `tell!`.
pub fn write_summary(line: Arguments<'_>) {
    let _ = write_line(line);
}

/// See `answer!`.
pub fn write_answer(line: Arguments<'_>) {
    let Err(e) = write_line(line) else { return };
    if e.kind() == ErrorKind::BrokenPipe {
        std::process::exit(BROKEN_PIPE);
    }
    write_note(format_args!("error: cannot write to standard output: {e}"));
    std::process::exit(1);
}

fn write_line(line: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}
