//! Layers: [`Linear`] and [`Mlp`], with PyTorch's default initialisation.

use crate::mat::Mat;
use crate::params::{ParamId, ParamStore};
use crate::rng::uniform;
use crate::scalar::Scalar;
use crate::tape::{Tape, Var};

/// A fully connected layer, x · weight + bias. Shapes: x `[N, K]`, weight `[K, M]`, bias `[1, M]` → `[N, M]`.
///
/// The weight is the transpose of PyTorch's `nn.Linear.weight`: a row for each input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// `[K, M]`
    pub weight: ParamId,
    /// `[1, M]`
    pub bias: ParamId,
}

impl Linear {
    /// Adds `{name}.weight` and `{name}.bias` to `params`, each number uniform in (−1/√K, 1/√K), as PyTorch's `nn.Linear`
    /// has it by default.
    pub fn new<T: Scalar>(
        params: &mut ParamStore<T>,
        name: &str,
        inputs: usize,
        outputs: usize,
        rng: &mut impl rand::Rng,
    ) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let mut draw = |rows, cols| {
            let mut m = Mat::zeros(rows, cols);
            for w in m.as_mut_slice() {
                *w = T::of(bound * (2.0 * uniform::<f64>(rng) - 1.0));
            }
            m
        };
        let (weight, bias) = (draw(inputs, outputs), draw(1, outputs));
        Self {
            weight: params.add(format!("{name}.weight"), weight),
            bias: params.add(format!("{name}.bias"), bias),
        }
    }

    /// x · weight + bias, and max(·, 0) of that where `relu`.
    #[track_caller]
    pub fn forward<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, relu: bool) -> Var {
        let (weight, bias) = (tape.param(self.weight), tape.param(self.bias));
        tape.linear(x, weight, bias, relu)
    }
}

/// Linear layers with ReLU between them and nothing after the last.
///
/// ```
/// use hardgrad::{Mat, ParamStore, Workspace, nn::Mlp, rng};
/// let mut params = ParamStore::<f32>::new();
/// let mlp = Mlp::new(&mut params, "net", &[4, 8, 2], &mut rng::from_key(0));
/// assert_eq!(params.flat().len(), 4 * 8 + 8 + 8 * 2 + 2);
/// let mut workspace = Workspace::new();
/// let mut tape = workspace.tape(&params);
/// let x = tape.constant(Mat::zeros(3, 4).view());
/// let y = mlp.forward(&mut tape, x);
/// assert_eq!(tape.shape(y), (3, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Layers from `sizes[0]` inputs through `sizes[1..]`, named `{name}.0`, `{name}.1`, …
    ///
    /// # Panics
    /// If there are fewer than two sizes.
    #[track_caller]
    pub fn new<T: Scalar>(
        params: &mut ParamStore<T>,
        name: &str,
        sizes: &[usize],
        rng: &mut impl rand::Rng,
    ) -> Self {
        assert!(sizes.len() >= 2, "Mlp::new: needs at least an input and an output size, got {sizes:?}");
        let layer = |(i, s): (usize, &[usize])| Linear::new(params, &format!("{name}.{i}"), s[0], s[1], rng);
        Self { layers: sizes.windows(2).enumerate().map(layer).collect() }
    }

    /// The layers, from the input on.
    pub fn layers(&self) -> &[Linear] {
        &self.layers
    }

    /// Shape: `[N, first size] → [N, last size]`.
    #[track_caller]
    pub fn forward<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var) -> Var {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(x, |x, (i, layer)| layer.forward(tape, x, i < last))
    }
}
