//! The measurement at one checkpoint: all estimators use the same images, parameters and samples.
//!
//! The loss is the cross-entropy alone, averaged over the batch, and gradients are with respect to
//! the encoder's logits. A draw is one code for each image. All estimators use the same codes D
//! from the same Gumbel noise, so one decoder pass gives f(D) and g = ∂f/∂D for all of them, and
//! differences between estimators are not differences between samples. REBAR makes two more passes,
//! with relaxed codes.

use hardgrad::estimators::{
    AdaptiveWeight, At, Baseline, BaselineConfig, BuiltEstimator, Choice, EstimatorConfig, Rebar, Reinforce,
    RunningMean, Samples, SamplesEstimator, Scratch, WeightConfig,
};
use hardgrad::rng::{Purpose, Streams};
use hardgrad::stats::{Estimates, RunningMoments, Summary};
use hardgrad::vae::{Vae, VaeConfig};
use hardgrad::{Mat, MatRef, ParamGrads, ParamStore, Result, Scalar, Workspace, rng};
use std::time::Instant;

/// Number of draws per image in one pass through the decoder. The random numbers depend on it.
const TOGETHER: usize = 16;

/// Fixed parameters and a fixed batch, in one precision.
pub struct Point<T> {
    vae: Vae,
    params: ParamStore<T>,
    /// `[batch, pixels]`
    images: Mat<T>,
    /// Logits of the encoder, `[batch, L·C]`.
    logits: Mat<T>,
    categories: usize,
}

impl Point<f64> {
    /// A point with these parameters, in the order of the store.
    pub fn new(config: &VaeConfig, params: &[f32], images: Mat<f64>) -> Self {
        let mut store = ParamStore::new();
        let vae = Vae::new(&mut store, config, &mut rng::from_key(0));
        store.flat_mut().iter_mut().zip(params).for_each(|(to, &from)| *to = f64::from(from));
        let mut workspace = Workspace::new();
        let mut tape = workspace.tape(&store);
        let x = tape.constant(images.view());
        let logits = vae.encode(&mut tape, x);
        let logits = tape.value(logits).to_mat();
        Self { vae, params: store, images, logits, categories: config.latent.categories }
    }

    /// The point in another precision.
    pub fn to<T: Scalar>(&self) -> Point<T> {
        let cast = |m: MatRef<'_, f64>| Mat::from_fn(m.rows, m.cols, |i, j| T::of(m.row(i)[j]));
        Point {
            vae: self.vae.clone(),
            params: self.params.cast(),
            images: cast(self.images.view()),
            logits: cast(self.logits.view()),
            categories: self.categories,
        }
    }
}

impl<T: Scalar> Point<T> {
    /// The exact gradient, eq. 2, by enumeration of all codes: of the mean over the batch, `[batch,
    /// L·C]`.
    pub fn exact(&self) -> Vec<f64> {
        let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&self.params));
        let mut tape = workspace.tape(&self.params);
        let (x, logits) = (tape.constant(self.images.view()), tape.leaf(self.logits.view()));
        let each = self.vae.expected_bce(&mut tape, x, logits);
        let mean = tape.mean(each);
        tape.backward(mean, &mut grads);
        tape.grad_or_zeros(logits).as_slice().iter().map(|g| g.to_f64()).collect()
    }
}

/// The gradient that estimates are compared with, of the mean over the batch, `[batch, L·C]`.
pub struct Reference {
    /// The exact gradient, or a mean of samples.
    pub gradient: Vec<f64>,
    /// Standard error of the mean of the samples: the root of the sum of the squared standard
    /// errors of its entries. `None` for the exact gradient.
    pub standard_error: Option<f64>,
}

impl Reference {
    /// Corrects the statistics of an estimator, `found`, which were computed as if this reference
    /// were exact: removes its noise from the corrected statistics and from its norm.
    pub fn correct(&self, found: Summary) -> Summary {
        let Some(noise) = self.standard_error.map(|se| se * se) else { return found };
        let norm = (found.exact_norm.powi(2) - noise).sqrt();
        let bias = found.bias_norm.powi(2) - found.covariance_trace / found.draws as f64 - noise;
        let finite = |x: f64| x.is_finite().then_some(x);
        Summary {
            cosine_corrected: found.cosine_corrected.and_then(|c| finite(c * found.exact_norm / norm)),
            bias_norm_corrected: finite(bias.sqrt()),
            exact_norm: norm,
            ..found
        }
    }
}

