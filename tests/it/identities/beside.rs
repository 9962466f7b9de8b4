//! Identities of estimators that are not in the paper: DARN, for which ReinMax is the midpoint
//! between it and ST, and MVE.

use super::*;
use hardgrad::estimators::{Darn, Mve};

/// Calls `visit(estimate)` for every code and variable, with a function that computes the estimate
/// of an estimator there.
fn at_every_code(case: &Case, mut visit: impl FnMut(&dyn Fn(&dyn Estimator<f64>) -> Vec<f64>)) {
    let c = case.categories;
    let mut g = vec![0.0; case.logits.len()];
    for code in case.problem().codes() {
        case.f.gradient(&code.one_hot, &mut g);
        for l in 0..code.categories.len() {
            let row = l * c..(l + 1) * c;
            let noise = Noise::from_gumbel(vec![f64::NAN; c]); // these estimators use no noise
            let (logits, one_hot, g) = (&case.logits[row.clone()], &code.one_hot[row.clone()], &g[row]);
            visit(&|estimator| run(estimator, logits, one_hot, &noise, g));
        }
    }
}

#[test]
fn st_reinmax_and_darn_are_one_straight_line() {
    let (st, reinmax) = (StraightThrough::new(1.0).unwrap(), ReinMax::new(1.0).unwrap());
    let mut worst = [0.0_f64; 2];
    for case in cases() {
        let scale = case.scale();
        at_every_code(&case, |estimate| {
            let (st, darn) = (estimate(&st), estimate(&Darn));
            let between = |beta: f64| -> Vec<f64> {
                st.iter().zip(&darn).map(|(st, darn)| (1.0 - beta) * st + beta * darn).collect()
            };
            worst[0] = worst[0].max(distance(&estimate(&reinmax), &between(0.5)) / scale);
            for beta in [-0.2, 0.0, 0.25, 0.5, 1.0, 1.2] {
                let projected = ReinMaxRk2::new(Rk2Form::Projected, beta).unwrap();
                worst[1] = worst[1].max(distance(&estimate(&projected), &between(beta)) / scale);
            }
        });
    }
    println!("ReinMax against ½ (ST + DARN), projected RK2 against the line: {}", short(&worst));
    assert!(worst.iter().all(|&error| error < ROUNDING));
}

#[test]
fn mve_is_st_at_lambda_0_and_for_two_categories_reinmax_in_the_limit() {
    let (st, reinmax) = (StraightThrough::new(1.0).unwrap(), ReinMax::new(1.0).unwrap());
    let (mut worst, mut pairs) = ([0.0_f64; 2], 0);
    for case in cases() {
        let scale = case.scale();
        at_every_code(&case, |estimate| {
            let begin = estimate(&Mve::new(0.0).unwrap());
            worst[0] = worst[0].max(distance(&begin, &estimate(&st)) / scale);
            let end = distance(&estimate(&Mve::limit()), &estimate(&reinmax)) / scale;
            if case.categories == 2 {
                worst[1] = worst[1].max(end);
                pairs += 1;
            }
        });
    }
    println!("MVE(0) against ST, MVE(∞) against ReinMax: {}", short(&worst));
    assert!(worst.iter().all(|&error| error < ROUNDING) && pairs > 0);
}

#[test]
fn mve_is_exact_for_linear_f_and_in_the_limit_for_quadratic_f() {
    let (mut worst, mut falls) = (0.0_f64, 0);
    for case in cases() {
        let (problem, scale) = (case.problem(), case.scale());
        let exact = problem.gradient();
        let bias = |mve: Mve| distance(&exact_mean(&mve, &problem), &exact) / scale;
        let at = |lambda: f64| bias(Mve::new(lambda).unwrap());
        if case.f.phi == Phi::Linear {
            for lambda in [0.0, 0.3, 1.0, 10.0, 1e3, 1e6, 1e12, 1e30, f64::INFINITY] {
                worst = worst.max(at(lambda));
            }
        }
        if case.f.phi == Phi::Quadratic {
            worst = worst.max(bias(Mve::limit()));
            // 1/λ is the first term of a series in 1/λ, whose next term is below a thousandth of it here.
            let (near, far) = (at(1e5), at(1e6));
            assert!((near / far / 10.0 - 1.0).abs() < 0.01, "bias {near:e} at λ = 1e5, {far:e} at 1e6");
            falls += 1;
        }
    }
    println!("bias of MVE where it has none: {worst:.1e}; falls as 1/λ in {falls} problems");
    assert!(worst < ROUNDING && falls == 16);
}

