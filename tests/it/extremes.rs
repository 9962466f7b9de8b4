//! Every estimator at the ends of its range: no NaN, no infinity, and gradients that sum to zero
//! over the categories.
//!
//! One batch contains the cross product of the patterns below, with one latent variable per row.
//! Each estimator is run on it once.
//!
//! The tolerance of the sum of a row is derived as follows, for f32 and f64. Let u be half the
//! distance from 1 to the next number, Δ = max g − min g and W the sum of the absolute coefficients
//! of the estimator's J(q) g terms. A sum of C terms in any order is off by at most C u times the
//! sum of their absolute values, so Σ q differs from 1, and the computed ⟨q, g⟩ from the true one,
//! by (C + 2) u, and (C + 2) u Δ. Each of an entry's few other roundings, and of the K + 4
//! additions into it, adds u times the entry, and the entries' absolute values sum to at most 2 W
//! Δ. Altogether W Δ u (2 C + 2 K + 32), rounded up.

use hardgrad::categorical::{argmax, sample};
use hardgrad::estimators::{
    At, Blend, CvForm, Estimator, Gap, GappedStraightThrough, GumbelRao, GumbelSoftmax, Noise, ReinMax,
    ReinMaxArgmax, ReinMaxCv, ReinMaxRao, ReinMaxRk2, Rk2Form, Scratch, StraightThrough,
    StraightThroughGumbelSoftmax,
};
use hardgrad::rng::{from_key, uniform};
use hardgrad::{Error, Scalar};

/// Number of conditional draws.
const DRAWS: usize = 3;
const FORMS: [CvForm; 4] = [CvForm::Shared, CvForm::Printed, CvForm::Coupled, CvForm::AuthorCode];

/// An estimator and the expected sums of its rows.
struct Subject<T> {
    name: String,
    estimator: Box<dyn Estimator<T>>,
    /// W
    weight: f64,
    /// β where the row sums to (2β − 1)(g_D − ⟨π, g⟩), ½ where it sums to 0.
    beta: f64,
}

fn subjects<T: Scalar>(tau: f64) -> Vec<Subject<T>> {
    let mut all = Vec::new();
    let mut add = |name: &str, weight: f64, beta: f64, estimator: Box<dyn Estimator<T>>| {
        all.push(Subject { name: name.to_owned(), estimator, weight, beta });
    };
    let inv = 1.0 / tau;
    add("ST", inv, 0.5, Box::new(StraightThrough::new(tau).unwrap()));
    add("STGS", inv, 0.5, Box::new(StraightThroughGumbelSoftmax::new(tau).unwrap()));
    add("Gumbel-Rao", inv, 0.5, Box::new(GumbelRao::new(tau, DRAWS).unwrap()));
    for gap in [Gap::Fixed(0.0), Gap::Fixed(1.0), Gap::Fixed(1e4), Gap::Probability] {
        add(&format!("GST {gap:?}"), inv, 0.5, Box::new(GappedStraightThrough::new(gap, tau).unwrap()));
    }
    add("ReinMax", 2.5, 0.5, Box::new(ReinMax::new(tau).unwrap()));
    add("ReinMax-Argmax", 2.5, 0.5, Box::new(ReinMaxArgmax::new(tau).unwrap()));
    for beta in [-0.2, 0.5, 1.2] {
        // With eq. 27 as printed, the sum is not 0 at β ≠ ½.
        for (form, sum) in [(Rk2Form::Eq27, beta), (Rk2Form::AuthorCode, 0.5), (Rk2Form::Projected, 0.5)] {
            let name = format!("ReinMax-RK2 {form:?} β = {beta}");
            add(&name, 6.0, sum, Box::new(ReinMaxRk2::new(form, beta).unwrap()));
        }
    }
    add("ReinMax-Rao", 0.5 + 2.0 * inv, 0.5, Box::new(ReinMaxRao::new(tau, DRAWS).unwrap()));
    for form in FORMS {
        let (name, weight) = (format!("ReinMax-CV {form:?}"), 2.5 + 6.0 * inv);
        add(&name, weight, 0.5, Box::new(ReinMaxCv::new(form, tau, DRAWS, 1.5).unwrap()));
    }
    let (a, b) = (ReinMax::new(tau).unwrap(), ReinMaxRao::new(tau, DRAWS).unwrap());
    add("Blend", 2.5 + 2.0 * inv, 0.5, Box::new(Blend::new(a, b, 0.25).unwrap()));
    add("Gumbel-softmax", inv, 0.5, Box::new(GumbelSoftmax::new(tau).unwrap()));
    add("decoupled", inv, 0.5, Box::new(GumbelSoftmax::decoupled(1.0 / tau, tau).unwrap()));
    all
}

