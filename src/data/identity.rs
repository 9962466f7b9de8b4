//! Identity of a data set, for the record of a run.

use super::Dataset;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Identity of a data set: the numbers and the checksums of its training and test images. A run
/// compares it so that it is not continued on other data. The name is informative only: it is the
/// name of the directory, which may be moved.
///
/// ```
/// use hardgrad::data::{DatasetId, digits};
/// let data = digits(0, 2, 1);
/// let id = DatasetId::of(&data);
/// assert!(id.to_string().starts_with("digits (2 training images, CRC-32 "));
/// let moved = hardgrad::data::Dataset { name: "elsewhere".into(), ..data.clone() };
/// assert!(id.is_of_same_images(&DatasetId::of(&moved)));
/// let other_test = hardgrad::data::Dataset { test: digits(1, 2, 1).test, ..data };
/// assert!(!id.is_of_same_images(&DatasetId::of(&other_test)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetId {
    /// Name of the data set.
    pub name: String,
    /// Number of training images.
    pub train: usize,
    /// Number of test images.
    pub test: usize,
    /// CRC-32 of the training images' pixels, as eight hexadecimal digits.
    pub crc32: String,
    /// CRC-32 of the test images' pixels. `None` in files written before this field existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_crc32: Option<String>,
}

impl DatasetId {
    /// Computes the identity of a data set, in one pass over its pixels.
    pub fn of(data: &Dataset) -> Self {
        let crc32 = |split: &super::Split| format!("{:08x}", split.images().crc32());
        Self {
            name: data.name.clone(),
            train: data.train.len(),
            test: data.test.len(),
            crc32: crc32(&data.train),
            test_crc32: Some(crc32(&data.test)),
        }
    }

    /// Whether both data sets have the same images. The names are not compared, and a checksum that
    /// one of them lacks is not compared either.
    pub fn is_of_same_images(&self, other: &Self) -> bool {
        let test = |id: &Self| id.test_crc32.clone();
        (self.train, self.test, &self.crc32) == (other.train, other.test, &other.crc32)
            && test(self).zip(test(other)).is_none_or(|(a, b)| a == b)
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, train, test, crc32, test_crc32 } = self;
        let s = |n: usize| if n == 1 { "" } else { "s" };
        write!(
            f,
            "{name} ({train} training image{}, CRC-32 {crc32}; {test} test image{}",
            s(*train),
            s(*test)
        )?;
        if let Some(crc32) = test_crc32 {
            write!(f, ", CRC-32 {crc32}")?;
        }
        f.write_str(")")
    }
}
