//! Grey-scale images for training: MNIST and other data sets in IDX files, and synthetic digits
//! that the crate generates.
//!
//! Pixels are stored in memory as the bytes of the file. A batch of them is converted to numbers
//! between 0 and 1 when it is used.

mod batches;
mod digits;
mod glyphs;
mod identity;
mod idx;
mod mnist;

pub use batches::Batches;
pub use digits::{DIGITS_TEST, DIGITS_TRAIN, digits};
pub use identity::DatasetId;
pub use idx::{Idx, IdxData};
pub use mnist::{MnistFiles, find_mnist, load_mnist};

use crate::par::{self, Wide};
use crate::simd::vectorized;
use crate::{Error, Result, Scalar};
use std::path::PathBuf;

/// Grey-scale images of one size. Pixels are bytes, from 0 (paper) to 255 (ink), with shape
/// `[count, rows · cols]`, row-major.
///
/// ```
/// use hardgrad::data::Images;
/// let images = Images::new(vec![0, 51, 102, 255], 2, 1, 2)?;
/// let mut batch = [0.0_f32; 2];
/// images.fill(&[1], &mut batch);
/// assert_eq!(batch, [0.4, 1.0]);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pixels: Vec<u8>,
    count: usize,
    rows: usize,
    cols: usize,
}

impl Images {
    /// Creates `count` images of `rows` × `cols` pixels from their concatenated bytes.
    ///
    /// # Errors
    /// If `rows` or `cols` is 0, if there are more than `u32::MAX` images, or if the length of
    /// `pixels` is not `count · rows · cols`.
    pub fn new(pixels: Vec<u8>, count: usize, rows: usize, cols: usize) -> Result<Self> {
        if rows == 0 || cols == 0 {
            return Err(Error::argument("image size", format!("{rows}×{cols}"), "at least 1×1 pixel"));
        }
        if u32::try_from(count).is_err() {
            return Err(Error::argument("count", count, "at most 4294967295 images"));
        }
        let expected = rows.checked_mul(cols).and_then(|n| n.checked_mul(count));
        if expected != Some(pixels.len()) {
            let expected = format!("{count} images of {rows}×{cols} pixels");
            return Err(Error::argument("pixels", format!("{} bytes", pixels.len()), expected));
        }
        Ok(Self { pixels, count, rows, cols })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Height in pixels.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Width in pixels.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Number of pixels per image, `rows · cols`.
    pub fn pixels_per_image(&self) -> usize {
        self.rows * self.cols
    }

    /// All pixels, shape `[len, rows · cols]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels of image `i`.
    ///
    /// # Panics
    /// If `i` is not below [`Images::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        assert!(i < self.count, "image: index {i}, expected below {}", self.count);
        let n = self.pixels_per_image();
        &self.pixels[i * n..(i + 1) * n]
    }

    /// Converts the images at `indices` to numbers: writes the grey levels divided by 255, between
    /// 0 and 1, to `out`, with shape `[indices.len(), rows · cols]`. Each value is the correctly
    /// rounded quotient, bit-identical to `v as f32 / 255.0`.
    ///
    /// # Panics
    /// If the length of `out` does not match its shape, or an index is not below [`Images::len`].
    pub fn fill<T: Scalar>(&self, indices: &[u32], out: &mut [T]) {
        let n = self.pixels_per_image();
        assert!(
            out.len() == indices.len() * n,
            "fill: out has {} elements, expected {} images × {n} pixels",
            out.len(),
            indices.len()
        );
        let out = Wide { slice: out, times: n };
        par::for_each_block((indices, out), FILL_BLOCK, |_, (indices, out): (&[u32], Wide<'_, T>)| {
            for (row, &index) in out.slice.chunks_exact_mut(n).zip(indices) {
                grey_levels(self.image(index as usize), row);
            }
        });
    }

    /// The transposed images: rows and columns are exchanged.
    ///
    /// ```
    /// use hardgrad::data::Images;
    /// let images = Images::new(vec![1, 2, 3, 4, 5, 6], 1, 2, 3)?.transposed();
    /// assert_eq!((images.rows(), images.image(0)), (3, &[1, 4, 2, 5, 3, 6][..]));
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for image in self.pixels.chunks_exact(self.pixels_per_image()) {
            for col in 0..self.cols {
                pixels.extend(image.iter().skip(col).step_by(self.cols));
            }
        }
        Self { pixels, count: self.count, rows: self.cols, cols: self.rows }
    }

    /// CRC-32 checksum of the pixels. It identifies a data set in the record of a run. It does not
    /// protect against deliberate changes.
    pub fn crc32(&self) -> u32 {
        crc32fast::hash(&self.pixels)
    }
}

