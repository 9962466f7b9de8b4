//! Integration tests, one binary.

mod bits;
mod command_line;
mod damage;
mod gemm;
mod goldens;
mod idx;
mod optimizers;
mod tiny_vae;
