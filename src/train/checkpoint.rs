//! A run on disk.
//!
//! Behind the [header](crate::files) stand, in bincode, the config as text (see [`TrainConfig`]'s `Display`), and then the numbers.
//! The text names every option, so that a new option or a new estimator does not change how an older checkpoint is read.
//!
//! The file is written under a temporary name, synced and renamed, and the one before it is kept, so that there is always one
//! whole checkpoint.

use super::config::TrainConfig;
use super::record::{EpochRecord, Loss, LossSum};
use crate::error::{Error, Result};
use crate::estimators::{AdaptiveWeight, RunningMean};
use crate::files::framed::{Format, HEADER, encoding};
use crate::files::replace;
use crate::optim::Moments;
use crate::usage::UsageSummary;
use bincode::Options;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: Format = Format { magic: *b"HARDGRAD", version: 3, what: "a hardgrad checkpoint" };

/// A run after some step: everything that [`Trainer::resume`](super::Trainer::resume) needs. Random generators have no
/// state to store, as each is derived from the seed, the epoch and the step; and the best epoch is found in the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The run.
    pub config: TrainConfig,
    /// [`crc32`](crate::data::Images::crc32) of the training images.
    pub data_crc32: u32,
    /// All parameters, in the order of the store.
    pub params: Vec<f32>,
    /// The optimiser's state.
    pub moments: Moments<f32>,
    /// The epochs done. [`to_bytes`](Self::to_bytes) stores the usage of the codes for the epochs since the last one without it.
    pub history: Vec<EpochRecord>,
    /// REINFORCE's running mean.
    pub baseline: RunningMean,
    /// The double control variate's weight, where it is adapted.
    pub weight: AdaptiveWeight,
    /// Updates done in the epoch that follows them.
    pub step: usize,
    /// The losses of those updates.
    pub losses: LossSum,
}

/// What [`Checkpoint::load_newest`] found.
#[derive(Debug)]
pub struct Newest {
    /// The newest whole checkpoint.
    pub checkpoint: Checkpoint,
    /// What was wrong with a newer one, if this is the one before it.
    pub instead_of: Option<Error>,
}

