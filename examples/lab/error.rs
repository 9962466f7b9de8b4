//! The error that ends a program early, and its exit status.

use hardgrad::train::TrainError;
use std::error::Error;
use std::fmt;

/// An error of a program: its message and the kind of its cause.
#[derive(Debug)]
pub struct RunError {
    /// Message for the user.
    pub message: String,
    /// Kind of the cause.
    pub fault: Fault,
}

/// Cause of an error, which determines the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A wrong argument, file or `--out` (exit 2).
    Argument,
    /// Another process writes into this directory (exit 2).
    Held,
    /// A number was not finite, so other hyper-parameters are needed (exit 1).
    Diverged,
    /// An error of the machine or the disk (exit 1).
    Machine,
}

impl RunError {
    /// A wrong argument.
    pub fn argument(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), fault: Fault::Argument }
    }

    /// An error of the machine or the disk.
    pub fn machine(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), fault: Fault::Machine }
    }

    /// The program's exit status.
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Argument | Fault::Held => 2,
            Fault::Diverged | Fault::Machine => 1,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RunError {}

impl From<hardgrad::Error> for RunError {
    fn from(e: hardgrad::Error) -> Self {
        let fault = match e {
            hardgrad::Error::Argument { .. } => Fault::Argument,
            _ => Fault::Machine,
        };
        Self { message: on_command_line(e).to_string(), fault }
    }
}

impl From<TrainError> for RunError {
    fn from(e: TrainError) -> Self {
        match e {
            TrainError::Library(e) => e.into(),
            e => Self { message: e.to_string(), fault: Fault::Diverged },
        }
    }
}

/// The option that sets an argument or hyper-parameter of the library.
pub fn option(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

/// The library's error with the option in place of the argument. Arguments whose names consist of
/// small letters, `_` and, not first, `-` are options.
pub fn on_command_line(e: hardgrad::Error) -> hardgrad::Error {
    match e {
        hardgrad::Error::Argument { name, value, expected }
            if !name.starts_with('-')
                && name.bytes().all(|b| b.is_ascii_lowercase() || b"_-".contains(&b)) =>
        {
            wrong_option(option(name), value, expected)
        }
        other => other,
    }
}

/// An error that names an option.
pub fn wrong_option(name: String, value: impl fmt::Display, expected: impl Into<String>) -> hardgrad::Error {
    // The library's names are static. Few bytes are leaked, because the program ends with this
    // error.
    hardgrad::Error::argument(Box::leak(name.into_boxed_str()), value, expected)
}

impl From<Box<dyn Error>> for RunError {
    fn from(e: Box<dyn Error>) -> Self {
        let e = match e.downcast::<Self>() {
            Ok(e) => return *e,
            Err(e) => e,
        };
        let e = match e.downcast::<TrainError>() {
            Ok(e) => return (*e).into(),
            Err(e) => e,
        };
        match e.downcast::<hardgrad::Error>() {
            Ok(e) => (*e).into(),
            Err(e) => Self::machine(e),
        }
    }
}
