//! Identities of the estimators, on 64 random problems whose codes are enumerated.
//!
//! Rounding: every enumerated quantity is a sum of at most a few thousand terms with weights that
//! sum to at most 16, so its error is below 16 · √1000 · 2⁻⁵² ≈ 1e-13 of the largest f or g; the
//! tests allow 1e-12 of it. Where noise is left, the limit is five standard errors, and the seeds
//! are fixed. `unbiased.rs` tests REINFORCE, which needs f and not only its gradient at the sample.

use hardgrad::certify::{Certificate, certify};
use hardgrad::estimators::{
    At, CvForm, Estimator, GumbelRao, GumbelSoftmax, Noise, ReinMax, ReinMaxCv, ReinMaxRao, ReinMaxRk2,
    Rk2Form, Scratch, StraightThrough, StraightThroughGumbelSoftmax,
};
use hardgrad::exact::{MAX_CODES, Objective, Problem};
use hardgrad::rng::{Pcg64, from_key, uniform};

mod beside;
mod losses;
mod sampling;

const ROUNDING: f64 = 1e-12;

/// Σ_h v_h φ(⟨w_h, D⟩).
struct Function {
    phi: Phi,
    w: Vec<Vec<f64>>,
    v: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phi {
    Linear,
    Quadratic,
    Cubic,
    Tanh,
}

impl Phi {
    /// φ(t) and φ'(t).
    fn at(self, t: f64) -> (f64, f64) {
        match self {
            Self::Linear => (t, 1.0),
            Self::Quadratic => (t * t + t, 2.0 * t + 1.0),
            Self::Cubic => (t * t * t - t, 3.0 * t * t - 1.0),
            Self::Tanh => (t.tanh(), 1.0 - t.tanh().powi(2)),
        }
    }
}

impl Objective for Function {
    fn value(&self, code: &[f64]) -> f64 {
        self.w.iter().zip(&self.v).map(|(w, v)| v * self.phi.at(dot(w, code)).0).sum()
    }

    fn gradient(&self, code: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (w, v) in self.w.iter().zip(&self.v) {
            let slope = v * self.phi.at(dot(w, code)).1;
            out.iter_mut().zip(w).for_each(|(out, w)| *out += slope * w);
        }
    }
}

struct Case {
    f: Function,
    logits: Vec<f64>,
    categories: usize,
}

impl Case {
    fn problem(&self) -> Problem<'_> {
        Problem::new(&self.logits, self.categories, &self.f).unwrap()
    }

    /// The largest |f| or |g| over the codes.
    fn scale(&self) -> f64 {
        let mut g = vec![0.0; self.logits.len()];
        let largest = |code: hardgrad::exact::Code| {
            self.f.gradient(&code.one_hot, &mut g);
            g.iter().fold(self.f.value(&code.one_hot).abs(), |m, g| m.max(g.abs()))
        };
        self.problem().codes().map(largest).fold(0.0, f64::max)
    }
}

/// Two problems for each of four functions and eight shapes, of up to 27 codes.
fn cases() -> Vec<Case> {
    let shapes = [(1, 2), (1, 3), (1, 5), (1, 8), (2, 3), (3, 2), (2, 4), (3, 3)];
    let rng = &mut from_key(1);
    let mut cases = Vec::new();
    for (latents, categories) in shapes {
        for phi in [Phi::Linear, Phi::Quadratic, Phi::Cubic, Phi::Tanh] {
            for _ in 0..2 {
                let n = latents * categories;
                let w = (0..5).map(|_| numbers(rng, n, 1.5)).collect();
                let f = Function { phi, w, v: numbers(rng, 5, 1.0) };
                cases.push(Case { f, logits: numbers(rng, n, 2.0), categories });
            }
        }
    }
    cases
}

/// Uniform in (−size, size).
fn numbers(rng: &mut Pcg64, count: usize, size: f64) -> Vec<f64> {
    (0..count).map(|_| size * (2.0 * uniform::<f64>(rng) - 1.0)).collect()
}

