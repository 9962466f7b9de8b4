//! Damaged checkpoints, and checkpoints of other versions.

use crate::targets::tiny;
use hardgrad::data::digits;
use hardgrad::estimators::{BaselineConfig, EstimatorConfig, ScheduleShape, TemperatureSchedule};
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, VaeConfig};
use std::path::Path;

const STORED: &[u8] = include_bytes!("../data/checkpoint-v3.bin");

/// A run whose checkpoint has all fields and few bytes.
fn config() -> TrainConfig {
    TrainConfig {
        clip_norm: Some(1.0),
        vae: VaeConfig {
            pixels: 4,
            hidden: vec![3],
            latent: LatentShape { categories: 2, variables: 1 },
            ..VaeConfig::default()
        },
        estimator: EstimatorConfig::Reinforce { baseline: BaselineConfig::RunningMean },
        tau_schedule: Some(TemperatureSchedule { shape: ScheduleShape::Linear, to: 0.5, over: 2 }),
        batch_size: 4,
        ..TrainConfig::default()
    }
}

/// The checkpoint after so many steps; an epoch has three.
fn after(steps: usize) -> Checkpoint {
    let data = tiny();
    let mut trainer = Trainer::new(config(), &data).unwrap();
    for _ in 0..steps {
        trainer.advance().unwrap();
    }
    trainer.checkpoint()
}

/// The checkpoint after one epoch and two more steps.
fn small() -> Checkpoint {
    after(5)
}

fn read(bytes: &[u8]) -> hardgrad::Result<Checkpoint> {
    Checkpoint::from_bytes(bytes, Path::new("some/checkpoint.bin"))
}

/// The bytes with their length and checksum corrected.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len() as u64 - 24;
    bytes[12..20].copy_from_slice(&length.to_le_bytes());
    let crc = crc32fast::hash(&[&bytes[8..20], &bytes[24..]].concat());
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The small checkpoint with another text as its config.
fn with_text(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let bytes = small().to_bytes();
    let end = 32 + u64::from_le_bytes(bytes[24..32].try_into().unwrap()) as usize;
    let text = change(std::str::from_utf8(&bytes[32..end]).unwrap());
    let length = (text.len() as u64).to_le_bytes();
    sealed([&bytes[..24], &length, text.as_bytes(), &bytes[end..]].concat())
}

/// All 255 other values of every byte, every shorter length, and one additional byte.
#[test]
fn every_changed_byte_and_every_truncation_is_noticed() {
    let bytes = small().to_bytes();
    assert!(read(&bytes).is_ok());
    for at in 0..bytes.len() {
        for flip in 1..=255 {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let e = read(&changed).expect_err("a changed byte").to_string();
            assert!(e.starts_with("some/checkpoint.bin: at byte "), "{e}");
        }
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
    }
    assert!(read(&[&bytes[..], &[0]].concat()).is_err());
}

/// Truncated files, whose length is checked before the content is read.
#[test]
fn every_truncation_of_a_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.bin");
    let bytes = small().to_bytes();
    for end in 0..bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        assert!(Checkpoint::load(&path).unwrap_err().to_string().contains("at byte"), "cut at {end}");
    }
    std::fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
    assert!(Checkpoint::load(&path).unwrap_err().to_string().contains("at byte 12"));
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), small());
}

/// Changed bytes with a matching checksum give an error or a checkpoint, which a trainer accepts or
/// returns as an error.
#[test]
fn a_hostile_payload_does_no_harm() {
    let bytes = small().to_bytes();
    let data = tiny();
    let (mut refused, mut taken) = (0, 0);
    for at in 24..bytes.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            match read(&sealed(changed)).and_then(|checkpoint| Trainer::resume(checkpoint, &data)) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
        }
    }
    // Most bytes are parameters, moments and losses, for which every number is valid; most values
    // of the others are not valid.
    assert!(refused > 300 && taken > 1000, "{refused} refused, {taken} taken");
}

/// A stored checkpoint is read. A change of a type or of the encoding of numbers needs another
/// format version.
#[test]
fn a_stored_checkpoint_is_read_and_resumed() {
    let stored = read(STORED).unwrap();
    // Only the bytes after the text of the config are compared, because the config may have more
    // options than the stored one.
    let numbers = |bytes: &[u8]| {
        let text = u64::from_le_bytes(bytes[24..32].try_into().unwrap()) as usize;
        bytes[32 + text..].to_vec()
    };
    let written = stored.to_bytes();
    assert!(
        numbers(&written) == numbers(STORED),
        "the numbers are written with other bytes than those of the stored checkpoint"
    );
    assert_eq!((stored.history.len(), stored.step, stored.moments.step), (1, 2, 5));
    assert_eq!(stored.config, config());
    let data = tiny();
    assert_eq!(Trainer::resume(stored.clone(), &data).unwrap().checkpoint(), stored);
    assert!(Trainer::resume(stored, &data).unwrap().epoch(&mut |_| {}).unwrap().train.loss.is_finite());
}

