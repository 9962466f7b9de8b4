//! Which data a run was trained on.

use super::Dataset;
use serde::{Deserialize, Serialize};

/// What tells one data set from another: a run is not taken for one of other data.
///
/// ```
/// use hardgrad::data::{DatasetId, digits};
/// let id = DatasetId::of(&digits(0, 2, 1));
/// assert_eq!((id.name.as_str(), id.train, id.test), ("digits", 2, 1));
/// assert_ne!(id, DatasetId::of(&digits(1, 2, 1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetId {
    /// Its name.
    pub name: String,
    /// Number of training images.
    pub train: usize,
    /// Number of test images.
    pub test: usize,
    /// CRC-32 of the training images, in hex.
    pub crc32: String,
}

impl DatasetId {
    /// The identity of these data.
    pub fn of(data: &Dataset) -> Self {
        Self {
            name: data.name.clone(),
            train: data.train.len(),
            test: data.test.len(),
            crc32: format!("{:08x}", data.train.images().crc32()),
        }
    }
}
