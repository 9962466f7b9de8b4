//! Integration tests, one binary.
#![allow(clippy::unwrap_used)] // a test that cannot unwrap has failed

mod bias_variance;
mod bits;
mod command_line;
mod composition;
mod corpora;
mod damage;
mod explorer;
mod extremes;
mod gemm;
mod goldens;
mod identities;
mod idx;
mod kill;
#[cfg(target_os = "linux")]
mod memory;
mod new_user;
mod not_a_number;
mod optimizers;
mod report;
mod reproduce;
mod targets;
mod tiny_vae;
mod traits;
#[cfg(unix)]
mod trouble;
mod unbiased;
#[cfg(feature = "safetensors")]
mod weights;
mod widths;
