//! Conversion of hyper-parameters from and to text, for command lines, files and reports.

use crate::error::{Error, Result};
use serde::de::{Error as _, MapAccess, Unexpected};
use serde::{Deserialize, Deserializer, Serializer};
use std::fmt::Display;
use std::str::FromStr;

/// A type that a hyper-parameter can have.
pub(super) trait Value: Copy + Display + FromStr + serde::de::DeserializeOwned {
    /// Description of the valid texts.
    const ACCEPTS: &'static str;

    fn parse(name: &'static str, text: &str) -> Result<Self> {
        text.parse().map_err(|_| Error::argument(name, text, Self::ACCEPTS))
    }

    /// Reads the next value of a map of hyper-parameters in a file.
    fn next_of<'de, A: MapAccess<'de>>(map: &mut A) -> std::result::Result<Self, A::Error> {
        map.next_value()
    }

    /// The number, if a schedule may change the value.
    fn number_mut(&mut self) -> Option<&mut f64> {
        None
    }
}

impl Value for f64 {
    const ACCEPTS: &'static str = "a number";
    fn next_of<'de, A: MapAccess<'de>>(map: &mut A) -> std::result::Result<Self, A::Error> {
        map.next_value().map(|OrInfinite(x)| x)
    }
    fn number_mut(&mut self) -> Option<&mut f64> {
        Some(self)
    }
}

impl Value for usize {
    const ACCEPTS: &'static str = "a whole number";
}

/// Implements `ALL`, `name`, `Display` and `FromStr` for an enum. The error of `FromStr` lists the
/// names.
macro_rules! names {
    ($type:ident, $argument:literal, $accepts:literal: $($value:ident $name:literal),* $(,)?) => {
        impl $type {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// The name in files and on command lines.
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

/// A number that may be infinite, in files. JSON has no infinity; it is written as the word `inf`.
struct OrInfinite(f64);

pub(super) fn serialize_or_infinite<S: Serializer>(
    x: &f64,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match x.is_infinite() {
        true => serializer.collect_str(x),
        false => serializer.serialize_f64(*x),
    }
}

impl<'de> Deserialize<'de> for OrInfinite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Text {
            Number(f64),
            Word(String),
        }
        match Text::deserialize(deserializer)? {
            Text::Number(x) => Ok(Self(x)),
            Text::Word(word) => match word.parse::<f64>() {
                Ok(x) if x.is_infinite() => Ok(Self(x)),
                _ => Err(D::Error::invalid_value(Unexpected::Str(&word), &"a number, or inf")),
            },
        }
    }
}
