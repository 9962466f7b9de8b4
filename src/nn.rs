//! Layers ([`Linear`] and [`Mlp`], with PyTorch's default initialisation) and [`Activation`]s.

pub use crate::kernels::activation::Activation;

use crate::mat::Mat;
use crate::params::{ParamId, ParamStore};
use crate::rng::uniform;
use crate::scalar::Scalar;
use crate::tape::{Tape, Var};

/// A fully connected layer, x · weight + bias. Shapes: x `[N, K]`, weight `[K, M]`, bias `[1, M]` →
/// `[N, M]`.
///
/// The weight is the transpose of PyTorch's `nn.Linear.weight`: it has one row per input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// `[K, M]`
    pub weight: ParamId,
    /// `[1, M]`
    pub bias: ParamId,
}

impl Linear {
    /// Adds `{name}.weight` and `{name}.bias` to `params`, each element uniform in (−1/√K, 1/√K),
    /// the default of PyTorch's `nn.Linear`.
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

    /// x · weight + bias. Shape: `[N, K]` → `[N, M]`.
    ///
    /// # Panics
    /// If the number of columns of x differs from the number of inputs of the layer.
    #[track_caller]
    pub fn forward<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var) -> Var {
        self.forward_with(tape, x, Activation::Identity)
    }

    /// activation(x · weight + bias), in one node of the tape. Shape: `[N, K] → [N, M]`.
    ///
    /// ```
    /// use hardgrad::{Mat, ParamStore, Workspace, nn::{Activation, Linear}, rng};
    /// let mut params = ParamStore::<f64>::new();
    /// let layer = Linear::new(&mut params, "layer", 1, 2, &mut rng::from_key(0));
    /// params.flat_mut().copy_from_slice(&[3.0, -3.0, 0.5, 0.5]); // weight, bias
    /// let mut workspace = Workspace::new();
    /// let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[2.0]]).view());
    /// let y = layer.forward(&mut tape, x);
    /// assert_eq!(tape.value(y).data, [6.5, -5.5]);
    /// let y = layer.forward_with(&mut tape, x, Activation::Relu);
    /// assert_eq!(tape.value(y).data, [6.5, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the number of columns of x differs from the number of inputs of the layer, or the
    /// activation's slope is outside its range.
    #[track_caller]
    pub fn forward_with<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, activation: Activation) -> Var {
        let (weight, bias) = (tape.param(self.weight), tape.param(self.bias));
        tape.linear(x, weight, bias, activation)
    }
}

/// Linear layers with an activation after each layer except the last. The default activation is
/// ReLU.
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
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    layers: Vec<Linear>,
    activation: Activation,
}

impl Mlp {
    /// Creates the layers, with `sizes[0]` inputs and `sizes[1..]` outputs, named `{name}.0`,
    /// `{name}.1`, …
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
        Self { layers: sizes.windows(2).enumerate().map(layer).collect(), activation: Activation::Relu }
    }

    /// The layers of `self` with another activation between them.
    ///
    /// ```
    /// use hardgrad::{Mat, ParamStore, Workspace, nn::{Activation, Mlp}, rng};
    /// let mut params = ParamStore::<f64>::new();
    /// let mlp = Mlp::new(&mut params, "net", &[1, 1, 1], &mut rng::from_key(0))
    ///     .with_activation(Activation::leaky_relu(0.25)?);
    /// params.flat_mut().copy_from_slice(&[1.0, -2.0, 3.0, 0.5]); // weight, bias, twice
    /// let mut workspace = Workspace::new();
    /// let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_rows(&[[1.0], [-6.0]]).view());
    /// let y = mlp.forward(&mut tape, x); // hidden: −1 and −8, times ¼
    /// assert_eq!(tape.value(y).data, [3.0 * -0.25 + 0.5, 3.0 * -2.0 + 0.5]);
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the activation's slope is outside its range; see [`Activation::validated`].
    #[must_use]
    #[track_caller]
    pub fn with_activation(self, activation: Activation) -> Self {
        activation.assert_valid("Mlp::with_activation");
        Self { activation, ..self }
    }

    /// The activation between the layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The layers, in order from the input.
    pub fn layers(&self) -> &[Linear] {
        &self.layers
    }

    /// Applies all layers. Shape: `[N, first size] → [N, last size]`.
    #[track_caller]
    pub fn forward<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var) -> Var {
        let (last, hidden) = self.layers.split_last().expect("new makes at least one layer");
        let x = hidden.iter().fold(x, |x, layer| layer.forward_with(tape, x, self.activation));
        last.forward(tape, x)
    }
}
