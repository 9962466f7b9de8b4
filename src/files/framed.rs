//! The header that precedes the payload in the crate's own file formats.
//!
//! | bytes | content |
//! |---|---|
//! | 0–7 | magic |
//! | 8–11 | format version, little-endian `u32` |
//! | 12–19 | length of the payload, little-endian `u64` |
//! | 20–23 | CRC-32 of bytes 8–19 and the payload, little-endian `u32` |
//! | 24– | payload |
//!
//! Every version of every format has this header, so that an intact file of another version can be
//! distinguished from a damaged one.

use crate::error::{Error, Result};
use bincode::Options;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Length of the header in bytes.
pub(crate) const HEADER: usize = 24;

/// A file of unknown length is read in pieces of this many bytes, and the buffer grows by as much.
const CHUNK: u64 = 1 << 20;

/// The encoding of all payloads: fixed-size little-endian integers. It reads at most `limit` bytes
/// and rejects trailing bytes.
pub(crate) fn encoding(limit: u64) -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(limit)
}

/// A file format.
pub(crate) struct Format {
    /// The first eight bytes.
    pub magic: [u8; 8],
    /// The only version that is written and read.
    pub version: u32,
    /// Description of such a file, with an article, for messages.
    pub what: &'static str,
}

impl Format {
    /// Encodes a file: header and payload.
    pub fn to_bytes(&self, payload: &impl Serialize) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        encoding(u64::MAX).serialize_into(&mut bytes, payload).expect("writing to memory cannot fail");
        let length = (bytes.len() - HEADER) as u64;
        bytes[..8].copy_from_slice(&self.magic);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..20].copy_from_slice(&length.to_le_bytes());
        let crc = checksum(&bytes);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Checks a complete file and returns its payload. `path` is used in messages only.
    ///
    /// # Errors
    /// [`Error::Format`] if the magic, the length or the checksum is wrong; [`Error::Version`] if
    /// they are correct but the version differs.
    pub fn payload<'b>(&self, bytes: &'b [u8], path: &Path) -> Result<&'b [u8]> {
        let length = self.payload_length(bytes, path)?;
        check_length(length, (bytes.len() - HEADER) as u64, path)?;
        if u32::from_le_bytes(array(&bytes[20..24])) != checksum(bytes) {
            return Err(Error::format(path, 20, "the checksum does not match: the file is damaged"));
        }
        let (found, reads) = (u32::from_le_bytes(array(&bytes[8..12])), self.version);
        let hint = match found.cmp(&reads) {
            std::cmp::Ordering::Equal => return Ok(&bytes[HEADER..]),
            std::cmp::Ordering::Greater => "use a newer one",
            std::cmp::Ordering::Less => "the file was written before the first release",
        };
        Err(Error::version(
            path,
            format!("format version {found}; this program reads version {reads}: {hint}"),
        ))
    }

    /// Reads all bytes of a file whose header agrees with its length. At most one byte more than
    /// the header announces is read.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Format`] if the magic or the length is
    /// wrong.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let failed = |e| Error::io("read", path, e);
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let metadata = file.metadata().map_err(failed)?;
        let mut file = file.take(HEADER as u64);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let length = self.payload_length(&bytes, path)?;
        // The length of a pipe or device is not that of its content.
        if metadata.is_file() {
            check_length(length, metadata.len().saturating_sub(HEADER as u64), path)?;
        }
        // One more byte is read, so that a longer file is detected.
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

    /// The length of the payload according to the header.
    fn payload_length(&self, bytes: &[u8], path: &Path) -> Result<u64> {
        if bytes.len() < HEADER {
            let problem = format!("the file ends within the {HEADER}-byte header");
            return Err(Error::format(path, bytes.len() as u64, problem));
        }
        if bytes[..8] != self.magic {
            let magic = self.magic.escape_ascii();
            let problem = format!("this is not {} (it does not begin with {magic})", self.what);
            return Err(Error::format(path, 0, problem));
        }
        Ok(u64::from_le_bytes(array(&bytes[12..20])))
    }
}

fn check_length(length: u64, present: u64, path: &Path) -> Result<()> {
    if length == present {
        return Ok(());
    }
    let problem = format!("the header announces a payload of {length} bytes, the file has {present}");
    Err(Error::format(path, 12, problem))
}

/// The checksum of all bytes except the magic and the checksum itself.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[8..20]);
    hasher.update(&bytes[HEADER..]);
    hasher.finalize()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cuts N bytes")
}
