//! Sampling in a model: a type that owns an estimator and its noise, and the node on the tape.

use super::batch::sample_batch;
use super::{At, Estimator, Noise, temperature};
use crate::categorical;
use crate::error::Result;
use crate::mat::MatMut;
use crate::rng::Pcg64;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::sync::Arc;

/// A discrete choice in a model: the estimator of its gradient, the number of categories, and the
/// noise of the current step.
///
/// Draw the noise before each step, then record the sample with [`Tape::sample`]:
///
/// ```
/// use hardgrad::estimators::{Choice, ReinMax};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace, rng};
///
/// let mut params = ParamStore::<f64>::new();
/// let theta = params.add("theta", Mat::from_rows(&[[0.0, 3.0_f64.ln()]])); // π = (¼, ¾)
/// let mut choice = Choice::new(ReinMax::new(1.0)?, 2);
/// let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));
///
/// choice.draw(&mut rng::from_key(1), 1); // the noise of one variable
/// let mut tape = workspace.tape(&params);
/// let logits = tape.param(theta);
/// let d = tape.sample(&choice, logits); // one-hot; its backward is ReinMax
/// assert_eq!(tape.value(d).data, [0.0, 1.0]);
/// let prices = tape.constant(&Mat::from_rows(&[[0.0, 4.0]]));
/// let cost = tape.mul(d, prices);
/// let cost = tape.sum(cost);
/// tape.backward(cost, &mut grads);
/// // 2 · ⅛ · ⅞ · 4 − ½ · ¼ · ¾ · 4
/// assert!((grads.get(theta).data[1] - 0.5).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Choice<T> {
    node: Arc<SampleNode<T>>,
}

impl<T: Scalar> Choice<T> {
    /// Creates a choice among `categories` categories with the gradient of `estimator`.
    pub fn new(estimator: impl Estimator<T> + 'static, categories: usize) -> Self {
        Self::shared(Arc::new(estimator), categories)
    }

    /// Like [`new`](Self::new), for an estimator that is shared or whose type is erased.
    pub fn shared(estimator: Arc<dyn Estimator<T>>, categories: usize) -> Self {
        Self::with(Some(estimator), categories)
    }

    /// Creates a choice without a gradient: the sample is onehot(argmax(θ + G)), and no gradient
    /// flows back through it. It is for evaluation, and for estimators at the loss
    /// ([`Reinforce::loss`](super::Reinforce::loss), [`Rebar::loss`](super::Rebar::loss)), which
    /// compute the gradient of the logits themselves.
    pub fn without_gradient(categories: usize) -> Self {
        Self::with(None, categories)
    }

    fn with(estimator: Option<Arc<dyn Estimator<T>>>, categories: usize) -> Self {
        Self::of(SampleNode { estimator, noise: Noise::new(), categories, draw_tau: 1.0 })
    }

    fn of(node: SampleNode<T>) -> Self {
        Self { node: Arc::new(node) }
    }

    /// Sets a temperature τ_f for drawing, in addition to the temperatures of the estimator:
    /// decoupled temperatures (Shah et al., "Improving Discrete Optimisation Via Decoupled
    /// Straight-Through Gumbel-Softmax", 2024), for every estimator.
    ///
    /// ```text
    /// D = onehot(argmax(θ/τ_f + G)) ~ softmax(θ/τ_f)
    /// ∂f/∂θ ≈ the estimator's formula at θ, with this D and this G
    /// ```
    ///
    /// τ_f > 0; θ the logits passed to [`Tape::sample`]; G the noise. A divergence or
    /// log-probability in the loss must be that of the distribution that is sampled: compute it
    /// from [`draw_logits`](Self::draw_logits), whose gradient is exact. The default is τ_f = 1.
    ///
    /// ```
    /// use hardgrad::estimators::{Choice, Noise, StraightThrough};
    /// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
    /// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// let noise = Noise::from_gumbel(vec![1.0, 0.0]);
    /// let choice = Choice::new(StraightThrough::new(1.0)?, 2);
    /// let choice = choice.with_draw_temperature(2.0)?.with_noise(noise);
    /// let mut tape = workspace.tape(&params);
    /// let logits = tape.leaf(&Mat::from_rows(&[[0.0, 3.0_f64.ln()]])); // π = (¼, ¾)
    /// let d = tape.sample(&choice, logits);
    /// assert_eq!(tape.value(d).data, [1.0, 0.0]); // 0 + 1 > ln(3)/2 + 0, where ln 3 > 1
    /// let prices = tape.constant(&Mat::from_rows(&[[0.0], [4.0]]));
    /// let cost = tape.matmul(d, prices);
    /// tape.backward(cost, &mut ParamGrads::zeros(&params));
    /// assert!((tape.grad(logits).unwrap().data[1] - 0.75).abs() < 1e-15); // 4 · ¼ · ¾, at θ
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30.
    pub fn with_draw_temperature(mut self, tau: f64) -> Result<Self> {
        let tau = temperature(tau)?;
        self.noise_mut();
        Arc::get_mut(&mut self.node).expect("noise_mut leaves one owner").draw_tau = tau;
        Ok(self)
    }

