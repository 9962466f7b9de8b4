//! What is fuzzed. `tests/it/corpora.rs` replays the stored inputs through the same functions.
#![allow(dead_code)] // each fuzzer uses one of them

use hardgrad::data::Idx;
use std::io::{self, Read};
use std::path::Path;

/// Three bytes at a time, so that every loop over partial reads runs.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(3);
        self.0.read(&mut buffer[..n])
    }
}

fn written(idx: &Idx) -> Vec<u8> {
    let mut bytes = Vec::new();
    idx.write(&mut bytes).expect("a Vec takes every byte");
    bytes
}

/// A file as it stands: what is accepted is what is written again, however it was read.
pub fn idx(data: &[u8]) {
    let path = Path::new("fuzz.idx");
    let parsed = Idx::parse(data, path);
    let dripped = Idx::read_from(Dripping(data), path, None);
    let Ok(idx) = parsed else {
        assert!(dripped.is_err(), "refused with its length known, accepted without");
        return;
    };
    let bytes = written(&idx);
    assert_eq!(bytes, written(&dripped.expect("accepted with its length known")));
    if data[..2] != [0x1f, 0x8b] {
        assert_eq!(bytes, data);
    }
}

/// A gzip file. The first byte says how the rest is put into it: as a deflate stream of its own, or stored, with a right
/// checksum, so that what lies behind the checksum is reached.
pub fn gzip(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else { return };
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    if mode % 2 == 0 {
        file.extend_from_slice(rest);
        return idx(&file);
    }
    // Two members where there is something to cut.
    let (a, b) = rest.split_at(rest.len() * usize::from(mode) / 256);
    let mut members = Vec::new();
    for part in [a, b] {
        let part = &part[..part.len().min(0xffff)];
        let (len, crc) = (part.len() as u16, crc32fast::hash(part));
        members.extend_from_slice(&file);
        members.push(1);
        members.extend_from_slice(&len.to_le_bytes());
        members.extend_from_slice(&(!len).to_le_bytes());
        members.extend_from_slice(part);
        members.extend_from_slice(&crc.to_le_bytes());
        members.extend_from_slice(&u32::from(len).to_le_bytes());
    }
    let plain = Idx::parse(rest, Path::new("fuzz.idx"));
    match Idx::parse(&members, Path::new("fuzz.idx.gz")) {
        Ok(packed) => assert_eq!(written(&packed), written(&plain.expect("the packed one was accepted"))),
        // A header that promises more than so few bytes can hold is refused in both, by different rules.
        Err(_) => assert!(plain.is_err() || rest.starts_with(&[0x1f, 0x8b]) || rest.len() > 0xffff),
    }
}
