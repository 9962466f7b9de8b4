//! Files that contain only parameters: [`ParamStore::save`] and [`ParamStore::load`], for models
//! that are not trained by a [`Trainer`](crate::train::Trainer).
//!
//! After the [header](super::framed) follow, encoded with bincode, the number type, names and
//! shapes, and then the numbers.

use super::framed::{Format, HEADER, encoding};
use super::write_atomically;
use crate::error::{Error, Result};
use crate::params::ParamStore;
use crate::scalar::{Scalar, sealed::Kind};
use bincode::Options;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FORMAT: Format = Format { magic: *b"HGPARAMS", version: 1, what: "a file of parameters" };

/// The number type, names and shapes. They are read and checked before the numbers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Layout {
    scalar: String,
    /// Name, rows and columns of each parameter, in the order of the store.
    entries: Vec<(String, u64, u64)>,
}

impl Layout {
    fn of<T: Scalar>(params: &ParamStore<T>) -> Self {
        let entry = |(name, id): (&str, crate::ParamId)| {
            let (rows, cols) = id.shape();
            (name.to_string(), rows as u64, cols as u64)
        };
        Self { scalar: scalar_name::<T>().into(), entries: params.iter().map(entry).collect() }
    }

    /// The first difference between the layouts of a file and of this store.
    fn difference(&self, file: &Self) -> Option<String> {
        if file.scalar != self.scalar {
            return Some(format!("the file contains {} numbers, this store {}", file.scalar, self.scalar));
        }
        let text = |entry: Option<&(String, u64, u64)>| match entry {
            Some((name, rows, cols)) => format!("`{name}` [{rows}, {cols}]"),
            None => "missing".into(),
        };
        (0..file.entries.len().max(self.entries.len()))
            .map(|i| (i, file.entries.get(i), self.entries.get(i)))
            .find(|(_, there, here)| there != here)
            .map(|(i, there, here)| {
                let (n, there, here) = (i + 1, text(there), text(here));
                format!("parameter {n} is {there} in the file, {here} in this store: build the same model before loading")
            })
    }
}

fn scalar_name<T: Scalar>() -> &'static str {
    match T::KIND {
        Kind::F32 => "f32",
        Kind::F64 => "f64",
    }
}

impl<T: Scalar> ParamStore<T> {
    /// Writes all parameters with their names and shapes, bit for bit. The file is replaced
    /// atomically: at every moment `path` has either its previous content or all of the new
    /// content. The optimiser's state is not included; the [`Checkpoint`](crate::train::Checkpoint)
    /// of a [`Trainer`](crate::train::Trainer) contains it.
    ///
    /// ```
    /// use hardgrad::{Mat, ParamStore};
    /// let name = format!("hardgrad-doctest-{}.params", std::process::id());
    /// let path = std::env::temp_dir().join(name);
    /// let mut params = ParamStore::<f32>::new();
    /// params.add("w", Mat::from_rows(&[[0.1, 0.2]]));
    /// params.save(&path)?;
    ///
    /// let mut same = ParamStore::<f32>::new(); // the same model, built again
    /// let w = same.add("w", Mat::zeros(1, 2));
    /// same.load(&path)?;
    /// assert_eq!(same.get(w).data, [0.1, 0.2]);
    ///
    /// let mut other = ParamStore::<f32>::new();
    /// other.add("w", Mat::zeros(2, 1));
    /// let e = other.load(&path).unwrap_err().to_string();
    /// assert!(e.contains("is `w` [1, 2] in the file, `w` [2, 1] in this store"), "{e}");
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the file or its directory cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path.as_ref(), &self.to_bytes())
    }

    /// Reads a file written by [`save`](Self::save) into a store with the same parameters: build
    /// the model first, then load.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Format`] if it is damaged, is not a file
    /// of parameters, or its names, shapes or number type differ from those of this store;
    /// [`Error::Version`] if it has another format version. After an error the store is unchanged.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.read_bytes(&FORMAT.read(path)?, path)
    }

    fn to_bytes(&self) -> Vec<u8> {
        FORMAT.to_bytes(&(Layout::of(self), self.flat()))
    }

    fn read_bytes(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        let wrong = |offset: usize, problem: String| Error::format(path, offset as u64, problem);
        let mut rest = FORMAT.payload(bytes, path)?;
        let limit = rest.len() as u64;
        let layout = encoding(limit).allow_trailing_bytes().deserialize_from(&mut rest);
        let layout: Layout =
            layout.map_err(|e| wrong(HEADER, format!("the payload does not decode: {e}")))?;
        if let Some(difference) = Layout::of(self).difference(&layout) {
            return Err(wrong(HEADER, difference));
        }
        let offset = bytes.len() - rest.len();
        let values = encoding(limit).deserialize::<Vec<T>>(rest);
        let values = values.map_err(|e| wrong(offset, format!("the numbers do not decode: {e}")))?;
        if values.len() != self.flat().len() {
            let (found, expected) = (values.len(), self.flat().len());
            return Err(wrong(offset, format!("found {found} numbers, expected {expected}")));
        }
        self.flat_mut().copy_from_slice(&values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mat;

    fn store() -> ParamStore<f64> {
        let mut params = ParamStore::new();
        params.add("a", Mat::from_rows(&[[1.0, f64::NAN], [-0.0, 5e-324]]));
        params.add("empty", Mat::zeros(0, 3));
        params.add("b", Mat::from_rows(&[[0.1]]));
        params
    }

    fn bits(params: &ParamStore<f64>) -> Vec<u64> {
        params.flat().iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn every_bit_is_restored() {
        let (saved, mut loaded) = (store(), store());
        loaded.flat_mut().fill(7.0);
        loaded.read_bytes(&saved.to_bytes(), Path::new("p")).unwrap();
        assert_eq!(bits(&saved), bits(&loaded));
    }

    #[test]
    fn every_changed_byte_and_every_truncation_is_detected_and_changes_nothing() {
        let bytes = store().to_bytes();
        let mut loaded = store();
        let mut expect_error = |bytes: &[u8]| {
            let e = loaded.read_bytes(bytes, Path::new("p")).expect_err("damage").to_string();
            assert!(e.starts_with("p: at byte "), "{e}");
            assert_eq!(bits(&loaded), bits(&store()));
        };
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                expect_error(&changed);
            }
            expect_error(&bytes[..at]);
        }
        expect_error(&[&bytes[..], &[0]].concat());
    }

    #[test]
    fn the_error_names_the_first_difference_of_the_models() {
        let message = |mut other: ParamStore<f64>| {
            other.read_bytes(&store().to_bytes(), Path::new("p")).unwrap_err().to_string()
        };
        let mut longer = store();
        longer.add("c", Mat::zeros(1, 1));
        assert!(message(longer).contains("parameter 4 is missing in the file, `c` [1, 1] in this store"));
        assert!(message(ParamStore::new()).contains("parameter 1 is `a` [2, 2] in the file, missing"));
        let e = ParamStore::<f32>::new().read_bytes(&store().to_bytes(), Path::new("p")).unwrap_err();
        assert!(e.to_string().contains("the file contains f64 numbers, this store f32"), "{e}");
    }
}
