//! Finding the data: `--dataset`, `--data`, `$MNIST_DIR`, `data/mnist`, or the built-in digits.

use clap::ValueEnum;
use hardgrad::data::{DIGITS_TEST, DIGITS_TRAIN, Dataset, digits, find_mnist, load_mnist};
use std::path::{Path, PathBuf};

/// Which data to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatasetChoice {
    /// MNIST where its files are found, else the built-in digits
    Auto,
    /// MNIST or a drop-in cousin; an error where the files are missing
    Mnist,
    /// The built-in synthetic digits: 10,000 to train on, 2,000 to test
    Digits,
}

/// Loads the data and says on standard error if it had to fall back.
///
/// The built-in digits are the same for every `--seed`: the seed is the run's, not the data's.
pub fn load(choice: DatasetChoice, dir: Option<&Path>) -> Result<Dataset, String> {
    if choice == DatasetChoice::Digits {
        return Ok(digits(0, DIGITS_TRAIN, DIGITS_TEST));
    }
    if let Some(dir) = dir {
        return load_mnist(dir).map_err(|e| format!("--data: {e}")); // who names a place does not want another
    }
    let mut places: Vec<PathBuf> = Vec::new();
    places.extend(std::env::var_os("MNIST_DIR").map(PathBuf::from));
    places.push("data/mnist".into());
    if let Some(found) = places.iter().find(|place| find_mnist(place).is_ok()) {
        return load_mnist(found).map_err(|e| e.to_string());
    }
    let looked: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
    let looked = looked.join(", ");
    let how = "data/get-mnist.sh downloads MNIST into data/mnist";
    if choice == DatasetChoice::Mnist {
        return Err(format!("no MNIST: looked for its four files in {looked}; {how}, or give --data DIR"));
    }
    eprintln!("no MNIST in {looked}: training on the built-in digits instead ({how})");
    Ok(digits(0, DIGITS_TRAIN, DIGITS_TEST))
}
