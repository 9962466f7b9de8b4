//! The functions that are fuzzed: `fuzz/` compiles this file into its fuzzers, and `corpora.rs`
//! runs them on the stored inputs.
#![allow(dead_code)] // each fuzzer uses one of these functions

use hardgrad::data::{Dataset, Idx, Images, Source, Split};
use hardgrad::train::{Checkpoint, Trainer};
use std::io::{self, Read};
use std::path::Path;
use std::sync::LazyLock;

/// A reader that gives three bytes at a time, so that every loop over partial reads is executed.
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

/// An IDX file. If it is accepted, it is written again with equal bytes, in whichever pieces it was
/// read.
pub fn idx(data: &[u8]) {
    let path = Path::new("fuzz.idx");
    let parsed = Idx::parse(data, path);
    let dripped = Idx::read_from(Dripping(data), path, None);
    let Ok(idx) = parsed else {
        assert!(
            dripped.is_err(),
            "the reader accepts a file of unknown length that it refuses with its length known"
        );
        return;
    };
    let bytes = written(&idx);
    assert_eq!(bytes, written(&dripped.expect("the file is accepted with its length known")));
    if data[..2] != [0x1f, 0x8b] {
        assert_eq!(bytes, data);
    }
}

/// A gzip file. The first byte determines how the rest is packed: as a deflate stream, or stored
/// with a correct checksum, so that the code after the check of the checksum is reached.
#[cfg(feature = "gzip")]
pub fn gzip(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else { return };
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    if mode % 2 == 0 {
        file.extend_from_slice(rest);
        return idx(&file);
    }
    // Two members if the content has at least two bytes.
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
        Ok(packed) => assert_eq!(written(&packed), written(&plain.expect("the packed file was accepted"))),
        // A header that announces more data than the file can contain is an error in both cases, by
        // different rules.
        Err(_) => assert!(plain.is_err() || rest.starts_with(&[0x1f, 0x8b]) || rest.len() > 0xffff),
    }
}

/// Ten images of 2×2 pixels for training, five for testing.
pub fn tiny() -> Dataset {
    let split = |n: usize| {
        let pixels = (0..n * 4).map(|i| (i * 37 % 256) as u8).collect();
        let images = Images::new(pixels, n, 2, 2).expect("n images");
        Split::new(images, None).expect("no labels")
    };
    Dataset { name: "tiny".into(), train: split(10), test: split(5), source: Source::Digits { seed: 0 } }
}

/// A checkpoint, or, if the first byte is odd, a payload after a header that matches it. A decoded
/// checkpoint is encoded to bytes that decode to an equal one, and a trainer accepts it or returns
/// an error.
pub fn checkpoint(data: &[u8]) {
    static DATA: LazyLock<Dataset> = LazyLock::new(tiny);
    let Some((&mode, rest)) = data.split_first() else { return };
    let mut file = rest.to_vec();
    if mode % 2 == 1 {
        let covered = [&3_u32.to_le_bytes()[..], &(rest.len() as u64).to_le_bytes()].concat();
        let crc = crc32fast::hash(&[&covered[..], rest].concat());
        file = [&b"HARDGRAD"[..], &covered, &crc.to_le_bytes(), rest].concat();
    }
    let path = Path::new("fuzz.bin");
    let Ok(mut checkpoint) = Checkpoint::from_bytes(&file, path) else { return };
    let bytes = checkpoint.to_bytes();
    let again = Checkpoint::from_bytes(&bytes, path).expect("a written file is read");
    assert_eq!(again.to_bytes(), bytes);
    checkpoint.data_crc32 = DATA.train.images().crc32();
    if let Ok(trainer) = Trainer::resume(checkpoint, &DATA) {
        let _ = trainer.checkpoint().to_bytes();
    }
}

/// A `.safetensors` file, or, if the first byte is odd, a header before as many numbers as the
/// parameters have. It is read completely or changes nothing.
#[cfg(feature = "safetensors")]
pub fn safetensors(data: &[u8]) {
    use hardgrad::files::weights;
    use hardgrad::{Mat, ParamStore};
    let mut params = ParamStore::new();
    params.add("a.weight", Mat::from_rows(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    params.add("a.bias", Mat::from_rows(&[[7.0, 8.0, 9.0]]));
    params.add("theta", Mat::from_rows(&[[10.0, 11.0]]));
    let before = params.clone();
    let Some((&mode, rest)) = data.split_first() else { return };
    let mut file = rest.to_vec();
    if mode % 2 == 1 {
        file = [&(rest.len() as u64).to_le_bytes()[..], rest, &[0x3f; 44]].concat();
    }
    let path = Path::new("fuzz.safetensors");
    match weights::from_bytes(&mut params, &file, path) {
        Err(_) => assert_eq!(params, before),
        Ok(()) => {
            let taken = params.clone();
            weights::from_bytes(&mut params, &weights::to_bytes(&taken), path)
                .expect("a written file is read");
            assert_eq!(params, taken);
        }
    }
}
