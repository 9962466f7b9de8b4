//! Pages to read.

#[doc = include_str!("errata.md")]
pub mod errata {}
