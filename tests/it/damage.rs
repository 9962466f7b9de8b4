//! Damaged checkpoints: every single-byte change and every truncation is noticed.

use hardgrad::data::digits;
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use std::path::Path;

fn small() -> Vec<u8> {
    let data = digits(0, 20, 10);
    let mut config = TrainConfig { batch_size: 10, ..TrainConfig::default() };
    config.vae.hidden = vec![1];
    let mut trainer = Trainer::new(config, &data).unwrap();
    trainer.epoch(&mut |_| {}).unwrap();
    let mut checkpoint = trainer.checkpoint();
    // The encoding is the same for short vectors, and an exhaustive test wants few bytes.
    checkpoint.params.truncate(10);
    checkpoint.moments.mean.truncate(10);
    checkpoint.moments.mean_square.truncate(10);
    checkpoint.to_bytes()
}

#[test]
fn every_changed_byte_and_every_truncation_is_noticed() {
    let bytes = small();
    let path = Path::new("some/checkpoint.bin");
    assert!(Checkpoint::from_bytes(&bytes, path).is_ok());
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let e = Checkpoint::from_bytes(&changed, path).expect_err("a changed byte").to_string();
            assert!(e.starts_with("some/checkpoint.bin: at byte "), "{e}");
        }
        assert!(Checkpoint::from_bytes(&bytes[..at], path).is_err(), "cut at {at}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Checkpoint::from_bytes(&longer, path).is_err());
}

#[test]
fn a_checkpoint_of_another_size_is_refused() {
    let checkpoint = Checkpoint::from_bytes(&small(), Path::new("c")).unwrap();
    let data = digits(0, 20, 10);
    let e = Trainer::resume(checkpoint, &data).unwrap_err().to_string();
    assert!(e.contains("parameters in the checkpoint: got 10, expected"), "{e}");
}
