//! The discrete VAE of section 4 of the paper: an MLP encoder that computes categorical logits, and
//! an MLP decoder of one-hot codes.

mod neighbours;

use crate::codes::{self, MAX_CODES};
use crate::error::{Error, Result};
use crate::kernels::log_sum_exp::LogSumExp;
use crate::mat::Mat;
use crate::nn::{Activation, Mlp};
use crate::params::ParamStore;
use crate::scalar::Scalar;
use crate::tape::{Tape, Var};
use serde::{Deserialize, Serialize};

/// Shape of the latent space, written `CxL`: L variables of C categories each. A code z has C·L
/// numbers.
///
/// ```
/// use hardgrad::vae::LatentShape;
/// let latent: LatentShape = "8x4".parse().unwrap();
/// assert_eq!((latent.categories, latent.variables, latent.width()), (8, 4, 32));
/// assert!("8x".parse::<LatentShape>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LatentShape {
    /// Number of categories C, at least 1.
    pub categories: usize,
    /// Number of variables L, at least 1.
    pub variables: usize,
}

impl LatentShape {
    /// The largest valid C·L: far above any practical size, and small enough that no size
    /// overflows.
    const LARGEST: usize = 1 << 20;

    /// The number of codes, Cᴸ, if it is small enough for enumeration.
    ///
    /// ```
    /// use hardgrad::vae::LatentShape;
    /// assert_eq!("8x4".parse::<LatentShape>()?.codes()?, 4096);
    /// assert!("64x8".parse::<LatentShape>()?.codes().is_err());
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there are more than [`MAX_CODES`].
    pub fn codes(self) -> Result<usize> {
        codes::count(self.categories, self.variables).ok_or_else(|| {
            let expected = format!("at most {MAX_CODES} codes, C^L, to enumerate (8x4 has 4096)");
            Error::argument("latent", self, expected)
        })
    }

    /// All codes as one-hot rows, `[Cᴸ, L·C]`. The first variable varies fastest, as in
    /// [`exact::Codes`](crate::exact::Codes).
    ///
    /// ```
    /// use hardgrad::vae::LatentShape;
    /// let codes = "2x2".parse::<LatentShape>()?.one_hot_codes::<f32>()?;
    /// assert_eq!((codes.rows(), codes.row(1)), (4, &[0.0, 1.0, 1.0, 0.0][..]));
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`codes`](Self::codes).
    pub fn one_hot_codes<T: Scalar>(self) -> Result<Mat<T>> {
        Ok(self.codes_from(0, self.codes()?))
    }

    /// `count` rows of [`one_hot_codes`](Self::one_hot_codes), starting at row `first`.
    fn codes_from<T: Scalar>(self, first: usize, count: usize) -> Mat<T> {
        let mut rows = Mat::zeros(count, self.width());
        for (i, row) in rows.as_mut_slice().chunks_mut(self.width()).enumerate() {
            let hot = codes::categories_of(first + i, self.categories);
            row.chunks_mut(self.categories).zip(hot).for_each(|(variable, hot)| variable[hot] = T::ONE);
        }
        rows
    }

    /// Length of a code, C·L.
    pub fn width(self) -> usize {
        self.categories * self.variables
    }

    /// Log-probability of a code under the uniform prior, −L ln C.
    pub(crate) fn log_prior(self) -> f64 {
        -(self.variables as f64) * (self.categories as f64).ln()
    }
}

impl Default for LatentShape {
    /// The smallest latent space of the paper, 8×4.
    fn default() -> Self {
        Self { categories: 8, variables: 4 }
    }
}

impl std::fmt::Display for LatentShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.categories, self.variables)
    }
}

impl std::str::FromStr for LatentShape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (c, l) = text.split_once('x')?;
            let (categories, variables) = (c.parse().ok()?, l.parse().ok()?);
            let width = usize::checked_mul(categories, variables)?;
            (1..=Self::LARGEST).contains(&width).then_some(Self { categories, variables })
        };
        parse().ok_or_else(|| {
            Error::argument(
                "latent",
                text,
                format!("CxL, categories x variables, such as 8x4, with 1 <= C*L <= {}", Self::LARGEST),
            )
        })
    }
}

