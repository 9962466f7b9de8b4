//! Parameters in one flat, ordered, named store, and their gradients in a second store of the same
//! layout.
//!
//! An optimiser works on two flat slices, and a checkpoint stores one vector. The order is the order of
//! creation and does not depend on a hash map.

use crate::mat::{Mat, MatMut, MatRef};
use crate::owner;
use crate::scalar::Scalar;
use crate::simd::aligned::Aligned;

/// A handle to a parameter in its [`ParamStore`]. It is also valid in clones of the store and in
/// copies in another precision. Any other store panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamId {
    /// Identifier of the parameter. It is unique within the process, except that clones of the
    /// store have parameters with equal identifiers.
    number: u64,
    pub(crate) index: usize,
    offset: usize,
    rows: usize,
    cols: usize,
}

impl ParamId {
    /// Shape, `(rows, cols)`.
    pub fn shape(self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    fn range(self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.rows * self.cols
    }
}

/// All parameters of a model, in the order in which they were added.
///
/// ```
/// use hardgrad::{Mat, ParamStore};
/// let mut params = ParamStore::new();
/// let w = params.add("w", Mat::from_rows(&[[1.0, 2.0]]));
/// let b = params.add("b", Mat::from_rows(&[[3.0]]));
/// assert_eq!(params.flat(), [1.0, 2.0, 3.0]);
/// assert_eq!(params.get(b).data, [3.0]);
/// ```
#[derive(Clone, Debug)]
pub struct ParamStore<T> {
    values: Aligned<T>,
    entries: Vec<(String, ParamId)>,
}

impl<T: Scalar> Default for ParamStore<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Compares names, shapes and numbers. [`ParamId`]s of one store need not be valid in an equal one.
impl<T: Scalar> PartialEq for ParamStore<T> {
    fn eq(&self, other: &Self) -> bool {
        let entry = |(name, id): &(String, ParamId)| (name.clone(), id.shape());
        self.values == other.values && self.entries.iter().map(entry).eq(other.entries.iter().map(entry))
    }
}

impl<T: Scalar> ParamStore<T> {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self { values: Aligned::new(), entries: Vec::new() }
    }

    /// Adds a parameter.
    ///
    /// # Panics
    /// If a parameter of that name exists already.
    #[track_caller]
    pub fn add(&mut self, name: impl Into<String>, value: Mat<T>) -> ParamId {
        let name = name.into();
        assert!(self.entries.iter().all(|(n, _)| *n != name), "a parameter named `{name}` exists already");
        let (rows, cols) = (value.rows(), value.cols());
        let id = ParamId {
            number: owner::next(),
            index: self.entries.len(),
            offset: self.values.len(),
            rows,
            cols,
        };
        self.values.extend_from_slice(value.as_slice());
        self.entries.push((name, id));
        id
    }

    /// Panics if `id` is not a parameter of this store.
    #[track_caller]
    pub(crate) fn check(&self, id: ParamId) {
        let here = self.entries.get(id.index).is_some_and(|(_, own)| own.number == id.number);
        assert!(here, "this ParamId belongs to another ParamStore");
    }

    /// The parameter's value.
    ///
    /// # Panics
    /// If `id` belongs to another store.
    #[track_caller]
    pub fn get(&self, id: ParamId) -> MatRef<'_, T> {
        self.check(id);
        MatRef::new(id.rows, id.cols, &self.values[id.range()])
    }

    /// The parameter's value.
    ///
    /// # Panics
    /// If `id` belongs to another store.
    #[track_caller]
    pub fn get_mut(&mut self, id: ParamId) -> MatMut<'_, T> {
        self.check(id);
        MatMut::new(id.rows, id.cols, &mut self.values[id.range()])
    }

    /// A copy of the parameters in another precision. A [`ParamId`] of this store is valid in the
    /// copy, as it is in a clone.
    ///
    /// ```
    /// use hardgrad::{Mat, ParamStore};
    /// let mut params = ParamStore::<f64>::new();
    /// let w = params.add("w", Mat::from_rows(&[[1.5, 1e-300]]));
    /// assert_eq!(params.cast::<f32>().get(w).data, [1.5, 0.0]);
    /// ```
    pub fn cast<U: Scalar>(&self) -> ParamStore<U> {
        let mut values = Aligned::zeros(self.values.len());
        values.iter_mut().zip(&self.values[..]).for_each(|(to, from)| *to = U::of(from.to_f64()));
        ParamStore { values, entries: self.entries.clone() }
    }

    /// Names and locations of the parameters, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, ParamId)> {
        self.entries.iter().map(|(name, id)| (name.as_str(), *id))
    }

    /// Number of parameters (matrices, not scalars).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the store has no parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The numbers of all parameters, concatenated.
    pub fn flat(&self) -> &[T] {
        &self.values
    }

    /// The numbers of all parameters, concatenated.
    pub fn flat_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// The name of the parameter that contains element `index` of [`flat`](Self::flat).
    ///
    /// # Panics
    /// If `index` is out of range.
    pub fn name_at(&self, index: usize) -> &str {
        let owner = self.entries.iter().find(|(_, id)| id.range().contains(&index));
        owner.map(|(name, _)| name.as_str()).expect("the index lies within the flat store")
    }
}

/// One gradient for each parameter of a store, in the layout of the store.
#[derive(Clone, Debug)]
pub struct ParamGrads<T> {
    /// Identifiers of the parameters.
    numbers: Vec<u64>,
    values: Aligned<T>,
}

/// Whether the gradients are equal.
impl<T: Scalar> PartialEq for ParamGrads<T> {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl<T: Scalar> ParamGrads<T> {
    /// Creates zero gradients for all parameters of `params`.
    pub fn zeros(params: &ParamStore<T>) -> Self {
        let numbers = params.entries.iter().map(|(_, id)| id.number).collect();
        Self { numbers, values: Aligned::zeros(params.values.len()) }
    }

    /// Panics if these are not gradients of all parameters of `params`.
    #[track_caller]
    pub(crate) fn check(&self, params: &ParamStore<T>) {
        let same = self.numbers.iter().eq(params.entries.iter().map(|(_, id)| &id.number));
        assert!(
            same,
            "these ParamGrads belong to another ParamStore, or to this one before a parameter was added"
        );
    }

    /// The gradient of one parameter.
    ///
    /// # Panics
    /// If `id` belongs to another store.
    #[track_caller]
    pub fn get(&self, id: ParamId) -> MatRef<'_, T> {
        let here = self.numbers.get(id.index) == Some(&id.number);
        assert!(here, "this ParamId belongs to another ParamStore");
        MatRef::new(id.rows, id.cols, &self.values[id.range()])
    }

    pub(crate) fn slice_mut(&mut self, id: ParamId) -> &mut [T] {
        &mut self.values[id.range()]
    }

    /// The gradients of two distinct parameters.
    pub(crate) fn two_mut(&mut self, a: ParamId, b: ParamId) -> [&mut [T]; 2] {
        self.values.get_disjoint_mut([a.range(), b.range()]).expect("two parameters never overlap")
    }

    /// The numbers of all gradients, in the order of [`ParamStore::flat`].
    pub fn flat(&self) -> &[T] {
        &self.values
    }

    /// The numbers of all gradients, in the order of [`ParamStore::flat`].
    pub fn flat_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}
