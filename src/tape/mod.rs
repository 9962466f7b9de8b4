//! The autodiff engine: a tape that computes values as it records operations, and one reverse
//! sweep.
//!
//! A [`Tape`] exists for one step. It borrows the parameters and a [`Workspace`], whose memory is
//! reused from step to step. Each method computes its result immediately, appends a node and
//! returns a [`Var`], a small `Copy` index. Parents always have smaller indices than their
//! children, so [`Tape::backward`] is one loop from the loss back to the first node.
//!
//! ```
//! use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
//! let mut params = ParamStore::new();
//! let w = params.add("w", Mat::from_rows(&[[2.0], [3.0]]));
//! let mut grads = ParamGrads::zeros(&params);
//! let mut workspace = Workspace::new();
//!
//! let mut tape = workspace.tape(&params);
//! let x = tape.constant(Mat::from_rows(&[[1.0, 10.0]]).view());
//! let w_var = tape.param(w);
//! let y = tape.matmul(x, w_var); // 1·2 + 10·3
//! let loss = tape.mul(y, y);
//! assert_eq!(tape.scalar(loss), 32.0 * 32.0);
//! tape.backward(loss, &mut grads);
//! assert_eq!(grads.get(w).data, [2.0 * 32.0 * 1.0, 2.0 * 32.0 * 10.0]);
//! ```
//!
//! A shape mismatch is a bug in the caller. The operation that detects it panics with both shapes.

mod backward;
mod categorical;
#[cfg(test)]
mod checks;
mod custom;
#[cfg(test)]
mod handles;
mod op;
mod ops;
mod workspace;

pub use custom::{CustomOp, InputGrads, Inputs, Recorded};
pub use workspace::Workspace;

use crate::mat::{Mat, MatRef};
use crate::params::{ParamId, ParamStore};
use crate::scalar::Scalar;
use op::Op;
use std::sync::Arc;
use workspace::Nonzero;

/// A handle to a value on a tape. It belongs to the tape that created it; any other tape panics.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var {
    pub(crate) index: u32,
    /// Identifier of the tape.
    serial: u64,
}

/// One recorded operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<T> {
    pub(crate) op: Op<T>,
    rows: usize,
    cols: usize,
    /// Offset of the value in the arena, and of the gradient in the gradient arena.
    offset: usize,
    needs_grad: bool,
}

impl<T> Node<T> {
    fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.rows * self.cols
    }
}

/// The recording of one step, created by [`Workspace::tape`].
#[must_use]
pub struct Tape<'t, T> {
    workspace: &'t mut Workspace<T>,
    params: &'t ParamStore<T>,
    customs: Customs<'t, T>,
}

impl<T> std::fmt::Debug for Tape<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tape with {} nodes", self.workspace.nodes.len())
    }
}

/// Read access to the values recorded so far, while another part of the workspace is written.
#[derive(Debug)]
pub(crate) struct Values<'a, T> {
    values: &'a [T],
    nodes: &'a [Node<T>],
    params: &'a ParamStore<T>,
    sparse: &'a [Nonzero<T>],
}

impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Values<'_, T> {}

impl<'a, T: Scalar> Values<'a, T> {
    fn get(&self, v: Var) -> MatRef<'a, T> {
        let node = &self.nodes[v.index as usize];
        match node.op {
            Op::Param(id) => self.params.get(id),
            _ => MatRef::new(node.rows, node.cols, &self.values[node.range()]),
        }
    }
}

impl<'t, T: Scalar> Tape<'t, T> {
    fn new(workspace: &'t mut Workspace<T>, params: &'t ParamStore<T>) -> Self {
        Self { workspace, params, customs: Customs::default() }
    }

