//! Tests of batches: comparison with formulas that are evaluated for one variable after the other,
//! masked categories, and NaN.

use super::*;
use crate::estimators::{
    Blend, CvForm, Darn, Gap, GappedStraightThrough, GumbelRao, GumbelSoftmax, Mve, ReinMax, ReinMaxArgmax,
    ReinMaxCv, ReinMaxRao, ReinMaxRk2, Rk2Form, StraightThrough, StraightThroughGumbelSoftmax,
};
use crate::rng::{Pcg64, from_key, uniform};
use std::sync::Arc;

/// Number of conditional draws of the estimators below. A control variate takes one more.
const DRAWS: usize = 5;

/// A test of one estimator, which is called for every estimator and form.
trait Visit {
    fn visit(&mut self, formula: impl Formula + 'static);
}

fn each(visit: &mut impl Visit) {
    for tau in [0.5, 1.0, 1.3] {
        visit.visit(StraightThrough::new(tau).unwrap());
        visit.visit(StraightThroughGumbelSoftmax::new(tau).unwrap());
        visit.visit(GumbelSoftmax::new(tau).unwrap());
        visit.visit(GappedStraightThrough::new(Gap::Fixed(1.0), tau).unwrap());
        visit.visit(GappedStraightThrough::new(Gap::Probability, tau).unwrap());
        visit.visit(ReinMax::new(tau).unwrap());
        visit.visit(ReinMaxArgmax::new(tau).unwrap());
        visit.visit(GumbelRao::new(tau, DRAWS).unwrap());
        visit.visit(ReinMaxRao::new(tau, DRAWS).unwrap());
        let (a, b) = (ReinMax::new(tau).unwrap(), ReinMaxRao::new(1.0, DRAWS).unwrap());
        visit.visit(Blend::new(a, b, 0.3).unwrap());
    }
    for form in [CvForm::Shared, CvForm::Printed, CvForm::Coupled, CvForm::AuthorCode] {
        visit.visit(ReinMaxCv::new(form, 0.7, DRAWS, 0.5).unwrap());
    }
    visit.visit(Darn);
    for lambda in [0.0, 10.0, 1e30, f64::INFINITY] {
        visit.visit(Mve::new(lambda).unwrap());
    }
    let (a, b) = (Mve::limit(), ReinMaxRao::new(1.0, DRAWS).unwrap());
    visit.visit(Blend::new(a, b, 0.3).unwrap());
    for form in [Rk2Form::Eq27, Rk2Form::AuthorCode, Rk2Form::Projected] {
        visit.visit(ReinMaxRk2::new(form, 0.4).unwrap());
    }
}

fn random<T: Scalar>(rng: &mut Pcg64, count: usize, scale: f64) -> Vec<T> {
    (0..count).map(|_| T::of(scale * (uniform::<f64>(rng) - 0.5))).collect()
}

/// Random logits, noise and cotangents.
struct Batch<T> {
    c: usize,
    logits: Vec<T>,
    noise: Noise<T>,
    g: Vec<T>,
}

impl<T: Scalar> Batch<T> {
    fn new(rng: &mut Pcg64, variables: usize, c: usize) -> Self {
        let n = variables * c;
        let noise = Noise::from_gumbel(random(rng, n, 5.0));
        let e = random::<T>(rng, (DRAWS + 1) * n, 2.0).into_iter().map(|e| e + T::of(1.001)).collect();
        Self { c, logits: random(rng, n, 8.0), noise: noise.with_exponentials(e), g: random(rng, n, 2.0) }
    }

    /// Sample and gradient, computed for the whole batch.
    fn run(&self, estimator: &dyn Estimator<T>) -> [Vec<T>; 2] {
        let (mut one_hot, mut dlogits) = (self.logits.clone(), vec![T::ZERO; self.logits.len()]);
        estimator.sample(&self.logits, &self.noise, self.c, &mut one_hot);
        estimator.add_vjp(self.at(&one_hot), &self.g, &mut dlogits, &mut Scratch::new());
        [one_hot, dlogits]
    }

    fn at<'a>(&'a self, one_hot: &'a [T]) -> At<'a, T> {
        At { logits: &self.logits, one_hot, noise: &self.noise, categories: self.c }
    }

