//! Numbers that begin where a cache line does.

use super::lanes::{LANES, Lanes};
use crate::scalar::Scalar;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A vector of numbers, the first of which begins a cache line. Vectors of memory's usual alignment, 16 bytes, have every AVX-512 load
/// and store in two lines: with parameters, gradients, moments and values in such, a training step takes 4 to 7 % longer.
#[derive(Clone)]
pub struct Aligned<T> {
    lanes: Vec<Lanes<T>>,
    len: usize,
}

impl<T> Aligned<T> {
    /// No numbers.
    pub const fn new() -> Self {
        Self { lanes: Vec::new(), len: 0 }
    }
}

impl<T: Scalar> Aligned<T> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self { lanes: vec![Lanes::default(); len.div_ceil(LANES)], len }
    }

    /// Cuts off at `len`, or adds `value` up to it.
    pub fn resize(&mut self, len: usize, value: T) {
        let before = self.len.min(len);
        self.lanes.resize(len.div_ceil(LANES), Lanes::default());
        self.len = len;
        self[before..].fill(value);
    }

    /// Adds these numbers at the end.
    pub fn extend_from_slice(&mut self, values: &[T]) {
        let before = self.len;
        self.resize(before + values.len(), T::ZERO);
        self[before..].copy_from_slice(values);
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `Lanes<T>` is sixteen `T` and nothing else, and there are at least `len` numbers in `lanes`.
        unsafe { std::slice::from_raw_parts(self.lanes.as_ptr().cast(), self.len) }
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lanes.as_mut_ptr().cast(), self.len) }
    }
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Scalar> From<Vec<T>> for Aligned<T> {
    fn from(values: Vec<T>) -> Self {
        let mut aligned = Self::new();
        aligned.extend_from_slice(&values);
        aligned
    }
}

impl<T: PartialEq> PartialEq for Aligned<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: fmt::Debug> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// As a vector is.
impl<T: Scalar> Serialize for Aligned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

/// As a vector is.
impl<'de, T: Scalar> Deserialize<'de> for Aligned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_vector_would() {
        let (mut x, mut y) = (Aligned::new(), Vec::new());
        for len in [0, 1, 15, 16, 40, 17, 3, 100, 33] {
            x.resize(len, len as f64);
            y.resize(len, len as f64);
            x.extend_from_slice(&[0.5; 5]);
            y.extend_from_slice(&[0.5; 5]);
            assert_eq!(x[..], y[..]);
            assert_eq!(x.as_ptr().addr() % 64, 0);
            let bytes = bincode::serialize(&y).unwrap();
            assert_eq!(bincode::serialize(&x).unwrap(), bytes);
            assert_eq!(bincode::deserialize::<Aligned<f64>>(&bytes).unwrap(), x);
        }
    }
}
