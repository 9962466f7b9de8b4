//! Code that the programs in `examples/` share: directories of runs, the training loop,
//! command-line options, progress, figures.
//!
//! This directory has no `main.rs`, so Cargo does not take it for an example. A program includes it
//! by `#[path = "../lab/mod.rs"] mod lab;`.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "every program compiles the whole lab and uses a part of it"
)]

pub mod bias_variance;
pub mod curves;
pub mod data;
pub mod error;
pub mod estimator;
pub mod evaluation;
pub mod exit;
pub mod lines;
pub mod lock;
pub mod numbers;
pub mod output;
pub mod pictures;
pub mod preset;
pub mod preview;
pub mod progress;
pub mod published;
pub mod reporter;
pub mod run;
pub mod run_dir;
pub mod smoke;
pub mod stats;
pub mod stop;
pub mod svg;
pub mod threads;
