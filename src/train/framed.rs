//! What the crate's own files have in common: a header that says what follows, then bincode.
//!
//! | bytes | content |
//! |---|---|
//! | 0–7 | magic |
//! | 8–11 | format version, little-endian `u32` |
//! | 12–19 | length of the payload, little-endian `u64` |
//! | 20–23 | CRC-32 of bytes 8–19 and the payload, little-endian `u32` |
//! | 24– | payload |

use bincode::Options;
use serde::Serialize;

/// Length of the header.
pub(super) const HEADER: usize = 24;

/// The one encoding used: fixed-size little-endian integers, nothing after the end.
pub(super) fn encoding(limit: u64) -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(limit)
}

/// Header and payload.
pub(super) fn to_bytes(magic: [u8; 8], version: u32, payload: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    encoding(u64::MAX).serialize_into(&mut bytes, payload).expect("writing to memory cannot fail");
    let length = (bytes.len() - HEADER) as u64;
    bytes[..8].copy_from_slice(&magic);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes[12..20].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&bytes);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Everything but the magic and the checksum itself.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[8..20]);
    hasher.update(&bytes[HEADER..]);
    hasher.finalize()
}