/// Writes `tests/data/checkpoint-v3.bin`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_stored_checkpoint() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoint-v3.bin");
    std::fs::write(path, small().to_bytes()).unwrap();
}

/// A checkpoint from before an option was added is read with its default. An option that this
/// version does not know is an error with its name; such a checkpoint is not damaged, so the
/// previous one is not used in its place.
#[test]
fn an_option_may_be_missing_and_an_unknown_one_is_named() {
    let without =
        with_text(|text| text.replace("clip_norm 1\n", "").replace("estimator.baseline running-mean\n", ""));
    let read_without = read(&without).unwrap();
    assert_eq!(read_without, Checkpoint { config: TrainConfig { clip_norm: None, ..config() }, ..small() });
    assert!(Trainer::resume(read_without, &tiny()).is_ok());

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.bin");
    small().save(&path).unwrap();
    small().save(&path).unwrap();
    for (bytes, expected) in [
        (
            with_text(|text| format!("{text}momentum 0.9\n")),
            "config: got an option `momentum`, expected one of ",
        ),
        (with_text(|text| format!("{text}estimator.form x\n")), "estimator: got a hyper-parameter `form`"),
        (with_text(|text| text.replace("adam", "lion")), "optimizer: got lion"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let e = Checkpoint::load_newest(&path).unwrap_err();
        assert!(matches!(e, hardgrad::Error::Version { .. }), "{e:?}");
        let e = e.to_string();
        assert!(e.contains(expected) && e.ends_with("was written by a newer version of hardgrad"), "{e}");
    }
}

#[test]
fn another_format_version_is_refused_by_name_and_nothing_is_put_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.bin");
    small().save(&path).unwrap();
    small().save(&path).unwrap();
    for (version, hint) in [(4, "use a newer one"), (2, "before the first release"), (0, "before the first")]
    {
        let mut other = small().to_bytes();
        other[8] = version;
        std::fs::write(&path, sealed(other)).unwrap();
        let e = Checkpoint::load_newest(&path).unwrap_err().to_string();
        let expected = format!("checkpoint.bin: format version {version}; this program reads version 3: ");
        assert!(e.contains(&expected) && e.contains(hint), "{e}");
    }
}

#[test]
fn the_one_before_stands_in_for_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.bin");
    let previous = dir.path().join("checkpoint.prev.bin");
    assert_eq!(Checkpoint::previous(&path), previous);
    assert!(Checkpoint::load_newest(&path).unwrap().is_none());
    let (first, second) = (after(3), small());
    first.save(&path).unwrap();
    assert!(!previous.exists());
    second.save(&path).unwrap();
    let newest = Checkpoint::load_newest(&path).unwrap().unwrap();
    assert!(newest.checkpoint == second && newest.instead_of.is_none());

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let newest = Checkpoint::load_newest(&path).unwrap().unwrap();
    assert_eq!(newest.checkpoint, first);
    assert!(newest.instead_of.unwrap().to_string().contains("the header announces a payload"));
    // The state between the two renames on a file system without hard links.
    std::fs::remove_file(&path).unwrap();
    let newest = Checkpoint::load_newest(&path).unwrap().unwrap();
    assert!(newest.checkpoint == first && newest.instead_of.unwrap().is_not_found());

    std::fs::write(&path, "rubbish").unwrap();
    std::fs::write(&previous, "HARDGRAD rubbish, but long enough").unwrap();
    let e = Checkpoint::load_newest(&path).unwrap_err().to_string();
    assert!(
        e.contains("checkpoint.bin: at byte 7: the file ends")
            && e.contains("the previous checkpoint cannot be used either"),
        "{e}"
    );
    std::fs::remove_file(&path).unwrap();
    let e = Checkpoint::load_newest(&path).unwrap_err().to_string();
    assert!(e.contains("checkpoint.prev.bin: at byte 12"), "{e}");
    // A directory in the place of the checkpoint is an error.
    std::fs::create_dir(&path).unwrap();
    assert!(Checkpoint::load_newest(&path).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn a_checkpoint_of_another_size_is_refused() {
    let mut checkpoint = small();
    checkpoint.params.truncate(10);
    let e = Trainer::resume(checkpoint, &tiny()).unwrap_err().to_string();
    assert!(e.contains("parameters in the checkpoint: got 10, expected 48"), "{e}");
    let e = Trainer::resume(small(), &digits(0, 20, 10)).unwrap_err().to_string();
    assert!(e.contains("checksum of the training images"), "{e}");
}
