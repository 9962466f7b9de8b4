//! The error type of the library.
//!
//! A shape mismatch is a bug in the calling program: the operation that detects it panics. Files,
//! hyper-parameters and command lines come from outside the program. Invalid ones give an [`Error`]
//! that names the problem, its location, and what was expected.

use std::fmt;
use std::path::{Path, PathBuf};

/// An error in something that came from outside the program.
///
/// ```
/// use hardgrad::Error;
/// let e = Error::argument("tau", -1.0, "a finite number > 0");
/// assert_eq!(e.to_string(), "tau: got -1, expected a finite number > 0");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system reported an error for a file or directory.
    Io {
        /// The operation, as a verb: "open", "read", "write".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The bytes of a file do not follow its format.
    Format {
        /// The file.
        path: PathBuf,
        /// Byte offset in the uncompressed content at which the error was detected.
        offset: u64,
        /// What was found and what was expected.
        problem: String,
    },
    /// An intact file that another version of this library wrote and this version cannot read.
    Version {
        /// The file.
        path: PathBuf,
        /// The unknown feature or version, and which version can read the file.
        problem: String,
    },
    /// An argument or hyper-parameter is outside its range.
    Argument {
        /// Name of the argument.
        name: &'static str,
        /// The invalid value, as text.
        value: String,
        /// The valid range, or the valid names.
        expected: String,
    },
}

/// `Result` with the library's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Creates an [`Error::Argument`].
    pub fn argument(name: &'static str, value: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self::Argument { name, value: value.to_string(), expected: expected.into() }
    }

    /// Creates an [`Error::Format`].
    pub fn format(path: &Path, offset: u64, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), offset, problem: problem.into() }
    }

    /// Creates an [`Error::Version`].
    pub fn version(path: &Path, problem: impl Into<String>) -> Self {
        Self::Version { path: path.to_path_buf(), problem: problem.into() }
    }

    /// Creates an [`Error::Io`].
    pub fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.to_path_buf(), source }
    }

    /// Whether the error says that a file does not exist.
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