fn short(errors: &[f64]) -> String {
    errors.iter().map(|e| format!("{e:.1e} ")).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

/// The mean of an estimator that is a function of D alone.
fn exact_mean(estimator: &dyn Estimator<f64>, problem: &Problem<'_>) -> Vec<f64> {
    let certificate = certify(estimator, problem, 2, &mut from_key(2)).unwrap();
    assert!(certificate.standard_error.iter().all(|&s| s == 0.0), "{estimator:?} is not determined by D");
    certificate.mean
}

/// Panics where a mean is more than five standard errors from `want`, or if all standard errors are
/// 0.
fn assert_within_5_se(certificate: &Certificate, want: &[f64], want_se: &[f64], name: &str) {
    assert!(certificate.standard_error.iter().any(|&s| s > 0.0), "{name}: all standard errors are 0");
    let means = certificate.mean.iter().zip(want);
    for ((mean, want), (se, want_se)) in means.zip(certificate.standard_error.iter().zip(want_se)) {
        let se = se.hypot(*want_se);
        assert!((mean - want).abs() <= 5.0 * se + 1e-13, "{name}: {mean} for {want}, standard error {se}");
    }
}

/// J(π) g of each variable, for a constant g.
fn jacobian(problem: &Problem<'_>, g: &[f64]) -> Vec<f64> {
    let c = problem.categories();
    let rows = problem.pi().chunks(c).zip(g.chunks(c));
    rows.flat_map(|(pi, g)| pi.iter().zip(g).map(|(p, x)| p * (x - dot(pi, g))).collect::<Vec<_>>()).collect()
}

/// Calls `visit(π_j · probability of the others, l, i, j, g_i, g_j)` for every code, variable l and
/// category i: the terms of the double sums that the paper prints, with g of variable l alone.
fn for_each_pair(case: &Case, mut visit: impl FnMut(f64, usize, usize, usize, &[f64], &[f64])) {
    let (problem, c) = (case.problem(), case.categories);
    let (mut g_i, mut g_j) = (vec![0.0; case.logits.len()], vec![0.0; case.logits.len()]);
    for code in problem.codes() {
        case.f.gradient(&code.one_hot, &mut g_j);
        for (l, &j) in code.categories.iter().enumerate() {
            for i in 0..c {
                let mut moved = code.one_hot.clone();
                moved[l * c + j] = 0.0;
                moved[l * c + i] = 1.0;
                case.f.gradient(&moved, &mut g_i);
                visit(code.probability, l, i, j, &g_i[l * c..(l + 1) * c], &g_j[l * c..(l + 1) * c]);
            }
        }
    }
}

#[test]
fn the_enumeration_agrees_with_the_printed_double_sums() {
    let mut worst = 0.0_f64;
    for case in cases() {
        let (problem, c, scale) = (case.problem(), case.categories, case.scale());
        assert!((problem.codes().map(|code| code.probability).sum::<f64>() - 1.0).abs() < 1e-14);
        for beta in [-0.2, 0.0, 0.5, 0.6, 1.0, 1.2] {
            let mut sum = vec![0.0; case.logits.len()];
            for_each_pair(&case, |weight, l, i, j, g_i, g_j| {
                let slope = |g: &[f64]| g[i] - g[j]; // ⟨g, I_i − I_j⟩
                let weight = weight * ((1.0 - beta) * slope(g_j) + beta * slope(g_i));
                let pi = &problem.pi()[l * c..];
                for k in 0..c {
                    sum[l * c + k] += weight * pi[i] * (f64::from(u8::from(i == k)) - pi[k]);
                }
            });
            let error = distance(&problem.rk2(beta), &sum) / scale;
            worst = worst.max(error);
            assert!(error < ROUNDING, "rk2({beta}): {error:e}");
        }
    }
    println!("eq. 26 against the double sum: {worst:.1e}");
}

/// Central differences with h = 1e-5: truncation h² f‴/6 and rounding 2⁻⁵²/h are both below 1e-9 of the scale.
#[test]
fn the_exact_gradient_is_the_derivative_of_the_expectation() {
    for case in cases() {
        let (gradient, h) = (case.problem().gradient(), 1e-5);
        for k in 0..case.logits.len() {
            let at = |step: f64| {
                let mut logits = case.logits.clone();
                logits[k] += step;
                Problem::new(&logits, case.categories, &case.f).unwrap().expectation()
            };
            let error = ((at(h) - at(-h)) / (2.0 * h) - gradient[k]).abs() / case.scale();
            assert!(error < 1e-9, "{error:e}");
        }
    }
}

#[test]
fn straight_through_is_first_order_and_reinmax_second() {
    let (st, reinmax) = (StraightThrough::new(1.0).unwrap(), ReinMax::new(1.0).unwrap());
    let mut worst = [0.0_f64; 3];
    let mut separated = 0;
    for case in cases() {
        let (problem, scale) = (case.problem(), case.scale());
        let mean = exact_mean(&reinmax, &problem);
        let gap = distance(&mean, &problem.gradient()) / scale;
        let polynomial = matches!(case.f.phi, Phi::Linear | Phi::Quadratic);
        let errors = [
            distance(&exact_mean(&st, &problem), &problem.first_order()) / scale,
            distance(&mean, &problem.second_order()) / scale,
            if polynomial { gap } else { 0.0 },
        ];
        for (worst, error) in worst.iter_mut().zip(errors) {
            assert!(error < ROUNDING, "{:?}: {errors:?}", case.f.phi);
            *worst = worst.max(error);
        }
        separated += usize::from(!polynomial && gap > 1e-6);
    }
    assert!(
        separated > 20,
        "ReinMax is biased where f is neither linear nor quadratic; seen {separated} times of 32"
    );
    println!("ST, ReinMax, ReinMax for quadratic f: {}, bias seen in {separated} of 32", short(&worst));
}

#[test]
fn a_constant_cotangent_gives_the_softmax_gradient() {
    let cv = |form, eta| ReinMaxCv::new(form, 0.7, 3, eta).unwrap();
    let mut worst = 0.0_f64;
    for case in cases().iter().filter(|case| case.f.phi == Phi::Linear) {
        let (problem, scale) = (case.problem(), case.scale());
        let mut g = vec![0.0; case.logits.len()];
        case.f.gradient(&case.logits, &mut g); // it is constant
        let whole = jacobian(&problem, &g);
        let quarter: Vec<f64> = whole.iter().map(|x| x / 4.0).collect();
        let mut check = |estimator: &dyn Estimator<f64>, want: &[f64]| {
            let error = distance(&exact_mean(estimator, &problem), want) / scale;
            assert!(error < ROUNDING, "{estimator:?}: {error:e}");
            worst = worst.max(error);
        };
        check(&ReinMax::new(1.0).unwrap(), &whole);
        for form in [CvForm::Shared, CvForm::Coupled, CvForm::AuthorCode] {
            check(&cv(form, 0.0), &whole);
        }
        check(&cv(CvForm::Printed, 0.0), &quarter);
        let coupled = certify(&cv(CvForm::Coupled, 1.0), &problem, 1000, &mut from_key(3)).unwrap();
        assert_within_5_se(&coupled, &whole, &vec![0.0; g.len()], "coupled");
    }
    println!("means for a constant g: {worst:.1e}");
}

#[test]
fn theorem_1_holds_at_one_half_only_and_the_projection_repairs_it() {
    let mut worst = [0.0_f64; 2];
    let mut broken = [0; 2];
    for case in cases() {
        let (problem, c, scale) = (case.problem(), case.categories, case.scale());
        for beta in (-4..=24).map(|i| f64::from(i) / 20.0) {
            let mean = |form| exact_mean(&ReinMaxRk2::new(form, beta).unwrap(), &problem);
            let rk2 = problem.rk2(beta);
            let mut want = rk2.clone(); // + π C, C = ½(2β − 1) Σ_ij π_i π_j ⟨g_i − g_j, I_i − I_j⟩
            for_each_pair(&case, |weight, l, i, j, g_i, g_j| {
                let pi = &problem.pi()[l * c..(l + 1) * c];
                let term =
                    0.5 * (2.0 * beta - 1.0) * weight * pi[i] * ((g_i[i] - g_j[i]) - (g_i[j] - g_j[j]));
                want[l * c..(l + 1) * c].iter_mut().zip(pi).for_each(|(want, pi)| *want += pi * term);
            });
            let (printed, author) = (mean(Rk2Form::Eq27), mean(Rk2Form::AuthorCode));
            let errors = [distance(&printed, &want), distance(&mean(Rk2Form::Projected), &rk2)];
            for (worst, error) in worst.iter_mut().zip(errors.map(|e| e / scale)) {
                assert!(error < ROUNDING, "beta {beta}: {error:e}");
                *worst = worst.max(error);
            }
            let [printed, author] = [printed, author].map(|mean| distance(&mean, &rk2) / scale > 1e-6);
            assert!(beta != 0.5 || !(printed || author), "at one half all forms are ReinMax");
            broken[0] += usize::from(printed);
            broken[1] += usize::from(author);
        }
    }
    // For linear f, 16 of 64, C is 0. One of the 29 values of β is ½.
    assert!(broken[0] == 48 * 28 && broken[1] == 64 * 28, "{broken:?} of {}", 64 * 28);
    println!(
        "eq. 27 less π C, projected: {}; unequal means of eq. 27 and the code: {broken:?}",
        short(&worst)
    );
}

/// E_D of the variance given D, summed over components. Panics where the mean given D is not ReinMax's value within five standard
/// errors.
fn variance_given_reinmax(case: &Case, cv: &ReinMaxCv, rng: &mut Pcg64) -> f64 {
    const DRAWS: usize = 400;
    let (c, n, reinmax) = (case.categories, DRAWS as f64, ReinMax::new(1.0).unwrap());
    let (mut g, mut within) = (vec![0.0; case.logits.len()], 0.0);
    for code in case.problem().codes() {
        case.f.gradient(&code.one_hot, &mut g);
        let rows = case.logits.chunks(c).zip(code.one_hot.chunks(c)).zip(g.chunks(c));
        for ((logits, one_hot), g) in rows {
            let mut vjp = |estimator: &dyn Estimator<f64>| {
                // The estimate must not depend on the noise that drew D.
                let noise = Noise::from_gumbel(vec![f64::NAN; c]).with_key(rand_key(rng));
                run(estimator, logits, one_hot, &noise, g)
            };
            let fixed = vjp(&reinmax);
            let drawn: Vec<Vec<f64>> = (0..DRAWS).map(|_| vjp(cv)).collect();
            for (k, &fixed) in fixed.iter().enumerate() {
                let mean = drawn.iter().map(|row| row[k]).sum::<f64>() / n;
                let variance = drawn.iter().map(|row| (row[k] - mean).powi(2)).sum::<f64>() / (n - 1.0);
                let se = (variance / n).sqrt();
                assert!((mean - fixed).abs() <= 5.0 * se + 1e-13, "{mean} for {fixed}, standard error {se}");
                within += code.probability * variance;
            }
        }
    }
    within
}

fn rand_key(rng: &mut Pcg64) -> u64 {
    rand::Rng::next_u64(rng)
}

/// The estimate of one variable.
fn run(
    estimator: &dyn Estimator<f64>,
    logits: &[f64],
    one_hot: &[f64],
    noise: &Noise<f64>,
    g: &[f64],
) -> Vec<f64> {
    let mut out = vec![0.0; g.len()];
    let at = At { logits, one_hot, noise, categories: g.len() };
    estimator.add_vjp(at, g, &mut out, &mut Scratch::new());
    out
}

/// Var = Var_D(mean given D) + E_D(variance given D). If the mean given D is ReinMax's value, which is tested within five standard
/// errors for every code and component, the first term is ReinMax's whole variance, and the second, an estimate that cannot be
/// negative, is what `coupled` adds.
#[test]
fn a_control_variate_drawn_given_the_sample_only_adds_variance() {
    let coupled = ReinMaxCv::new(CvForm::Coupled, 1.0, 10, 1.0).unwrap();
    let rng = &mut from_key(4);
    let (mut least, mut ratio) = (f64::INFINITY, 0.0);
    for case in cases() {
        let within = variance_given_reinmax(&case, &coupled, rng);
        let reinmax = certify(&ReinMax::new(1.0).unwrap(), &case.problem(), 2, rng).unwrap();
        least = least.min(within / reinmax.covariance_trace);
        assert!(within > 0.0);
        // The variances that the certificates state, summed over all problems.
        let whole = certify(&coupled, &case.problem(), 400, rng).unwrap();
        ratio += whole.covariance_trace / (reinmax.covariance_trace + within) / 64.0;
    }
    assert!((ratio - 1.0).abs() < 0.02, "certificates against the sum of the two parts: {ratio}");
    println!("coupled: variance added {least:.3} of ReinMax's at least; certificate ratio {ratio:.4}");
}

#[test]
fn reinmax_rao_has_less_variance_on_average() {
    let (mut ratios, mut below) = (0.0, 0);
    for case in cases() {
        let problem = case.problem();
        let reinmax = certify(&ReinMax::new(1.0).unwrap(), &problem, 2, &mut from_key(5)).unwrap();
        let rao = certify(&ReinMaxRao::new(1.0, 10).unwrap(), &problem, 200, &mut from_key(6)).unwrap();
        let ratio = rao.covariance_trace / reinmax.covariance_trace;
        ratios += ratio / 64.0;
        below += usize::from(ratio < 1.0);
    }
    println!("ReinMax-Rao's variance over ReinMax's: mean {ratios:.3}, below 1 in {below} of 64");
    assert!(ratios < 1.0);
}

#[test]
fn gumbel_rao_has_the_mean_of_stgs() {
    for tau in [0.5, 1.0] {
        let stgs = StraightThroughGumbelSoftmax::new(tau).unwrap();
        let rao = GumbelRao::new(tau, 5).unwrap();
        for case in cases() {
            let problem = case.problem();
            let stgs = certify(&stgs, &problem, 1000, &mut from_key(7)).unwrap();
            let rao = certify(&rao, &problem, 300, &mut from_key(8)).unwrap();
            assert_within_5_se(&rao, &stgs.mean, &stgs.standard_error, "Gumbel-Rao");
        }
    }
}

#[test]
fn invalid_problems_and_certificates_are_errors() {
    let f = (|_: &[f64]| 0.0, |_: &[f64], g: &mut [f64]| g.fill(0.0));
    let message = |logits: &[f64], c| Problem::new(logits, c, &f).unwrap_err().to_string();
    assert!(message(&[], 2).starts_with("categories: got 2"));
    assert!(message(&[0.0; 5], 2).starts_with("categories: got 2"));
    assert!(message(&[0.0; 5], 0).starts_with("categories: got 0"));
    assert!(message(&[0.0, f64::NAN], 2).starts_with("logits: got NaN"));
    assert!(message(&[0.0; 42], 2).starts_with("problem: got 2^21 codes"));
    assert!(message(&[0.0; 4000], 2).starts_with("problem: got 2^2000 codes"));
    assert_eq!(Problem::new(&[0.0; 28], 2, &f).unwrap().codes().len(), MAX_CODES);
    let (logits, rng) = ([0.0; 2], &mut from_key(11));
    let problem = Problem::new(&logits, 2, &f).unwrap();
    let error = certify(&ReinMax::new(1.0).unwrap(), &problem, 1, rng).unwrap_err().to_string();
    assert!(error.starts_with("draws: got 1"), "{error}");
    let error = certify(&GumbelSoftmax::new(1.0).unwrap(), &problem, 2, rng).unwrap_err().to_string();
    assert!(error.starts_with("estimator: got GumbelSoftmax"), "{error}");
}

/// Mean and standard error of the mean.
fn mean_and_se(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt())
}

