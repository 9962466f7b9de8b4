//! Files that one machine writes and another reads. `tests/emulated/run` runs this test on two
//! architectures, so it is a separate binary, which builds faster than `it`:
//!
//! - `EXCHANGE_WRITE=dir` writes a checkpoint, parameters and weights into `dir`, and a text file
//!   with their content;
//! - `EXCHANGE_READ=dir` reads them, compares them with the text bit by bit, and writes them again
//!   to equal bytes.
//!
//! With neither, both happen in a temporary directory.
#![allow(clippy::unwrap_used)] // in a test, a failed `unwrap` is a failure of the test

use hardgrad::data::digits;
use hardgrad::estimators::{BaselineConfig, EstimatorConfig};
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, VaeConfig};
use hardgrad::{Mat, ParamStore, Scalar};
use std::fmt::{Debug, Write};
use std::fs;
use std::path::{Path, PathBuf};

/// Numbers whose bytes all differ, both zeros, the smallest and the largest number, infinities and
/// NaN.
fn single() -> ParamStore<f32> {
    let special = [0x8000_0000, 0x0000_0001, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7fc1_2345];
    let mut params = finite();
    params.add("special", Mat::from_vec(2, 3, special.map(f32::from_bits).to_vec()));
    params
}

fn double() -> ParamStore<f64> {
    let bits = [
        0x0123_4567_89ab_cdef,
        1 << 63,
        1,
        0x7fef_ffff_ffff_ffff,
        0xfff0_0000_0000_0000,
        0x7ff8_1234_5678_9abc,
    ];
    let mut params = ParamStore::new();
    params.add("empty", Mat::zeros(0, 3));
    params.add("w", Mat::from_vec(3, 2, bits.map(f64::from_bits).to_vec()));
    params
}

/// Parameters that a `.safetensors` file can contain. The file stores weights transposed.
fn finite() -> ParamStore<f32> {
    let mut params = ParamStore::new();
    let numbers = (0..6).map(|i| f32::from_bits(0x0123_4567 + 0x1111_1111 * i)).collect();
    params.add("net.0.weight", Mat::from_vec(3, 2, numbers));
    params.add("net.0.bias", Mat::from_rows(&[[-0.0, 0.1]]));
    params
}

/// A checkpoint within the second epoch of a run, with moments, a running mean, sums of losses and
/// a history.
fn trained() -> Checkpoint {
    let data = digits(0, 30, 10);
    let latent = LatentShape { categories: 3, variables: 2 };
    let config = TrainConfig {
        vae: VaeConfig { pixels: 784, hidden: vec![3], latent, ..VaeConfig::default() },
        estimator: EstimatorConfig::Reinforce { baseline: BaselineConfig::RunningMean },
        clip_norm: Some(1.0),
        batch_size: 10,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config, &data).unwrap();
    for _ in 0..5 {
        trainer.advance().unwrap();
    }
    trainer.checkpoint()
}

/// The content as text, which has no byte order: every number with enough digits to identify it,
/// and parameters also as bits, because there are several NaNs.
fn text<T: Scalar>(params: &ParamStore<T>, bits: impl Fn(&T) -> u64) -> String {
    let mut text = String::new();
    for (name, id) in params.iter() {
        writeln!(text, "{name} {:?}", id.shape()).unwrap();
        for number in params.get(id).data {
            writeln!(text, "{:016x}", bits(number)).unwrap();
        }
    }
    text
}

fn lines(what: &impl Debug) -> String {
    format!("{what:#?}\n")
}

fn all(
    checkpoint: &Checkpoint,
    single: &ParamStore<f32>,
    double: &ParamStore<f64>,
    weights: &ParamStore<f32>,
) -> String {
    let of_single = |x: &f32| u64::from(x.to_bits());
    [lines(checkpoint), text(single, of_single), text(double, |x| x.to_bits()), text(weights, of_single)]
        .concat()
}

#[cfg(feature = "safetensors")]
use hardgrad::files::weights;

/// Without the feature `safetensors` there are no files of this format.
#[cfg(not(feature = "safetensors"))]
mod weights {
    use hardgrad::{ParamStore, Result};
    use std::path::Path;

    pub fn save(_: &ParamStore<f32>, _: &Path) -> Result<()> {
        Ok(())
    }

    pub fn load(params: &mut ParamStore<f32>, _: &Path) -> Result<()> {
        params.clone_from(&super::finite());
        Ok(())
    }
}

fn write(
    dir: &Path,
    checkpoint: &Checkpoint,
    single: &ParamStore<f32>,
    double: &ParamStore<f64>,
    finite: &ParamStore<f32>,
) {
    fs::create_dir_all(dir).unwrap();
    checkpoint.save(&dir.join("checkpoint.bin")).unwrap();
    single.save(dir.join("single.params")).unwrap();
    double.save(dir.join("double.params")).unwrap();
    weights::save(finite, &dir.join("weights.safetensors")).unwrap();
}

fn read(dir: &Path) {
    let checkpoint = Checkpoint::load(&dir.join("checkpoint.bin")).unwrap();
    let (mut of_single, mut of_double, mut of_weights) = (single(), double(), finite());
    of_single.flat_mut().fill(7.0);
    of_double.flat_mut().fill(7.0);
    of_weights.flat_mut().fill(7.0);
    of_single.load(dir.join("single.params")).unwrap();
    of_double.load(dir.join("double.params")).unwrap();
    weights::load(&mut of_weights, &dir.join("weights.safetensors")).unwrap();

    let found = all(&checkpoint, &of_single, &of_double, &of_weights);
    let expected = fs::read_to_string(dir.join("expected.txt")).unwrap();
    for (n, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of {}", n + 1, dir.join("expected.txt").display());
    }
    assert_eq!(found.len(), expected.len());

    let again = tempfile::tempdir().unwrap();
    write(again.path(), &checkpoint, &of_single, &of_double, &of_weights);
    for entry in fs::read_dir(again.path()).unwrap() {
        let name = entry.unwrap().file_name();
        let bytes = [dir, again.path()].map(|dir| fs::read(dir.join(&name)).unwrap());
        assert!(bytes[0] == bytes[1], "{} is written with other bytes than it was read", name.display());
    }

    // The run continues, because the images have the checksum in the checkpoint.
    let data = digits(0, 30, 10);
    let mut trainer = Trainer::resume(checkpoint.clone(), &data).unwrap();
    assert_eq!(trainer.checkpoint(), checkpoint);
    assert!(trainer.epoch(&mut |_| {}).unwrap().train.loss.is_finite());
}

#[test]
fn files_are_read_to_the_bit() {
    let directory = |name| std::env::var_os(name).map(PathBuf::from);
    let (mut to, mut from) = (directory("EXCHANGE_WRITE"), directory("EXCHANGE_READ"));
    let temporary = tempfile::tempdir().unwrap();
    if to.is_none() && from.is_none() {
        to = Some(temporary.path().into());
        from.clone_from(&to);
    }
    if let Some(dir) = to {
        let (checkpoint, single, double, finite) = (trained(), single(), double(), finite());
        write(&dir, &checkpoint, &single, &double, &finite);
        fs::write(dir.join("expected.txt"), all(&checkpoint, &single, &double, &finite)).unwrap();
    }
    if let Some(dir) = from {
        read(&dir);
    }
}
