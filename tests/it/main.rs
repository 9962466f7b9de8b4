//! Integration tests, in one binary.
#![allow(clippy::unwrap_used)] // in a test, a failed `unwrap` is a failure of the test

#[path = "../../examples/lab/mod.rs"]
mod lab;

mod bias_variance;
mod bits;
mod command_line;
mod composition;
mod corpora;
mod damage;
mod draw_masks;
mod explorer;
mod extremes;
mod field;
mod goldens;
mod guide;
mod identities;
mod identity;
mod idx;
mod kill;
mod loss_masks;
mod masks;
#[cfg(target_os = "linux")] // the size of the address space is read from /proc
mod memory;
#[cfg(target_os = "linux")] // the messages contain those of the operating system
mod messages;
mod new_user;
mod not_a_number;
mod optimizers;
#[cfg(unix)] // these tests use `sh` and /dev/full
mod outputs;
mod preset;
mod preview;
mod report;
mod reproduce;
mod results;
mod targets;
mod tiny_vae;
mod traits;
#[cfg(unix)] // these tests use `mount`, file modes and symbolic links
mod trouble;
mod unbiased;
mod vae_losses;
#[cfg(feature = "safetensors")]
mod weights;