/// Settings of the measurement.
pub struct Settings {
    /// Number of samples per image, a multiple of 64.
    pub samples: usize,
    /// Seed of the samples.
    pub seed: u64,
    /// Epoch of the checkpoint. Each checkpoint has its own samples.
    pub epoch: usize,
}

/// One estimator and its estimates so far.
struct Measured<T> {
    estimator: BuiltEstimator<T>,
    estimates: Estimates,
    seconds: f64,
}

/// Data of one pass that all estimators share: `TOGETHER` draws per image, in consecutive rows.
struct Pass<T> {
    /// Choice with the noise from which D was drawn.
    choice: Choice<T>,
    logits: Mat<T>,
    /// D
    sample: Mat<T>,
    /// f(D) of each row, `[rows, 1]`
    losses: Mat<T>,
    /// ∂f/∂D
    g: Mat<T>,
}

/// The mean of `samples` samples of local expectation, which is unbiased and has little variance.
/// Its noise is independent of that of the estimators. `tick` is called after each pass with the
/// part that is done. Returns `None` if it returns false.
pub fn reference<T: Scalar>(
    point: &Point<T>,
    samples: usize,
    settings: &Settings,
    tick: &mut dyn FnMut(f64) -> bool,
) -> Option<Reference> {
    /// The first step of the noise. The estimators have fewer steps.
    const FIRST_STEP: usize = 1 << 40;

    let mut bench = Bench::new(point, settings);
    let mut moments = RunningMoments::new(point.logits.as_slice().len());
    let passes = samples.div_ceil(TOGETHER);
    for step in 0..passes {
        let pass = bench.pass(FIRST_STEP + step);
        let grad = bench.local_expectation(&pass);
        bench.of_pass(&grad, 1, &mut |estimate| moments.add(1.0, estimate));
        if !tick((step + 1) as f64 / passes as f64) {
            return None;
        }
    }
    let (squares, n) = (moments.squares().iter().sum::<f64>(), moments.weight());
    let standard_error = (squares / (n - 1.0) / n).sqrt();
    Some(Reference { gradient: moments.mean().to_vec(), standard_error: Some(standard_error) })
}

/// Measures these estimators and their wall times. `tick` is called after each pass with the part
/// that is done. Returns `None` if it returns false.
pub fn measure<T: Scalar>(
    point: &Point<T>,
    reference: &Reference,
    configs: &[EstimatorConfig],
    settings: &Settings,
    tick: &mut dyn FnMut(f64) -> bool,
) -> Result<Option<Vec<(Summary, f64)>>> {
    let mut bench = Bench::new(point, settings);
    let mut all = Vec::new();
    for config in configs {
        let (estimator, samples) = (config.build::<T>()?, config.samples());
        if let BuiltEstimator::Vimco(_) = estimator {
            let expected = "an estimator of the evidence lower bound of one sample";
            return Err(hardgrad::Error::argument("estimator", "vimco", expected));
        }
        let estimates = Estimates::new(reference.gradient.len(), settings.samples / samples)?;
        all.push(Measured { estimator, estimates, seconds: 0.0 });
    }
    // Pass 0 only initialises the running mean of the losses, as the earlier steps do in training.
    let warm_up = bench.pass(0);
    bench.remember(&warm_up);
    let passes = settings.samples.div_ceil(TOGETHER);
    for step in 1..=passes {
        let pass = bench.pass(step);
        for measured in &mut all {
            let start = Instant::now();
            bench.estimate(&pass, measured);
            measured.seconds += start.elapsed().as_secs_f64();
        }
        bench.remember(&pass);
        if !tick(step as f64 / passes as f64) {
            return Ok(None);
        }
    }
    let summary = |estimates: Estimates| reference.correct(estimates.summary(&reference.gradient));
    Ok(Some(all.into_iter().map(|m| (summary(m.estimates), m.seconds)).collect()))
}

/// Memory for the passes, and the running mean of the losses.
struct Bench<'a, T> {
    point: &'a Point<T>,
    settings: &'a Settings,
    workspace: Workspace<T>,
    grads: ParamGrads<T>,
    scratch: Scratch<T>,
    mean: RunningMean,
    weight: AdaptiveWeight,
    /// The exact gradient in this precision, once it was computed.
    exact: Option<Vec<f64>>,
}

