//! Integration tests, one binary.
#![allow(clippy::unwrap_used)] // a test that cannot unwrap has failed

#[path = "../../examples/lab/mod.rs"]
mod lab;

mod bias_variance;
mod bits;
mod command_line;
mod composition;
mod corpora;
mod damage;
mod explorer;
mod extremes;
mod field;
mod goldens;
mod identities;
mod identity;
mod idx;
mod kill;
mod loss_masks;
mod masks;
#[cfg(target_os = "linux")] // how much memory it takes is read from /proc
mod memory;
mod new_user;
mod not_a_number;
mod optimizers;
#[cfg(unix)] // closed and full outputs are made by `sh` and /dev/full
mod outputs;
mod preset;
mod preview;
mod report;
mod reproduce;
mod targets;
mod tiny_vae;
mod traits;
#[cfg(unix)] // full disks, permissions and links are made by `mount`, modes and symlinks
mod trouble;
mod unbiased;
mod vae_losses;
#[cfg(feature = "safetensors")]
mod weights;
