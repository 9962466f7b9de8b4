//! Checkpoints: files with the state of a run.
//!
//! After the [header](crate::files), the file holds the config as text (see [`TrainConfig`]'s
//! `Display`) and then the numbers, both in bincode. The text names every option, so a new option
//! or estimator does not change how an older checkpoint is read.
//!
//! The file is written under a temporary name, synced and renamed. The previous checkpoint is kept,
//! so one complete checkpoint exists at every moment.

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

/// The state of a run after a step: everything that [`Trainer::resume`](super::Trainer::resume)
/// needs. Random generators have no state to store, because each is derived from the seed, the
/// epoch and the step. The best epoch follows from the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Options of the run.
    pub config: TrainConfig,
    /// [`crc32`](crate::data::Images::crc32) of the training images.
    pub data_crc32: u32,
    /// All parameters, in the order of the store.
    pub params: Vec<f32>,
    /// State of the optimiser.
    pub moments: Moments<f32>,
    /// The completed epochs. [`to_bytes`](Self::to_bytes) stores the usage of the codes for the
    /// epochs since the last one without it.
    pub history: Vec<EpochRecord>,
    /// REINFORCE's running mean.
    pub baseline: RunningMean,
    /// The double control variate's weight, where it is adapted; otherwise the default.
    pub weight: AdaptiveWeight,
    /// Number of updates made in the current epoch, which follows those of `history`.
    pub step: usize,
    /// Losses of these updates.
    pub losses: LossSum,
}

/// The result of [`Checkpoint::load_newest`].
#[derive(Debug)]
pub struct Newest {
    /// The newest complete checkpoint.
    pub checkpoint: Checkpoint,
    /// The error of the newer checkpoint, if this is the previous one.
    pub instead_of: Option<Error>,
}

impl Checkpoint {
    /// The bytes of the file: header and payload.
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

    /// The inverse of [`to_bytes`](Self::to_bytes). `path` is for error messages.
    ///
    /// # Errors
    /// [`Error::Format`] if the magic number, length or checksum is wrong, or the payload cannot be
    /// decoded; [`Error::Version`] if this is an intact checkpoint of another format version, or
    /// its config has an option that this version lacks.
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
        // Later additions to the format are written last, and earlier files end before them.
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

    /// Checks that the checkpoint has as many numbers as the config's network needs. The caller
    /// does this before it allocates memory for the network.
    pub(super) fn check_sizes(&self) -> Result<()> {
        let Some(size) = self.config.vae.parameters() else {
            return Err(Error::argument("network in the checkpoint", "sizes", "fewer than 2^64 parameters"));
        };
        // No moments exist before the first update.
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

    /// Writes the checkpoint atomically: at every moment `path` holds either its old content or
    /// this checkpoint. The old content is kept in the file [`previous`](Self::previous).
    ///
    /// # Errors
    /// [`Error::Io`] if the file or its directory cannot be written. The old content is then still
    /// there.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_pausing(path, &mut || {})
    }

    /// [`save`](Self::save) for tests that stop a program while it writes. `between` is called
    /// between the pieces of the file and between the steps.
    #[doc(hidden)]
    pub fn save_pausing(&self, path: &Path, between: &mut dyn FnMut()) -> Result<()> {
        replace(path, &self.to_bytes(), Some(&Self::previous(path)), between)
    }

    /// Path of the previous checkpoint: `checkpoint.prev.bin` for `checkpoint.bin`.
    pub fn previous(path: &Path) -> PathBuf {
        let mut ending = std::ffi::OsString::from("prev");
        if let Some(extension) = path.extension() {
            ending.push(".");
            ending.push(extension);
        }
        path.with_extension(ending)
    }

    /// Reads a checkpoint. At most one byte more than the length in the header is read. The memory
    /// allocated is at most six times the length of the file plus 2 MiB: its bytes, and the
    /// numbers in buffers that grow by doubling.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, otherwise as [`from_bytes`](Self::from_bytes).
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_bytes(&FORMAT.read(path)?, path)
    }

    /// Reads the checkpoint at `path`, or the [`previous`](Self::previous) one if that is damaged
    /// or missing. Returns `None` if neither file exists.
    ///
    /// # Errors
    /// As [`load`](Self::load), if neither can be used. A checkpoint of another version, or one
    /// that cannot be opened, is not damaged: the error is returned, and the previous checkpoint
    /// not read.
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
                Error::Format { path, offset, problem } => Error::format(
                    &path,
                    offset,
                    format!("{problem}; the previous checkpoint cannot be used either: {e}"),
                ),
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
