//! Shards: the part of the runs that one process executes.

use crate::lab::error::RunError;
use std::fmt;
use std::str::FromStr;

/// Shard `index` of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Index of the shard, from 0.
    pub index: usize,
    /// Number of shards, at least 1.
    pub count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            let (index, count) = (index.parse().ok()?, count.parse().ok()?);
            (index < count).then_some(Self { index, count })
        };
        parse().ok_or_else(|| "expected I/N with I from 0 to N-1, such as 0/4".into())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    /// The shard of the task of a SLURM array, from the environment. Outside of an array it
    /// contains all runs.
    pub fn from_environment() -> Result<Self, RunError> {
        let get = |name: &str| -> Result<Option<usize>, RunError> {
            let Ok(text) = std::env::var(name) else { return Ok(None) };
            let wrong = |_| RunError::argument(format!("{name}: got {text}, expected a whole number"));
            text.parse().map(Some).map_err(wrong)
        };
        let Some(id) = get("SLURM_ARRAY_TASK_ID")? else { return Ok(Self { index: 0, count: 1 }) };
        let (first, count) = (get("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0), get("SLURM_ARRAY_TASK_COUNT")?);
        let found = count.and_then(|count| Some(Self { index: id.checked_sub(first)?, count }));
        found.filter(|shard| shard.index < shard.count).ok_or_else(|| {
            let count = count.map_or("nothing".into(), |n| n.to_string());
            RunError::argument(format!(
                "SLURM_ARRAY_TASK_ID {id}, _MIN {first} and _COUNT {count} select no shard: expected 0 <= ID - MIN < COUNT, as in an array \
                 0-N; submit such an array, or give --shard I/N"
            ))
        })
    }
}
