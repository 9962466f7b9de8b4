//! The identities between the estimators, the exact gradient and its approximations: by enumeration of D where D is the only
//! noise, else within five standard errors.

use hardgrad::certify::{Certificate, certify, gumbel_given_sample};
use hardgrad::estimators::{
    Conditional, CvForm, GumbelRao, Latent, ReinMax, ReinMaxCv, ReinMaxRk2, Rk2Form, SampleEstimator,
    StraightThrough, StraightThroughGumbelSoftmax, Work,
};
use hardgrad::exact::Problem;
use hardgrad::rng::{self, Pcg64, uniform};

/// Sums of some hundred terms of magnitude up to about 10, each with a few roundings of 1e-16.
const EXACT: f64 = 1e-12;

fn numbers(rng: &mut Pcg64, n: usize, scale: f64) -> Vec<f64> {
    (0..n).map(|_| scale * (2.0 * uniform::<f64>(rng) - 1.0)).collect()
}

/// A polynomial of the given degree (1 to 3) in the code: a·x + (b·x)²/2 + (c·x)³/6, and at degree 4 a sine on top.
fn problem(key: u64, categories: usize, variables: usize, degree: usize) -> Problem {
    let mut rng = rng::from_key(key);
    let n = categories * variables;
    let logits = numbers(&mut rng, n, 2.0);
    let vectors: Vec<Vec<f64>> = (0..4).map(|_| numbers(&mut rng, n, 1.0)).collect();
    let f = move |x: &[f64], g: &mut [f64]| {
        g.fill(0.0);
        let mut value = 0.0;
        for (k, v) in vectors.iter().take(degree).enumerate() {
            let s: f64 = v.iter().zip(x).map(|(v, x)| v * x).sum();
            let (term, slope) = match k {
                0 => (s, 1.0),
                1 => (s * s / 2.0, s),
                2 => (s * s * s / 6.0, s * s / 2.0),
                _ => ((3.0 * s).sin(), 3.0 * (3.0 * s).cos()),
            };
            value += term;
            g.iter_mut().zip(v).for_each(|(g, v)| *g += slope * v);
        }
        value
    };
    Problem::new(&logits, categories, &f).unwrap()
}

const SHAPES: [(usize, usize); 5] = [(2, 1), (3, 1), (8, 1), (3, 3), (4, 2)];

fn certificate(estimator: &dyn SampleEstimator<f64>, problem: &Problem, draws: usize) -> Certificate {
    certify(estimator, problem, draws, &mut rng::from_key(99)).unwrap()
}

fn close(what: &str, got: &[f64], want: &[f64]) {
    for (k, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() < EXACT, "{what}, number {k}: {got} for {want}");
    }
}

/// 1. E[ST] is eq. 9 and E[ReinMax] eq. 11 at τ = 1, for any f and any number of variables; and for quadratic f of any
///    number of variables E[ReinMax] is the exact gradient.
#[test]
fn means_of_st_and_reinmax() {
    let (st, reinmax) = (StraightThrough::new(1.0).unwrap(), ReinMax::new(1.0).unwrap());
    for (key, (c, l)) in (0..).zip(SHAPES) {
        for degree in 1..=4 {
            let problem = problem(key, c, l, degree);
            close("ST", &certificate(&st, &problem, 1).mean, &problem.first_order());
            close("ReinMax", &certificate(&reinmax, &problem, 1).mean, &problem.second_order());
            if degree <= 2 {
                close("quadratic f", &problem.second_order(), &problem.gradient());
            } else if l > 1 || c > 2 {
                let off = certificate(&reinmax, &problem, 1).bias_norm();
                assert!(off > 1e-6, "a cubic f must show a bias, or the test shows nothing: {off}");
            }
        }
    }
}

/// 2. For constant g (linear f) the ReinMax term averages to J(π) g; with coefficient 1, as eq. 18 prints it, a quarter is left.
#[test]
fn the_coefficient_of_equation_18() {
    for key in 0..5 {
        let problem = problem(key, 5, 1, 1);
        let exact = problem.gradient();
        let cv = |form| ReinMaxCv::new(form, 0.7, 2, 0.0).unwrap();
        close("coefficient 2", &certificate(&cv(CvForm::Shared), &problem, 1).mean, &exact);
        let quarter: Vec<f64> = exact.iter().map(|x| x / 4.0).collect();
        close("coefficient 1", &certificate(&cv(CvForm::Printed), &problem, 1).mean, &quarter);
    }
}

