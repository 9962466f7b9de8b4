//! Row-major matrices: [`Mat`] owns its numbers, [`MatRef`] and [`MatMut`] borrow them.

use crate::scalar::Scalar;

/// A row-major matrix that owns its numbers.
///
/// ```
/// use hardgrad::Mat;
/// let m = Mat::from_rows(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// assert_eq!((m.rows(), m.cols()), (2, 3));
/// assert_eq!(m.row(1), [4.0, 5.0, 6.0]);
/// ```
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Mat<T> {
    rows: usize,
    cols: usize,
    data: Vec<T>,
}

impl<T: Scalar> Mat<T> {
    /// A `[rows, cols]` matrix of zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, data: vec![T::ZERO; rows * cols] }
    }

    /// A matrix from row-major numbers.
    ///
    /// ```
    /// use hardgrad::Mat;
    /// assert_eq!(Mat::from_vec(2, 2, vec![1.0, 2.0, 3.0, 4.0]).row(1), [3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If `data` does not have `rows · cols` numbers.
    #[track_caller]
    pub fn from_vec(rows: usize, cols: usize, data: Vec<T>) -> Self {
        check_len(rows, cols, data.len());
        Self { rows, cols, data }
    }

    /// A matrix from an array of rows.
    pub fn from_rows<const M: usize>(rows: &[[T; M]]) -> Self {
        Self { rows: rows.len(), cols: M, data: rows.concat() }
    }

    /// A matrix from a function of (row, column).
    ///
    /// ```
    /// use hardgrad::Mat;
    /// let m = Mat::from_fn(2, 2, |i, j| (10 * i + j) as f64);
    /// assert_eq!(m.as_slice(), [0.0, 1.0, 10.0, 11.0]);
    /// ```
    pub fn from_fn(rows: usize, cols: usize, f: impl Fn(usize, usize) -> T) -> Self {
        let data = (0..rows * cols).map(|k| f(k / cols, k % cols)).collect();
        Self { rows, cols, data }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[T] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The numbers in row-major order.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// The numbers in row-major order.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// A copy of the rows at `indices`, in that order, as for a mini-batch. Shape: `[indices.len(),
    /// cols]`.
    ///
    /// ```
    /// use hardgrad::Mat;
    /// let m = Mat::from_rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// assert_eq!(m.rows_at(&[2, 0]), Mat::from_rows(&[[5.0, 6.0], [1.0, 2.0]]));
    /// ```
    ///
    /// # Panics
    /// If an index is not below [`rows`](Self::rows).
    #[must_use]
    #[track_caller]
    pub fn rows_at(&self, indices: &[u32]) -> Self {
        let mut data = Vec::with_capacity(indices.len() * self.cols);
        for &i in indices {
            let n = self.rows;
            assert!((i as usize) < n, "rows_at: index {i}, expected below {n}, the number of rows");
            data.extend_from_slice(self.row(i as usize));
        }
        Self { rows: indices.len(), cols: self.cols, data }
    }

    /// A borrowed view of the matrix.
    pub fn view(&self) -> MatRef<'_, T> {
        MatRef { rows: self.rows, cols: self.cols, data: &self.data }
    }

    /// A mutable view of the matrix.
    pub fn view_mut(&mut self) -> MatMut<'_, T> {
        MatMut { rows: self.rows, cols: self.cols, data: &mut self.data }
    }

    /// Changes the shape, and reuses the allocation if it is large enough. The contents are
    /// unspecified afterwards, but initialised.
    pub fn resize(&mut self, rows: usize, cols: usize) {
        self.data.resize(rows * cols, T::ZERO);
        (self.rows, self.cols) = (rows, cols);
    }
}

/// A borrowed row-major matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatRef<'a, T> {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// The `rows · cols` numbers in row-major order.
    pub data: &'a [T],
}

impl<'a, T> From<&'a Mat<T>> for MatRef<'a, T> {
    fn from(m: &'a Mat<T>) -> Self {
        Self { rows: m.rows, cols: m.cols, data: &m.data }
    }
}

/// A mutably borrowed row-major matrix.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// The `rows · cols` numbers in row-major order.
    pub data: &'a mut [T],
}

impl<'a, T: Scalar> MatRef<'a, T> {
    /// Creates a view of row-major numbers.
    ///
    /// # Panics
    /// If `data` does not have `rows · cols` numbers.
    #[track_caller]
    pub fn new(rows: usize, cols: usize, data: &'a [T]) -> Self {
        check_len(rows, cols, data.len());
        Self { rows, cols, data }
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// An owned copy of the matrix.
    pub fn to_mat(&self) -> Mat<T> {
        Mat { rows: self.rows, cols: self.cols, data: self.data.to_vec() }
    }
}

impl<'a, T: Scalar> MatMut<'a, T> {
    /// Creates a mutable view of row-major numbers.
    ///
    /// # Panics
    /// If `data` does not have `rows · cols` numbers.
    #[track_caller]
    pub fn new(rows: usize, cols: usize, data: &'a mut [T]) -> Self {
        check_len(rows, cols, data.len());
        Self { rows, cols, data }
    }
}

#[track_caller]
fn check_len(rows: usize, cols: usize, len: usize) {
    assert!(
        rows.checked_mul(cols) == Some(len),
        "a [{rows}, {cols}] matrix needs {rows}·{cols} numbers, got {len}"
    );
}
