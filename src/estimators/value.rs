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

/// A number that may be infinite, in files: JSON has no infinity, so in text it is the word `inf`.
pub(super) mod or_infinite {
    use serde::de::{Error, Unexpected};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Number(f64),
        Word(String),
    }

    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() && x.is_infinite() {
            true => x.to_string().serialize(serializer),
            false => x.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        if !deserializer.is_human_readable() {
            return f64::deserialize(deserializer);
        }
        match Text::deserialize(deserializer)? {
            Text::Number(x) => Ok(x),
            Text::Word(word) => word
                .parse::<f64>()
                .ok()
                .filter(|x| x.is_infinite())
                .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&word), &"a number, or inf")),
        }
    }
}