    /// The gradient, computed by the formula for one variable after the other, with numbers instead
    /// of SIMD vectors.
    fn one_by_one(&self, formula: &impl Formula, one_hot: &[T]) -> Vec<T> {
        let (c, mut dlogits) = (self.c, vec![T::ZERO; self.logits.len()]);
        let mut work = vec![T::ZERO; (formula.work_rows() + formula.work_matrices() * c) * c];
        for (i, dlogits) in dlogits.chunks_mut(c).enumerate() {
            let row = i * c..(i + 1) * c;
            let stored: Vec<T> = match self.noise.stored() {
                Some(draws) => draws.flat_map(|draw| draw[row.clone()].to_vec()).collect(),
                None => Vec::new(),
            };
            let conditional = match stored.is_empty() {
                true => Conditional::Key(self.noise.key_of(i)),
                false => Conditional::Stored(&stored),
            };
            let gumbel = &self.noise.gumbel()[row.clone()];
            let latent = Latent {
                logits: &self.logits[row.clone()],
                one_hot: &one_hot[row.clone()],
                gumbel,
                conditional,
            };
            formula.vjp(&latent, &self.g[row], dlogits, Work::new(&mut work, c));
        }
        dlogits
    }
}

/// Compares the batch, which evaluates sixteen variables at once, with one variable after the
/// other, and the matrix of each variable with its products with g.
///
/// An entry is at most 8 max |g| (2 for J(p) with weight 2, the range of g, 1/τ ≤ 2). Its sums of C
/// numbers, in two orders, and about 20 other roundings contribute (2 C + 20) ε of that; the
/// exponentials are equal. The products add C more terms.
struct Compare<T>(Batch<T>);

impl<T: Scalar> Visit for Compare<T> {
    fn visit(&mut self, formula: impl Formula + 'static) {
        let (batch, c) = (&self.0, self.0.c);
        let [one_hot, got] = batch.run(&formula);
        let want = batch.one_by_one(&formula, &one_hot);
        let tolerance = 8.0 * (2.0 * c as f64 + 20.0) * T::EPSILON.to_f64();
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let error = (got.to_f64() - want.to_f64()).abs();
            assert!(error <= tolerance, "{formula:?}, C = {c}, entry {i}: {got} for {want}");
        }
        let variables = batch.logits.len() / c;
        assert!(c == 1 || variables == 1 || want.iter().any(|want| want.to_f64().abs() > 0.01));

        let mut jacobian = vec![T::of(7.0); batch.logits.len() * c];
        formula.jacobian(batch.at(&one_hot), &mut jacobian, &mut Scratch::new());
        for (i, (row, got)) in jacobian.chunks(c).zip(&got).enumerate() {
            let g = &batch.g[i / c * c..][..c];
            let product: f64 = row.iter().zip(g).map(|(m, g)| m.to_f64() * g.to_f64()).sum();
            let error = (product - got.to_f64()).abs();
            assert!(error <= 2.0 * tolerance, "{formula:?}, C = {c}, row {i}: {product} for {got}");
        }
    }
}

fn compare<T: Scalar>() {
    let mut rng = from_key(11);
    for (variables, c) in [(1, 8), (16, 10), (43, 2), (300, 1), (130, 33), (17, 64), (20, 12)] {
        let mut batch = Batch::<T>::new(&mut rng, variables, c);
        if c == 12 {
            // In f32, 1/π overflows.
            batch.logits.iter_mut().step_by(c).for_each(|theta| *theta -= T::of(200.0));
        }
        each(&mut Compare(batch));
    }
}

#[test]
fn a_batch_agrees_with_one_variable_after_the_other() {
    compare::<f32>();
    compare::<f64>();
}

/// A batch in which some categories are masked, and the same batch without them.
struct Masks<T> {
    masked: Batch<T>,
    without: Batch<T>,
    /// For each number of the masked batch, whether it occurs in the batch without masked
    /// categories.
    kept: Vec<bool>,
}