    /// Records a value that needs no gradient.
    pub fn constant<'m>(&mut self, value: impl Into<MatRef<'m, T>>) -> Var {
        let value = value.into();
        self.constant_with(value.rows, value.cols, |out| out.copy_from_slice(value.data))
    }

    /// Records a `[rows, cols]` value that needs no gradient. `fill` writes it in place and must
    /// write every number.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let ones = tape.constant_with(2, 3, |out| out.fill(1.0));
    /// assert_eq!(tape.value(ones).data, [1.0; 6]);
    /// ```
    pub fn constant_with(&mut self, rows: usize, cols: usize, fill: impl FnOnce(&mut [T])) -> Var {
        self.push(Op::Constant, (rows, cols), false, |_, out, _| fill(out))
    }

    /// Records a value whose gradient is returned by [`grad`](Self::grad) after the sweep.
    pub fn leaf<'m>(&mut self, value: impl Into<MatRef<'m, T>>) -> Var {
        let value = value.into();
        self.push(Op::Leaf, (value.rows, value.cols), true, |_, out, _| out.copy_from_slice(value.data))
    }

    /// Records a parameter. A second call with the same `id` returns the same [`Var`].
    ///
    /// # Panics
    /// If `id` belongs to another store than the tape's.
    #[track_caller]
    pub fn param(&mut self, id: ParamId) -> Var {
        self.params.check(id);
        if let Some(v) = self.workspace.param_nodes[id.index] {
            return v;
        }
        let v = self.record(Op::Param(id), id.shape(), self.workspace.used, true);
        self.workspace.param_nodes[id.index] = Some(v);
        v
    }

    /// Records a copy of `v` through which no gradient flows back.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// # use hardgrad::ParamGrads;
    /// let x = tape.leaf(Mat::from_rows(&[[3.0]]).view());
    /// let held = tape.detach(x);
    /// let y = tape.mul(x, held);
    /// tape.backward(y, &mut ParamGrads::zeros(&params));
    /// assert_eq!(tape.grad(x).unwrap().data, [3.0]); // without `detach`: 6
    /// ```
    #[track_caller]
    pub fn detach(&mut self, x: Var) -> Var {
        let shape = self.shape(x);
        self.push(Op::Constant, shape, false, |v, out, _| out.copy_from_slice(v.get(x).data))
    }

    /// Records a custom operation (see [`CustomOp`]). The operation outlives the tape, so that
    /// recording it allocates nothing. A function that takes both declares this with a lifetime:
    /// `fn record<'t>(tape: &mut Tape<'t, f32>, op: &'t MyOp)`.
    /// [`custom_shared`](Self::custom_shared) needs no lifetime.
    #[track_caller]
    pub fn custom(&mut self, op: &'t dyn CustomOp<T>, inputs: &[Var]) -> Var {
        self.push_custom(CustomRef::Borrowed(op), inputs)
    }

    /// Records a custom operation that the tape shares with its owner and keeps until the tape is
    /// dropped.
    #[track_caller]
    pub fn custom_shared(&mut self, op: Arc<dyn CustomOp<T>>, inputs: &[Var]) -> Var {
        self.push_custom(CustomRef::Shared(op), inputs)
    }

    #[track_caller]
    fn push_custom(&mut self, held: CustomRef<'t, T>, inputs: &[Var]) -> Var {
        inputs.iter().for_each(|&v| self.check(v));
        let (op, index) = (held.op(), self.customs.len);
        let first = self.workspace.custom_inputs.len();
        self.workspace.custom_inputs.extend_from_slice(inputs);
        let ws = &*self.workspace;
        let values = Values { values: &ws.values, nodes: &ws.nodes, params: self.params, sparse: &ws.sparse };
        let (shape, scratch_len) = {
            let inputs = Inputs { values, vars: inputs };
            (op.shape(&inputs), op.scratch_len(&inputs))
        };
        self.workspace.need_scratch(scratch_len);
        let needs_grad = op.has_gradient() && inputs.iter().any(|&v| self.node(v).needs_grad);
        let node = Op::Custom { index, first, count: inputs.len() };
        let v = self.push(node, shape, needs_grad, |values, out, _| {
            op.forward(&Inputs { values, vars: inputs }, crate::MatMut::new(shape.0, shape.1, out));
        });
        self.customs.push(held);
        v
    }

    /// The value of `v`.
    #[track_caller]
    pub fn value(&self, v: Var) -> MatRef<'_, T> {
        self.check(v);
        let ws = &*self.workspace;
        Values { values: &ws.values, nodes: &ws.nodes, params: self.params, sparse: &ws.sparse }.get(v)
    }

    /// The number in a 1×1 value.
    ///
    /// # Panics
    /// If `v` has another shape.
    #[track_caller]
    pub fn scalar(&self, v: Var) -> T {
        let m = self.value(v);
        assert!(m.data.len() == 1, "scalar: the value is [{}, {}], not [1, 1]", m.rows, m.cols);
        m.data[0]
    }

    /// The shape of `v`, `(rows, cols)`.
    #[track_caller]
    pub fn shape(&self, v: Var) -> (usize, usize) {
        let node = self.node(v);
        (node.rows, node.cols)
    }

    /// The gradient of `v` after the last [`backward`](Self::backward). It is `None` if the sweep
    /// did not reach `v`, or if `v` is a parameter, whose gradient is in the
    /// [`ParamGrads`](crate::ParamGrads). Recording more values after the sweep does not change the
    /// gradient.
    #[track_caller]
    pub fn grad(&self, v: Var) -> Option<MatRef<'_, T>> {
        let node = self.node(v);
        let ws = &*self.workspace;
        let reached = ws.touched.get(v.index as usize).copied().unwrap_or(false);
        let here = reached && !matches!(node.op, Op::Param(_));
        here.then(|| MatRef::new(node.rows, node.cols, &ws.grads[node.range()]))
    }

    /// The gradient of `v` as an owned matrix; zeros if the sweep did not reach it.
    ///
    /// # Panics
    /// If `v` is a parameter, because its gradient is in the [`ParamGrads`](crate::ParamGrads) and
    /// is usually not zero.
    #[track_caller]
    pub fn grad_or_zeros(&self, v: Var) -> Mat<T> {
        let (rows, cols) = self.shape(v);
        let of_param = matches!(self.node(v).op, Op::Param(_));
        assert!(!of_param, "grad_or_zeros: the gradient of a parameter is in the ParamGrads");
        self.grad(v).map_or_else(|| Mat::zeros(rows, cols), |g| g.to_mat())
    }

    /// Computes a part of the constant `out` without keeping what it is computed from: `record`
    /// records operations and returns their result, which is copied to the numbers of `out` from
    /// `at` on. Then everything that `record` recorded is removed, and its memory is free for the
    /// next values. No gradient flows through these operations.
    pub(crate) fn compute_into(&mut self, out: Var, at: usize, record: impl FnOnce(&mut Self) -> Var) {
        let ws = &*self.workspace;
        let (nodes, inputs, sparse, used) = (ws.nodes.len(), ws.custom_inputs.len(), ws.sparse_used, ws.used);
        let customs = self.customs.len;
        let result = record(self);
        let (from, to) = (self.node(result).range(), self.node(out).range());
        assert!(from.start >= used && at + from.len() <= to.len(), "compute_into: the result does not fit");
        let ws = &mut *self.workspace;
        ws.values.copy_within(from, to.start + at);
        ws.nodes.truncate(nodes);
        ws.custom_inputs.truncate(inputs);
        (ws.sparse_used, ws.used) = (sparse, used);
        for node in &mut ws.param_nodes {
            *node = node.filter(|v| (v.index as usize) < nodes);
        }
        self.customs.truncate(customs);
    }

    #[track_caller]
    fn check(&self, v: Var) {
        assert!(
            v.serial == self.workspace.serial && (v.index as usize) < self.workspace.nodes.len(),
            "this Var belongs to another tape (a tape's values end with it)"
        );
    }

    #[track_caller]
    fn node(&self, v: Var) -> &Node<T> {
        self.check(v);
        &self.workspace.nodes[v.index as usize]
    }

    fn record(&mut self, op: Op<T>, (rows, cols): (usize, usize), offset: usize, needs_grad: bool) -> Var {
        let ws = &mut *self.workspace;
        let index = u32::try_from(ws.nodes.len()).expect("a tape holds fewer than 2³² nodes");
        ws.nodes.push(Node { op, rows, cols, offset, needs_grad });
        Var { index, serial: ws.serial }
    }

    /// Appends a node and computes its value: `fill` receives the values so far, the output and the
    /// scratch memory.
    fn push(
        &mut self,
        op: Op<T>,
        shape: (usize, usize),
        needs_grad: bool,
        fill: impl FnOnce(Values<'_, T>, &mut [T], &mut [T]),
    ) -> Var {
        let ws = &mut *self.workspace;
        let len = shape.0 * shape.1;
        let offset = ws.reserve(len);
        let (before, rest) = ws.values.split_at_mut(offset);
        let values = Values { values: before, nodes: &ws.nodes, params: self.params, sparse: &ws.sparse };
        fill(values, &mut rest[..len], &mut ws.scratch);
        self.record(op, shape, offset, needs_grad)
    }
}

