//! Functions of categorical distributions that are given by logits.
//!
//! For all of them a logit of −∞ is a category that cannot be chosen; see [`crate::categorical`].

use super::op::Op;
use super::{Tape, Var};
use crate::kernels::unimix::check_epsilon;
use crate::kernels::{categorical, softmax, unimix};
use crate::scalar::Scalar;

impl<T: Scalar> Tape<'_, T> {
    /// KL divergence from the categorical distributions softmax(logits) to the uniform one over
    /// C = `group` categories, of each row, in nats: Σ_l Σ_c π ln π + L ln C. Shapes: logits
    /// `[N, L·group]` → `[N, 1]`.
    ///
    /// The prior is uniform over all C categories also where some are masked: with all but one
    /// masked the divergence is ln C. For one that is uniform over the others take
    /// [`categorical_kl_to`](Self::categorical_kl_to) with the same mask.
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
    /// If the rows do not divide into groups of `group`.
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
    /// p may be a constant or computed: a learned prior, or the other side of a balanced divergence
    /// (with [`detach`](Self::detach) on one of them). One prior for all rows, `[1, L·group]`, goes
    /// through [`repeat_rows`](Self::repeat_rows). A category that q cannot choose adds 0; where q
    /// can choose one that p cannot, the divergence is +∞ and its gradient NaN.
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
    /// If the shapes differ, or the rows do not divide into groups of `group`.
    #[track_caller]
    pub fn categorical_kl_to(&mut self, q: Var, p: Var, group: usize) -> Var {
        self.check_same("categorical_kl_to", q, p);
        let cols = self.check_categorical("categorical_kl_to", q, group);
        self.rows(Op::CategoricalKlTo { q, p, group }, &[q, p], |v, out, scratch| {
            categorical::kl(v[0], v[1], cols, group, out, scratch);
        })
    }

    /// Entropy of softmax(logits) of each row, in nats: −Σ_l Σ_c π ln π. Shapes: logits
    /// `[N, L·group]` → `[N, 1]`.
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
    /// If the rows do not divide into groups of `group`.
    #[track_caller]
    pub fn categorical_entropy(&mut self, logits: Var, group: usize) -> Var {
        let cols = self.check_categorical("categorical_entropy", logits, group);
        self.rows(Op::CategoricalEntropy(logits, group), &[logits], |v, out, scratch| {
            categorical::entropy(v[0], cols, group, out, scratch);
        })
    }

    /// Log-probability of a one-hot sample under softmax(logits), of each row: Σ_l Σ_c D ln π.
    /// Shapes: logits and sample `[N, L·group]` → `[N, 1]`.
    ///
    /// Gradients: D − π to the logits, and ln π to the sample, which reaches the logits once more
    /// through its estimator; give it [`detach`](Self::detach)ed for the score function alone. A
    /// sample that holds a masked category has log-probability −∞ and a gradient of NaN.
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
    /// If the shapes differ, or the rows do not divide into groups of `group`.
    #[track_caller]
    pub fn categorical_log_prob(&mut self, logits: Var, sample: Var, group: usize) -> Var {
        self.check_same("categorical_log_prob", logits, sample);
        let cols = self.check_categorical("categorical_log_prob", logits, group);
        self.rows(Op::CategoricalLogProb { logits, sample, group }, &[logits, sample], |v, out, scratch| {
            categorical::log_prob(v[0], v[1], cols, group, out, scratch);
        })
    }

    /// Log-probabilities of softmax(logits) mixed with the uniform distribution, ln( (1 − ε)
    /// softmax + ε/C ): logits that can feed a sample or a divergence. See
    /// [`categorical::unimix`](crate::categorical::unimix). Shape: `[N, L·group]`, kept.
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
    /// If ε is not in [0, 1], or the rows do not divide into groups of `group`.
    #[track_caller]
    pub fn unimix(&mut self, logits: Var, epsilon: f64, group: usize) -> Var {
        check_epsilon(epsilon);
        let cols = self.check_categorical("unimix", logits, group);
        let (op, shape) = (Op::Unimix { x: logits, epsilon, group }, self.shape(logits));
        self.push(op, shape, self.any(&[logits]), |v, out, scratch| {
            unimix::unimix(epsilon, v.get(logits).data, cols, group, out, scratch);
        })
    }

    /// Checks the groups, makes room for the kernels' scratch numbers, and gives the number of
    /// columns.
    #[track_caller]
    fn check_categorical(&mut self, name: &str, x: Var, group: usize) -> usize {
        self.check_group(name, x, group);
        let (rows, cols) = self.shape(x);
        self.workspace.need_scratch(categorical::scratch_len(rows, cols, group));
        cols
    }

    /// Records an operation with one number per row of its inputs, `[N, 1]`.
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