impl<T: Scalar> Masks<T> {
    fn new(rng: &mut Pcg64, variables: usize, c: usize, masked: usize) -> Self {
        let mut batch = Batch::<T>::new(rng, variables, c);
        let kept: Vec<bool> = (0..variables * c).map(|i| (i % c + 7 * (i / c)) % c >= masked).collect();
        let pick = |x: &[T]| -> Vec<T> {
            x.iter().zip(kept.iter().cycle()).filter(|(_, kept)| **kept).map(|(&x, _)| x).collect()
        };
        let exponentials: Vec<T> = batch.noise.stored().unwrap().flat_map(pick).collect();
        let noise = Noise::from_gumbel(pick(batch.noise.gumbel())).with_exponentials(exponentials);
        let without = Batch { c: c - masked, logits: pick(&batch.logits), noise, g: pick(&batch.g) };
        for (theta, kept) in batch.logits.iter_mut().zip(&kept) {
            *theta = if *kept { *theta } else { T::NEG_INFINITY };
        }
        Self { masked: batch, without, kept }
    }
}

impl<T: Scalar> Visit for Masks<T> {
    fn visit(&mut self, formula: impl Formula + 'static) {
        let ([d, got], [d_without, want]) = (self.masked.run(&formula), self.without.run(&formula));
        let (mut d_without, mut want) = (d_without.iter(), want.iter());
        let c = self.masked.c;
        // The tolerance covers sums in two orders, and powers 1/τ ≤ 2 of numbers that are computed
        // in two ways: twice the tolerance of `Compare`, and of its bound on an entry, because θ_D
        // of a single unmasked category is that of a certain one.
        let tolerance = 16.0 * (2.0 * c as f64 + 20.0) * T::EPSILON.to_f64();
        for (i, kept) in self.kept.iter().enumerate() {
            let place = || format!("{formula:?}, C = {c}, entry {i}: {} and {}", d[i], got[i]);
            if !kept {
                assert!(d[i] == T::ZERO && got[i] == T::ZERO, "{}", place());
                continue;
            }
            let (d_want, want) = (d_without.next().unwrap(), want.next().unwrap());
            let d_error = (d[i].to_f64() - d_want.to_f64()).abs();
            assert!(d_error <= tolerance, "{} for the sample {d_want}", place());
            let error = (got[i].to_f64() - want.to_f64()).abs();
            assert!(error <= tolerance, "{} for {want}", place());
        }
    }
}

fn masks<T: Scalar>() {
    let mut rng = from_key(12);
    for c in [2, 3, 5, 8, 17, 33, 64] {
        for masked in [1, c / 2, c - 1] {
            for variables in [1, 40] {
                each(&mut Masks::<T>::new(&mut rng, variables, c, masked));
            }
        }
    }
}

#[test]
fn a_masked_category_has_no_effect_on_the_others() {
    masks::<f32>();
    masks::<f64>();
}

/// A batch in which some variables have no distribution, with draws from a generator and with
/// stored ones.
struct Undefined<T>(Batch<T>, Vec<usize>);

impl<T: Scalar> Visit for Undefined<T> {
    fn visit(&mut self, formula: impl Formula + 'static) {
        let c = self.0.c;
        for noise in [self.0.noise.clone(), Noise::from_gumbel(self.0.noise.gumbel().to_vec()).with_key(4)] {
            let batch = Batch { c, logits: self.0.logits.clone(), noise, g: self.0.g.clone() };
            for numbers in batch.run(&formula) {
                for (i, row) in numbers.chunks(c).enumerate() {
                    let undefined = self.1.contains(&i);
                    let right = |x: &T| if undefined { x.to_f64().is_nan() } else { x.is_finite() };
                    assert!(row.iter().all(right), "{formula:?}, variable {i}: {row:?}");
                }
            }
        }
    }
}

fn undefined_variables<T: Scalar>() {
    let nan = T::of(f64::NAN);
    for c in [1, 2, 9] {
        for bad in [nan, T::of(f64::INFINITY)] {
            let mut batch = Batch::<T>::new(&mut from_key(13), 40, c);
            batch.logits[3 * c] = bad;
            batch.logits[17 * c..18 * c].fill(T::NEG_INFINITY);
            batch.logits[39 * c + c - 1] = bad;
            each(&mut Undefined(batch, vec![3, 17, 39]));
        }
    }
}