/// A custom operation that is borrowed for longer than the tape lives, or that the tape keeps
/// alive.
enum CustomRef<'t, T> {
    Borrowed(&'t dyn CustomOp<T>),
    Shared(Arc<dyn CustomOp<T>>),
}

impl<T> CustomRef<'_, T> {
    fn op(&self) -> &dyn CustomOp<T> {
        match self {
            Self::Borrowed(op) => *op,
            Self::Shared(op) => &**op,
        }
    }
}

/// The custom operations of a tape. The first few are stored inline without an allocation; models
/// rarely have more.
struct Customs<'t, T> {
    first: [Option<CustomRef<'t, T>>; 8],
    more: Vec<CustomRef<'t, T>>,
    len: usize,
}

impl<T> Default for Customs<'_, T> {
    fn default() -> Self {
        Self { first: [const { None }; 8], more: Vec::new(), len: 0 }
    }
}

impl<'t, T: Scalar> Customs<'t, T> {
    fn push(&mut self, op: CustomRef<'t, T>) {
        match self.first.get_mut(self.len) {
            Some(slot) => *slot = Some(op),
            None => self.more.push(op),
        }
        self.len += 1;
    }

    fn truncate(&mut self, len: usize) {
        self.first.iter_mut().skip(len).for_each(|slot| *slot = None);
        self.more.truncate(len.saturating_sub(self.first.len()));
        self.len = len;
    }

    fn get(&self, index: usize) -> &dyn CustomOp<T> {
        match self.first.get(index) {
            Some(slot) => slot.as_ref().expect("recorded before the sweep").op(),
            None => self.more[index - self.first.len()].op(),
        }
    }
}