/// Logits of one variable: equal, far apart, far apart and far from 0, nearly equal.
fn logits(pattern: usize, c: usize) -> Vec<f64> {
    let mut rng = from_key(pattern as u64);
    (0..c)
        .map(|j| match pattern {
            0 => 0.0,
            1 => 1e4,
            2 => -1e4,
            3 => 1e4 * (2.0 * j as f64 / c as f64 - 1.0),
            4 => [1e4, -1e4][usize::from(j > 0)],
            5 => [-1e4, 0.0][usize::from(j > 0)],
            6 => [5e3, -5e3][j % 2],
            7 => 1e4 + uniform::<f64>(&mut rng),
            8 => 2e4 * (uniform::<f64>(&mut rng) - 0.5),
            _ => 200.0 * (uniform::<f64>(&mut rng) - 0.5),
        })
        .collect()
}
const LOGITS: usize = 10;

/// Uniform numbers of one variable: all at one end of their range, some at either end, or within
/// the range.
fn uniforms<T: Scalar>(pattern: usize, c: usize) -> Vec<T> {
    let mut rng = from_key(100 + pattern as u64);
    let mut raw = |j: usize| match pattern % UNIFORMS {
        0 => 0,
        1 => u64::MAX,
        2 => [0, u64::MAX][j % 2],
        3 => [0, u64::MAX][usize::from(j == 0)],
        4 => [u64::MAX, 0][usize::from(j == 0)],
        _ => rand::Rng::next_u64(&mut rng),
    };
    (0..c).map(|j| T::open_unit(raw(j))).collect()
}
const UNIFORMS: usize = 6;

/// Cotangents of one variable.
fn cotangents(pattern: usize, c: usize) -> Vec<f64> {
    let mut rng = from_key(200);
    (0..c)
        .map(|j| match pattern {
            0 => 0.0,
            1 => 1e6,
            2 => [1e6, -1e6][j % 2],
            3 => [-1e6, 0.0][usize::from(j > 0)],
            _ => 2e6 * (uniform::<f64>(&mut rng) - 0.5),
        })
        .collect()
}
const COTANGENTS: usize = 5;

/// The cross product, row-major, one variable of `c` categories a row.
#[derive(Default)]
struct Batch<T> {
    logits: Vec<T>,
    gumbel: Vec<T>,
    exponentials: Vec<Vec<T>>,
    sample: Vec<T>,
    g: Vec<T>,
}

impl<T: Scalar> Batch<T> {
    /// Every `every`-th row of the cross product.
    fn new(c: usize, every: usize) -> Self {
        let mut batch = Self { exponentials: vec![Vec::new(); DRAWS + 1], ..Self::default() };
        let rows = LOGITS * UNIFORMS * COTANGENTS * 3;
        for i in (0..rows).step_by(every) {
            let rest = i / LOGITS;
            let [l, u, g, d] =
                [i % LOGITS, rest % UNIFORMS, rest / UNIFORMS % COTANGENTS, rest / UNIFORMS / COTANGENTS];
            batch.push(c, l, u, g, d);
        }
        batch
    }