impl Checkpoint {
    /// Header and payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { config, data_crc32, params, moments, history, baseline, weight, step, losses } = self;
        let epochs: Vec<StoredEpoch> = history.iter().map(|r| (r.epoch, r.train, r.test)).collect();
        let numbers = (data_crc32, params, moments, epochs, baseline, step, losses);
        let usage = StoredUsage::of(history, config.vae.latent.variables);
        match (usage.perplexity.is_empty(), *weight == AdaptiveWeight::default()) {
            (true, true) => FORMAT.to_bytes(&(config.to_string(), numbers)),
            (true, false) => FORMAT.to_bytes(&(config.to_string(), numbers, weight)),
            (false, _) => FORMAT.to_bytes(&(config.to_string(), numbers, weight, usage)),
        }
    }

    /// The inverse of [`to_bytes`](Self::to_bytes). `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] if the magic, length or checksum is not right, or the payload does not decode; [`Error::Version`] if
    /// it is a whole checkpoint of another format version, or its config has an option that this version does not know.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let mut rest = FORMAT.payload(bytes, path)?;
        let limit = rest.len() as u64;
        let wrong = |e: bincode::Error| {
            Error::format(path, HEADER as u64, format!("the payload does not decode: {e}"))
        };
        let text: String =
            encoding(limit).allow_trailing_bytes().deserialize_from(&mut rest).map_err(wrong)?;
        let config: TrainConfig = text.parse().map_err(|e| {
            Error::version(path, format!("{e}; the checkpoint was written by a newer version of hardgrad"))
        })?;
        let (data_crc32, params, moments, epochs, baseline, step, losses) =
            encoding(limit).allow_trailing_bytes().deserialize_from(&mut rest).map_err(wrong)?;
        // What was added to the format stands at the end, and is absent from earlier files.
        let weight = match rest {
            [] => AdaptiveWeight::default(),
            _ => encoding(limit).allow_trailing_bytes().deserialize_from(&mut rest).map_err(wrong)?,
        };
        let usage = match rest {
            [] => StoredUsage::default(),
            rest => encoding(limit).deserialize(rest).map_err(wrong)?,
        };
        let history = usage.join(epochs, config.vae.latent.variables).ok_or_else(|| {
            Error::format(path, HEADER as u64, "the usage of the codes is not that of whole epochs")
        })?;
        Ok(Self { config, data_crc32, params, moments, history, baseline, weight, step, losses })
    }

    /// Whether the numbers are as many as the config's network has. To be asked before memory is taken for that network.
    pub(super) fn check_sizes(&self) -> Result<()> {
        let Some(size) = self.config.vae.parameters() else {
            return Err(Error::argument("network in the checkpoint", "sizes", "fewer than 2^64 parameters"));
        };
        // Before the first update there are no moments.
        let moments = if self.moments.step == 0 { 0 } else { size };
        for (name, len, size) in [
            ("parameters in the checkpoint", self.params.len(), size),
            ("moments in the checkpoint", self.moments.mean.len(), moments),
            ("squared moments in the checkpoint", self.moments.mean_square.len(), moments),
        ] {
            if len != size {
                return Err(Error::argument(name, len, format!("{size}, as the network has")));
            }
        }
        Ok(())
    }

    /// Writes the checkpoint so that `path` holds, at every moment, either what it held before or all of this one; what it
    /// held before is kept as [`previous`](Self::previous).
    ///
    /// # Errors
    /// [`Error::Io`] if the file or its directory cannot be written. What was there is still there then.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_pausing(path, &mut || {})
    }

    /// [`save`](Self::save) for tests that stop a program while it writes: `between` is called between the pieces of the file
    /// and between the steps.
    #[doc(hidden)]
    pub fn save_pausing(&self, path: &Path, between: &mut dyn FnMut()) -> Result<()> {
        replace(path, &self.to_bytes(), Some(&Self::previous(path)), between)
    }

    /// Where the checkpoint before the one at `path` is kept: `checkpoint.prev.bin` for `checkpoint.bin`.
    pub fn previous(path: &Path) -> PathBuf {
        let mut ending = std::ffi::OsString::from("prev");
        if let Some(extension) = path.extension() {
            ending.push(".");
            ending.push(extension);
        }
        path.with_extension(ending)
    }

    /// Reads a checkpoint. No more is read than the header promises, plus one byte; and no more memory is taken than six times
    /// the file's own length, plus 2 MiB: its bytes, and the numbers in buffers that grow by doubling.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, otherwise as [`from_bytes`](Self::from_bytes).
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_bytes(&FORMAT.read(path)?, path)
    }

    /// Reads the checkpoint at `path`, or the [`previous`](Self::previous) one where that is damaged or missing. `None` if
    /// there is neither.
    ///
    /// # Errors
    /// As [`load`](Self::load), if neither is of use. A checkpoint of another version, or one that cannot be opened, is not
    /// damaged, and is an error.
    pub fn load_newest(path: &Path) -> Result<Option<Newest>> {
        let problem = match Self::load(path) {
            Ok(checkpoint) => return Ok(Some(Newest { checkpoint, instead_of: None })),
            Err(e @ Error::Format { .. }) => e,
            Err(e) if e.is_not_found() => e,
            Err(e) => return Err(e),
        };
        match Self::load(&Self::previous(path)) {
            Ok(checkpoint) => Ok(Some(Newest { checkpoint, instead_of: Some(problem) })),
            Err(e) if e.is_not_found() && problem.is_not_found() => Ok(None),
            Err(e) if e.is_not_found() => Err(problem),
            Err(e) if problem.is_not_found() => Err(e),
            Err(e) => Err(match problem {
                Error::Format { path, offset, problem } => {
                    Error::format(&path, offset, format!("{problem}; nor is the one before it of use: {e}"))
                }
                other => other,
            }),
        }
    }
}

/// The number and the losses of an epoch, as a checkpoint stores them.
type StoredEpoch = (usize, Loss, Loss);

/// Usage of the codes in the last epochs of a run, epoch after epoch, with one number per variable.
#[derive(Default, Serialize, Deserialize)]
struct StoredUsage {
    perplexity: Vec<f64>,
    used: Vec<u32>,
}

impl StoredUsage {
    /// The epochs since the last one without usage.
    fn of(history: &[EpochRecord], variables: usize) -> Self {
        let is_whole =
            |usage: &&UsageSummary| (usage.perplexity.len(), usage.used.len()) == (variables, variables);
        let known = history.iter().rev().map_while(|record| record.usage.as_ref().filter(is_whole)).count();
        let mut stored = Self::default();
        for usage in history[history.len() - known..].iter().filter_map(|record| record.usage.as_ref()) {
            stored.perplexity.extend(&usage.perplexity);
            stored.used.extend(&usage.used);
        }
        stored
    }

    /// The inverse of [`of`](Self::of). `None` if these are not numbers of whole epochs of the run.
    fn join(self, epochs: Vec<StoredEpoch>, variables: usize) -> Option<Vec<EpochRecord>> {
        let (count, variables) = (self.perplexity.len(), variables.max(1));
        let known = count / variables;
        if self.used.len() != count || !count.is_multiple_of(variables) || known > epochs.len() {
            return None;
        }
        let usage = self.perplexity.chunks(variables).zip(self.used.chunks(variables));
        let usage = usage.map(|(perplexity, used)| {
            Some(UsageSummary { perplexity: perplexity.to_vec(), used: used.to_vec() })
        });
        let usage = std::iter::repeat_n(None, epochs.len() - known).chain(usage);
        let record = |((epoch, train, test), usage)| EpochRecord { epoch, train, test, usage };
        Some(epochs.into_iter().zip(usage).map(record).collect())
    }
}
