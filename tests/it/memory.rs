//! Files whose headers announce more data than they contain allocate no memory for it. Each case
//! runs in a separate process, whose address space is measured, so that memory which is reserved
//! and never touched counts too.

use crate::targets::tiny;
use hardgrad::data::Idx;
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

const CHILD: &str = "HARDGRAD_TEST_MEASURES";
const MIB: u64 = 1 << 20;

/// This process's address space in bytes: now ("VmSize:") or at its largest ("VmPeak:").
fn size(which: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Runs `work` in a child that runs this test alone; its address space must not grow by `most`
/// bytes.
fn bounded(test: &str, most: u64, prepare: impl FnOnce(&Path), work: impl FnOnce(&Path)) {
    if let Some(dir) = std::env::var_os(CHILD) {
        // The address space may have been larger before. Without this allocation, `VmPeak` would
        // not show memory below that maximum.
        let ballast = Vec::<u8>::with_capacity((size("VmPeak:") - size("VmSize:")) as usize);
        let before = size("VmPeak:");
        work(Path::new(&dir));
        println!("grew by {} bytes", size("VmPeak:") - before);
        drop(std::hint::black_box(ballast));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let grown = text.split("grew by ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a measurement");
    let grown: u64 = grown.parse().unwrap();
    println!("{test}: {:.1} MiB", grown as f64 / MIB as f64);
    assert!(grown < most, "{test}: the address space grew by {grown} bytes");
}

fn refused<T: std::fmt::Debug>(result: hardgrad::Result<T>, expected: &str) {
    let e = result.unwrap_err().to_string();
    assert!(e.contains(expected), "{e}");
}

fn idx_header(dims: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
    bytes
}

/// The content as a `.gz` file, if this build reads such files.
fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
    #[cfg(feature = "gzip")]
    {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        Some(encoder.finish().unwrap())
    }
    #[cfg(not(feature = "gzip"))]
    {
        let _ = bytes;
        None
    }
}

#[test]
fn the_measurement_detects_untouched_memory() {
    let test = "memory::the_measurement_detects_untouched_memory";
    if std::env::var_os(CHILD).is_some() {
        return bounded(test, 0, |_| {}, |_| drop(std::hint::black_box(Vec::<u8>::with_capacity(100 << 20))));
    }
    let caught = std::panic::catch_unwind(|| bounded(test, 64 * MIB, |_| {}, |_| {}));
    assert!(caught.is_err(), "the measurement must detect 100 MiB that are reserved and never touched");
}

#[test]
fn an_idx_header_that_promises_4_terabytes() {
    bounded(
        "memory::an_idx_header_that_promises_4_terabytes",
        16 * MIB,
        |dir| fs::write(dir.join("bomb"), idx_header(&[1 << 21, 1 << 21])).unwrap(),
        |dir| {
            let path = dir.join("bomb");
            refused(Idx::read(&path), "4398046511104 bytes of data");
            refused(Idx::read_from(File::open(&path).unwrap(), &path, None), "the data end");
        },
    );
}

/// 4 GiB of zeros as gzip, once after a header that announces six bytes and once after a header
/// that announces all of them.
#[test]
#[cfg(feature = "gzip")]
fn a_gzip_that_inflates_to_4_gigabytes() {
    let gz = |bytes: &[u8]| packed(bytes).unwrap();
    bounded(
        "memory::a_gzip_that_inflates_to_4_gigabytes",
        16 * MIB,
        |dir| {
            let zeros = gz(&vec![0; 16 << 20]).repeat(256);
            for (name, dims) in [("short.gz", [2, 3]), ("correct.gz", [1 << 16, 1 << 16])] {
                fs::write(dir.join(name), [gz(&idx_header(&dims)), zeros.clone()].concat()).unwrap();
            }
        },
        |dir| {
            refused(Idx::read(&dir.join("short.gz")), "more data follow");
            refused(Idx::read(&dir.join("correct.gz")), "decompress it (gunzip)");
        },
    );
}

fn small() -> Vec<u8> {
    let mut config = TrainConfig { batch_size: 4, ..TrainConfig::default() };
    config.vae.pixels = 4;
    config.vae.hidden = vec![3];
    Trainer::new(config, &tiny()).unwrap().checkpoint().to_bytes()
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&[&bytes[8..20], &bytes[24..]].concat());
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_checkpoint_with_a_wrong_length() {
    bounded(
        "memory::a_checkpoint_with_a_wrong_length",
        32 * MIB,
        |_| {},
        |dir| {
            let (path, good) = (dir.join("checkpoint.bin"), small());
            for length in [u64::MAX, u64::MAX - 24, 1 << 42, good.len() as u64] {
                let mut wrong = good.clone();
                wrong[12..20].copy_from_slice(&length.to_le_bytes());
                fs::write(&path, sealed(wrong)).unwrap();
                refused(Checkpoint::load(&path), "the header announces a payload of");
            }
            // A wrong length within the payload, with a correct header: 2^40 parameters, or a
            // network of as many.
            for at in 24..good.len() - 8 {
                for length in [1_u64 << 40, u64::MAX / 2] {
                    let mut wrong = good.clone();
                    wrong[at..at + 8].copy_from_slice(&length.to_le_bytes());
                    fs::write(&path, sealed(wrong)).unwrap();
                    if let Ok(checkpoint) = Checkpoint::load(&path) {
                        let _ = Trainer::resume(checkpoint, &tiny());
                    }
                }
            }
        },
    );
}

/// A pipe has no length, so memory is allocated as the data arrive.
#[test]
fn a_pipe_with_a_wrong_length_in_its_header() {
    bounded(
        "memory::a_pipe_with_a_wrong_length_in_its_header",
        32 * MIB,
        |dir| {
            let mut wrong = small();
            wrong[12..20].copy_from_slice(&(1_u64 << 42).to_le_bytes());
            fs::write(dir.join("wrong"), wrong).unwrap();
            assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
        },
        |dir| {
            let write = "cat wrong > pipe";
            let mut writer = Command::new("sh").args(["-c", write]).current_dir(dir).spawn().unwrap();
            let announced = "the header announces a payload of 4398046511104 bytes";
            refused(Checkpoint::load(&dir.join("pipe")), announced);
            assert!(writer.wait().unwrap().success());
        },
    );
}

/// The exhaustive damage of `damage.rs` and `idx.rs` does not increase the address space.
#[test]
fn every_single_byte_change() {
    bounded(
        "memory::every_single_byte_change",
        16 * MIB,
        |_| {},
        |_| {
            let idx = [idx_header(&[2, 3]), vec![1, 2, 3, 4, 5, 6]].concat();
            let files = [Some(small()), Some(idx.clone()), packed(&idx)];
            for good in files.into_iter().flatten() {
                for at in 0..good.len() {
                    for flip in 1..=255 {
                        let mut changed = good.clone();
                        changed[at] ^= flip;
                        let _ = Idx::parse(&changed, Path::new("x"));
                        let _ = Checkpoint::from_bytes(&changed, Path::new("x"));
                    }
                }
            }
        },
    );
}

#[test]
#[cfg(feature = "safetensors")]
fn weights_with_a_wrong_length() {
    use hardgrad::files::weights;
    use hardgrad::{Mat, ParamStore};
    bounded(
        "memory::weights_with_a_wrong_length",
        16 * MIB,
        |dir| {
            fs::write(dir.join("wrong"), [&[0xff; 8][..], b"{}"].concat()).unwrap();
            File::create(dir.join("long")).unwrap().set_len(8 << 30).unwrap();
        },
        |dir| {
            let mut params = ParamStore::new();
            params.add("w", Mat::zeros(2, 2));
            refused(weights::load(&mut params, &dir.join("wrong")), "not a complete .safetensors file");
            refused(weights::load(&mut params, &dir.join("long")), "the file is longer");
        },
    );
}
