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
//! The file is written under a temporary name, synced and renamed, so that there is always one whole checkpoint.

use super::config::TrainConfig;
use super::record::EpochRecord;
use crate::error::{Error, Result};
use crate::estimators::RunningMean;
use crate::optim::Moments;
use bincode::Options;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

const MAGIC: [u8; 8] = *b"HARDGRAD";
const VERSION: u32 = 1;
const HEADER: usize = 24;

/// A run after some epoch: everything that [`Trainer::resume`](super::Trainer::resume) needs. Random generators have no
/// state to store, as each is derived from the seed, the epoch and the step.
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
}

/// The one encoding used: fixed-size little-endian integers, nothing after the end.
fn encoding(limit: u64) -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(limit)
}

impl Checkpoint {
    /// Header and payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        encoding(u64::MAX).serialize_into(&mut bytes, self).expect("writing to memory cannot fail");
        let length = (bytes.len() - HEADER) as u64;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&length.to_le_bytes());
        let crc = checksum(&bytes);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The inverse of [`to_bytes`](Self::to_bytes). `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] if the magic, version, length or checksum is not right, or the payload does not decode.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let wrong = |offset, problem: String| Err(Error::format(path, offset, problem));
        if bytes.len() < HEADER {
            return wrong(bytes.len() as u64, format!("the file ends within the {HEADER}-byte header"));
        }
        if bytes[..8] != MAGIC {
            return wrong(0, "this is not a hardgrad checkpoint (it does not begin with HARDGRAD)".into());
        }
        let version = u32::from_le_bytes(array(&bytes[8..12]));
        if version != VERSION {
            return wrong(8, format!("format version {version}; this program reads version {VERSION}"));
        }
        let length = u64::from_le_bytes(array(&bytes[12..20]));
        let present = (bytes.len() - HEADER) as u64;
        if length != present {
            return wrong(
                12,
                format!("the header promises a payload of {length} bytes, the file has {present}"),
            );
        }
        if u32::from_le_bytes(array(&bytes[20..24])) != checksum(bytes) {
            return wrong(20, "the checksum does not match: the file is damaged".into());
        }
        encoding(length)
            .deserialize(&bytes[HEADER..])
            .or_else(|e| wrong(HEADER as u64, format!("the payload does not decode: {e}")))
    }

    /// Writes the checkpoint so that `path` holds, at every moment, either what it held before or all of this one.
    ///
    /// # Errors
    /// [`Error::Io`] if the file or its directory cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, &self.to_bytes())
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Format`] if it is not a whole, undamaged checkpoint.
    pub fn load(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        file.read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        Self::from_bytes(&bytes, path)
    }
}

/// Everything but the magic and the checksum itself.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[8..20]);
    hasher.update(&bytes[HEADER..]);
    hasher.finalize()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cuts N bytes")
}

/// Writes `bytes` to `path` through a temporary file in the same directory: written, synced, renamed, directory synced.
///
/// # Errors
/// [`Error::Io`] naming the file and the step that failed; `path` then holds what it held before.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let write = || {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| Error::io("write", temporary, e))?;
    fs::rename(temporary, path).map_err(|e| Error::io("rename to", path, e))?;
    // On Unix a directory opens like a file, and syncing it makes the rename itself durable.
    #[cfg(unix)]
    {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|d| d.sync_all()).map_err(|e| Error::io("sync", directory, e))?;
    }
    Ok(())
}
