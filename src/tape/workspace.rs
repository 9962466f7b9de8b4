//! Memory that outlives a step.

use super::{Node, Tape, Var};
use crate::kernels::sparse::SparseRows;
use crate::owner;
use crate::params::ParamStore;
use crate::scalar::Scalar;
use crate::simd::LANES;
use crate::simd::aligned::Aligned;

/// The memory of a tape: one arena for values, one of the same layout for gradients, and the list of nodes. Kept from
/// step to step, so that after the largest step has been seen once nothing is allocated any more.
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
    /// Which nodes' gradients hold something in the current sweep.
    pub(super) touched: Vec<bool>,
    /// The inputs of custom nodes, one after the other.
    pub(super) custom_inputs: Vec<Var>,
    /// The node of each parameter that this tape has read.
    pub(super) param_nodes: Vec<Option<Var>>,
    /// For kernels that need a temporary row or matrix.
    pub(super) scratch: Aligned<T>,
    /// The nonzero numbers of sparse values, of which the first `sparse_used` belong to this tape.
    pub(super) sparse: Vec<Nonzero<T>>,
    pub(super) sparse_used: usize,
    /// Arena numbers in use.
    pub(super) used: usize,
    /// Number of the current tape, which no other tape of the process has.
    pub(super) serial: u64,
}

/// The nonzero numbers of a value by rows, for products with it, and by columns, for the sweep's with its transpose.
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

    /// A new, empty tape in this memory, for a model with these parameters. Handles of earlier tapes become stale.
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

    /// Room for `len` more numbers, from the next cache line on; returns where it starts.
    pub(super) fn reserve(&mut self, len: usize) -> usize {
        let offset = self.used.next_multiple_of(LANES);
        self.used = offset + len;
        if self.values.len() < self.used {
            self.values.resize(self.used, T::ZERO);
        }
        offset
    }

    /// Makes `scratch` at least this long.
    pub(super) fn need_scratch(&mut self, len: usize) {
        if self.scratch.len() < len {
            self.scratch.resize(len, T::ZERO);
        }
    }
}