/// Certificates with two draws, for which the corrections are largest: the average of their
/// variances is compared with that of plain sampling, and the spread of their means with the
/// standard errors that they state.
#[test]
fn certificates_are_unbiased() {
    let stgs = StraightThroughGumbelSoftmax::new(0.7).unwrap();
    let (case, rng) = (cases().swap_remove(38), &mut from_key(14));
    let (problem, n, c) = (case.problem(), case.logits.len(), case.categories);
    assert!(n == 2 * c && case.f.phi == Phi::Tanh);
    let mean = certify(&stgs, &problem, 20_000, rng).unwrap().mean;
    let (mut one_hot, mut noise, mut g) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut estimate = |k: usize| {
        if k == 0 {
            hardgrad::categorical::gumbel(rng, &mut noise);
            hardgrad::categorical::sample(&case.logits, &noise, c, &mut one_hot);
            case.f.gradient(&one_hot, &mut g);
        }
        let row = k..k + c;
        let (logits, one_hot) = (&case.logits[row.clone()], &one_hot[row.clone()]);
        run(&stgs, logits, one_hot, &Noise::from_gumbel(noise[row.clone()].to_vec()), &g[row])
    };
    let plain: Vec<f64> =
        (0..200_000).map(|_| [estimate(0), estimate(c)].concat()).map(|e| square(&e, &mean)).collect();
    let short: Vec<Certificate> = (0..4000).map(|_| certify(&stgs, &problem, 2, rng).unwrap()).collect();
    let traces: Vec<f64> = short.iter().map(|s| s.covariance_trace).collect();
    let excess: Vec<f64> =
        short.iter().map(|s| square(&s.mean, &mean) - dot(&s.standard_error, &s.standard_error)).collect();
    let ((plain, a), (trace, b), (excess, c)) =
        (mean_and_se(&plain), mean_and_se(&traces), mean_and_se(&excess));
    println!(
        "variance {trace:.5} ± {b:.5}, by sampling {plain:.5} ± {a:.5}; spread of means less s²: {excess:.1e} ± {c:.1e}"
    );
    assert!((trace - plain).abs() < 5.0 * a.hypot(b) && excess.abs() < 5.0 * c);
}

/// ‖a − b‖²
fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
