//! Finding the data: `--dataset`, `--data`, `$MNIST_DIR`, `data/mnist`, or the built-in digits.

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

/// Directory of MNIST unless another is named.
const USUAL_PLACE: &str = "data/mnist";

const HOW_TO_GET_IT: &str = "data/get-mnist.sh downloads MNIST into data/mnist";

/// Loads the data, and says on standard error if it had to fall back to the built-in digits.
///
/// The built-in digits are the same for every `--seed`, which is the run's seed and not the data's. A place that is named, by `dir`
/// or by `$MNIST_DIR`, is not passed over: what is missing or damaged there is an error. So it is in `data/mnist`, if there is such
/// a directory.
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
                "--data: got {}, but --dataset digits are built in and read from no directory: leave out one of the two",
                dir.display()
            )),
        };
    }
    if let Some(dir) = dir {
        return load_mnist(dir).map_err(|e| format!("--data: {e}"));
    }
    if let Some(dir) = std::env::var_os("MNIST_DIR").filter(|dir| !dir.is_empty()) {
        let instead = "unset MNIST_DIR, or give --data DIR or --dataset digits";
        return load_mnist(dir.as_ref()).map_err(|e| format!("MNIST_DIR: {e}. To use other data, {instead}"));
    }
    if Path::new(USUAL_PLACE).exists() {
        let instead = "remove it, or give --data DIR or --dataset digits";
        return load_mnist(USUAL_PLACE.as_ref()).map_err(|e| format!("{e}. To use other data, {instead}"));
    }
    if choice == DatasetChoice::Mnist {
        return Err(format!(
            "no MNIST: there is no directory {USUAL_PLACE}, and neither --data nor MNIST_DIR names another; {HOW_TO_GET_IT}"
        ));
    }
    note!("no MNIST in {USUAL_PLACE}: training on the built-in digits instead ({HOW_TO_GET_IT})");
    Ok(digits(0, DIGITS_TRAIN, DIGITS_TEST))
}

/// Refuses a data set with nothing to train on, or nothing to test with, and names the file.
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
            "{}: it holds no images, expected at least 1 to train on",
            file(|f| &f.train_images)
        ));
    }
    if data.test.is_empty() {
        return Err(format!(
            "{}: it holds no images, expected at least 1 to test with",
            file(|f| &f.test_images)
        ));
    }
    Ok(())
}
