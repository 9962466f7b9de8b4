//! The reverse sweep: the vector-Jacobian product (vjp) rules of all operations.
//!
//! Parents have smaller indices than their children. The order of recording is therefore a
//! topological order, and the sweep is one loop from the loss back to the first node. A node's
//! gradient is complete when the loop reaches it.

use super::custom::{CustomOp, InputGrads, Inputs, Recorded};
use super::op::Op;
use super::workspace::Nonzero;
use super::{Node, Tape, Values, Var};
use crate::gemm::gemm;
use crate::kernels::activation::{self, Activation};
use crate::kernels::{bernoulli, categorical, elementwise, reduce, softmax, unimix};
use crate::mat::{MatMut, MatRef};
use crate::par;
use crate::params::ParamGrads;
use crate::scalar::Scalar;

impl<T: Scalar> Tape<'_, T> {
    /// Computes the gradients of the 1×1 value `loss`.
    ///
    /// Gradients of parameters are written into `grads`, which is overwritten: a parameter on which
    /// `loss` does not depend gets zeros. Gradients of leaves and intermediate values are read with
    /// [`grad`](Self::grad).
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// # use hardgrad::ParamGrads;
    /// let x = tape.leaf(Mat::from_rows(&[[3.0]]).view());
    /// let loss = tape.mul(x, x);
    /// tape.backward(loss, &mut ParamGrads::zeros(&params));
    /// assert_eq!(tape.grad(x).unwrap().data, [6.0]);
    /// ```
    ///
    /// # Panics
    /// If `loss` is not 1×1, if it depends on no parameter and no leaf, or if `grads` belongs to
    /// another store than the tape's.
    #[track_caller]
    pub fn backward(&mut self, loss: Var, grads: &mut ParamGrads<T>) {
        let shape = self.shape(loss);
        assert!(shape == (1, 1), "backward: the loss must be [1, 1], got [{}, {}]", shape.0, shape.1);
        self.backward_from(loss, &[T::ONE], grads);
    }

    /// Computes the gradients of ⟨g, value⟩ for a value of any shape, with the cotangent `g`
    /// supplied by the caller; otherwise like [`backward`](Self::backward).
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// # use hardgrad::ParamGrads;
    /// let x = tape.leaf(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let y = tape.mul(x, x);
    /// tape.backward_from(y, &[10.0, 1.0], &mut ParamGrads::zeros(&params)); // ⟨(10, 1), x²⟩
    /// assert_eq!(tape.grad(x).unwrap().data, [20.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the length of `g` differs from that of the value, if the value depends on no parameter
    /// and no leaf, or if `grads` belongs to another store than the tape's.
    #[track_caller]
    pub fn backward_from(&mut self, from: Var, g: &[T], grads: &mut ParamGrads<T>) {
        let node = *self.node(from);
        grads.check(self.params);
        assert!(node.needs_grad, "backward: the value depends on no parameter and no leaf");
        assert!(
            g.len() == node.rows * node.cols,
            "backward: a [{}, {}] value needs as many cotangents, got {}",
            node.rows,
            node.cols,
            g.len()
        );
        let ws = &mut *self.workspace;
        ws.touched.clear();
        ws.touched.resize(ws.nodes.len(), false);
        if ws.grads.len() < ws.used {
            ws.grads.resize(ws.used, T::ZERO);
        }
        let params = self.params;
        let mut seed =
            Grads { arena: &mut ws.grads, params: grads, nodes: &ws.nodes, touched: &mut ws.touched };
        seed.sum_into(from).expect("needs_grad was checked").data.copy_from_slice(g);
        for index in (0..=from.index as usize).rev() {
            let node = &ws.nodes[index];
            if !ws.touched[index] || matches!(node.op, Op::Constant | Op::Leaf | Op::Param(_)) {
                continue;
            }
            if let Op::Linear { x, sparse: Some(at), .. } = node.op {
                let values = Values { values: &ws.values, nodes: &ws.nodes, params, sparse: &[] };
                ws.sparse[at].columns.assign_transposed(values.get(x));
            }
            // Parents precede the node in the arena, so their gradients never overlap the node's
            // own.
            let (left, right) = ws.grads.split_at_mut(node.offset);
            let step = Step {
                values: Values { values: &ws.values, nodes: &ws.nodes, params, sparse: &ws.sparse },
                out: &ws.values[node.range()],
                g: &right[..node.rows * node.cols],
                cols: node.cols,
            };
            let mut grads = Grads { arena: left, params: grads, nodes: &ws.nodes, touched: &mut ws.touched };
            match node.op {
                Op::Custom { index, first, count } => {
                    let vars = &ws.custom_inputs[first..first + count];
                    step.custom(self.customs.get(index), vars, node, &mut grads, &mut ws.scratch);
                }
                _ => step.vjp(&node.op, &mut grads, &mut ws.scratch),
            }
        }
        for (_, id) in params.iter() {
            let reached = ws.param_nodes[id.index].is_some_and(|v| ws.touched[v.index as usize]);
            if !reached {
                grads.slice_mut(id).fill(T::ZERO);
            }
        }
    }
}

