//! A run on disk: a header that says what follows, then bincode.
//!
//! | bytes | content |
//! |---|---|
//! | 0–7 | magic, `HARDGRAD` |
//! | 8–11 | format version, little-endian `u32` |
//! | 12–19 | length of the payload, little-endian `u64` |
//! | 20–23 | CRC-32 of bytes 8–19 and the payload, little-endian `u32` |
//! | 24– | payload |
//!
//! Every version has this header, so that a file of a newer one is told from a damaged one.
//!
//! The file is written under a temporary name, synced and renamed, and the one before it is kept, so that there is always one
//! whole checkpoint.

use super::atomic::replace;
use super::config::TrainConfig;
use super::framed::{self, HEADER, checksum, encoding};
use super::record::{EpochRecord, LossSum};
use crate::error::{Error, Result};
use crate::estimators::RunningMean;
use crate::optim::Moments;
use bincode::Options;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"HARDGRAD";
const VERSION: u32 = 2;

/// A file is read, and memory for it grows, in pieces of this many bytes where its length is not known.
const CHUNK: u64 = 1 << 20;

/// A run after some step: everything that [`Trainer::resume`](super::Trainer::resume) needs. Random generators have no
/// state to store, as each is derived from the seed, the epoch and the step; and the best epoch is found in the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        framed::to_bytes(MAGIC, VERSION, self)
    }

    /// The inverse of [`to_bytes`](Self::to_bytes), which also reads version 1. `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] if the magic, length or checksum is not right, or the payload does not decode; [`Error::Version`] if
    /// it is a whole checkpoint of a newer version.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let wrong = |offset, problem: String| Err(Error::format(path, offset, problem));
        let length = payload_length(bytes, path)?;
        let present = (bytes.len() - HEADER) as u64;
        if length != present {
            let problem = format!("the header promises a payload of {length} bytes, the file has {present}");
            return wrong(12, problem);
        }
        if u32::from_le_bytes(array(&bytes[20..24])) != checksum(bytes) {
            return wrong(20, "the checksum does not match: the file is damaged".into());
        }
        let payload = &bytes[HEADER..];
        let decoded = match u32::from_le_bytes(array(&bytes[8..12])) {
            VERSION => encoding(length).deserialize(payload),
            1 => encoding(length).deserialize::<version1::Checkpoint>(payload).map(Self::from),
            0 => return wrong(8, "found format version 0, expected 1 or more".into()),
            found => return Err(Error::Version { path: path.to_path_buf(), found, newest: VERSION }),
        };
        decoded.or_else(|e| wrong(HEADER as u64, format!("the payload does not decode: {e}")))
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
        Self::from_bytes(&read(path)?, path)
    }

    /// Reads the checkpoint at `path`, or the [`previous`](Self::previous) one where that is damaged or missing. `None` if
    /// there is neither.
    ///
    /// # Errors
    /// As [`load`](Self::load), if neither is of use. A checkpoint of a newer version, or one that cannot be opened, is not
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

/// The file's bytes, if its header is honest about them.
fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |e| Error::io("read", path, e);
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let metadata = file.metadata().map_err(failed)?;
    let mut file = file.take(HEADER as u64);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let length = payload_length(&bytes, path)?;
    // The length of a pipe or device says nothing about its content.
    if metadata.is_file() {
        let present = metadata.len().saturating_sub(HEADER as u64);
        if length != present {
            let problem = format!("the header promises a payload of {length} bytes, the file has {present}");
            return Err(Error::format(path, 12, problem));
        }
    }
    // One byte more, so that a longer file is noticed.
    let mut left = length.saturating_add(1);
    while left > 0 {
        let piece = if metadata.is_file() { left } else { left.min(CHUNK) };
        let room = usize::try_from(piece).ok().filter(|&n| bytes.try_reserve_exact(n).is_ok());
        if room.is_none() {
            return Err(failed(io::ErrorKind::OutOfMemory.into()));
        }
        file.set_limit(piece);
        let got = file.read_to_end(&mut bytes).map_err(failed)? as u64;
        left -= got;
        if got < piece {
            break;
        }
    }
    Ok(bytes)
}

/// What the header says, if it is one.
fn payload_length(bytes: &[u8], path: &Path) -> Result<u64> {
    if bytes.len() < HEADER {
        let problem = format!("the file ends within the {HEADER}-byte header");
        return Err(Error::format(path, bytes.len() as u64, problem));
    }
    if bytes[..8] != MAGIC {
        let problem = "this is not a hardgrad checkpoint (it does not begin with HARDGRAD)";
        return Err(Error::format(path, 0, problem));
    }
    Ok(u64::from_le_bytes(array(&bytes[12..20])))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cuts N bytes")
}

/// The format before checkpoints within an epoch and clipping.
mod version1 {
    use super::{Deserialize, EpochRecord, LossSum, Moments, RunningMean, TrainConfig};
    use crate::estimators::{EstimatorConfig, TemperatureSchedule};
    use crate::train::OptimizerKind;
    use crate::vae::VaeConfig;

    #[derive(Deserialize)]
    pub(super) struct Checkpoint {
        config: Config,
        data_crc32: u32,
        params: Vec<f32>,
        moments: Moments<f32>,
        history: Vec<EpochRecord>,
        baseline: RunningMean,
    }

    #[derive(Deserialize)]
    struct Config {
        vae: VaeConfig,
        estimator: EstimatorConfig,
        tau_schedule: Option<TemperatureSchedule>,
        optimizer: OptimizerKind,
        lr: f64,
        batch_size: usize,
        seed: u64,
    }

    impl From<Checkpoint> for super::Checkpoint {
        fn from(old: Checkpoint) -> Self {
            let Config { vae, estimator, tau_schedule, optimizer, lr, batch_size, seed } = old.config;
            Self {
                config: TrainConfig {
                    vae,
                    estimator,
                    tau_schedule,
                    optimizer,
                    lr,
                    clip_norm: None,
                    batch_size,
                    seed,
                },
                data_crc32: old.data_crc32,
                params: old.params,
                moments: old.moments,
                history: old.history,
                baseline: old.baseline,
                step: 0,
                losses: LossSum::default(),
            }
        }
    }
}
