//! The node that a sample-side estimator lives in.

use super::{Conditional, Latent, SampleEstimator, Work};
use crate::categorical;
use crate::mat::MatMut;
use crate::par::{self, Blocks, Wide};
use crate::rng::Pcg64;
use crate::scalar::{Real, Scalar};
use crate::simd::lanes::{self, LANES, Lanes};
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded};

/// Variables to a block of parallel work: for Gumbel-Rao's hundred draws some ten microseconds, for the others less than one.
const BLOCK: usize = 4 * LANES;

/// Rows that sixteen variables take besides the estimator's work: θ, D, G, g, and the gradient of θ.
const ROWS_SIDE_BY_SIDE: usize = 5;

/// The noise of one step, drawn before it: standard Gumbel numbers, one a logit, and, if the caller supplies it, the
/// sample itself.
///
/// Kept by the caller from step to step, so that drawing allocates nothing.
///
/// ```
/// use hardgrad::{estimators::Noise, rng};
/// let (mut a, mut b) = (Noise::<f32>::new(), Noise::new());
/// a.draw(&mut rng::from_key(7), 4);
/// b.draw(&mut rng::from_key(7), 4);
/// assert_eq!((a.gumbel().len(), &a), (4, &b)); // a function of the generator
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noise<T> {
    gumbel: Vec<T>,
    /// For draws given the sample; each variable's generator is derived from it.
    key: u64,
    sample: Option<Vec<T>>,
    exponential: Option<Vec<T>>,
}

impl<T: Scalar> Noise<T> {
    /// No noise yet.
    pub fn new() -> Self {
        Self::given(Vec::new())
    }

    /// Noise from outside: row-major `[N, L·C]`, like the logits.
    pub fn given(gumbel: Vec<T>) -> Self {
        Self { gumbel, key: 0, sample: None, exponential: None }
    }

    /// With the sample given too, one-hot rows in the layout of the logits. What is not determined by it (an estimator's
    /// relaxed sample) still comes from the Gumbel noise, which should then be a draw *given* this sample.
    #[must_use]
    pub fn with_sample(mut self, one_hot: Vec<T>) -> Self {
        self.sample = Some(one_hot);
        self
    }

    /// With the exponential numbers E of eq. 7 given too: `[K, N, L·C]`, one `[N, L·C]` for each conditional draw, all > 0.
    ///
    /// # Panics
    /// If their number is not a multiple of that of the Gumbel numbers, or one is not > 0.
    #[must_use]
    #[track_caller]
    pub fn with_exponentials(mut self, exponential: Vec<T>) -> Self {
        let whole = exponential.len().checked_rem(self.gumbel.len().max(1)) == Some(0);
        assert!(whole, "{} exponential numbers are no multiple of {}", exponential.len(), self.gumbel.len());
        assert!(exponential.iter().all(|&e| e > T::ZERO), "exponential numbers must be > 0");
        self.exponential = Some(exponential);
        self
    }

    /// With this key for draws given the sample.
    #[must_use]
    pub fn with_key(mut self, key: u64) -> Self {
        self.key = key;
        self
    }

    /// Draws new noise for `count` logits.
    pub fn draw(&mut self, rng: &mut Pcg64, count: usize) {
        self.sample = None;
        self.exponential = None;
        self.gumbel.resize(count, T::ZERO);
        categorical::gumbel(rng, &mut self.gumbel);
        self.key = rand::Rng::next_u64(rng);
    }

    /// The noise for draws given the sample of variable `i`, of `c` categories, or of the sixteen from there on.
    pub(super) fn conditional<R: Real<Scalar = T>>(&self, i: usize, c: usize) -> Conditional<'_, R> {
        match &self.exponential {
            Some(values) => Conditional::Given { values, first: i * c, stride: self.gumbel.len() },
            None => Conditional::Key(self.key.wrapping_add(i as u64)),
        }
    }

    /// The Gumbel numbers.
    pub fn gumbel(&self) -> &[T] {
        &self.gumbel
    }
}