#[test]
fn nan_stays_in_its_variable() {
    undefined_variables::<f32>();
    undefined_variables::<f64>();
}

/// Compares draws of sixteen variables at once with draws of one variable after the other. The 32
/// variables are equal, so each method gives 32 independent estimates of one vector. The limit is
/// five standard errors of the difference of their means.
#[test]
fn sixteen_variables_have_the_distribution_of_one() {
    let (theta, d, g) = ([0.3, -0.8, 0.1], [0.0, 1.0, 0.0], [0.7, -0.4, 0.2]);
    let alike = |row: [f64; 3]| row.repeat(32);
    let noise = Noise::from_gumbel(alike([0.0; 3])).with_sample(alike(d)).with_key(5);
    let batch = Batch { c: 3, logits: alike(theta), noise, g: alike(g) };
    let formula = GumbelRao::new(0.7, 50).unwrap();
    let [_, lanes] = batch.run(&formula);
    let single = batch.one_by_one(&formula, &alike(d));
    let moments = |estimates: &[f64], j: usize| {
        let column: Vec<f64> = estimates.chunks(3).map(|row| row[j]).collect();
        let mean = column.iter().sum::<f64>() / 32.0;
        (mean, column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 31.0)
    };
    for j in 0..3 {
        let ((a, var_a), (b, var_b)) = (moments(&lanes, j), moments(&single, j));
        let error = ((var_a + var_b) / 32.0).sqrt();
        assert!((a - b).abs() < 5.0 * error && error < 0.1 * a.abs(), "entry {j}: {a} and {b}, SE {error}");
        // P(F(31, 31) > 3) = 0.0015
        assert!(var_a < 3.0 * var_b && var_b < 3.0 * var_a, "entry {j}: variances {var_a} and {var_b}");
    }
    let mut first: Vec<u64> = lanes.chunks(3).map(|row| row[0].to_bits()).collect();
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), 32, "no two variables have the same draws");
}

/// The draws on which the results of Gumbel-Rao depend for every seed. A change of these values is
/// a change of the random streams and must be recorded in the CHANGELOG.
#[test]
fn conditional_draws_have_their_stored_values() {
    let gumbel = [0.0; 3];
    let conditional = Conditional::<f64>::Key(12);
    let latent = Latent { logits: &[0.0; 3], one_hot: &[1.0, 0.0, 0.0], gumbel: &gumbel, conditional };
    let (mut stream, mut rows) = (latent.exponentials(), [[0.0; 3]; 2]);
    rows.iter_mut().for_each(|row| stream.next(row));
    let want = [
        [1.675204248656018, 0.5255703991327675, 0.5457615487476379],
        [1.0433097868413599, 0.9114493089819065, 1.5388151245037136],
    ];
    for (got, want) in rows.iter().flatten().zip(want.iter().flatten()) {
        // The logarithm may differ in the last bits.
        assert!((got - want).abs() <= 1e-14 * want, "{got} for {want}");
    }
}

#[test]
fn wrong_lengths_are_named_in_the_panic() {
    let reinmax: Arc<dyn Estimator<f64>> = Arc::new(ReinMax::new(1.0).unwrap());
    let message = |logits: usize, noise: usize, one_hot: usize, g: usize, c: usize| {
        let noise = Noise::from_gumbel(vec![0.0; noise]);
        let at =
            At { logits: &vec![0.0; logits], one_hot: &vec![0.0; one_hot], noise: &noise, categories: c };
        let call = || reinmax.add_vjp(at, &vec![0.0; g], &mut vec![0.0; logits], &mut Scratch::new());
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    assert_eq!(message(6, 6, 6, 5, 3), "g: 5 numbers, expected 6, as many as logits");
    assert_eq!(message(6, 4, 6, 6, 3), "noise: 4 numbers, expected 6, as many as logits");
    assert_eq!(message(6, 6, 7, 6, 3), "one_hot: 7 numbers, expected 6, as many as logits");
    assert_eq!(message(7, 7, 7, 7, 3), "logits: 7 numbers, expected a multiple of 3 categories");
    assert_eq!(message(6, 6, 6, 6, 0), "logits: 6 numbers, expected a multiple of 0 categories");
}
