//! Memory that is reused from step to step.

use super::{Node, Tape, Var};
use crate::kernels::sparse::SparseRows;
use crate::owner;
use crate::params::ParamStore;
use crate::scalar::Scalar;
use crate::simd::LANES;
use crate::simd::aligned::Aligned;

/// The memory of a tape: an arena for values, an arena of the same layout for gradients, and the
/// list of nodes. It is kept from step to step, so no memory is allocated any more once the largest
/// step has been recorded.
///
/// ```
/// use hardgrad::{Mat, ParamStore, Workspace};
/// let params = ParamStore::new();
/// let mut workspace = Workspace::new();
/// for step in 1..4 {
///     let mut tape = workspace.tape(&params);
///     let x = tape.constant(Mat::from_rows(&[[step as f64]]).view());
///     let y = tape.affine(x, 2.0, 1.0);
///     assert_eq!(tape.scalar(y), 2.0 * step as f64 + 1.0);
/// }
/// ```
#[derive(Debug, Default)]
pub struct Workspace<T> {
    pub(super) values: Aligned<T>,
    pub(super) grads: Aligned<T>,
    pub(super) nodes: Vec<Node<T>>,
    /// Which nodes have a gradient in the current sweep.
    pub(super) touched: Vec<bool>,
    /// Inputs of all custom nodes, concatenated.
    pub(super) custom_inputs: Vec<Var>,
    /// Node of each parameter that the current tape has read.
    pub(super) param_nodes: Vec<Option<Var>>,
    /// Scratch memory for kernels that need a temporary row or matrix.
    pub(super) scratch: Aligned<T>,
    /// Lists of the nonzeros of sparse values. The first `sparse_used` lists belong to the current
    /// tape.
    pub(super) sparse: Vec<Nonzero<T>>,
    pub(super) sparse_used: usize,
    /// Number of arena elements in use.
    pub(super) used: usize,
    /// Identifier of the current tape, unique within the process.
    pub(super) serial: u64,
}

/// The nonzeros of a value by rows, for products with it, and by columns, for products with its
/// transpose in the sweep.
#[derive(Debug, Default)]
pub(super) struct Nonzero<T> {
    pub(super) rows: SparseRows<T>,
    pub(super) columns: SparseRows<T>,
}

impl<T: Scalar> Workspace<T> {
    /// An empty workspace.
    pub fn new() -> Self {
        Self {
            values: Aligned::new(),
            grads: Aligned::new(),
            nodes: Vec::new(),
            touched: Vec::new(),
            custom_inputs: Vec::new(),
            param_nodes: Vec::new(),
            scratch: Aligned::new(),
            sparse: Vec::new(),
            sparse_used: 0,
            used: 0,
            serial: 0,
        }
    }

    /// Creates an empty tape in this memory, for a model with these parameters. Handles of earlier
    /// tapes become invalid.
    pub fn tape<'t>(&'t mut self, params: &'t ParamStore<T>) -> Tape<'t, T> {
        self.serial = owner::next();
        self.touched.clear();
        self.used = 0;
        self.sparse_used = 0;
        self.nodes.clear();
        self.custom_inputs.clear();
        self.param_nodes.clear();
        self.param_nodes.resize(params.len(), None);
        Tape::new(self, params)
    }

    /// Reserves `len` more numbers, starting at a cache line. Returns their offset.
    pub(super) fn reserve(&mut self, len: usize) -> usize {
        let offset = self.used.next_multiple_of(LANES);
        self.used = offset + len;
        if self.values.len() < self.used {
            self.values.resize(self.used, T::ZERO);
        }
        offset
    }

    /// Makes `scratch` at least `len` elements long.
    pub(super) fn need_scratch(&mut self, len: usize) {
        if self.scratch.len() < len {
            self.scratch.resize(len, T::ZERO);
        }
    }
}