    fn push(&mut self, c: usize, l: usize, u: usize, g: usize, d: usize) {
        let logits: Vec<T> = logits(l, c).into_iter().map(T::of).collect();
        let gumbel: Vec<T> = uniforms::<T>(u, c).into_iter().map(|u| -(-u.ln()).ln()).collect();
        let mut one_hot = vec![T::ZERO; c];
        match d {
            0 => sample(&logits, &gumbel, c, &mut one_hot),
            1 => one_hot[argmax(logits.iter().map(|&x| -x))] = T::ONE, // nearly impossible
            _ => one_hot[c - 1] = T::ONE,
        }
        for (k, to) in self.exponentials.iter_mut().enumerate() {
            to.extend(uniforms::<T>(u + k, c).into_iter().map(|u| -u.ln()));
        }
        self.g.extend(cotangents(g, c).into_iter().map(T::of));
        self.logits.extend(logits);
        self.gumbel.extend(gumbel);
        self.sample.extend(one_hot);
    }

    fn noise(&self) -> Noise<T> {
        Noise::from_gumbel(self.gumbel.clone()).with_exponentials(self.exponentials.concat())
    }
}

/// The sample and the gradient of its logits.
fn run<T: Scalar>(batch: &Batch<T>, noise: &Noise<T>, estimator: &dyn Estimator<T>, c: usize) -> [Vec<T>; 2] {
    let [mut one_hot, mut grad] =
        [const { Vec::new() }; 2].map(|_: Vec<T>| vec![T::ZERO; batch.logits.len()]);
    estimator.sample(&batch.logits, noise, c, &mut one_hot);
    let at = At { logits: &batch.logits, one_hot: &one_hot, noise, categories: c };
    estimator.add_vjp(at, &batch.g, &mut grad, &mut Scratch::new());
    [one_hot, grad]
}

/// Expected sum of a row, and its tolerance.
fn row_sum<T: Scalar>(subject: &Subject<T>, logits: &[T], one_hot: &[T], g: &[T]) -> (f64, f64) {
    let wide = |x: &[T]| x.iter().map(|x| x.to_f64()).collect::<Vec<_>>();
    let (c, logits, g) = (g.len(), wide(logits), wide(g));
    let largest = |x: &[f64]| x.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
    let spread = largest(&g) + largest(&g.iter().map(|g| -g).collect::<Vec<_>>());
    let unit = 0.5 * T::EPSILON.to_f64();
    let tolerance = subject.weight * spread * unit * (2 * c + 2 * DRAWS + 32) as f64;

    let top = largest(&logits);
    let e: Vec<_> = logits.iter().map(|x| (x - top).exp()).collect();
    let at = g[argmax(one_hot.iter().copied())];
    let mean = e.iter().zip(&g).map(|(e, g)| e * (at - g)).sum::<f64>() / e.iter().sum::<f64>();
    // A logit minus the largest one is rounded, and where π > u its size is at most ln(1/u), so the
    // error of π is that many u.
    let of_pi = (2.0 * subject.beta - 1.0).abs() * spread * unit * -unit.ln();
    ((2.0 * subject.beta - 1.0) * mean, tolerance + of_pi)
}

fn check<T: Scalar>() {
    for (c, every) in [(1, 1), (2, 1), (3, 1), (17, 1), (1000, 37)] {
        let batch = Batch::<T>::new(c, every);
        let noise = batch.noise().with_sample(batch.sample.clone());
        for tau in [1e-3, 0.5, 1.0, 1e3] {
            for subject in subjects::<T>(tau) {
                let [_, grad] = run(&batch, &noise, &*subject.estimator, c);
                let rows = batch.logits.chunks(c).zip(batch.sample.chunks(c));
                for ((row, (logits, d)), g) in grad.chunks(c).zip(rows).zip(batch.g.chunks(c)) {
                    let place = || format!("{} at τ = {tau}, C = {c}: θ {logits:?} g {g:?}", subject.name);
                    assert!(row.iter().all(|x| x.is_finite()), "{}: {row:?}", place());
                    let (want, tolerance) = row_sum(&subject, logits, d, g);
                    let sum: f64 = row.iter().map(|x| x.to_f64()).sum();
                    assert!((sum - want).abs() <= tolerance, "{}: sum {sum} for {want}", place());
                }
            }
        }
    }
}