/// The estimate differs from the limit by a term of order 1/λ, and no λ up to 1e30 loses accuracy.
#[test]
fn mve_goes_to_its_limit_as_one_over_lambda() {
    for case in cases() {
        let scale = case.scale();
        at_every_code(&case, |estimate| {
            let limit = estimate(&Mve::limit());
            for (lambda, bound) in [(1e9, 1e-6), (1e12, 1e-9), (1e20, ROUNDING), (1e30, ROUNDING)] {
                let error = distance(&estimate(&Mve::new(lambda).unwrap()), &limit) / scale;
                assert!(error < bound, "λ = {lambda:e}: {error:e}");
            }
        });
    }
}

/// The mean of the straight-through Gumbel-softmax with two categories, less the exact gradient: the difference of the two Gumbel numbers is
/// logistic, so it is one integral over its quantile u. f = exp(D₁) of
/// D = (D₀, D₁), so the entry of g that matters is e at the second category, whose probability is `pi`, and 1 at the first.
fn bias_of_the_relaxation(pi: f64, tau: f64) -> f64 {
    const POINTS: u32 = 1_000_000;
    let theta = (pi / (1.0 - pi)).ln();
    let at = |k: u32| {
        let u = (f64::from(k) + 0.5) / f64::from(POINTS);
        let z = theta + (u / (1.0 - u)).ln();
        let q = 1.0 / (1.0 + (-z / tau).exp());
        (if z > 0.0 { 1.0_f64.exp() } else { 1.0 }) * q * (1.0 - q) / tau
    };
    (0..POINTS).map(at).sum::<f64>() / f64::from(POINTS) - pi * (1.0 - pi) * (1.0_f64.exp() - 1.0)
}

/// Gumbel-Rao has the mean of the straight-through Gumbel-softmax, whose bias falls with τ, to ReinMax's and not to 0.
#[test]
fn the_bias_of_gumbel_rao_falls_to_that_of_reinmax() {
    let f = (|d: &[f64]| d[1].exp(), |d: &[f64], g: &mut [f64]| g.copy_from_slice(&[0.0, d[1].exp()]));
    let logits = [0.0, 3.0_f64.ln()]; // π = (¼, ¾)
    let problem = Problem::new(&logits, 2, &f).unwrap();
    let reinmax = certify(&ReinMax::new(1.0).unwrap(), &problem, 2, &mut from_key(21)).unwrap();
    assert!((reinmax.bias[1] - 0.0264).abs() < 5e-5, "{}", reinmax.bias[1]);
    let table = [(0.5, 0.0450), (0.2, 0.0442), (0.1, 0.0367), (0.05, 0.0318), (0.02, 0.0286), (0.01, 0.0275)];
    for (tau, want) in table {
        let integral = bias_of_the_relaxation(0.75, tau);
        assert!((integral - want).abs() < 5e-5, "τ = {tau}: {integral}");
        let rao = certify(&GumbelRao::new(tau, 20).unwrap(), &problem, 2000, &mut from_key(22)).unwrap();
        let (error, se) = (rao.bias[1] - integral, rao.standard_error[1]);
        assert!(error.abs() < 5.0 * se && se > 0.0, "τ = {tau}: {error:e}, standard error {se:e}");
        println!("τ = {tau}: bias {integral:.5}, Gumbel-Rao {:.5} ± {se:.5}", rao.bias[1]);
    }
}

/// Both are exact for quadratic f, and neither has less variance on all problems.
#[test]
fn the_limit_of_mve_beside_reinmax() {
    let (mut below, mut ratios) = (0, Vec::new());
    for case in cases().iter().filter(|case| case.f.phi == Phi::Quadratic && case.categories > 2) {
        let trace = |estimator: &dyn Estimator<f64>| {
            certify(estimator, &case.problem(), 2, &mut from_key(23)).unwrap().covariance_trace
        };
        ratios.push(trace(&Mve::limit()) / trace(&ReinMax::new(1.0).unwrap()));
        below += usize::from(*ratios.last().unwrap() < 1.0);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "variance of MVE(∞) over ReinMax's: {:.3} to {:.3}, below 1 in {below} of {}",
        ratios[0],
        ratios[ratios.len() - 1],
        ratios.len()
    );
    assert!(ratios[0] < 1.0 && ratios[ratios.len() - 1] > 1.0);
}
