//! MNIST, and every data set in the same four files.

use super::{Dataset, Idx, IdxData, Images, Source, Split};
use crate::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};

/// The four files of MNIST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MnistFiles {
    /// Training images, rank 3.
    pub train_images: PathBuf,
    /// Training labels, rank 1.
    pub train_labels: PathBuf,
    /// Test images, rank 3.
    pub test_images: PathBuf,
    /// Test labels, rank 1.
    pub test_labels: PathBuf,
}

/// Looks for `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte` in `dir`; each may have a dot for the dash before `idx`, and `.gz` at its end. Of several,
/// the uncompressed one is taken, then the one with the dash.
///
/// # Errors
/// [`Error::Io`] naming the first file that is not there and the names that were tried.
pub fn find_mnist(dir: &Path) -> Result<MnistFiles> {
    Ok(MnistFiles {
        train_images: find(dir, "train-images", "idx3-ubyte")?,
        train_labels: find(dir, "train-labels", "idx1-ubyte")?,
        test_images: find(dir, "t10k-images", "idx3-ubyte")?,
        test_labels: find(dir, "t10k-labels", "idx1-ubyte")?,
    })
}

fn find(dir: &Path, stem: &str, ending: &str) -> Result<PathBuf> {
    let names = ["", ".gz"].map(|gz| ["-", "."].map(|dash| format!("{stem}{dash}{ending}{gz}"))).concat();
    // Archives often unpack to a directory of the same name beside the file.
    if let Some(name) = names.iter().find(|name| dir.join(name).is_file()) {
        return Ok(dir.join(name));
    }
    let reason =
        format!("no file {} in that directory (data/get-mnist.sh downloads MNIST)", names.join(", "));
    Err(Error::io("find", &dir.join(&names[0]), io::Error::new(io::ErrorKind::NotFound, reason)))
}

/// Loads MNIST, or a data set in the same format such as Fashion-MNIST or KMNIST, from the files [`find_mnist`] finds
/// in `dir`. Images are bytes of any one size, labels are bytes. Whether the content is the official one is not
/// checked; [`Images::crc32`] tells data sets apart.
///
/// # Errors
/// If a file is missing or not a valid IDX file (see [`Idx::read`]), has another type or rank, if a label file does not
/// have one label per image, or if training and test images differ in size.
///
/// ```
/// let e = hardgrad::data::load_mnist("no/such/place".as_ref()).unwrap_err().to_string();
/// assert!(e.contains("train-images-idx3-ubyte") && e.contains(".gz"), "{e}");
/// ```
pub fn load_mnist(dir: &Path) -> Result<Dataset> {
    let files = find_mnist(dir)?;
    let train = load_split(&files.train_images, &files.train_labels)?;
    let test = load_split(&files.test_images, &files.test_labels)?;
    let (a, b) = (train.images(), test.images());
    if (a.rows(), a.cols()) != (b.rows(), b.cols()) {
        let found = format!("found images of {}×{} pixels", b.rows(), b.cols());
        let like = format!("{}×{} as in {}", a.rows(), a.cols(), files.train_images.display());
        return Err(Error::format(&files.test_images, 8, format!("{found}, expected {like}")));
    }
    let name = dir.file_name().map_or_else(|| "idx".into(), |name| name.to_string_lossy().into_owned());
    Ok(Dataset { name, train, test, source: Source::Directory(dir.to_path_buf()) })
}

fn load_split(images_path: &Path, labels_path: &Path) -> Result<Split> {
    let (dims, pixels) = read_u8(images_path, 3, "images")?;
    let [count, rows, cols] = dims[..] else { return Err(wrong_rank(images_path, dims.len(), 3, "images")) };
    let images =
        Images::new(pixels, count, rows, cols).map_err(|e| Error::format(images_path, 4, e.to_string()))?;
    let (_, labels) = read_u8(labels_path, 1, "labels")?;
    if labels.len() != count {
        let found = format!("found {} labels", labels.len());
        let expected = format!("{count}, one for each image in {}", images_path.display());
        return Err(Error::format(labels_path, 4, format!("{found}, expected {expected}")));
    }
    Split::new(images, Some(labels))
}

