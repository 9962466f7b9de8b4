//! MNIST, and other data sets in the format of MNIST's four files.

use super::{Dataset, Idx, IdxData, Images, Source, Split};
use crate::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};

/// Paths of the four files of MNIST.
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

/// Finds the files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
/// and `t10k-labels-idx1-ubyte` in the directory `place`. In each name, `test` may replace `t10k`,
/// a dot may replace the dash before `idx`, and `.gz` may be appended. If several variants exist,
/// an uncompressed file has priority, then a name with the dash.
///
/// If `place` is not a directory, its last component is a prefix of the file names:
/// `emnist/emnist-letters` finds `emnist/emnist-letters-train-images-idx3-ubyte` and so on, the
/// names under which EMNIST is published.
///
/// # Errors
/// [`Error::Io`] if a file is missing, with the first missing file and the names that were tried,
/// or if a file exists but its metadata cannot be read.
pub fn find_mnist(place: &Path) -> Result<MnistFiles> {
    Ok(MnistFiles {
        train_images: find(place, &["train-images"], "idx3-ubyte")?,
        train_labels: find(place, &["train-labels"], "idx1-ubyte")?,
        test_images: find(place, &["t10k-images", "test-images"], "idx3-ubyte")?,
        test_labels: find(place, &["t10k-labels", "test-labels"], "idx1-ubyte")?,
    })
}

fn find(place: &Path, stems: &[&str], ending: &str) -> Result<PathBuf> {
    let (dir, prefix) = match (place.is_dir(), place.parent(), place.file_name()) {
        (false, Some(parent), Some(prefix)) if parent.is_dir() || parent == Path::new("") => {
            (parent, prefix.to_string_lossy().into_owned() + "-")
        }
        _ => (place, String::new()),
    };
    let mut names = Vec::new();
    for gz in ["", ".gz"] {
        for dash in ["-", "."] {
            names.extend(stems.iter().map(|stem| format!("{prefix}{stem}{dash}{ending}{gz}")));
        }
    }
    for name in &names {
        let file = dir.join(name);
        match file.metadata() {
            // Some archives unpack to a directory that has the name of the file.
            Ok(metadata) if metadata.is_file() => return Ok(file),
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => return Err(Error::io("open", &file, e)),
        }
    }
    let no_directory =
        if prefix.is_empty() { String::new() } else { format!("no directory {}, and ", place.display()) };
    let reason =
        format!("{no_directory}no file {} there (data/get-mnist.sh downloads MNIST)", names.join(", "));
    Err(Error::io("find", &dir.join(&names[0]), io::Error::new(io::ErrorKind::NotFound, reason)))
}

/// Loads MNIST, or a data set in the format of MNIST such as Fashion-MNIST, KMNIST or EMNIST, from
/// the files that [`find_mnist`] finds at `place`. Images may have any size, the same for all;
/// pixels and labels are bytes. Whether the content is that of the published files is not checked;
/// [`Images::crc32`] distinguishes data sets.
///
/// EMNIST's files store each image transposed. Images of files whose prefix begins with `emnist`
/// are therefore transposed after reading.
///
/// # Errors
/// If a file is missing, is not a valid IDX file (see [`Idx::read`]), or has another element type
/// or rank, if a label file does not have one label per image, or if training and test images
/// differ in size.
///
/// ```
/// let e = hardgrad::data::load_mnist("no/such/place".as_ref()).unwrap_err().to_string();
/// assert!(e.contains("train-images-idx3-ubyte") && e.contains(".gz"), "{e}");
/// ```
pub fn load_mnist(place: &Path) -> Result<Dataset> {
    let files = find_mnist(place)?;
    let mut train = load_split(&files.train_images, &files.train_labels)?;
    let mut test = load_split(&files.test_images, &files.test_labels)?;
    if files.train_images.file_name().is_some_and(|name| name.to_string_lossy().starts_with("emnist")) {
        for split in [&mut train, &mut test] {
            split.images = split.images.transposed();
        }
    }
    let (a, b) = (train.images(), test.images());
    if (a.rows(), a.cols()) != (b.rows(), b.cols()) {
        let found = format!("found images of {}×{} pixels", b.rows(), b.cols());
        let expected = format!("{}×{} as in {}", a.rows(), a.cols(), files.train_images.display());
        return Err(Error::format(&files.test_images, 8, format!("{found}, expected {expected}")));
    }
    Ok(Dataset { name: name(place), train, test, source: Source::Directory(place.to_path_buf()) })
}

/// The last component of the path. `.` and `..` have none, so they are resolved first.
fn name(place: &Path) -> String {
    let whole = if place.file_name().is_none() { place.canonicalize().ok() } else { None };
    let name = whole.as_deref().unwrap_or(place).file_name();
    name.map_or_else(|| "idx".into(), |name| name.to_string_lossy().into_owned())
}

fn load_split(images_path: &Path, labels_path: &Path) -> Result<Split> {
    let (dims, pixels) = read_u8(images_path, 3, "images")?;
    let [count, rows, cols] = dims[..] else { return Err(wrong_rank(images_path, dims.len(), 3, "images")) };
    let images =
        Images::new(pixels, count, rows, cols).map_err(|e| Error::format(images_path, 4, e.to_string()))?;
    let (_, labels) = read_u8(labels_path, 1, "labels")?;
    if labels.len() != count {
        let found = format!("found {} labels", labels.len());
        let expected = format!("{count}, one per image in {}", images_path.display());
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
    fn any_image_size_and_either_file_name_is_loaded() {
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
    fn emnist_is_found_by_its_prefix_and_transposed() {
        let dir = tempfile::tempdir().unwrap();
        for (kind, first) in [("digits", 0), ("letters", 100)] {
            for (split, count) in [("train", 3), ("test", 2)] {
                let pixels = IdxData::U8((0..count * 8).map(|i| first + i as u8).collect());
                write(
                    dir.path(),
                    &format!("emnist-{kind}-{split}-images-idx3-ubyte"),
                    &[count, 2, 4],
                    pixels,
                );
                let name = format!("emnist-{kind}-{split}-labels-idx1-ubyte");
                write(dir.path(), &name, &[count], bytes(count));
            }
        }
        let data = load_mnist(&dir.path().join("emnist-letters")).unwrap();
        assert_eq!((data.name.as_str(), data.train.len(), data.test.len()), ("emnist-letters", 3, 2));
        assert_eq!((data.train.images().rows(), data.train.images().cols()), (4, 2));
        assert_eq!(data.train.images().image(1), [108, 112, 109, 113, 110, 114, 111, 115]);
        let e = message(&dir.path().join("emnist-balanced"));
        assert!(e.contains("emnist-balanced-train-images-idx3-ubyte,"), "{e}");
        // The directory alone does not determine which data set is meant.
        assert!(message(dir.path()).contains(" train-images-idx3-ubyte,"));
    }

    #[test]
    fn the_error_of_a_missing_file_lists_the_names_tried() {
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
    fn the_error_of_a_mismatch_names_both_files() {
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
    fn a_wrong_type_rank_or_size_is_an_error() {
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