    /// Panics if the choice has a draw temperature, because estimators at the loss do not support
    /// it.
    #[track_caller]
    pub(crate) fn assert_draws_at_logits(&self) {
        let tau = self.node.draw_tau;
        assert!(
            tau == 1.0,
            "an estimator at the loss needs a choice without a draw temperature, got {tau}: pass draw_logits instead"
        );
    }

    /// Records θ/τ_f, the logits of the distribution that is sampled, with their exact gradient; θ
    /// itself if τ_f = 1. The shape, `[N, L·C]`, does not change.
    ///
    /// Pass these logits to estimators at the loss, together with a choice that has no draw
    /// temperature.
    pub fn draw_logits(&self, tape: &mut Tape<'_, T>, logits: Var) -> Var {
        match self.node.draw_tau {
            1.0 => logits,
            tau => tape.affine(logits, T::of(1.0 / tau), T::ZERO),
        }
    }

    /// Draws new noise for `variables` latent variables: the number of rows times the number of
    /// variables per row. Once it has drawn noise for as many variables, it does not allocate,
    /// unless a tape still uses the previous noise.
    pub fn draw(&mut self, rng: &mut Pcg64, variables: usize) {
        let count = variables * self.node.categories;
        self.noise_mut().draw(rng, count);
    }

    /// Replaces the noise.
    #[must_use]
    pub fn with_noise(mut self, noise: Noise<T>) -> Self {
        *self.noise_mut() = noise;
        self
    }

    /// The noise of the current step.
    pub fn noise(&self) -> &Noise<T> {
        &self.node.noise
    }

    /// Number of categories, C.
    pub fn categories(&self) -> usize {
        self.node.categories
    }

    pub(super) fn node(&self) -> &Arc<SampleNode<T>> {
        &self.node
    }

    fn noise_mut(&mut self) -> &mut Noise<T> {
        if Arc::get_mut(&mut self.node).is_none() {
            // A tape still uses the node and keeps the noise with which it was recorded.
            let (estimator, node) = (self.node.estimator.clone(), &self.node);
            let (categories, draw_tau) = (node.categories, node.draw_tau);
            *self = Self::of(SampleNode { estimator, noise: Noise::new(), categories, draw_tau });
        }
        &mut Arc::get_mut(&mut self.node).expect("a new node has one owner").noise
    }
}

impl<T: Scalar> Tape<'_, T> {
    /// Records a sample D of each latent variable, with the gradient of the choice's estimator.
    /// Shapes: logits `[N, L·C]` → one-hot `[N, L·C]`.
    ///
    /// [`Choice`] has an example; [`Estimator`] documents masks and NaN.
    ///
    /// # Panics
    /// If the number of columns is not a multiple of the number of categories, or the number of
    /// logits differs from that for which the choice has drawn noise.
    #[track_caller]
    pub fn sample(&mut self, choice: &Choice<T>, logits: Var) -> Var {
        if choice.node.draw_tau == 1.0 {
            return self.custom_shared(choice.node.clone(), &[logits]);
        }
        let held = self.detach(logits);
        let drawn = choice.draw_logits(self, held);
        self.custom_shared(choice.node.clone(), &[logits, drawn])
    }
}

/// The straight-through node at a sample. Inputs: logits `[N, L·C]`, and, if they differ, the
/// logits of the distribution that is sampled. Value: the sample D. Backward: the estimator's vjp.
#[derive(Debug)]
pub(super) struct SampleNode<T> {
    estimator: Option<Arc<dyn Estimator<T>>>,
    pub(super) noise: Noise<T>,
    pub(super) categories: usize,
    /// τ_f
    draw_tau: f64,
}

impl<T: Scalar> CustomOp<T> for SampleNode<T> {
    fn name(&self) -> &str {
        "sample"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (logits, c) = (inputs.get(0), self.categories);
        let noise = self.noise.gumbel().len();
        assert!(
            c > 0 && logits.cols % c == 0,
            "sample: logits [{}, {}], expected a multiple of {c} columns, the number of categories",
            logits.rows,
            logits.cols
        );
        assert!(
            noise == logits.data.len(),
            "sample: logits [{}, {}] need as many noise numbers, got {noise}: draw the noise of {} variables",
            logits.rows,
            logits.cols,
            logits.data.len() / c
        );
        (logits.rows, logits.cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (logits, c) = (inputs.get(inputs.len() - 1).data, self.categories);
        match &self.estimator {
            Some(estimator) => estimator.sample(logits, &self.noise, c, out.data),
            None => sample_batch(logits, &self.noise, c, out.data, &categorical::sample_row::<T>),
        }
    }

    fn has_gradient(&self) -> bool {
        self.estimator.is_some()
    }

    fn scratch_len(&self, inputs: &Inputs<'_, T>) -> usize {
        let len = inputs.get(0).data.len();
        self.estimator.as_ref().map_or(0, |estimator| estimator.scratch_len(len, self.categories))
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        let (Some(estimator), Some(dlogits)) = (&self.estimator, grads.get(0)) else { return };
        let (logits, one_hot) = (node.inputs.get(0).data, node.output.data);
        let at = At { logits, one_hot, noise: &self.noise, categories: self.categories };
        estimator.add_vjp_with(at, node.g.data, dlogits.data, scratch);
    }
}
