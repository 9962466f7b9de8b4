//! One method per operation. Each checks the shapes, computes the value and records the node.

use super::op::Op;
use super::workspace::Nonzero;
use super::{Tape, Values, Var};
use crate::gemm::gemm;
use crate::kernels::activation::{self, Activation};
use crate::kernels::sparse::SparseRows;
use crate::kernels::{bernoulli, elementwise, reduce, softmax};
use crate::mat::MatMut;
use crate::scalar::Scalar;

impl<T: Scalar> Tape<'_, T> {
    /// a · b. Shapes: `[N, K] · [K, M] → [N, M]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let a = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let b = tape.constant(Mat::from_rows(&[[3.0], [4.0]]).view());
    /// let y = tape.matmul(a, b);
    /// assert_eq!(tape.value(y).data, [11.0]);
    /// ```
    ///
    /// # Panics
    /// If the inner sizes differ.
    #[track_caller]
    pub fn matmul(&mut self, a: Var, b: Var) -> Var {
        let ((n, k), (k2, m)) = (self.shape(a), self.shape(b));
        assert!(k == k2, "matmul: [{n}, {k}] · [{k2}, {m}]: the inner sizes differ");
        self.push(Op::MatMul(a, b), (n, m), self.any(&[a, b]), |v, out, _| {
            gemm(v.get(a), v.get(b), T::ZERO, MatMut::new(n, m, out));
        })
    }

    /// a · bᵀ. Shapes: `[N, K] · [M, K]ᵀ → [N, M]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let a = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let b = tape.constant(Mat::from_rows(&[[3.0, 4.0], [5.0, 6.0]]).view());
    /// let y = tape.matmul_transposed(a, b);
    /// assert_eq!(tape.value(y).data, [11.0, 17.0]);
    /// ```
    ///
    /// # Panics
    /// If the inner sizes differ.
    #[track_caller]
    pub fn matmul_transposed(&mut self, a: Var, b: Var) -> Var {
        let ((n, k), (m, k2)) = (self.shape(a), self.shape(b));
        assert!(k == k2, "matmul_transposed: [{n}, {k}] · [{m}, {k2}]ᵀ: the inner sizes differ");
        self.push(Op::MatMulTransposed(a, b), (n, m), self.any(&[a, b]), |v, out, _| {
            gemm(v.get(a), v.get(b).t(), T::ZERO, MatMut::new(n, m, out));
        })
    }

    /// activation(x · weight + bias) in one node. Shapes: `[N, K] · [K, M] + [1, M] → [N, M]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let weight = tape.constant(Mat::from_rows(&[[3.0, -3.0], [4.0, -4.0]]).view());
    /// let bias = tape.constant(Mat::from_rows(&[[0.5, 0.5]]).view());
    /// # use hardgrad::nn::Activation;
    /// let y = tape.linear(x, weight, bias, Activation::Relu);
    /// assert_eq!(tape.value(y).data, [11.5, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or the activation's slope is outside its range.
    #[track_caller]
    pub fn linear(&mut self, x: Var, weight: Var, bias: Var, activation: Activation) -> Var {
        activation.assert_valid("linear");
        let ((n, k), (k2, m), b) = (self.shape(x), self.shape(weight), self.shape(bias));
        assert!(k == k2, "linear: x [{n}, {k}] · weight [{k2}, {m}]: the inner sizes differ");
        assert!(b == (1, m), "linear: bias [{}, {}], expected [1, {m}]", b.0, b.1);
        self.workspace.need_scratch(if activation == Activation::Identity { 0 } else { n * m });
        let sparse = self.list_nonzero(x);
        let op = Op::Linear { x, weight, bias, activation, sparse };
        self.push(op, (n, m), self.any(&[x, weight, bias]), |v, out, _| {
            let y = MatMut::new(n, m, out);
            match sparse {
                Some(index) => v.sparse[index].rows.multiply(v.get(weight), T::ZERO, y),
                None => gemm(v.get(x), v.get(weight), T::ZERO, y),
            }
            activation::add_bias(v.get(bias).data, activation, out);
        })
    }

    /// Lists the nonzeros of `x` if a sparse product with it is faster than a dense one. Only data
    /// and samples are examined, because images and one-hot codes are often sparse and other values
    /// rarely are.
    fn list_nonzero(&mut self, x: Var) -> Option<usize> {
        if !matches!(self.node(x).op, Op::Constant | Op::Custom { .. }) {
            return None;
        }
        let ws = &mut *self.workspace;
        let values = Values { values: &ws.values, nodes: &ws.nodes, params: self.params, sparse: &[] };
        let x = values.get(x);
        if !SparseRows::pays(x.data) {
            return None;
        }
        if ws.sparse.len() == ws.sparse_used {
            ws.sparse.push(Nonzero::default());
        }
        ws.sparse[ws.sparse_used].rows.assign(x);
        ws.sparse_used += 1;
        Some(ws.sparse_used - 1)
    }

    /// x + bias for every row. Shapes: `[N, M] + [1, M] → [N, M]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0], [3.0, 4.0]]).view());
    /// let bias = tape.constant(Mat::from_rows(&[[10.0, 20.0]]).view());
    /// let y = tape.add_bias(x, bias);
    /// assert_eq!(tape.value(y).data, [11.0, 22.0, 13.0, 24.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn add_bias(&mut self, x: Var, bias: Var) -> Var {
        let ((n, m), b) = (self.shape(x), self.shape(bias));
        assert!(b == (1, m), "add_bias: x [{n}, {m}], bias [{}, {}], expected [1, {m}]", b.0, b.1);
        self.push(Op::AddBias(x, bias), (n, m), self.any(&[x, bias]), |v, out, _| {
            out.copy_from_slice(v.get(x).data);
            activation::add_bias(v.get(bias).data, Activation::Identity, out);
        })
    }

    /// a + b, for operands of equal shape.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let a = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let b = tape.constant(Mat::from_rows(&[[3.0, 5.0]]).view());
    /// let y = tape.add(a, b);
    /// assert_eq!(tape.value(y).data, [4.0, 7.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        self.binary("add", Op::Add(a, b), a, b, elementwise::add)
    }

    /// a − b, for operands of equal shape.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let a = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let b = tape.constant(Mat::from_rows(&[[3.0, 5.0]]).view());
    /// let y = tape.sub(a, b);
    /// assert_eq!(tape.value(y).data, [-2.0, -3.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn sub(&mut self, a: Var, b: Var) -> Var {
        self.binary("sub", Op::Sub(a, b), a, b, elementwise::sub)
    }

    /// a ⊙ b, for operands of equal shape.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let a = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let b = tape.constant(Mat::from_rows(&[[3.0, 5.0]]).view());
    /// let y = tape.mul(a, b);
    /// assert_eq!(tape.value(y).data, [3.0, 10.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        self.binary("mul", Op::Mul(a, b), a, b, elementwise::mul)
    }

    /// alpha · x + offset, elementwise.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let y = tape.affine(x, 10.0, -1.0);
    /// assert_eq!(tape.value(y).data, [9.0, 19.0]);
    /// ```
    #[track_caller]
    pub fn affine(&mut self, x: Var, alpha: T, offset: T) -> Var {
        self.unary(Op::Affine(x, alpha), x, |x, out| elementwise::affine(alpha, x, offset, out))
    }

    /// max(x, 0), elementwise. The derivative at 0 is defined as 0.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[-1.0, 2.0]]).view());
    /// let y = tape.relu(x);
    /// assert_eq!(tape.value(y).data, [0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn relu(&mut self, x: Var) -> Var {
        self.activate(x, Activation::Relu)
    }

    /// activation(x), elementwise. For [`Activation::Identity`] it returns x itself.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// use hardgrad::nn::Activation;
    /// let x = tape.constant(Mat::from_rows(&[[-1.0, 2.0]]).view());
    /// let y = tape.activate(x, Activation::LEAKY_RELU);
    /// assert_eq!(tape.value(y).data, [-0.01, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the activation's slope is outside its range; see [`Activation::validated`].
    #[track_caller]
    pub fn activate(&mut self, x: Var, activation: Activation) -> Var {
        activation.assert_valid("activate");
        if activation == Activation::Identity {
            return x;
        }
        self.unary(Op::Activate(x, activation), x, |x, out| activation::activate(activation, x, out))
    }

    /// 1 / (1 + e⁻ˣ), elementwise.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[0.0, -1000.0]]).view());
    /// let y = tape.sigmoid(x);
    /// assert_eq!(tape.value(y).data, [0.5, 0.0]);
    /// ```
    #[track_caller]
    pub fn sigmoid(&mut self, x: Var) -> Var {
        self.unary(Op::Sigmoid(x), x, elementwise::sigmoid)
    }

    /// eˣ, elementwise.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[0.0, 1.0]]).view());
    /// let y = tape.exp(x);
    /// assert!((tape.value(y).data[1] - std::f64::consts::E).abs() < 1e-15);
    /// ```
    #[track_caller]
    pub fn exp(&mut self, x: Var) -> Var {
        self.unary(Op::Exp(x), x, elementwise::exp)
    }

    /// ln x, elementwise.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0]]).view());
    /// let y = tape.ln(x);
    /// assert!((tape.value(y).data[1] - std::f64::consts::LN_2).abs() < 1e-15);
    /// ```
    #[track_caller]
    pub fn ln(&mut self, x: Var) -> Var {
        self.unary(Op::Ln(x), x, elementwise::ln)
    }

    /// Softmax of each group of `group` numbers in a row. The shape, `[N, L·group]`, does not
    /// change.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[0.0, 3.0_f64.ln(), 7.0, 7.0]]).view());
    /// let y = tape.softmax(x, 2); // two variables of two categories
    /// for (y, pi) in tape.value(y).data.iter().zip([0.25, 0.75, 0.5, 0.5]) {
    ///     assert!((y - pi).abs() < 1e-15);
    /// }
    /// ```
    ///
    /// # Panics
    /// If the number of columns is not a multiple of `group`.
    #[track_caller]
    pub fn softmax(&mut self, x: Var, group: usize) -> Var {
        self.check_group("softmax", x, group);
        self.unary(Op::Softmax(x, group), x, |x, out| softmax::softmax(x, group, out))
    }

    /// Logarithm of the softmax of each group of `group` numbers in a row. The shape, `[N,
    /// L·group]`, does not change.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[0.0, 3.0_f64.ln()]]).view());
    /// let y = tape.log_softmax(x, 2);
    /// assert!((tape.value(y).data[1] - 0.75_f64.ln()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the number of columns is not a multiple of `group`.
    #[track_caller]
    pub fn log_softmax(&mut self, x: Var, group: usize) -> Var {
        self.check_group("log_softmax", x, group);
        self.unary(Op::LogSoftmax(x, group), x, |x, out| softmax::log_softmax(x, group, out))
    }

    /// Sum of all elements. Shape: `[N, M] → [1, 1]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0], [3.0, 4.0]]).view());
    /// let y = tape.sum(x);
    /// assert_eq!(tape.scalar(y), 10.0);
    /// ```
    #[track_caller]
    pub fn sum(&mut self, x: Var) -> Var {
        self.push(Op::Sum(x), (1, 1), self.any(&[x]), |v, out, _| out[0] = reduce::sum(v.get(x).data))
    }

    /// Mean of all elements; NaN if there are none. Shape: `[N, M] → [1, 1]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0], [3.0, 4.0]]).view());
    /// let y = tape.mean(x);
    /// assert_eq!(tape.scalar(y), 2.5);
    /// ```
    #[track_caller]
    pub fn mean(&mut self, x: Var) -> Var {
        let (n, m) = self.shape(x);
        let total = self.sum(x);
        self.affine(total, T::ONE / T::of((n * m) as f64), T::ZERO)
    }

    /// Sum of each row. Shape: `[N, M] → [N, 1]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0], [3.0, 4.0]]).view());
    /// let y = tape.row_sum(x);
    /// assert_eq!(tape.value(y).data, [3.0, 7.0]);
    /// ```
    #[track_caller]
    pub fn row_sum(&mut self, x: Var) -> Var {
        let (n, m) = self.shape(x);
        self.push(Op::RowSum(x), (n, 1), self.any(&[x]), |v, out, _| reduce::row_sum(v.get(x).data, m, out))
    }

    /// Binary cross-entropy of each row, in nats, summed over the row: −Σ t ln σ(x) + (1 − t) ln(1
    /// − σ(x)). Shapes: logits `[N, M]`, targets `[N, M]` in [0, 1] → `[N, 1]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let logits = tape.constant(Mat::from_rows(&[[0.0, 3.0_f64.ln()]]).view());
    /// let targets = tape.constant(Mat::from_rows(&[[1.0, 0.0]]).view());
    /// let y = tape.bce_with_logits(logits, targets); // −ln ½ − ln ¼
    /// assert!((tape.scalar(y) - 8.0_f64.ln()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn bce_with_logits(&mut self, logits: Var, targets: Var) -> Var {
        self.check_same("bce_with_logits", logits, targets);
        let (n, m) = self.shape(logits);
        let op = Op::BceWithLogits { logits, targets };
        self.push(op, (n, 1), self.any(&[logits, targets]), |v, out, _| {
            bernoulli::bce_with_logits(v.get(logits).data, v.get(targets).data, m, out);
        })
    }

    /// The elements of x, in row-major order, as a matrix of another shape.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0, 2.0, 3.0, 4.0]]).view());
    /// let y = tape.reshape(x, 2, 2);
    /// assert_eq!(tape.value(y).row(1), [3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(&mut self, x: Var, rows: usize, cols: usize) -> Var {
        let (n, m) = self.shape(x);
        assert!(
            n * m == rows * cols,
            "reshape: [{n}, {m}] has {} numbers, [{rows}, {cols}] has {}",
            n * m,
            rows * cols
        );
        self.push(Op::Reshape(x), (rows, cols), self.any(&[x]), |v, out, _| {
            out.copy_from_slice(v.get(x).data)
        })
    }

    /// Each row repeated `times` times, consecutively. Shape: `[N, M] → [N·times, M]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0], [2.0]]).view());
    /// let y = tape.repeat_rows(x, 2);
    /// assert_eq!(tape.value(y).data, [1.0, 1.0, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn repeat_rows(&mut self, x: Var, times: usize) -> Var {
        let (n, m) = self.shape(x);
        self.push(Op::RepeatRows(x, times), (n * times, m), self.any(&[x]), |v, out, _| {
            reduce::repeat_rows(v.get(x).data, m, times, out);
        })
    }

    #[track_caller]
    fn unary(&mut self, op: Op<T>, x: Var, f: impl FnOnce(&[T], &mut [T])) -> Var {
        let shape = self.shape(x);
        self.push(op, shape, self.any(&[x]), |v, out, _| f(v.get(x).data, out))
    }

    #[track_caller]
    fn binary(&mut self, name: &str, op: Op<T>, a: Var, b: Var, f: impl FnOnce(&[T], &[T], &mut [T])) -> Var {
        self.check_same(name, a, b);
        let shape = self.shape(a);
        self.push(op, shape, self.any(&[a, b]), |v, out, _| f(v.get(a).data, v.get(b).data, out))
    }

    #[track_caller]
    pub(super) fn any(&self, inputs: &[Var]) -> bool {
        inputs.iter().any(|&v| self.node(v).needs_grad)
    }

    #[track_caller]
    pub(super) fn check_same(&self, name: &str, a: Var, b: Var) {
        let ((n, m), (n2, m2)) = (self.shape(a), self.shape(b));
        assert!((n, m) == (n2, m2), "{name}: [{n}, {m}] and [{n2}, {m2}]: the shapes differ");
    }

    #[track_caller]
    pub(super) fn check_group(&self, name: &str, x: Var, group: usize) {
        let (n, m) = self.shape(x);
        assert!(
            group > 0 && m % group == 0,
            "{name}: [{n}, {m}], expected a multiple of {group} columns, the group size"
        );
    }
}
