//! Integration tests, one binary.
#![allow(clippy::unwrap_used)] // a test that cannot unwrap has failed

mod bits;
mod command_line;
mod composition;
mod damage;
mod explorer;
mod extremes;
mod gemm;
mod goldens;
mod identities;
mod idx;
mod new_user;
mod optimizers;
mod tiny_vae;
mod traits;
mod unbiased;