/// One node of the sweep: its output value, its cotangent `g`, and the values recorded before it.
struct Step<'a, T> {
    values: Values<'a, T>,
    out: &'a [T],
    g: &'a [T],
    cols: usize,
}

impl<T: Scalar> Step<'_, T> {
    /// Applies the vjp rule of one operation: adds to the gradients of its inputs.
    fn vjp(&self, op: &Op<T>, grads: &mut Grads<'_, T>, scratch: &mut [T]) {
        let (y, g) = (self.out, self.g);
        let value = |v: Var| self.values.get(v).data;
        match *op {
            Op::Constant | Op::Leaf | Op::Param(_) | Op::Custom { .. } => {
                unreachable!("handled by the sweep")
            }
            Op::MatMul(a, b) => self.matmul(a, b, None, g, grads),
            Op::MatMulTransposed(a, b) => self.matmul_transposed(a, b, g, grads),
            Op::Linear { x, weight, bias, activation, sparse } => {
                let mut g = g;
                if activation != Activation::Identity {
                    let before = &mut scratch[..g.len()];
                    activation::cotangent(activation, y, g, before);
                    g = before;
                }
                grads.add(bias, |db| reduce::add_bias_vjp(g, db));
                let nonzero = sparse.map(|index| &self.values.sparse[index]);
                self.matmul(x, weight, nonzero, g, grads);
            }
            Op::AddBias(x, bias) => {
                grads.add(x, |dx| elementwise::axpy(T::ONE, g, dx));
                grads.add(bias, |db| reduce::add_bias_vjp(g, db));
            }
            Op::Add(a, b) => {
                grads.add(a, |da| elementwise::axpy(T::ONE, g, da));
                grads.add(b, |db| elementwise::axpy(T::ONE, g, db));
            }
            Op::Sub(a, b) => {
                grads.add(a, |da| elementwise::axpy(T::ONE, g, da));
                grads.add(b, |db| elementwise::axpy(-T::ONE, g, db));
            }
            Op::Mul(a, b) => {
                grads.add(a, |da| elementwise::mul_vjp(value(b), g, da));
                grads.add(b, |db| elementwise::mul_vjp(value(a), g, db));
            }
            Op::AtLeast(x, bound) => {
                grads.add(x, |dx| elementwise::at_least_vjp(bound, value(x), g, dx));
            }
            Op::Affine(x, alpha) => grads.add(x, |dx| elementwise::axpy(alpha, g, dx)),
            Op::Activate(x, activation) => {
                grads.add(x, |dx| activation::activate_vjp(activation, y, g, dx));
            }
            Op::Sigmoid(x) => grads.add(x, |dx| elementwise::sigmoid_vjp(y, g, dx)),
            Op::Exp(x) => grads.add(x, |dx| elementwise::exp_vjp(y, g, dx)),
            Op::Ln(x) => grads.add(x, |dx| elementwise::ln_vjp(value(x), g, dx)),
            Op::Softmax(x, group) => grads.add(x, |dx| softmax::softmax_vjp(y, group, g, dx)),
            Op::LogSoftmax(x, group) => grads.add(x, |dx| softmax::log_softmax_vjp(y, group, g, dx)),
            Op::Sum(x) => grads.add(x, |dx| reduce::sum_vjp(g[0], dx)),
            Op::RowSum(x) => grads.add(x, |dx| reduce::row_sum_vjp(g, self.values.get(x).cols, dx)),
            Op::BceWithLogits { logits, targets } => {
                let (x, t, cols) = (value(logits), value(targets), self.values.get(logits).cols);
                grads.add(logits, |dx| bernoulli::bce_with_logits_vjp(x, t, cols, g, dx));
                grads.add(targets, |dt| bernoulli::bce_with_logits_target_vjp(x, cols, g, dt));
            }
            Op::CategoricalKl(x, group) => {
                let logits = self.values.get(x);
                grads.add(x, |dx| {
                    softmax::categorical_kl_vjp(logits.data, logits.cols, group, g, dx, scratch);
                });
            }
            Op::CategoricalKlTo { q, p, group } => {
                let (qv, pv, cols) = (value(q), value(p), self.values.get(q).cols);
                grads.add(q, |dq| categorical::kl_vjp_q(qv, pv, cols, group, g, dq, scratch));
                grads.add(p, |dp| categorical::kl_vjp_p(qv, pv, cols, group, g, dp, scratch));
            }
            Op::CategoricalEntropy(x, group) => {
                let cols = self.values.get(x).cols;
                grads.add(x, |dx| categorical::entropy_vjp(value(x), cols, group, g, dx, scratch));
            }
            Op::CategoricalLogProb { logits, sample, group } => {
                let (x, d, cols) = (value(logits), value(sample), self.values.get(logits).cols);
                grads.add(logits, |dx| categorical::log_prob_vjp_logits(x, d, cols, group, g, dx, scratch));
                grads.add(sample, |dd| categorical::log_prob_vjp_sample(x, d, cols, group, g, dd, scratch));
            }
            Op::Unimix { x, epsilon, group } => {
                grads.add(x, |dx| {
                    unimix::unimix_vjp(epsilon, value(x), self.cols, group, g, dx, scratch);
                });
            }
            Op::Reshape(x) => grads.add(x, |dx| elementwise::axpy(T::ONE, g, dx)),
            Op::RepeatRows(x, times) => grads.add(x, |dx| reduce::repeat_rows_vjp(g, self.cols, times, dx)),
        }
    }

    /// da += g · bᵀ and db += aᵀ · g. The second product uses the column lists of `a` if they
    /// exist.
    fn matmul(&self, a: Var, b: Var, nonzero: Option<&Nonzero<T>>, g: &[T], grads: &mut Grads<'_, T>) {
        let (av, bv) = (self.values.get(a), self.values.get(b));
        let g = MatRef::new(av.rows, self.cols, g);
        grads.multiply_both(
            (a, b),
            |da: MatMut<'_, T>, beta| gemm(g, bv.t(), beta, da),
            |db: MatMut<'_, T>, beta| match nonzero {
                Some(nonzero) => nonzero.columns.multiply(g, beta, db),
                None => gemm(av.t(), g, beta, db),
            },
        );
    }

    /// da += g · b and db += gᵀ · a.
    fn matmul_transposed(&self, a: Var, b: Var, g: &[T], grads: &mut Grads<'_, T>) {
        let (av, bv) = (self.values.get(a), self.values.get(b));
        let g = MatRef::new(av.rows, self.cols, g);
        grads.multiply_both(
            (a, b),
            |da: MatMut<'_, T>, beta| gemm(g, bv, beta, da),
            |db: MatMut<'_, T>, beta| gemm(g.t(), av, beta, db),
        );
    }

    fn custom(
        &self,
        op: &dyn CustomOp<T>,
        vars: &[Var],
        node: &Node<T>,
        grads: &mut Grads<'_, T>,
        scratch: &mut [T],
    ) {
        let recorded = Recorded {
            inputs: Inputs { values: self.values, vars },
            output: MatRef::new(node.rows, node.cols, self.out),
            g: MatRef::new(node.rows, node.cols, self.g),
        };
        op.vjp(&recorded, &mut InputGrads { grads, vars }, scratch);
    }
}