impl<'a, T: Scalar> Bench<'a, T> {
    fn new(point: &'a Point<T>, settings: &'a Settings) -> Self {
        let grads = ParamGrads::zeros(&point.params);
        let (workspace, scratch, mean) = (Workspace::new(), Scratch::new(), RunningMean::default());
        Self {
            point,
            settings,
            workspace,
            grads,
            scratch,
            mean,
            weight: AdaptiveWeight::default(),
            exact: None,
        }
    }

    /// The decoder pass that all estimators share.
    fn pass(&mut self, step: usize) -> Pass<T> {
        let (point, settings) = (self.point, self.settings);
        let (rows, width) = (point.logits.rows() * TOGETHER, point.logits.cols());
        let mut choice = Choice::without_gradient(point.categories);
        let mut rng = Streams::new(settings.seed).rng(Purpose::Check, settings.epoch as u64, step as u64);
        choice.draw(&mut rng, rows * width / point.categories);
        let mut tape = self.workspace.tape(&point.params);
        let (x, logits) = (tape.constant(point.images.view()), tape.leaf(point.logits.view()));
        let (x, logits) = (tape.repeat_rows(x, TOGETHER), tape.repeat_rows(logits, TOGETHER));
        let drawn = tape.sample(&choice, logits);
        // A new leaf, because a sample without a gradient of its logits has no gradient itself.
        let sample = tape.value(drawn).to_mat();
        let z = tape.leaf(sample.view());
        let losses = point.vae.bce(&mut tape, x, z);
        tape.backward_from(losses, &vec![T::ONE; rows], &mut self.grads);
        let [logits, losses] = [logits, losses].map(|v| tape.value(v).to_mat());
        let g = tape.grad_or_zeros(z);
        Pass { choice, logits, sample, losses, g }
    }

    /// Adds the losses to the running mean, draw by draw.
    fn remember(&mut self, pass: &Pass<T>) {
        for draw in 0..TOGETHER {
            let of_draw = pass.losses.as_slice().iter().skip(draw).step_by(TOGETHER);
            let total: f64 = of_draw.map(|f| f.to_f64()).sum();
            self.mean.add(total / self.point.logits.rows() as f64);
        }
    }

    /// One estimator's estimates on this pass.
    fn estimate(&mut self, pass: &Pass<T>, measured: &mut Measured<T>) {
        let (samples, grad) = match &measured.estimator {
            BuiltEstimator::Sample(estimator) => {
                let (logits, one_hot) = (pass.logits.as_slice(), pass.sample.as_slice());
                let (noise, categories) = (pass.choice.noise(), self.point.categories);
                let mut grad = Mat::zeros(pass.logits.rows(), pass.logits.cols());
                let at = At { logits, one_hot, noise, categories };
                estimator.add_vjp(at, pass.g.as_slice(), grad.as_mut_slice(), &mut self.scratch);
                (1, grad)
            }
            BuiltEstimator::Reinforce(BaselineConfig::LeaveOneOut { samples }) => {
                let baseline = Baseline::LeaveOneOut { samples: *samples };
                (*samples, self.score(pass, Reinforce::new(baseline)))
            }
            BuiltEstimator::Reinforce(baseline) => {
                let b = if *baseline == BaselineConfig::None { 0.0 } else { self.mean.get() };
                (1, self.score(pass, Reinforce::new(Baseline::Constant(b))))
            }
            BuiltEstimator::Rebar(rebar) => (1, self.rebar(pass, rebar)),
            // An adapted weight is computed from the passes so far, and has its initial value
            // before them.
            BuiltEstimator::DoubleControlVariate(estimator, weight) => {
                if *weight == WeightConfig::Adapted {
                    self.weight.add(estimator.take_moments());
                }
                let alpha = match weight {
                    WeightConfig::Fixed(alpha) => *alpha,
                    WeightConfig::Adapted => self.weight.get(),
                };
                let estimator =
                    &estimator.with_alpha(alpha).expect("it has been checked, or is a quotient of moments");
                (estimator.samples(), self.of_samples(pass, estimator))
            }
            BuiltEstimator::LocalExpectation => (1, self.local_expectation(pass)),
            BuiltEstimator::Vimco(_) => return, // `measure` returns an error for it
            BuiltEstimator::Exact => {
                let exact = self.exact.get_or_insert_with(|| self.point.exact());
                (0..TOGETHER).for_each(|_| measured.estimates.add(exact));
                return;
            }
        };
        self.of_pass(&grad, samples, &mut |estimate| measured.estimates.add(estimate));
    }