/// Images per block of parallel work.
const FILL_BLOCK: usize = 25;

vectorized! {
    fn grey_levels<T: Scalar>(pixels: &[u8], out: &mut [T]) {
        for (x, &v) in out.iter_mut().zip(pixels) {
            *x = T::of_byte(v) / T::of(255.0);
        }
    }
}

/// One part of a data set, for training or for testing: images and, optionally, one class label per
/// image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    images: Images,
    labels: Option<Vec<u8>>,
}

impl Split {
    /// Creates a split from images and their labels.
    ///
    /// # Errors
    /// If the number of labels differs from the number of images.
    pub fn new(images: Images, labels: Option<Vec<u8>>) -> Result<Self> {
        if let Some(labels) = &labels
            && labels.len() != images.len()
        {
            let expected = format!("{} labels, one per image", images.len());
            return Err(Error::argument("labels", format!("{} labels", labels.len()), expected));
        }
        Ok(Self { images, labels })
    }

    /// The images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The class label of each image, if there are labels.
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_deref()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }
}

/// Origin of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The four IDX files in this directory, or the four files whose names begin with the last
    /// component of this path.
    Directory(PathBuf),
    /// The synthetic digits of [`digits()`] with this seed.
    Digits {
        /// The seed.
        seed: u64,
    },
}

/// A training set and a test set of images of equal size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Short name for reports: the name of the directory, or `digits`.
    pub name: String,
    /// Training images.
    pub train: Split,
    /// Test images.
    pub test: Split,
    /// Origin of the data set.
    pub source: Source,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_levels_have_the_bits_of_the_quotients() {
        let images = Images::new((0..=255).collect(), 1, 16, 16).unwrap();
        let (mut single, mut double) = (vec![0.0_f32; 256], vec![0.0_f64; 256]);
        images.fill(&[0], &mut single);
        images.fill(&[0], &mut double);
        for v in 0..=255u8 {
            assert_eq!(single[usize::from(v)].to_bits(), (f32::from(v) / 255.0).to_bits());
            assert_eq!(double[usize::from(v)].to_bits(), (f64::from(v) / 255.0).to_bits());
        }
    }

    #[test]
    fn a_batch_has_the_order_of_its_indices() {
        let images = Images::new(vec![0, 0, 255, 255, 51, 51], 3, 2, 1).unwrap();
        let mut batch = [9.0_f64; 8];
        images.fill(&[2, 1, 2, 0], &mut batch);
        assert_eq!(batch, [0.2, 0.2, 1.0, 1.0, 0.2, 0.2, 0.0, 0.0]);
        images.fill::<f64>(&[], &mut []);
    }

    #[test]
    #[should_panic(expected = "fill: out has 3 elements, expected 2 images × 2 pixels")]
    fn a_wrong_batch_shape_panics() {
        Images::new(vec![0; 4], 2, 1, 2).unwrap().fill(&[0, 1], &mut [0.0_f32; 3]);
    }

    #[test]
    #[should_panic(expected = "image: index 2, expected below 2")]
    fn a_wrong_index_panics() {
        Images::new(vec![0; 4], 2, 1, 2).unwrap().fill(&[2], &mut [0.0_f32; 2]);
    }

    #[test]
    fn mismatched_sizes_are_errors() {
        let e = Images::new(vec![0; 5], 2, 1, 2).unwrap_err().to_string();
        assert_eq!(e, "pixels: got 5 bytes, expected 2 images of 1×2 pixels");
        let e = Images::new(vec![], 0, 0, 2).unwrap_err().to_string();
        assert_eq!(e, "image size: got 0×2, expected at least 1×1 pixel");
        assert!(Images::new(vec![], 2, usize::MAX, 2).is_err());
        let images = Images::new(vec![0; 4], 2, 1, 2).unwrap();
        let e = Split::new(images, Some(vec![1])).unwrap_err().to_string();
        assert_eq!(e, "labels: got 1 labels, expected 2 labels, one per image");
    }
}