impl From<LatentShape> for String {
    fn from(latent: LatentShape) -> Self {
        latent.to_string()
    }
}

impl TryFrom<String> for LatentShape {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// Layers of the VAE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaeConfig {
    /// Number of pixels per image.
    pub pixels: usize,
    /// Hidden layer sizes of the encoder. The decoder has these sizes in reverse order.
    pub hidden: Vec<usize>,
    /// The latent space.
    pub latent: LatentShape,
    /// Activation between the layers of the encoder and of the decoder. ReLU is the paper's, and is
    /// not written, so that files from before this option stay valid.
    #[serde(skip_serializing_if = "is_relu")]
    pub activation: Activation,
}

fn is_relu(activation: &Activation) -> bool {
    *activation == Activation::Relu
}

impl Default for VaeConfig {
    /// The paper's network with 8×4 latents.
    fn default() -> Self {
        Self::paper(LatentShape::default())
    }
}

impl VaeConfig {
    /// The paper's network, 784–512–256–(C·L)–256–512–784 with ReLU, for images of 28×28 pixels.
    pub fn paper(latent: LatentShape) -> Self {
        Self { pixels: 784, hidden: vec![512, 256], latent, activation: Activation::Relu }
    }

    /// Number of scalar parameters of the network; `None` if it does not fit into a `usize`.
    ///
    /// ```
    /// use hardgrad::vae::{LatentShape, VaeConfig};
    /// let config = VaeConfig::paper(LatentShape { categories: 8, variables: 4 });
    /// // The encoder has 541,472 parameters, the decoder 542,224.
    /// assert_eq!(config.parameters(), Some(1_083_696));
    /// ```
    pub fn parameters(&self) -> Option<usize> {
        let sizes = self.layer_sizes();
        sizes.windows(2).try_fold(0_usize, |sum, pair| {
            // Each pair of sizes has weights in the encoder and in the decoder; each layer has one
            // bias per output.
            let weights = pair[0].checked_mul(pair[1])?.checked_mul(2)?;
            sum.checked_add(weights)?.checked_add(pair[0])?.checked_add(pair[1])
        })
    }

    /// The layer sizes from pixels to codes.
    fn layer_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![self.pixels];
        sizes.extend(&self.hidden);
        sizes.push(self.latent.width());
        sizes
    }
}

/// Replaces the logarithm of a probability of 0 in sums of up to a million terms: it is finite in
/// `f32`, and its exponential is 0.
pub(crate) const LOG_OF_ZERO: f64 = -1e30;

/// The encoder and the decoder.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace, rng};
/// use hardgrad::estimators::{Choice, StraightThrough};
/// use hardgrad::vae::{Vae, VaeConfig};
///
/// let mut params = ParamStore::<f64>::new();
/// let latent = "3x2".parse().unwrap();
/// let config = VaeConfig { pixels: 6, hidden: vec![5], ..VaeConfig::paper(latent) };
/// let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
/// let estimator = StraightThrough::new(1.0).unwrap();
/// let mut choice = Choice::new(estimator, config.latent.categories);
/// choice.draw(&mut rng::from_key(1), 4 * config.latent.variables);
///
/// let mut workspace = Workspace::new();
/// let mut tape = workspace.tape(&params);
/// let x = tape.constant(Mat::zeros(4, 6).view());
/// let logits = vae.encode(&mut tape, x);
/// let z = tape.sample(&choice, logits);
/// let loss = vae.loss(&mut tape, x, logits, z);
/// let mut grads = ParamGrads::zeros(&params);
/// tape.backward(loss.total, &mut grads);
/// // An untrained decoder gives each pixel a probability near ½: about ln 2 nats each.
/// assert!((tape.scalar(loss.total) / 6.0 - 2.0_f64.ln()).abs() < 0.2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Vae {
    encoder: Mlp,
    decoder: Mlp,
    latent: LatentShape,
}

