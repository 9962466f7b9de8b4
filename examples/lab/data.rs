//! Search for the data: `--dataset`, `--data`, `$MNIST_DIR`, `data/mnist`, or the built-in digits.

use super::error::RunError;
use super::output::note;
use clap::ValueEnum;
use hardgrad::data::{DIGITS_TEST, DIGITS_TRAIN, Dataset, Source, digits, find_mnist, load_mnist};
use std::path::{Path, PathBuf};

/// Data set to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatasetChoice {
    /// MNIST if its files are found, otherwise the built-in digits
    Auto,
    /// MNIST or a data set in its format; missing files are an error
    Mnist,
    /// The built-in synthetic digits: 10,000 for training, 2,000 for testing
    Digits,
}

/// Default directory of MNIST.
const USUAL_PLACE: &str = "data/mnist";

const HOW_TO_GET_IT: &str = "data/get-mnist.sh downloads MNIST into data/mnist";

/// Loads the data. If it falls back to the built-in digits it prints a note on standard error.
///
/// The built-in digits are equal for every `--seed`, because that is the seed of the run and not of
/// the data. If `dir`, `$MNIST_DIR` or, when it exists, the directory `data/mnist` lacks a file or
/// has a damaged one, that is an error.
pub fn load(choice: DatasetChoice, dir: Option<&Path>) -> Result<Dataset, RunError> {
    let data = find(choice, dir).map_err(RunError::argument)?;
    not_empty(&data).map_err(RunError::argument)?;
    Ok(data)
}

fn find(choice: DatasetChoice, dir: Option<&Path>) -> Result<Dataset, String> {
    if choice == DatasetChoice::Digits {
        return match dir {
            None => Ok(digits(0, DIGITS_TRAIN, DIGITS_TEST)),
            Some(dir) => Err(format!(
                "--data: got {} with --dataset digits, which are built in and not read from a directory; leave out one of the two options",
                dir.display()
            )),
        };
    }
    if let Some(dir) = dir {
        return load_from(dir).map_err(|e| format!("--data: {e}"));
    }
    if let Some(dir) = std::env::var_os("MNIST_DIR").filter(|dir| !dir.is_empty()) {
        let instead = "unset MNIST_DIR, or give --data DIR or --dataset digits";
        return load_from(dir.as_ref()).map_err(|e| format!("MNIST_DIR: {e}; to use other data, {instead}"));
    }
    if Path::new(USUAL_PLACE).exists() {
        let instead = "remove it, or give --data DIR or --dataset digits";
        return load_from(USUAL_PLACE.as_ref()).map_err(|e| format!("{e}; to use other data, {instead}"));
    }
    if choice == DatasetChoice::Mnist {
        return Err(format!(
            "--dataset: got mnist, but there is no directory {USUAL_PLACE}, and neither --data nor MNIST_DIR names another; {HOW_TO_GET_IT}"
        ));
    }
    note!(
        "note: there is no MNIST in {USUAL_PLACE}: training on the built-in digits instead ({HOW_TO_GET_IT})"
    );
    Ok(digits(0, DIGITS_TRAIN, DIGITS_TEST))
}

/// Loads the four files from a directory, or those whose names begin with `place` and a hyphen, as
/// EMNIST's do.
fn load_from(place: &Path) -> Result<Dataset, String> {
    if !place.exists() && !is_prefix(place) {
        return Err(format!(
            "got {0}, expected a directory with the four files of MNIST, or the beginning {0}- of the names of such files \
             ({HOW_TO_GET_IT})",
            place.display()
        ));
    }
    load_mnist(place).map_err(|e| e.to_string())
}

/// Whether the names of some files are this path, a hyphen, and more.
fn is_prefix(place: &Path) -> bool {
    let Some(name) = place.file_name() else { return false };
    let beginning = format!("{}-", name.to_string_lossy());
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty());
    let files = std::fs::read_dir(directory.unwrap_or(Path::new(".")));
    files.is_ok_and(|files| files.flatten().any(|f| f.file_name().to_string_lossy().starts_with(&beginning)))
}

/// Returns an error that names the file if there are no training images or no test images.
fn not_empty(data: &Dataset) -> Result<(), String> {
    let files = match &data.source {
        Source::Directory(place) => find_mnist(place).ok(),
        Source::Digits { .. } => None,
    };
    let file = |of: fn(&hardgrad::data::MnistFiles) -> &PathBuf| {
        files.as_ref().map_or(data.name.clone(), |files| of(files).display().to_string())
    };
    if data.train.is_empty() {
        return Err(format!(
            "{}: the file contains no images, expected at least 1 to train on",
            file(|f| &f.train_images)
        ));
    }
    if data.test.is_empty() {
        return Err(format!(
            "{}: the file contains no images, expected at least 1 to test with",
            file(|f| &f.test_images)
        ));
    }
    Ok(())
}