    /// The estimates of one pass, from the gradient of each row.
    fn of_pass(&self, grad: &Mat<T>, samples: usize, add: &mut dyn FnMut(&[f64])) {
        let batch = self.point.logits.rows();
        let scale = 1.0 / (batch * samples) as f64; // the mean over the batch, and over an estimate's samples
        for first in (0..TOGETHER).step_by(samples) {
            let mut estimate = vec![0.0; batch * grad.cols()];
            for (image, estimate) in estimate.chunks_mut(grad.cols()).enumerate() {
                for draw in first..first + samples {
                    let row = grad.row(image * TOGETHER + draw);
                    estimate.iter_mut().zip(row).for_each(|(to, g)| *to += scale * g.to_f64());
                }
            }
            add(&estimate);
        }
    }

    /// REINFORCE, row by row.
    fn score(&mut self, pass: &Pass<T>, reinforce: Reinforce) -> Mat<T> {
        let mut tape = self.workspace.tape(&self.point.params);
        let logits = tape.leaf(&pass.logits);
        let loss = reinforce.loss(&mut tape, logits, &pass.choice, |tape, _| tape.constant(&pass.losses));
        tape.backward_from(loss, &vec![T::ONE; pass.logits.rows()], &mut self.grads);
        tape.grad_or_zeros(logits)
    }

    /// An estimator of several samples per image. The first row of the samples contains the sum of
    /// the estimate.
    fn of_samples(&mut self, pass: &Pass<T>, estimator: &dyn SamplesEstimator<T>) -> Mat<T> {
        let (n, width, categories) = (estimator.samples(), pass.logits.cols(), self.point.categories);
        let mut grad = Mat::zeros(pass.logits.rows(), width);
        let (mut pi, mut work) = (vec![T::ZERO; width], vec![T::ZERO; estimator.work_len(width)]);
        for first in (0..pass.logits.rows()).step_by(n) {
            for (logits, pi) in pass.logits.row(first).chunks(categories).zip(pi.chunks_mut(categories)) {
                hardgrad::softmax::softmax_row(logits, T::ONE, pi);
            }
            let rows = first * width..(first + n) * width;
            let seen = Samples {
                pi: &pi,
                one_hot: &pass.sample.as_slice()[rows.clone()],
                losses: &pass.losses.as_slice()[first..first + n],
                gradients: &pass.g.as_slice()[rows.clone()],
                categories,
            };
            estimator.add(&seen, &mut grad.as_mut_slice()[rows][..width], &mut work);
        }
        grad
    }

    /// Local expectation, row by row.
    fn local_expectation(&mut self, pass: &Pass<T>) -> Mat<T> {
        let mut tape = self.workspace.tape(&self.point.params);
        let logits = tape.leaf(&pass.logits);
        let x = tape.constant(&self.point.images);
        let x = tape.repeat_rows(x, TOGETHER);
        let loss = self.point.vae.local_expectation(&mut tape, x, logits, &pass.choice);
        tape.backward_from(loss, &vec![T::ONE; pass.logits.rows()], &mut self.grads);
        tape.grad_or_zeros(logits)
    }

    /// REBAR, row by row.
    fn rebar(&mut self, pass: &Pass<T>, rebar: &Rebar) -> Mat<T> {
        let vae = &self.point.vae;
        let mut tape = self.workspace.tape(&self.point.params);
        let logits = tape.leaf(pass.logits.view());
        let x = tape.constant(self.point.images.view());
        let x = tape.repeat_rows(x, TOGETHER);
        let loss = rebar.loss(&mut tape, logits, &pass.choice, |tape, z| vae.bce(tape, x, z));
        tape.backward_from(loss, &vec![T::ONE; pass.logits.rows()], &mut self.grads);
        tape.grad_or_zeros(logits)
    }
}
