//! The closed set of operations, and one variant for custom operations.

use super::Var;
use crate::kernels::activation::Activation;
use crate::params::ParamId;

/// Declares [`OpKind`] and the list of all its values from one list of names.
macro_rules! op_kinds {
    ($($kind:ident),* $(,)?) => {
        /// The kind of an operation, without its operands. The gradient checks iterate over all
        /// kinds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum OpKind { $($kind),* }

        #[cfg(test)]
        impl OpKind {
            pub(crate) const ALL: &'static [OpKind] = &[$(OpKind::$kind),*];
        }
    };
}

op_kinds!(
    Constant,
    Leaf,
    Param,
    MatMul,
    MatMulTransposed,
    Linear,
    AddBias,
    Add,
    Sub,
    Mul,
    Affine,
    AtLeast,
    Activate,
    Sigmoid,
    Exp,
    Ln,
    Softmax,
    LogSoftmax,
    Sum,
    RowSum,
    BceWithLogits,
    CategoricalKl,
    CategoricalKlTo,
    CategoricalEntropy,
    CategoricalLogProb,
    Unimix,
    Reshape,
    RepeatRows,
    Custom,
);

/// The operation that computed a node, with its operands. The vjp of each operation is in
/// `backward.rs`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op<T> {
    /// A value that needs no gradient.
    Constant,
    /// A value whose gradient the caller can read.
    Leaf,
    /// A parameter. Its value and gradient are stored outside the tape.
    Param(ParamId),
    /// a · b
    MatMul(Var, Var),
    /// a · bᵀ
    MatMulTransposed(Var, Var),
    /// activation(x · weight + bias), where `sparse` is the index of the list of the nonzeros of x,
    /// if one was made
    Linear { x: Var, weight: Var, bias: Var, activation: Activation, sparse: Option<usize> },
    /// x + bias for every row
    AddBias(Var, Var),
    /// a + b
    Add(Var, Var),
    /// a − b
    Sub(Var, Var),
    /// a ⊙ b
    Mul(Var, Var),
    /// alpha · x + offset
    Affine(Var, T),
    /// max(x, bound)
    AtLeast(Var, T),
    /// activation(x)
    Activate(Var, Activation),
    /// 1 / (1 + e⁻ˣ)
    Sigmoid(Var),
    /// eˣ
    Exp(Var),
    /// ln x
    Ln(Var),
    /// softmax by groups
    Softmax(Var, usize),
    /// log-softmax by groups
    LogSoftmax(Var, usize),
    /// Σ of all elements
    Sum(Var),
    /// Σ of each row
    RowSum(Var),
    /// binary cross-entropy of each row
    BceWithLogits { logits: Var, targets: Var },
    /// KL divergence to the uniform prior of each row
    CategoricalKl(Var, usize),
    /// KL divergence from q to p of each row, by groups
    CategoricalKlTo { q: Var, p: Var, group: usize },
    /// entropy of each row, by groups
    CategoricalEntropy(Var, usize),
    /// log-probability of each row's sample, by groups
    CategoricalLogProb { logits: Var, sample: Var, group: usize },
    /// ln((1 − epsilon) softmax + epsilon / C) by groups
    Unimix { x: Var, epsilon: f64, group: usize },
    /// the elements of the input in another shape
    Reshape(Var),
    /// each row repeated
    RepeatRows(Var, usize),
    /// the user's operation `index`, with `count` inputs starting at `first`
    Custom { index: usize, first: usize, count: usize },
}

impl<T> Op<T> {
    #[cfg_attr(not(test), allow(dead_code))] // used by the gradient checks
    pub(crate) fn kind(&self) -> OpKind {
        match self {
            Op::Constant => OpKind::Constant,
            Op::Leaf => OpKind::Leaf,
            Op::Param(_) => OpKind::Param,
            Op::MatMul(..) => OpKind::MatMul,
            Op::MatMulTransposed(..) => OpKind::MatMulTransposed,
            Op::Linear { .. } => OpKind::Linear,
            Op::AddBias(..) => OpKind::AddBias,
            Op::Add(..) => OpKind::Add,
            Op::Sub(..) => OpKind::Sub,
            Op::Mul(..) => OpKind::Mul,
            Op::Affine(..) => OpKind::Affine,
            Op::AtLeast(..) => OpKind::AtLeast,
            Op::Activate(..) => OpKind::Activate,
            Op::Sigmoid(_) => OpKind::Sigmoid,
            Op::Exp(_) => OpKind::Exp,
            Op::Ln(_) => OpKind::Ln,
            Op::Softmax(..) => OpKind::Softmax,
            Op::LogSoftmax(..) => OpKind::LogSoftmax,
            Op::Sum(_) => OpKind::Sum,
            Op::RowSum(_) => OpKind::RowSum,
            Op::BceWithLogits { .. } => OpKind::BceWithLogits,
            Op::CategoricalKl(..) => OpKind::CategoricalKl,
            Op::CategoricalKlTo { .. } => OpKind::CategoricalKlTo,
            Op::CategoricalEntropy(..) => OpKind::CategoricalEntropy,
            Op::CategoricalLogProb { .. } => OpKind::CategoricalLogProb,
            Op::Unimix { .. } => OpKind::Unimix,
            Op::Reshape(_) => OpKind::Reshape,
            Op::RepeatRows(..) => OpKind::RepeatRows,
            Op::Custom { .. } => OpKind::Custom,
        }
    }
}
