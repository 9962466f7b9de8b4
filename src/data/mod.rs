//! Grey images to train on.

mod idx;

pub use idx::{Idx, IdxData};
