//! The fuzzers' stored inputs (`tests/corpus/`), through what is fuzzed.

use crate::targets;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{}: {} files", corpus.display(), files.len());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        // Under the harness, a panic's message alone would not say which.
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
