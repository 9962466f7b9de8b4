//! The published hyper-parameters' part of a command line.

use clap::ValueEnum;
use hardgrad::train::Preset;

/// Hyper-parameters of a published run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetChoice {
    /// The paper's table 4 as printed
    Table4,
    /// What was run for tables 2 and 3, where it differs from table 4
    AsRun,
}

impl From<PresetChoice> for Preset {
    fn from(choice: PresetChoice) -> Self {
        match choice {
            PresetChoice::Table4 => Self::Table4,
            PresetChoice::AsRun => Self::AsRun,
        }
    }
}
