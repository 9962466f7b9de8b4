//! What ends a program early, and its exit status.

use std::error::Error;
use std::fmt;

/// What went wrong: the message, and what would have helped.
#[derive(Debug)]
pub struct RunError {
    /// For the user.
    pub message: String,
    /// Of which kind.
    pub fault: Fault,
}

/// What would have helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another `--out`, argument or file (exit 2).
    Argument,
    /// Waiting for the other process that writes into this directory, or another `--out` (exit 2).
    Held,
    /// Other hyper-parameters: a number was not finite (exit 1).
    Diverged,
    /// Another machine or disk (exit 1).
    Machine,
}

impl RunError {
    /// A wrong argument.
    pub fn argument(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), fault: Fault::Argument }
    }

    /// A fault of the machine.
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
            hardgrad::Error::NotFinite { .. } => Fault::Diverged,
            hardgrad::Error::Argument { .. } => Fault::Argument,
            _ => Fault::Machine,
        };
        Self { message: e.to_string(), fault }
    }
}

impl From<Box<dyn Error>> for RunError {
    fn from(e: Box<dyn Error>) -> Self {
        let e = match e.downcast::<Self>() {
            Ok(e) => return *e,
            Err(e) => e,
        };
        match e.downcast::<hardgrad::Error>() {
            Ok(e) => (*e).into(),
            Err(e) => Self::machine(e),
        }
    }
}
