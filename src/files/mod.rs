//! Files: atomic writing, and readers that validate their input.
//!
//! [`write_atomically`] replaces a file with any bytes.
//! [`ParamStore::save`](crate::ParamStore::save) and [`ParamStore::load`](crate::ParamStore::load)
//! store a model's parameters bit for bit. With the feature `safetensors`, the module `weights`
//! exchanges them with PyTorch. The crate's own formats (parameters, and the checkpoints of
//! [`train`](crate::train::Checkpoint)) share one header, with a version, a length and a checksum.

mod atomic;
pub(crate) mod framed;
mod params;
#[cfg(feature = "safetensors")]
pub mod weights;

pub(crate) use atomic::replace;
pub use atomic::write_atomically;