/// The negative evidence lower bound and its parts, in nats.
#[derive(Clone, Copy, Debug)]
pub struct LossVars {
    /// Binary cross-entropy summed over the pixels, `[N, 1]`.
    pub bce: Var,
    /// KL divergence of q(z|x) to the uniform prior, `[N, 1]`.
    pub kl: Var,
    /// Mean of bce + kl over the batch, `[1, 1]`.
    pub total: Var,
}

impl Vae {
    /// Adds the parameters `encoder.*` and `decoder.*`, with PyTorch's default initialisation.
    ///
    /// # Panics
    /// If the activation's slope is outside its range; see [`Activation::validated`].
    pub fn new<T: Scalar>(params: &mut ParamStore<T>, config: &VaeConfig, rng: &mut impl rand::Rng) -> Self {
        let mut sizes = config.layer_sizes();
        let encoder = Mlp::new(params, "encoder", &sizes, rng).with_activation(config.activation);
        sizes.reverse();
        let decoder = Mlp::new(params, "decoder", &sizes, rng).with_activation(config.activation);
        Self { encoder, decoder, latent: config.latent }
    }

    /// The latent space.
    pub fn latent(&self) -> LatentShape {
        self.latent
    }

    /// Logits θ of q(z|x). Shapes: x `[N, pixels]` in [0, 1] → `[N, L·C]`.
    pub fn encode<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var) -> Var {
        self.encoder.forward(tape, x)
    }

    /// Logits of the pixels. Shapes: z `[N, L·C]` → `[N, pixels]`.
    pub fn decode<T: Scalar>(&self, tape: &mut Tape<'_, T>, z: Var) -> Var {
        self.decoder.forward(tape, z)
    }

    /// The loss for the code z: −log p(x|z) + KL(q(z|x) ‖ uniform). Shapes: x `[N, pixels]`, logits
    /// and z `[N, L·C]`.
    ///
    /// Pixels are grey levels in [0, 1] and are not binarised. The KL divergence is exact:
    /// published code adds 1e-10 inside a logarithm, whereas this function uses the log-softmax.
    /// The losses differ by less than C·L·1e-10.
    pub fn loss<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, logits: Var, z: Var) -> LossVars {
        let bce = self.bce(tape, x, z);
        self.total(tape, bce, logits)
    }

    /// Cross-entropy −log p(x|z) of each image, `[N, 1]`, in nats.
    pub fn bce<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, z: Var) -> Var {
        let pixels = self.decode(tape, z);
        tape.bce_with_logits(pixels, x)
    }

    /// Log-weight of each code for the importance-weighted bound, log p(x|z) + log p(z) − log
    /// q(z|x), `[N, 1]` in nats, computed from `bce`, which is −log p(x|z) of each code. The
    /// gradient of log q(z|x) flows to the logits, and to z if z has a gradient. Shapes: bce
    /// `[N, 1]`, logits and z `[N, L·C]`.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace, rng, vae::{Vae, VaeConfig}};
    /// # let mut params = ParamStore::<f64>::new();
    /// # let config = VaeConfig { pixels: 6, hidden: vec![5], ..VaeConfig::paper("3x2".parse()?) };
    /// # let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    /// # let mut workspace = Workspace::new();
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(Mat::from_fn(1, 6, |_, j| (j % 2) as f64).view());
    /// let z = tape.constant(&Mat::from_rows(&[[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]]));
    /// let logits = tape.constant(Mat::zeros(1, 6).view()); // q is the prior
    /// let bce = vae.bce(&mut tape, x, z);
    /// let weight = vae.log_weight(&mut tape, bce, logits, z);
    /// assert!((tape.scalar(weight) + tape.scalar(bce)).abs() < 1e-14);
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    pub fn log_weight<T: Scalar>(&self, tape: &mut Tape<'_, T>, bce: Var, logits: Var, z: Var) -> Var {
        let log_q = tape.categorical_log_prob(logits, z, self.latent.categories);
        let cost = tape.add(bce, log_q);
        tape.affine(cost, -T::ONE, T::of(self.latent.log_prior()))
    }

    /// The loss, computed from the cross-entropy of each image. Shapes: bce `[N, 1]`, logits
    /// `[N, L·C]`.
    pub fn total<T: Scalar>(&self, tape: &mut Tape<'_, T>, bce: Var, logits: Var) -> LossVars {
        let kl = tape.categorical_kl(logits, self.latent.categories);
        let each = tape.add(bce, kl);
        LossVars { bce, kl, total: tape.mean(each) }
    }

    /// Cross-entropy −log p(x|z) of each image for *every* code, `[N, Cᴸ]`, in nats. The codes have
    /// the order of [`LatentShape::one_hot_codes`].
    ///
    /// The decoder runs once per code, not once per image: with pixel logits l the cross-entropy is
    /// Σ softplus(l) − x·l, the sum of a vector and a matrix product.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace, rng, vae::{Vae, VaeConfig}};
    /// # let mut params = ParamStore::<f64>::new();
    /// # let config = VaeConfig { pixels: 6, hidden: vec![5], ..VaeConfig::paper("3x2".parse()?) };
    /// # let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    /// # let mut workspace = Workspace::new();
    /// # let mut tape = workspace.tape(&params);
    /// # let x = tape.constant(Mat::from_fn(4, 6, |i, j| ((i + j) % 2) as f64).view());
    /// let bce = vae.bce_of_every_code(&mut tape, x); // 4 images, 3² codes
    /// assert_eq!(tape.shape(bce), (4, 9));
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there are too many codes; see [`LatentShape::codes`].
    pub fn bce_of_every_code<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var) -> Var {
        let codes = self.every_code(tape);
        self.bce_of_codes(tape, x, codes)
    }

    /// All codes as a constant, `[Cᴸ, L·C]`.
    fn every_code<T: Scalar>(&self, tape: &mut Tape<'_, T>) -> Var {
        let codes = self.latent.one_hot_codes().expect("the caller checked the number of codes");
        tape.constant(codes.view())
    }

    fn bce_of_codes<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, codes: Var) -> Var {
        let (pixels, softplus) = self.decode_codes(tape, codes);
        bce_of_decoded(tape, x, pixels, softplus)
    }

    /// Pixel logits l of the codes, `[K, pixels]`, and Σ softplus(l) for each code, `[1, K]`.
    fn decode_codes<T: Scalar>(&self, tape: &mut Tape<'_, T>, codes: Var) -> (Var, Var) {
        let pixels = self.decode(tape, codes);
        let (count, width) = tape.shape(pixels);
        let zeros = tape.constant_with(count, width, |t| t.fill(T::ZERO));
        let softplus = tape.bce_with_logits(pixels, zeros); // with targets 0 this is Σ softplus(l)
        (pixels, tape.reshape(softplus, 1, count))
    }

    /// Decodes `count` codes, starting at number `first` in the order of
    /// [`LatentShape::one_hot_codes`]. The result can be used on the tapes of many batches.
    pub(crate) fn decoded_codes<T: Scalar>(
        &self,
        mut tape: Tape<'_, T>,
        first: usize,
        count: usize,
    ) -> DecodedCodes<T> {
        let codes = tape.constant(self.latent.codes_from(first, count).view());
        let (pixels, softplus) = self.decode_codes(&mut tape, codes);
        DecodedCodes { pixels: tape.value(pixels).to_mat(), softplus: tape.value(softplus).to_mat() }
    }

    /// Exact expectation of −log p(x|D) over D ~ q(z|x), `[N, 1]`: eq. 1 by enumeration. Its
    /// gradient is eq. 2.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace, rng, vae::{Vae, VaeConfig}};
    /// # let mut params = ParamStore::<f64>::new();
    /// # let config = VaeConfig { pixels: 6, hidden: vec![5], ..VaeConfig::paper("3x2".parse()?) };
    /// # let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    /// # let mut workspace = Workspace::new();
    /// # let mut tape = workspace.tape(&params);
    /// # let x = tape.constant(Mat::from_fn(4, 6, |i, j| ((i + j) % 2) as f64).view());
    /// let logits = tape.constant(Mat::zeros(4, 6).view()); // all codes are equally probable
    /// let every = vae.bce_of_every_code(&mut tape, x);
    /// let mean = tape.value(every).row(2).iter().sum::<f64>() / 9.0;
    /// let expected = vae.expected_bce(&mut tape, x, logits);
    /// assert!((tape.value(expected).data[2] - mean).abs() < 1e-12);
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there are too many codes; see [`LatentShape::codes`].
    pub fn expected_bce<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, logits: Var) -> Var {
        let codes = self.every_code(tape);
        let bce = self.bce_of_codes(tape, x, codes);
        let log_pi = tape.log_softmax(logits, self.latent.categories);
        // The −∞ of a masked category times 0 would be NaN.
        let log_pi = tape.at_least(log_pi, T::of(LOG_OF_ZERO));
        let log_q = tape.matmul_transposed(log_pi, codes); // log q of each code: the sum over its variables
        let q = tape.exp(log_q);
        let weighted = tape.mul(q, bce);
        tape.row_sum(weighted)
    }

    /// Exact log-likelihood of each image in nats: log p(x) = log Σ_z p(x|z) C^−L.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace, rng, vae::{Vae, VaeConfig}};
    /// # let mut params = ParamStore::<f64>::new();
    /// # let config = VaeConfig { pixels: 6, hidden: vec![5], ..VaeConfig::paper("3x2".parse()?) };
    /// # let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    /// # let mut workspace = Workspace::new();
    /// # let mut tape = workspace.tape(&params);
    /// # let x = tape.constant(Mat::from_fn(4, 6, |i, j| ((i + j) % 2) as f64).view());
    /// let exact = vae.exact_log_likelihood(&mut tape, x);
    /// let logits = tape.constant(Mat::zeros(4, 6).view()); // q = the prior: KL 0
    /// let bce = vae.expected_bce(&mut tape, x, logits);
    /// // The loss is an upper bound of −log p(x).
    /// assert!(exact[0] >= -tape.value(bce).data[0]);
    /// // An untrained decoder has a loss of about ln 2 nats per pixel.
    /// assert!((exact[0] / 6.0 + 2.0_f64.ln()).abs() < 0.2);
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there are too many codes; see [`LatentShape::codes`].
    pub fn exact_log_likelihood<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var) -> Vec<f64> {
        let bce = self.bce_of_every_code(tape, x);
        let bce = tape.value(bce);
        let of_row = |i: usize| {
            let mut sum = LogSumExp::default();
            sum.add(bce.row(i).iter().map(|&b| -b.to_f64()));
            sum.value() + self.latent.log_prior()
        };
        (0..bce.rows).map(of_row).collect()
    }
}

/// Pixel logits of decoded codes, for use with many batches.
#[derive(Debug)]
pub(crate) struct DecodedCodes<T> {
    pixels: Mat<T>,
    softplus: Mat<T>,
}

impl<T: Scalar> DecodedCodes<T> {
    /// Cross-entropy −log p(x|z) of each image for each of the codes, `[N, K]`, in nats. Shapes: x
    /// `[N, pixels]`.
    pub(crate) fn bce(&self, tape: &mut Tape<'_, T>, x: Var) -> Var {
        let (pixels, softplus) = (tape.constant(self.pixels.view()), tape.constant(self.softplus.view()));
        bce_of_decoded(tape, x, pixels, softplus)
    }
}

/// Σ softplus(l) − x·l for each image and code.
fn bce_of_decoded<T: Scalar>(tape: &mut Tape<'_, T>, x: Var, pixels: Var, softplus: Var) -> Var {
    let inner = tape.matmul_transposed(x, pixels);
    let inner = tape.affine(inner, -T::ONE, T::ZERO);
    tape.add_bias(inner, softplus)
}