/// 3. Theorem 1 holds at β = ½ only: the gap is π_k C, and `Projected` closes it.
#[test]
fn theorem_1() {
    for key in 0..10 {
        let problem = problem(key, 4, 1, 4);
        let pi = problem.probs();
        let (codes, n) = (problem.codes(), 4);
        let gap = |beta: f64| {
            let pair = |i: usize, j: usize| {
                let g = |k: usize| codes[i].gradient[k] - codes[j].gradient[k];
                pi[i] * pi[j] * (g(i) - g(j))
            };
            let sum: f64 = (0..n * n).map(|k| pair(k / n, k % n)).sum();
            0.5 * (2.0 * beta - 1.0) * sum
        };
        let mean = |form, beta| certificate(&ReinMaxRk2::new(form, beta).unwrap(), &problem, 1).mean;
        for beta in [-0.2, 0.0, 0.3, 0.5, 0.75, 1.0, 1.2] {
            let want = problem.runge_kutta(beta);
            let with_gap: Vec<f64> = want.iter().zip(pi).map(|(w, pi)| w + pi * gap(beta)).collect();
            close("eq. 27 is eq. 26 + π C", &mean(Rk2Form::Eq27, beta), &with_gap);
            close("projected", &mean(Rk2Form::Projected, beta), &want);
            assert!(beta == 0.5 || gap(beta).abs() > 1e-4, "no gap to see at β = {beta}");
        }
        close("ReinMax", &mean(Rk2Form::Eq27, 0.5), &problem.second_order());
    }
}

/// 4. `Coupled` has ReinMax's mean given D, so that its variance is ReinMax's plus what it adds given D: never below.
#[test]
fn a_control_variate_given_d_only_adds_variance() {
    const DRAWS: usize = 400;
    let reinmax = ReinMax::new(1.0).unwrap();
    let coupled = ReinMaxCv::new(CvForm::Coupled, 0.7, 4, 1.0).unwrap();
    let mut worst = 0.0_f64;
    for key in 0..60 {
        let (c, l) = SHAPES[key as usize % SHAPES.len()];
        let problem = problem(100 + key, c, l, 4);
        let plain = certificate(&reinmax, &problem, 1);
        let cv = certificate(&coupled, &problem, DRAWS);
        for ((got, want), se) in cv.mean.iter().zip(&plain.mean).zip(&cv.standard_error) {
            worst = worst.max((got - want).abs() / se);
        }
        // The estimated total is the part between codes plus the part given D; the latter is positive, the former ReinMax's up
        // to the noise of the means.
        assert!(cv.given_sample_trace > 0.0);
        let between = cv.covariance_trace - cv.given_sample_trace;
        let noise = 5.0 * cv.given_sample_trace / (DRAWS as f64).sqrt() + EXACT;
        assert!(
            between > plain.covariance_trace - noise,
            "problem {key}: {between} < {}",
            plain.covariance_trace
        );
        assert!(cv.covariance_trace > plain.covariance_trace, "problem {key}");
    }
    // About 500 numbers: the largest of that many standard normal ones is below 5 with probability 0.9997.
    assert!(worst < 5.0, "{worst} standard errors");
}

/// 5. E[Gumbel-Rao] = E[STGS].
#[test]
fn gumbel_rao_has_the_mean_of_stgs() {
    for key in 0..4 {
        let problem = problem(200 + key, 4, 1, 3);
        let stgs = certificate(&StraightThroughGumbelSoftmax::new(0.6).unwrap(), &problem, 20_000);
        let rao = certificate(&GumbelRao::new(0.6, 20).unwrap(), &problem, 2_000);
        for k in 0..4 {
            let se = stgs.standard_error[k].hypot(rao.standard_error[k]);
            let off = (stgs.mean[k] - rao.mean[k]).abs() / se;
            assert!(off < 5.0, "number {k}: {off} standard errors");
        }
        assert!(rao.covariance_trace < stgs.covariance_trace);
    }
}