/// The gradients that a rule may write: those of the preceding nodes and those of the parameters.
///
/// Gradients are not cleared before a sweep. A gradient is zeroed when it is first touched; a
/// matrix product that touches it first overwrites it without reading it.
#[derive(Debug)]
pub(super) struct Grads<'a, T> {
    arena: &'a mut [T],
    params: &'a mut ParamGrads<T>,
    nodes: &'a [Node<T>],
    touched: &'a mut [bool],
}

/// A gradient that a product is written to, and `beta`: 1 to add to its contents, 0 to overwrite
/// them.
type Product<'a, T> = (MatMut<'a, T>, T);

impl<T: Scalar> Grads<'_, T> {
    /// Calls `rule` with the gradient of `v`, if `v` needs one.
    fn add(&mut self, v: Var, rule: impl FnOnce(&mut [T])) {
        if let Some(dv) = self.sum_into(v) {
            rule(dv.data);
        }
    }

    /// The gradient of `v`, zeroed when it is first touched; `None` if `v` needs no gradient.
    pub(super) fn sum_into(&mut self, v: Var) -> Option<MatMut<'_, T>> {
        let (dv, beta) = self.multiply_into(v)?;
        if beta == T::ZERO {
            dv.data.fill(T::ZERO);
        }
        Some(dv)
    }

    /// The gradient of `v` and the `beta` for a product that is added to it.
    fn multiply_into(&mut self, v: Var) -> Option<Product<'_, T>> {
        let node = &self.nodes[v.index as usize];
        if !node.needs_grad {
            return None;
        }
        let beta = self.touch(v);
        let data = match node.op {
            Op::Param(id) => self.params.slice_mut(id),
            _ => &mut self.arena[node.range()],
        };
        Some((MatMut::new(node.rows, node.cols, data), beta))
    }

    /// Runs one product into the gradient of each value that needs one: in parallel, or one after
    /// the other if both values are the same node.
    fn multiply_both(
        &mut self,
        (a, b): (Var, Var),
        into_a: impl FnOnce(MatMut<'_, T>, T) + Send,
        into_b: impl FnOnce(MatMut<'_, T>, T) + Send,
    ) {
        let (na, nb) = (&self.nodes[a.index as usize], &self.nodes[b.index as usize]);
        if a == b || !na.needs_grad || !nb.needs_grad {
            if let Some((da, beta)) = self.multiply_into(a) {
                into_a(da, beta);
            }
            if let Some((db, beta)) = self.multiply_into(b) {
                into_b(db, beta);
            }
            return;
        }
        let (beta_a, beta_b) = (self.touch(a), self.touch(b));
        let [da, db] = match (na.op, nb.op) {
            (Op::Param(p), Op::Param(q)) => self.params.two_mut(p, q),
            (Op::Param(p), _) => [self.params.slice_mut(p), &mut self.arena[nb.range()]],
            (_, Op::Param(q)) => [&mut self.arena[na.range()], self.params.slice_mut(q)],
            _ => self.arena.get_disjoint_mut([na.range(), nb.range()]).expect("two nodes never overlap"),
        };
        let (da, db) = (MatMut::new(na.rows, na.cols, da), MatMut::new(nb.rows, nb.cols, db));
        par::join(|| into_a(da, beta_a), || into_b(db, beta_b));
    }

    /// Marks `v` as touched. Returns 1 if it was touched before, else 0.
    fn touch(&mut self, v: Var) -> T {
        if std::mem::replace(&mut self.touched[v.index as usize], true) { T::ONE } else { T::ZERO }
    }
}