#[test]
fn finite_and_balanced_in_f32() {
    check::<f32>();
}

#[test]
fn finite_and_balanced_in_f64() {
    check::<f64>();
}

/// One batch in both number types: f32 keeps its accuracy near the corners of the simplex, where a
/// small gradient must not be computed as the difference of two large numbers.
///
/// Logits lie within ±50 and the noise within (−3, 17), so an exponent is at most 240 (at τ = ½),
/// and three roundings of it change the result by 240 · 3 · 6e-8 = 4.3e-5. The tolerance is ten
/// times that, because terms of an estimator may partly cancel. Each row is compared relative to
/// its largest entry.
#[test]
fn digits_near_the_corners() {
    let (c, mut rng) = (4, from_key(3));
    let (mut narrow, mut wide) = (Batch::<f32>::default(), Batch::<f64>::default());
    let mut exponentials = vec![Vec::new(); DRAWS + 1];
    for row in 0..400 {
        narrow.logits.extend((0..c).map(|_| 100.0 * (uniform::<f32>(&mut rng) - 0.5)));
        narrow.gumbel.extend((0..c).map(|_| -(-uniform::<f32>(&mut rng).ln()).ln()));
        narrow.g.extend((0..c).map(|_| 2.0 * uniform::<f32>(&mut rng)));
        exponentials.iter_mut().for_each(|e| e.extend((0..c).map(|_| -uniform::<f32>(&mut rng).ln())));
        // Every category in turn, including the nearly impossible ones.
        narrow.sample.extend((0..c).map(|j| f32::from(u8::from(j == row % c))));
    }
    let widen = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    (wide.logits, wide.gumbel, wide.g) = (widen(&narrow.logits), widen(&narrow.gumbel), widen(&narrow.g));
    wide.sample = widen(&narrow.sample);
    wide.exponentials = exponentials.iter().map(|e| widen(e)).collect();
    narrow.exponentials = exponentials;
    let narrow_noise = narrow.noise().with_sample(narrow.sample.clone());
    let wide_noise = wide.noise().with_sample(wide.sample.clone());
    for tau in [0.5, 1.0, 1e3] {
        for (a, b) in subjects::<f32>(tau).iter().zip(&subjects::<f64>(tau)) {
            // Cases in which the terms of the formula cancel. `Printed` at D = the corner: J(p) g
            // and ½ J(π) g are both about π_j/2 · (g_j − g_D). Every control variate at a large τ:
            // both of its relaxed points are nearly the centre.
            if a.name.ends_with("Printed") || (a.name.contains("CV") && tau > 1.0) {
                continue;
            }
            let [_, got] = run(&narrow, &narrow_noise, &*a.estimator, c);
            let [_, want] = run(&wide, &wide_noise, &*b.estimator, c);
            for (row, (got, want)) in got.chunks(c).zip(want.chunks(c)).enumerate() {
                let largest = want.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
                for (got, want) in got.iter().zip(want) {
                    let error = (f64::from(*got) - want).abs();
                    let near = error <= 5e-4 * largest + f64::from(f32::MIN_POSITIVE);
                    assert!(near, "{} at τ = {tau}, row {row}: {got} for {want}", a.name);
                }
            }
        }
    }
}

/// Estimators that draw noise in their backward pass, and conditional noise that is streamed.
fn check_draws<T: Scalar>() {
    for c in [1, 2, 17] {
        let batch = Batch::<T>::new(c, 1);
        let noise = Noise::from_gumbel(batch.gumbel.clone()).with_key(9);
        for tau in [1e-3, 1.0, 1e3] {
            for subject in subjects::<T>(tau) {
                let [d, grad] = run(&batch, &noise, &*subject.estimator, c);
                assert!(grad.iter().all(|x| x.is_finite()), "{} at τ = {tau}, C = {c}", subject.name);
                for d in d.chunks(c) {
                    let sum: f64 = d.iter().map(|d| d.to_f64()).sum();
                    let inside = d.iter().all(|&d| d >= T::ZERO && d <= T::ONE);
                    assert!(inside && (sum - 1.0).abs() < 20.0 * T::EPSILON.to_f64(), "{}", subject.name);
                }
            }
        }
    }
}