fn read_u8(path: &Path, rank: usize, what: &str) -> Result<(Vec<usize>, Vec<u8>)> {
    let (dims, data) = Idx::read(path)?.into_parts();
    if dims.len() != rank {
        return Err(wrong_rank(path, dims.len(), rank, what));
    }
    match data {
        IdxData::U8(bytes) => Ok((dims, bytes)),
        other => {
            let found = format!("found elements of type {}", other.type_name());
            Err(Error::format(path, 2, format!("{found}, expected u8 for {what}")))
        }
    }
}

fn wrong_rank(path: &Path, found: usize, expected: usize, what: &str) -> Error {
    Error::format(path, 3, format!("found rank {found}, expected {expected} for {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, create_dir, remove_file};

    fn write(dir: &Path, name: &str, dims: &[usize], data: IdxData) {
        let idx = Idx::new(dims.to_vec(), data).unwrap();
        idx.write(File::create(dir.join(name)).unwrap()).unwrap();
    }

    fn bytes(n: usize) -> IdxData {
        IdxData::U8((0..n).map(|i| i as u8).collect())
    }

    fn small(dir: &Path) {
        write(dir, "train-images-idx3-ubyte", &[3, 2, 4], bytes(24));
        write(dir, "train-labels-idx1-ubyte", &[3], bytes(3));
        write(dir, "t10k-images.idx3-ubyte", &[2, 2, 4], bytes(16));
        write(dir, "t10k-labels.idx1-ubyte", &[2], bytes(2));
    }

    fn message(dir: &Path) -> String {
        load_mnist(dir).unwrap_err().to_string()
    }

    #[test]
    fn loads_any_size_and_either_spelling() {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path());
        create_dir(dir.path().join("t10k-images-idx3-ubyte")).unwrap();
        let data = load_mnist(dir.path()).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (3, 2));
        assert_eq!((data.train.images().rows(), data.train.images().cols()), (2, 4));
        assert_eq!(data.train.images().image(2), [16, 17, 18, 19, 20, 21, 22, 23]);
        assert_eq!(data.test.labels(), Some(&[0, 1][..]));
        assert_eq!(data.source, Source::Directory(dir.path().to_path_buf()));
    }

    #[test]
    fn a_missing_file_is_named_with_what_was_tried() {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path());
        remove_file(dir.path().join("t10k-labels.idx1-ubyte")).unwrap();
        let e = message(dir.path());
        assert!(e.starts_with("cannot find ") && e.contains(&dir.path().display().to_string()), "{e}");
        for name in ["t10k-labels-idx1-ubyte,", "t10k-labels.idx1-ubyte,", "t10k-labels-idx1-ubyte.gz,"] {
            assert!(e.contains(name), "{e}");
        }
    }

    #[test]
    fn files_that_do_not_fit_together_are_both_named() {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path());
        write(dir.path(), "t10k-labels.idx1-ubyte", &[5], bytes(5));
        let e = message(dir.path());
        assert!(e.contains("t10k-labels.idx1-ubyte: at byte 4: found 5 labels, expected 2"), "{e}");
        assert!(e.contains("t10k-images.idx3-ubyte"), "{e}");

        small(dir.path());
        write(dir.path(), "t10k-images.idx3-ubyte", &[2, 4, 2], bytes(16));
        let e = message(dir.path());
        assert!(e.contains("t10k-images.idx3-ubyte: at byte 8: found images of 4×2"), "{e}");
        assert!(e.contains("expected 2×4 as in") && e.contains("train-images-idx3-ubyte"), "{e}");
    }

    #[test]
    fn wrong_type_rank_or_size_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let name = "train-images-idx3-ubyte";
        for (dims, data, part) in [
            (&[1, 2, 2][..], IdxData::I8(vec![0; 4]), "at byte 2: found elements of type i8, expected u8"),
            (&[1, 4], bytes(4), "at byte 3: found rank 2, expected 3 for images"),
            (&[3, 0, 4], bytes(0), "at byte 4: image size: got 0×4"),
        ] {
            small(dir.path());
            write(dir.path(), name, dims, data);
            let e = message(dir.path());
            assert!(e.contains(name) && e.contains(part), "{e}");
        }
    }
}
