//! Damaged, old, new and lying checkpoints.

use crate::targets::tiny;
use hardgrad::data::digits;
use hardgrad::estimators::{BaselineConfig, EstimatorConfig, ScheduleShape, TemperatureSchedule};
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, VaeConfig};
use std::path::Path;

const VERSION_1: &[u8] = include_bytes!("../data/checkpoint-v1.bin");
const VERSION_2: &[u8] = include_bytes!("../data/checkpoint-v2.bin");

/// Everything that can be in a checkpoint, and few bytes.
fn config() -> TrainConfig {
    TrainConfig {
        vae: VaeConfig { pixels: 4, hidden: vec![3], latent: LatentShape { categories: 2, variables: 1 } },
        estimator: EstimatorConfig::Reinforce { baseline: BaselineConfig::RunningMean },
        tau_schedule: Some(TemperatureSchedule { shape: ScheduleShape::Linear, to: 0.5, over: 2 }),
        batch_size: 4,
        ..TrainConfig::default()
    }
}

/// After one epoch of three steps, and two steps more.
fn small() -> Checkpoint {
    let data = tiny();
    let mut trainer = Trainer::new(TrainConfig { clip_norm: Some(1.0), ..config() }, &data).unwrap();
    for _ in 0..5 {
        trainer.advance().unwrap();
    }
    trainer.checkpoint()
}

fn read(bytes: &[u8]) -> hardgrad::Result<Checkpoint> {
    Checkpoint::from_bytes(bytes, Path::new("some/checkpoint.bin"))
}

/// With the checksum put right.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&[&bytes[8..20], &bytes[24..]].concat());
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// All 255 other values of every byte, every length short of the whole, and one more.
#[test]
fn every_changed_byte_and_every_truncation_is_noticed() {
    for bytes in [small().to_bytes(), VERSION_1.to_vec()] {
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
        let mut longer = bytes;
        longer.push(0);
        assert!(read(&longer).is_err());
    }
}

/// The same through a file, where the length is checked before the content is read.
#[test]
fn every_truncation_of_a_file_is_noticed() {
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

/// Damage that no checksum shows, because it was made with one: an error or a checkpoint, which a trainer takes or refuses.
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
    // Parameters, moments and losses, the most of it, may be any numbers; most of the rest may not.
    assert!(refused > 300 && taken > 1000, "{refused} refused, {taken} taken");
}

/// What was written before is read: a change of a type or of the encoding needs another format version.
#[test]
fn stored_checkpoints_are_read() {
    let now = read(VERSION_2).unwrap();
    assert!(now.to_bytes() == VERSION_2, "version 2 is written otherwise than it was");
    assert_eq!((now.history.len(), now.step, now.config.clip_norm), (1, 2, Some(1.0)));
    let old = read(VERSION_1).unwrap();
    assert_eq!(old.config, config());
    assert_eq!((old.history.len(), old.step, old.moments.step, old.params.len()), (1, 0, 3, 48));
    let data = tiny();
    assert_eq!(Trainer::resume(old.clone(), &data).unwrap().checkpoint(), old);
    assert!(Trainer::resume(old, &data).unwrap().epoch(&mut |_| {}).unwrap().train.loss.is_finite());
}

/// How `tests/data/checkpoint-v2.bin` was made; `checkpoint-v1.bin` is one epoch of `config()` by the program before it.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_stored_checkpoint() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoint-v2.bin");
    std::fs::write(path, small().to_bytes()).unwrap();
}

#[test]
fn a_newer_version_is_refused_by_name_and_nothing_is_put_in_its_place() {
    let mut newer = small().to_bytes();
    newer[8] = 3;
    let newer = sealed(newer);
    let message = "checkpoint.bin: format version 3; this program reads versions up to 2";
    assert!(read(&newer).unwrap_err().to_string().contains(message));
    let mut none = small().to_bytes();
    none[8] = 0;
    assert!(read(&sealed(none)).unwrap_err().to_string().contains("found format version 0"));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.bin");
    small().save(&path).unwrap();
    small().save(&path).unwrap();
    std::fs::write(&path, newer).unwrap();
    assert!(Checkpoint::load_newest(&path).unwrap_err().to_string().contains(message));
}

#[test]
fn the_one_before_stands_in_for_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.bin");
    let previous = dir.path().join("checkpoint.prev.bin");
    assert_eq!(Checkpoint::previous(&path), previous);
    assert!(Checkpoint::load_newest(&path).unwrap().is_none());
    let (first, second) = (read(VERSION_1).unwrap(), small());
    first.save(&path).unwrap();
    assert!(!previous.exists());
    second.save(&path).unwrap();
    let newest = Checkpoint::load_newest(&path).unwrap().unwrap();
    assert!(newest.checkpoint == second && newest.instead_of.is_none());

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let newest = Checkpoint::load_newest(&path).unwrap().unwrap();
    assert_eq!(newest.checkpoint, first);
    assert!(newest.instead_of.unwrap().to_string().contains("the header promises a payload"));
    // Moved away between the two renames of a file system without hard links.
    std::fs::remove_file(&path).unwrap();
    let newest = Checkpoint::load_newest(&path).unwrap().unwrap();
    assert!(newest.checkpoint == first && newest.instead_of.unwrap().is_not_found());

    std::fs::write(&path, "rubbish").unwrap();
    std::fs::write(&previous, "HARDGRAD rubbish, but long enough").unwrap();
    let e = Checkpoint::load_newest(&path).unwrap_err().to_string();
    assert!(
        e.contains("checkpoint.bin: at byte 7: the file ends") && e.contains("nor is the one before it"),
        "{e}"
    );
    std::fs::remove_file(&path).unwrap();
    let e = Checkpoint::load_newest(&path).unwrap_err().to_string();
    assert!(e.contains("checkpoint.prev.bin: at byte 12"), "{e}");
    // Not damaged, but not a file: for the user to decide.
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