#[test]
fn samples_lie_on_the_simplex() {
    check_draws::<f32>();
    check_draws::<f64>();
}

/// The message names the argument, the value and the valid range.
fn refused<E: std::fmt::Debug>(result: Result<E, Error>, value: impl std::fmt::Display, rest: [&str; 2]) {
    let [name, range] = rest;
    assert_eq!(result.unwrap_err().to_string(), format!("{name}: got {value}, expected {range}"));
}

#[test]
fn invalid_temperatures_are_refused() {
    let message = ["tau", "a finite number > 0"];
    for tau in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(StraightThrough::new(tau), tau, message);
        refused(StraightThroughGumbelSoftmax::new(tau), tau, message);
        refused(GumbelRao::new(tau, 1), tau, message);
        refused(GappedStraightThrough::new(Gap::Fixed(1.0), tau), tau, message);
        refused(GappedStraightThrough::new(Gap::Probability, tau), tau, message);
        refused(ReinMax::new(tau), tau, message);
        refused(ReinMaxArgmax::new(tau), tau, message);
        refused(ReinMaxRao::new(tau, 1), tau, message);
        FORMS.iter().for_each(|&form| refused(ReinMaxCv::new(form, tau, 1, 1.0), tau, message));
        refused(GumbelSoftmax::new(tau), tau, message);
        refused(GumbelSoftmax::decoupled(tau, 1.0), tau, message);
        refused(GumbelSoftmax::decoupled(1.0, tau), tau, message);
    }
}

#[test]
fn invalid_numbers_of_draws_are_refused() {
    let message = ["draws", "a number from 1 to 1000000"];
    for draws in [0, 1_000_001, usize::MAX] {
        refused(GumbelRao::new(1.0, draws), draws, message);
        refused(ReinMaxRao::new(1.0, draws), draws, message);
        FORMS.iter().for_each(|&form| refused(ReinMaxCv::new(form, 1.0, draws, 1.0), draws, message));
    }
    assert!(GumbelRao::new(1.0, 1_000_000).is_ok());
}

#[test]
fn invalid_coefficients_are_refused() {
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for form in [Rk2Form::Eq27, Rk2Form::AuthorCode, Rk2Form::Projected] {
            refused(ReinMaxRk2::new(form, x), x, ["beta", "a finite number"]);
        }
        FORMS
            .iter()
            .for_each(|&form| refused(ReinMaxCv::new(form, 1.0, 1, x), x, ["eta", "a finite number"]));
        let st = StraightThrough::new(1.0).unwrap();
        refused(Blend::new(st, st, x), x, ["lambda", "a finite number"]);
    }
    for gap in [-1.0, f64::NAN, f64::INFINITY] {
        let st = GappedStraightThrough::new(Gap::Fixed(gap), 1.0);
        refused(st, gap, ["gap", "a finite number >= 0"]);
    }
}

/// Hyper-parameters that `f32` cannot represent would give NaN gradients.
#[test]
fn hyper_parameters_that_f32_does_not_have_are_refused() {
    refused(StraightThrough::new(1e-50), "1e-50", ["tau", "at least 1e-30"]);
    let (form, range) = (CvForm::Shared, "a number from -1e30 to 1e30");
    refused(ReinMaxCv::new(form, 1.0, 1, 1e39), "1e39", ["eta", range]);
    refused(ReinMaxRk2::new(Rk2Form::Eq27, -1e39), "-1e39", ["beta", range]);
    let smallest = subjects::<f32>(1e-30);
    let batch = Batch::<f32>::new(3, 1);
    let noise = batch.noise().with_sample(batch.sample.clone());
    for subject in &smallest {
        let [_, grad] = run(&batch, &noise, &*subject.estimator, 3);
        assert!(grad.iter().all(|x| x.is_finite()), "{}", subject.name);
    }
}
