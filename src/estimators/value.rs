//! Values of hyper-parameters as text: what a command line parses and a report prints.

use crate::error::{Error, Result};
use std::fmt::Display;
use std::str::FromStr;

/// A type of hyper-parameter.
pub(super) trait Value: Copy + Display + FromStr + serde::de::DeserializeOwned {
    /// What its text may be.
    const ACCEPTS: &'static str;

    fn parse(name: &'static str, text: &str) -> Result<Self> {
        text.parse().map_err(|_| Error::argument(name, text, Self::ACCEPTS))
    }

    /// The number itself, if the value is one that may change while training.
    fn number_mut(&mut self) -> Option<&mut f64> {
        None
    }
}

impl Value for f64 {
    const ACCEPTS: &'static str = "a number";
    fn number_mut(&mut self) -> Option<&mut f64> {
        Some(self)
    }
}

impl Value for usize {
    const ACCEPTS: &'static str = "a whole number";
}

/// Names the values of an enum: `ALL`, `name`, `Display` and `FromStr`, with an error that lists the names.
macro_rules! names {
    ($type:ident, $argument:literal, $accepts:literal: $($value:ident $name:literal),* $(,)?) => {
        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// The name, as in files and on command lines.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name),* }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::Error;
            fn from_str(text: &str) -> $crate::Result<Self> {
                let found = Self::ALL.iter().copied().find(|value| value.name() == text);
                found.ok_or_else(|| $crate::Error::argument($argument, text, concat!("one of ", $accepts)))
            }
        }

        impl $crate::estimators::value::Value for $type {
            const ACCEPTS: &'static str = concat!("one of ", $accepts);
        }
    };
}
pub(super) use names;
