//! Functions of categorical distributions that are specified by logits.
//!
//! In all of them a logit of −∞ masks its category, which then has probability 0; see
//! [`crate::categorical`].

use super::op::Op;
use super::{Tape, Var};
use crate::kernels::unimix::check_epsilon;
use crate::kernels::{categorical, elementwise, softmax, unimix};
use crate::scalar::Scalar;

impl<T: Scalar> Tape<'_, T> {
    /// KL divergence of each row, in nats, from the categorical distributions softmax(logits) to
    /// the uniform distribution over C = `group` categories: Σ_l Σ_c π ln π + L ln C. Shapes:
    /// logits `[N, L·group]` → `[N, 1]`.
    ///
    /// The prior is uniform over all C categories, masked ones included: with all but one category
    /// masked the divergence is ln C. For a prior that is uniform over the unmasked categories, use
    /// [`categorical_kl_to`](Self::categorical_kl_to) with prior logits that carry the same mask.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let logits = tape.constant(Mat::from_rows(&[[0.0, 0.0, 0.0, 3.0_f64.ln()]]).view());
    /// let y = tape.categorical_kl(logits, 2); // 0 + ¼ ln ¼ + ¾ ln ¾ + ln 2
    /// assert!((tape.scalar(y) - (0.75 * 3.0_f64.ln() - 2.0_f64.ln())).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the number of columns is not a multiple of `group`.
    #[track_caller]
    pub fn categorical_kl(&mut self, logits: Var, group: usize) -> Var {
        self.check_group("categorical_kl", logits, group);
        let (n, m) = self.shape(logits);
        self.workspace.need_scratch(softmax::categorical_kl_scratch(n, m, group));
        let op = Op::CategoricalKl(logits, group);
        self.push(op, (n, 1), self.any(&[logits]), |v, out, scratch| {
            softmax::categorical_kl(v.get(logits).data, m, group, out, scratch);
        })
    }

    /// KL divergence KL(softmax(q) ‖ softmax(p)) of each row, in nats: Σ_l Σ_c π_q (ln π_q − ln
    /// π_p). Shapes: q and p `[N, L·group]` → `[N, 1]`.
    ///
    /// p may be a constant or a computed value, for example a learned prior, or one side of a
    /// balanced divergence (with [`detach`](Self::detach) on the other). A single prior for all
    /// rows, `[1, L·group]`, is expanded with [`repeat_rows`](Self::repeat_rows). A category masked
    /// in q contributes 0. If p masks a category that q does not, the divergence is +∞ and its
    /// gradient is NaN.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let q = Mat::from_rows(&[[0.0, 3.0_f64.ln(), f64::NEG_INFINITY]]); // (¼, ¾, 0)
    /// let p = Mat::from_rows(&[[0.0, 0.0, 2.0_f64.ln()]]); // (¼, ¼, ½)
    /// let (q, p) = (tape.constant(q.view()), tape.constant(p.view()));
    /// let y = tape.categorical_kl_to(q, p, 3);
    /// assert!((tape.scalar(y) - 0.75 * 3.0_f64.ln()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, or the number of columns is not a multiple of `group`.
    #[track_caller]
    pub fn categorical_kl_to(&mut self, q: Var, p: Var, group: usize) -> Var {
        self.check_same("categorical_kl_to", q, p);
        let cols = self.check_categorical("categorical_kl_to", q, group);
        self.rows(Op::CategoricalKlTo { q, p, group }, &[q, p], |v, out, scratch| {
            categorical::kl(v[0], v[1], cols, group, out, scratch);
        })
    }

    /// Entropy of softmax(logits) for each row, in nats: −Σ_l Σ_c π ln π. Shapes: logits `[N,
    /// L·group]` → `[N, 1]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let logits = tape.constant(Mat::from_rows(&[[0.0, 3.0_f64.ln(), 5.0, 5.0]]).view());
    /// let y = tape.categorical_entropy(logits, 2); // of (¼, ¾) and (½, ½)
    /// assert!((tape.scalar(y) - (3.0 * 2.0_f64.ln() - 0.75 * 3.0_f64.ln())).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the number of columns is not a multiple of `group`.
    #[track_caller]
    pub fn categorical_entropy(&mut self, logits: Var, group: usize) -> Var {
        let cols = self.check_categorical("categorical_entropy", logits, group);
        self.rows(Op::CategoricalEntropy(logits, group), &[logits], |v, out, scratch| {
            categorical::entropy(v[0], cols, group, out, scratch);
        })
    }

    /// Log-probability of each row's one-hot sample under softmax(logits): Σ_l Σ_c D ln π. Shapes:
    /// logits and sample `[N, L·group]` → `[N, 1]`.
    ///
    /// The gradient with respect to the logits is D − π, and with respect to the sample ln π. If
    /// the sample is a node of an estimator, its gradient flows on to the logits. For the score
    /// function alone, pass the sample [`detach`](Self::detach)ed. A sample that selects a masked
    /// category has log-probability −∞ and a gradient of NaN.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let logits = Mat::from_rows(&[[0.0, 3.0_f64.ln(), f64::NEG_INFINITY, 1.0]]);
    /// let logits = tape.constant(logits.view());
    /// let sample = tape.constant(Mat::from_rows(&[[1.0, 0.0, 0.0, 1.0]]).view());
    /// let y = tape.categorical_log_prob(logits, sample, 2); // ln ¼ + ln 1
    /// assert!((tape.scalar(y) - 0.25_f64.ln()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ, or the number of columns is not a multiple of `group`.
    #[track_caller]
    pub fn categorical_log_prob(&mut self, logits: Var, sample: Var, group: usize) -> Var {
        self.check_same("categorical_log_prob", logits, sample);
        let cols = self.check_categorical("categorical_log_prob", logits, group);
        self.rows(Op::CategoricalLogProb { logits, sample, group }, &[logits, sample], |v, out, scratch| {
            categorical::log_prob(v[0], v[1], cols, group, out, scratch);
        })
    }

    /// Log-probabilities of softmax(logits) mixed with the uniform distribution: ln((1 − ε)
    /// softmax + ε/C). The result can serve as logits of a sample or a divergence. See
    /// [`categorical::unimix`](crate::categorical::unimix). The shape, `[N, L·group]`, does not
    /// change.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let logits = tape.constant(Mat::from_rows(&[[0.0, -1e9]]).view());
    /// let y = tape.unimix(logits, 0.01, 2);
    /// assert!((tape.value(y).data[1] - 0.005_f64.ln()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If ε is not in [0, 1], or the number of columns is not a multiple of `group`.
    #[track_caller]
    pub fn unimix(&mut self, logits: Var, epsilon: f64, group: usize) -> Var {
        check_epsilon(epsilon);
        let cols = self.check_categorical("unimix", logits, group);
        let (op, shape) = (Op::Unimix { x: logits, epsilon, group }, self.shape(logits));
        self.push(op, shape, self.any(&[logits]), |v, out, scratch| {
            unimix::unimix(epsilon, v.get(logits).data, cols, group, out, scratch);
        })
    }

    /// max(x, bound), elementwise; NaN for a NaN. No gradient flows where x < bound.
    ///
    /// Example: the log-probability of a masked category is −∞, and its product with the 0 of a
    /// one-hot code would be NaN. A finite bound makes the product 0:
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace};
    /// # let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// # let mut tape = workspace.tape(&params);
    /// let log_pi = tape.constant(&Mat::from_rows(&[[f64::NEG_INFINITY, -0.5]]));
    /// let log_pi = tape.at_least(log_pi, -1e30);
    /// let code = tape.constant(&Mat::from_rows(&[[0.0, 1.0]]));
    /// let log_q = tape.mul(code, log_pi);
    /// let log_q = tape.sum(log_q);
    /// assert_eq!(tape.scalar(log_q), -0.5); // without the bound: NaN
    /// ```
    #[track_caller]
    pub fn at_least(&mut self, x: Var, bound: T) -> Var {
        let shape = self.shape(x);
        self.push(Op::AtLeast(x, bound), shape, self.any(&[x]), |v, out, _| {
            elementwise::at_least(bound, v.get(x).data, out);
        })
    }

    /// Checks the groups, reserves the scratch memory of the kernels, and returns the number of
    /// columns.
    #[track_caller]
    fn check_categorical(&mut self, name: &str, x: Var, group: usize) -> usize {
        self.check_group(name, x, group);
        let (rows, cols) = self.shape(x);
        self.workspace.need_scratch(categorical::scratch_len(rows, cols, group));
        cols
    }

    /// Records an operation that computes one number per row of its inputs, `[N, 1]`.
    #[track_caller]
    fn rows<const K: usize>(
        &mut self,
        op: Op<T>,
        inputs: &[Var; K],
        f: impl FnOnce([&[T]; K], &mut [T], &mut [T]),
    ) -> Var {
        let rows = self.shape(inputs[0]).0;
        self.push(op, (rows, 1), self.any(inputs), |v, out, scratch| {
            f(inputs.map(|input| v.get(input).data), out, scratch);
        })
    }
}