/// With K = 1 and the conditional draw that gave the sample, Gumbel-Rao is STGS.
#[test]
fn one_draw_of_gumbel_rao_is_stgs() {
    let mut rng = rng::from_key(300);
    let log_pi = [0.1_f64, 0.2, 0.3, 0.4].map(f64::ln);
    let (hot, tau) = (2, 0.7);
    let e: Vec<f64> = (0..4).map(|_| -uniform::<f64>(&mut rng).ln()).collect();
    let y = |j: usize| if j == hot { -e[hot].ln() } else { -(e[j] * (-log_pi[j]).exp() + e[hot]).ln() };
    let gumbel: Vec<f64> = (0..4).map(|j| y(j) - log_pi[j]).collect();
    let conditional = Conditional::Given { values: &e, first: 0, stride: 4 };
    let latent = Latent { logits: &log_pi, one_hot: &[0.0, 0.0, 1.0, 0.0], gumbel: &gumbel, conditional };
    let g = numbers(&mut rng, 4, 1.0);
    let run = |estimator: &dyn SampleEstimator<f64>| {
        let (mut out, mut memory) = (vec![0.0; 4], vec![0.0; 40]);
        estimator.vjp(&latent, &g, &mut out, Work::new(&mut memory, 4));
        out
    };
    close(
        "K = 1",
        &run(&GumbelRao::new(tau, 1).unwrap()),
        &run(&StraightThroughGumbelSoftmax::new(tau).unwrap()),
    );
}

/// 6. The conditional draw has the law of rejection sampling: two-sample Kolmogorov–Smirnov for each category's number.
#[test]
fn the_conditional_draw_is_rejection_sampling() {
    const N: usize = 4000;
    // P(D > 1.95 √(2/N)) ≈ 0.001 for each of the 9 comparisons; the seed is fixed.
    let critical = 1.95 * (2.0 / N as f64).sqrt();
    let mut rng = rng::from_key(400);
    let log_pi = [0.2_f64, 0.5, 0.3].map(f64::ln);
    for hot in 0..3 {
        let (mut direct, mut rejected) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
        while rejected[0].len() < N {
            let mut gumbel = [0.0; 3];
            hardgrad::categorical::gumbel(&mut rng, &mut gumbel);
            let scores: Vec<f64> = (0..3).map(|j| log_pi[j] + gumbel[j]).collect();
            if hardgrad::categorical::argmax(scores) == hot {
                (0..3).for_each(|j| rejected[j].push(gumbel[j]));
            }
        }
        for _ in 0..N {
            let mut gumbel = [0.0; 3];
            gumbel_given_sample(&log_pi, hot, &mut rng, &mut gumbel);
            (0..3).for_each(|j| direct[j].push(gumbel[j]));
        }
        for j in 0..3 {
            let distance = kolmogorov_smirnov(&mut direct[j], &mut rejected[j]);
            assert!(distance < critical, "D = {hot}, category {j}: {distance}");
        }
    }
}

/// The largest distance between two empirical distribution functions.
fn kolmogorov_smirnov(a: &mut [f64], b: &mut [f64]) -> f64 {
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let below = |sorted: &[f64], x: f64| sorted.partition_point(|&y| y <= x) as f64 / sorted.len() as f64;
    a.iter().chain(&*b).map(|&x| (below(a, x) - below(b, x)).abs()).fold(0.0, f64::max)
}

/// The values every seed's results rest on. A change here is a change of random streams: say so in the CHANGELOG.
#[test]
fn samplers_are_pinned() {
    let mut gumbel = [0.0_f64; 2];
    hardgrad::categorical::gumbel(&mut rng::from_key(1), &mut gumbel);
    let mut e = [0.0_f32; 2];
    let zero = [0.0_f32; 2];
    let latent = Latent { logits: &zero, one_hot: &zero, gumbel: &zero, conditional: Conditional::Key(1) };
    latent.exponentials().next(&mut e);
    let mut d = [0.0; 2];
    hardgrad::categorical::sample(&[0.0, 0.5], &gumbel, 2, &mut d);
    assert_eq!((e, d), ([0.334_389_63, 0.260_373_3], [0.0, 1.0]));
    // The logarithm in f64 is the platform's, right to an ulp or so.
    close("gumbel", &gumbel, &[1.095_448_226_093_707_7, 1.345_638_708_175_483_3]);
}
