//! Pages to read.

#[doc = include_str!("errata.md")]
pub mod errata {}

#[doc = include_str!("reproducibility.md")]
pub mod reproducibility {}
