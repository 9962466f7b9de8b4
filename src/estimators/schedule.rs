//! Schedules of temperatures during training.

use super::temperature;
use super::value::names;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Shape of a schedule between the initial and the final temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleShape {
    /// Equal differences between steps.
    Linear,
    /// Equal ratios between steps.
    Exponential,
}

names!(
    ScheduleShape, "schedule", "linear, exponential":
    Linear "linear", Exponential "exponential",
);

/// A schedule that changes a temperature from its initial value to `to` within `over` epochs (or
/// steps, according to the caller's count), and then keeps it constant.
///
/// ```
/// use hardgrad::estimators::{ScheduleShape, TemperatureSchedule};
/// let shape = ScheduleShape::Exponential;
/// let schedule = TemperatureSchedule { shape, to: 0.25, over: 10 };
/// assert_eq!(schedule.at(1.0, 0), 1.0);
/// assert_eq!(schedule.at(1.0, 5), 0.5);
/// assert_eq!(schedule.at(1.0, 99), 0.25);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemperatureSchedule {
    /// Shape of the schedule.
    pub shape: ScheduleShape,
    /// Final temperature, > 0.
    pub to: f64,
    /// Number of epochs until the final temperature, at least 1.
    pub over: usize,
}

impl TemperatureSchedule {
    /// Returns the schedule if all fields are in their ranges.
    ///
    /// # Errors
    /// If `to` is not a finite number ≥ 1e-30 or `over` is 0.
    pub fn validated(self) -> Result<Self> {
        temperature(self.to)?;
        if self.over == 0 { Err(Error::argument("over", 0, "at least 1")) } else { Ok(self) }
    }

    /// The temperature after `done` epochs, for the initial temperature `from`.
    pub fn at(&self, from: f64, done: usize) -> f64 {
        let part = (done as f64 / self.over as f64).min(1.0);
        match self.shape {
            ScheduleShape::Linear => from + part * (self.to - from),
            ScheduleShape::Exponential => from * (self.to / from).powf(part),
        }
    }
}

/// Formats the schedule in the syntax that `FromStr` parses: "exponential:0.3:20".
impl std::fmt::Display for TemperatureSchedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.shape, self.to, self.over)
    }
}

impl std::str::FromStr for TemperatureSchedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (shape, rest) = text.split_once(':')?;
            let (to, over) = rest.split_once(':')?;
            Some(Self { shape: shape.parse().ok()?, to: to.parse().ok()?, over: over.parse().ok()? })
        };
        let expected = "SHAPE:LAST:EPOCHS with the shape linear or exponential, such as exponential:0.3:20";
        parse().ok_or_else(|| Error::argument("schedule", text, expected))
    }
}
