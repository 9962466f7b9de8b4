//! Integration tests, one binary.
#![allow(clippy::unwrap_used)] // a test that cannot unwrap has failed

mod bits;
mod command_line;
mod damage;
mod gemm;
mod goldens;
mod identities;
mod idx;
mod optimizers;
mod tiny_vae;