/// A straight-through node at the sample. Input: logits `[N, L·C]`; value: the one-hot sample D, of the same shape;
/// backward: the estimator's vjp for each latent variable.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// use hardgrad::estimators::{Noise, ReinMax, SampleNode};
///
/// let reinmax = ReinMax::new(1.0).unwrap();
/// let noise = Noise::given(vec![0.0, 0.0]);
/// let node = SampleNode::new(&reinmax, &noise, 2);
///
/// let (params, mut workspace) = (ParamStore::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(Mat::from_rows(&[[0.0, 3.0_f64.ln()]]).view()); // π = (¼, ¾)
/// let d = tape.custom(&node, &[logits]);
/// assert_eq!(tape.value(d).data, [0.0, 1.0]);
/// tape.backward_from(d, &[0.0, 1.0], &mut ParamGrads::zeros(&params)); // g = (0, 1)
/// // 2 · ⅛ · ⅞ − ½ · ¼ · ¾, and the opposite
/// let expected = 2.0 * 7.0 / 64.0 - 0.5 * 3.0 / 16.0;
/// let grad = tape.grad(logits).unwrap().data;
/// assert!((grad[1] - expected).abs() < 1e-15 && (grad[0] + expected).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SampleNode<'a, T> {
    estimator: &'a dyn SampleEstimator<T>,
    noise: &'a Noise<T>,
    categories: usize,
}

impl<'a, T: Scalar> SampleNode<'a, T> {
    /// A node that draws with `noise`, in groups of `categories` logits.
    pub fn new(estimator: &'a dyn SampleEstimator<T>, noise: &'a Noise<T>, categories: usize) -> Self {
        Self { estimator, noise, categories }
    }

    /// The numbers that a block of the backward pass works with.
    fn work_len(&self) -> usize {
        let c = self.categories;
        match self.estimator.side_by_side() {
            Some(estimator) => lanes::memory((ROWS_SIDE_BY_SIDE + estimator.work_rows()) * c),
            None => (self.estimator.work_rows() * c).max(1),
        }
    }

    /// Adds the gradient of consecutive variables, the first of which is number `first`, to `dlogits`.
    fn vjp_each(&self, first: usize, at: &Cotangent<'_, T>, dlogits: &mut [T], work: &mut [T]) {
        let c = self.categories;
        for (i, dlogits) in (first..).zip(dlogits.chunks_mut(c)) {
            let row = i * c..(i + 1) * c;
            let latent = Latent {
                logits: &at.logits[row.clone()],
                one_hot: &at.one_hot[row.clone()],
                gumbel: &self.noise.gumbel[row.clone()],
                conditional: self.noise.conditional(i, c),
            };
            self.estimator.vjp(&latent, &at.g[row], dlogits, Work::new(&mut *work, c));
        }
    }

    /// The same, sixteen variables at once.
    fn vjp_side_by_side(
        &self,
        estimator: &dyn SampleEstimator<Lanes<T>>,
        first: usize,
        at: &Cotangent<'_, T>,
        dlogits: &mut [T],
        work: &mut [T],
    ) {
        let c = self.categories;
        for (i, dlogits) in (first..).step_by(LANES).zip(dlogits.chunks_mut(LANES * c)) {
            let rows = i * c..i * c + dlogits.len();
            let ([logits, one_hot, gumbel, g, sum], rest) = Work::new(Lanes::slice_of(work), c).take();
            for (values, to) in
                [(at.logits, &mut *logits), (at.one_hot, one_hot), (&self.noise.gumbel, gumbel), (at.g, g)]
            {
                lanes::from_rows(&values[rows.clone()], to, sum);
            }
            sum.fill(Lanes::ZERO);
            let latent = Latent { logits, one_hot, gumbel, conditional: self.noise.conditional(i, c) };
            estimator.vjp(&latent, g, sum, rest);
            lanes::add_to_rows(sum, dlogits, g);
        }
    }
}

/// What reaches a sample from behind, and the sample: all `[N, L·C]`.
struct Cotangent<'a, T> {
    logits: &'a [T],
    one_hot: &'a [T],
    g: &'a [T],
}

