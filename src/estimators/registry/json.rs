//! Deserialization of [`EstimatorConfig`] from JSON and similar formats. A missing hyper-parameter
//! gets its default, so that files written before it existed can be read. An unknown
//! hyper-parameter is an error.

use super::{EstimatorConfig, EstimatorKind};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

impl<'de> serde::Deserialize<'de> for EstimatorConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Named)
    }
}

/// `"NAME"`, or `{"NAME": {hyper-parameters}}`.
#[derive(Clone, Copy)]
struct Named;

impl<'de> Visitor<'de> for Named {
    type Value = EstimatorConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an estimator, with its hyper-parameters")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<EstimatorConfig, E> {
        Ok(name.parse::<EstimatorKind>().map_err(E::custom)?.default_config())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EstimatorConfig, A::Error> {
        let name: String = map.next_key()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let config = self.visit_str(&name)?;
        let config = map.next_value_seed(Parameters(config))?;
        match map.next_key::<IgnoredAny>()? {
            None => Ok(config),
            Some(_) => Err(A::Error::invalid_length(2, &self)),
        }
    }
}

/// The hyper-parameters in the file, on top of the defaults in this configuration.
struct Parameters(EstimatorConfig);

impl<'de> DeserializeSeed<'de> for Parameters {
    type Value = EstimatorConfig;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<EstimatorConfig, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Parameters {
    type Value = EstimatorConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the hyper-parameters of {}", self.0.kind())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<EstimatorConfig, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if !self.0.read(&name, &mut map)? {
                let kind = self.0.kind();
                return Err(A::Error::custom(format!("estimator {kind} has no hyper-parameter `{name}`")));
            }
        }
        Ok(self.0)
    }
}
