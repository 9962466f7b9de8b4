//! The library's one error type.
//!
//! Shapes that do not fit are a bug in the caller's program and panic at the op that noticed them. Files,
//! hyper-parameters and command lines come from outside and give an [`Error`] that says what was wrong, where, and
//! what would have been right.

use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong with something that came from outside the program.
///
/// ```
/// use hardgrad::Error;
/// let e = Error::argument("tau", -1.0, "a finite number > 0");
/// assert_eq!(e.to_string(), "tau: got -1, expected a finite number > 0");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file or directory.
    Io {
        /// What was being done, as a verb: "open", "read", "write".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file's bytes are not what its format promises.
    Format {
        /// The file.
        path: PathBuf,
        /// Byte offset (in the uncompressed content) at which it was noticed.
        offset: u64,
        /// What was found and what was expected.
        problem: String,
    },
    /// A whole file that another version of this library wrote: it is not damaged, but this version cannot read it.
    Version {
        /// The file.
        path: PathBuf,
        /// What this version does not know, and which version would.
        problem: String,
    },
    /// An argument or hyper-parameter is outside its range.
    Argument {
        /// Name of the argument.
        name: &'static str,
        /// The value given, as text.
        value: String,
        /// The valid range or names.
        expected: String,
    },
    /// A number stopped being finite during training.
    NotFinite {
        /// The tensor, e.g. `the loss`, `the gradient of encoder.0.weight` or `encoder.0.weight`.
        what: String,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
    },
}

/// `Result` with the library's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Argument`].
    pub fn argument(name: &'static str, value: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self::Argument { name, value: value.to_string(), expected: expected.into() }
    }

    /// An [`Error::Format`].
    pub fn format(path: &Path, offset: u64, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), offset, problem: problem.into() }
    }

    /// An [`Error::Version`].
    pub fn version(path: &Path, problem: impl Into<String>) -> Self {
        Self::Version { path: path.to_path_buf(), problem: problem.into() }
    }

    /// An [`Error::Io`].
    pub fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.to_path_buf(), source }
    }

    /// Whether a file was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, source } => write!(f, "cannot {doing} {}: {source}", path.display()),
            Self::Format { path, offset, problem } => {
                write!(f, "{}: at byte {offset}: {problem}", path.display())
            }
            Self::Version { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::Argument { name, value, expected } => write!(f, "{name}: got {value}, expected {expected}"),
            Self::NotFinite { what, epoch, step } => {
                write!(f, "{what} is not finite at epoch {epoch}, step {step}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
