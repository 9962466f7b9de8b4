//! The functions that are fuzzed, on the stored inputs of the fuzzers (`tests/corpus/`).

use crate::targets;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{}: {} files", corpus.display(), files.len());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        // The message of a panic does not contain the name of the file, so it is printed here.
        println!("{}", file.display());
        run(&bytes);
    }
}

#[test]
fn idx() {
    replay("idx", targets::idx);
}

#[test]
#[cfg(feature = "gzip")]
fn gzip() {
    replay("gzip", targets::gzip);
}

#[test]
fn checkpoint() {
    replay("checkpoint", targets::checkpoint);
}

#[test]
#[cfg(feature = "safetensors")]
fn safetensors() {
    replay("safetensors", targets::safetensors);
}
