//! The published numbers, from `data/published/published.tsv`.

use super::stats::Mean;
use hardgrad::estimators::EstimatorKind;

const TABLE: &str = include_str!("../../data/published/published.tsv");

/// A training loss or a test loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Mean of the minibatch losses during the epoch.
    Train,
    /// Mean at the end of the epoch, with one sample per image.
    Test,
}

impl Split {
    /// Both, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::Train, Self::Test];

    /// Name in ids and sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// A published number.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Source: `table-2`, `figure-1`, `stored`, …
    pub source: String,
    /// Train or test, if the number is a loss.
    pub split: Option<Split>,
    /// Estimator.
    pub method: EstimatorKind,
    /// Latent space, such as `8x4`.
    pub latent: String,
    /// Number of epochs.
    pub epoch: usize,
    /// τ or β, if the number is of a curve over it.
    pub at: Option<f64>,
    /// Whether the number is a median instead of a mean.
    pub median: bool,
    /// Value of the number.
    pub value: f64,
    /// Standard error of `value`, where known.
    pub error: Option<f64>,
    /// Number of seeds, where known.
    pub seeds: Option<usize>,
}

impl Published {
    /// The number as a mean over its seeds.
    pub fn mean(&self) -> Mean {
        Mean { n: self.seeds.unwrap_or(0), mean: self.value, error: self.error }
    }
}

/// All published numbers.
pub fn all() -> Result<Vec<Published>, String> {
    let numbered = TABLE.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    let rows = numbered.skip(1); // the columns' names
    rows.map(|(i, line)| row(line).map_err(|e| format!("published.tsv:{}: {e}", i + 1))).collect()
}

fn row(line: &str) -> Result<Published, String> {
    let fields: Vec<_> = line.split('\t').collect();
    let [source, quantity, split, method, latent, epoch, at, statistic, value, spread, spread_is, seeds] =
        fields[..]
    else {
        return Err(format!("{} columns, expected 12", fields.len()));
    };
    let split = match (quantity, split) {
        ("loss", "train") => Some(Split::Train),
        ("loss", "test") => Some(Split::Test),
        ("cosine" | "relative-sd", "") => None,
        _ => return Err(format!("quantity {quantity} of split {split:?}")),
    };
    let seeds =
        (!seeds.is_empty()).then(|| seeds.parse::<usize>().map_err(|e| format!("seeds: {e}"))).transpose()?;
    let error = match (optional(spread)?, spread_is, seeds) {
        (Some(spread), "se", _) => Some(spread),
        (Some(spread), "sd", Some(seeds)) => Some(spread / (seeds as f64).sqrt()),
        (Some(_), "sd", None) | (None, "", _) => None,
        _ => return Err(format!("spread {spread:?} is {spread_is:?}, expected se or sd")),
    };
    Ok(Published {
        source: source.into(),
        split,
        method: method.parse().map_err(|e: hardgrad::Error| e.to_string())?,
        latent: latent.into(),
        epoch: epoch.parse().map_err(|e| format!("epoch: {e}"))?,
        at: optional(at)?,
        median: statistic == "median",
        value: optional(value)?.ok_or("no value")?,
        error,
        seeds,
    })
}

fn optional(text: &str) -> Result<Option<f64>, String> {
    let number = |text: &str| text.parse().map_err(|e| format!("{text:?}: {e}"));
    (!text.is_empty()).then(|| number(text)).transpose()
}