impl<T: Scalar> CustomOp<T> for SampleNode<'_, T> {
    fn name(&self) -> &str {
        "sample"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (logits, c) = (inputs.get(0), self.categories);
        let noise = self.noise.gumbel.len();
        assert!(
            c > 0 && logits.cols % c == 0,
            "sample: logits [{}, {}] do not divide into variables of {c} categories",
            logits.rows,
            logits.cols
        );
        assert!(
            noise == logits.data.len(),
            "sample: logits [{}, {}] need as many noise numbers, got {noise}",
            logits.rows,
            logits.cols
        );
        (logits.rows, logits.cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        if let Some(sample) = &self.noise.sample {
            return out.data.copy_from_slice(sample);
        }
        let c = self.categories;
        let (logits, gumbel) = (inputs.get(0).data, &self.noise.gumbel);
        par::for_each_block(out.data, BLOCK * c, |from, sample: &mut [T]| {
            let rows = logits[from..].chunks(c).zip(gumbel[from..].chunks(c));
            for ((logits, gumbel), sample) in rows.zip(sample.chunks_mut(c)) {
                self.estimator.draw(logits, gumbel, sample);
            }
        });
    }

    fn scratch_len(&self, _: &Inputs<'_, T>) -> usize {
        self.noise.gumbel.len().div_ceil(BLOCK * self.categories) * self.work_len()
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        let Some(dlogits) = grads.get(0) else { return };
        let at = Cotangent { logits: node.inputs.get(0).data, one_hot: node.output.data, g: node.g.data };
        let side_by_side = self.estimator.side_by_side();
        let times = self.work_len();
        let slice = &mut scratch[..self.scratch_len(&node.inputs)];
        let work = (Blocks { slice: dlogits.data, size: BLOCK * self.categories }, Wide { slice, times });
        par::for_each_block(work, 1, |block, (dlogits, work): (Blocks<'_, T>, Wide<'_, T>)| {
            let first = block * BLOCK;
            match side_by_side {
                Some(estimator) => self.vjp_side_by_side(estimator, first, &at, dlogits.slice, work.slice),
                None => self.vjp_each(first, &at, dlogits.slice, work.slice),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::{
        Blend, CvForm, Gap, GappedStraightThrough, GumbelRao, GumbelSoftmax, ReinMax, ReinMaxArgmax,
        ReinMaxCv, ReinMaxRao, ReinMaxRk2, Rk2Form, StraightThrough, StraightThroughGumbelSoftmax,
    };
    use crate::rng::{from_key, uniform};
    use crate::{Mat, ParamGrads, ParamStore, Workspace};

    fn estimators<T: Scalar>() -> Vec<Box<dyn SampleEstimator<T>>> {
        let mut all: Vec<Box<dyn SampleEstimator<T>>> = Vec::new();
        for tau in [0.5, 1.3] {
            all.push(Box::new(StraightThrough::new(tau).unwrap()));
            all.push(Box::new(StraightThroughGumbelSoftmax::new(tau).unwrap()));
            all.push(Box::new(GumbelSoftmax::new(tau).unwrap()));
            all.push(Box::new(GappedStraightThrough::new(Gap::Fixed(1.0), tau).unwrap()));
            all.push(Box::new(GappedStraightThrough::new(Gap::Probability, tau).unwrap()));
            all.push(Box::new(ReinMax::new(tau).unwrap()));
            all.push(Box::new(ReinMaxArgmax::new(tau).unwrap()));
            all.push(Box::new(GumbelRao::new(tau, 5).unwrap()));
            all.push(Box::new(
                Blend::new(ReinMax::new(tau).unwrap(), ReinMaxRao::new(1.0, 5).unwrap(), 0.3).unwrap(),
            ));
        }
        for form in [CvForm::Shared, CvForm::Printed, CvForm::Coupled, CvForm::AuthorCode] {
            all.push(Box::new(ReinMaxCv::new(form, 0.7, 5, 0.5).unwrap()));
        }
        for form in [Rk2Form::Eq27, Rk2Form::AuthorCode, Rk2Form::Projected] {
            all.push(Box::new(ReinMaxRk2::new(form, 0.4).unwrap()));
        }
        all
    }

    /// The node, which takes sixteen variables at once, against the estimator's vjp of one variable after the other.
    ///
    /// An entry is at most 8 max |g| (2 for J(p) at weight 2, the range of g, 1/τ ≤ 2). Its sums over C numbers, in two orders, and its some 20
    /// other roundings come to (2 C + 20) ε of that; the exponentials differ by none.
    fn compare<T: Scalar>() {
        let mut rng = from_key(11);
        let mut random = |count: usize, scale: f64| -> Vec<T> {
            (0..count).map(|_| T::of(scale * (uniform::<f64>(&mut rng) - 0.5))).collect()
        };
        for (variables, c) in [(1, 8), (16, 10), (43, 2), (300, 1), (130, 33), (17, 64), (20, 12)] {
            let (mut logits, noise) = (random(variables * c, 8.0), Noise::given(random(variables * c, 5.0)));
            if c == 12 {
                logits.iter_mut().step_by(c).for_each(|theta| *theta -= T::of(200.0)); // in f32, 1/π overflows
            }
            let exponentials = random(6 * variables * c, 2.0).into_iter().map(|e| e + T::of(1.001)).collect();
            let noise = noise.with_exponentials(exponentials); // five draws, and one more for the control variate
            let g = random(variables * c, 2.0); // |g| <= 1
            for estimator in estimators::<T>() {
                assert!(estimator.side_by_side().is_some());
                let node = SampleNode::new(&*estimator, &noise, c);
                let (params, mut workspace) = (ParamStore::new(), Workspace::new());
                let mut tape = workspace.tape(&params);
                let theta = tape.leaf(Mat::from_vec(1, logits.len(), logits.clone()).view());
                let sample = tape.custom(&node, &[theta]);
                let one_hot = tape.value(sample).data.to_vec();
                tape.backward_from(sample, &g, &mut ParamGrads::zeros(&params));
                let got = tape.grad(theta).unwrap().data;

                let mut want = vec![T::ZERO; logits.len()];
                let mut work = vec![T::ZERO; estimator.work_rows() * c];
                let at = Cotangent { logits: &logits, one_hot: &one_hot, g: &g };
                node.vjp_each(0, &at, &mut want, &mut work);
                let tolerance = 8.0 * (2.0 * c as f64 + 20.0) * T::EPSILON.to_f64();
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    let error = (got.to_f64() - want.to_f64()).abs();
                    assert!(error <= tolerance, "{estimator:?}, C = {c}, entry {i}: {got} for {want}");
                }
                assert!(c == 1 || variables == 1 || want.iter().any(|want| want.to_f64().abs() > 0.01));
            }
        }
    }

    #[test]
    fn sixteen_variables_at_once_are_as_one_after_the_other() {
        compare::<f32>();
        compare::<f64>();
    }

    /// Draws of sixteen variables at once against those of one after the other: 32 variables that are alike, so that each way gives 32
    /// independent estimates of one vector. The limit is five standard errors of the difference of their means.
    #[test]
    fn sixteen_variables_draw_from_the_law_of_one() {
        let (theta, d, g) = ([0.3, -0.8, 0.1], [0.0, 1.0, 0.0], [0.7, -0.4, 0.2]);
        let alike = |row: [f64; 3]| row.repeat(32);
        let noise = Noise::given(alike([0.0; 3])).with_sample(alike(d)).with_key(5);
        let estimator = GumbelRao::new(0.7, 50).unwrap();
        let node = SampleNode::new(&estimator, &noise, 3);
        let at = Cotangent { logits: &alike(theta), one_hot: &alike(d), g: &alike(g) };
        let [mut lanes, mut single] = [const { [0.0; 96] }; 2];
        let mut work = vec![0.0; node.work_len()];
        node.vjp_side_by_side(
            SampleEstimator::<f64>::side_by_side(&estimator).unwrap(),
            0,
            &at,
            &mut lanes,
            &mut work,
        );
        node.vjp_each(0, &at, &mut single, &mut work);
        let moments = |estimates: &[f64], j: usize| {
            let column: Vec<f64> = estimates.chunks(3).map(|row| row[j]).collect();
            let mean = column.iter().sum::<f64>() / 32.0;
            (mean, column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 31.0)
        };
        for j in 0..3 {
            let ((a, var_a), (b, var_b)) = (moments(&lanes, j), moments(&single, j));
            let error = ((var_a + var_b) / 32.0).sqrt();
            assert!(
                (a - b).abs() < 5.0 * error && error < 0.1 * a.abs(),
                "entry {j}: {a} and {b}, SE {error}"
            );
            assert!(var_a < 3.0 * var_b && var_b < 3.0 * var_a, "entry {j}: variances {var_a} and {var_b}"); // F(31, 31) > 3: p = 0.0015
        }
        let mut first: Vec<u64> = lanes.chunks(3).map(|row| row[0].to_bits()).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 32, "no two variables have the same draws");
    }
}
