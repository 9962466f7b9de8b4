//! A run on disk.
//!
//! Behind the [header](crate::files) stand, in bincode, the config as text (see [`TrainConfig`]'s `Display`), and then the numbers.
//! The text names every option, so that a new option or a new estimator does not change how an older checkpoint is read.
//!
//! The file is written under a temporary name, synced and renamed, and the one before it is kept, so that there is always one
//! whole checkpoint.

use super::config::TrainConfig;
use super::record::{EpochRecord, LossSum};
use crate::error::{Error, Result};
use crate::estimators::{AdaptiveWeight, RunningMean};
use crate::files::framed::{Format, HEADER, encoding};
use crate::files::replace;
use crate::optim::Moments;
use bincode::Options;
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
    /// The epochs done.
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
        let numbers = (data_crc32, params, moments, history, baseline, step, losses);
        match *weight == AdaptiveWeight::default() {
            true => FORMAT.to_bytes(&(config.to_string(), numbers)),
            false => FORMAT.to_bytes(&(config.to_string(), numbers, weight)),
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
        let config = text.parse().map_err(|e| {
            Error::version(path, format!("{e}; the checkpoint was written by a newer version of hardgrad"))
        })?;
        let (data_crc32, params, moments, history, baseline, step, losses) =
            encoding(limit).allow_trailing_bytes().deserialize_from(&mut rest).map_err(wrong)?;
        // It stands at the end, and only where something has been seen.
        let weight = match rest {
            [] => AdaptiveWeight::default(),
            rest => encoding(limit).deserialize(rest).map_err(wrong)?,
        };
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

    /// Reads a checkpoint. No more is read than the header promises, plus one byte; and no more memory is taken than four times
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
