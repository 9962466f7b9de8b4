//! The identities of the estimators at the loss, by enumeration of all samples.

use super::*;
use hardgrad::certify::{certify_choice, certify_loss};
use hardgrad::estimators::{
    Baseline, Choice, DoubleControlVariate, LocalExpectation, PairWithoutReplacement, Reinforce,
    SumAndSample, Vimco,
};
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace};

fn double_control_variate(problem: &Problem<'_>, samples: usize, alpha: f64) -> Certificate {
    let estimator = DoubleControlVariate::new(samples, alpha).unwrap();
    certify_loss(problem, samples, |tape, logits, choice, f| estimator.loss(tape, logits, choice, f)).unwrap()
}

fn leave_one_out(problem: &Problem<'_>, samples: usize) -> Certificate {
    let estimator = Reinforce::new(Baseline::leave_one_out(samples).unwrap());
    let record = |tape: &mut Tape<'_, f64>, logits, n| tape.repeat_rows(logits, n);
    certify_loss(problem, samples, |tape, logits, choice, f| {
        let repeated = record(tape, logits, samples);
        estimator.loss(tape, repeated, choice, f)
    })
    .unwrap()
}

#[test]
fn the_double_control_variate_is_unbiased_and_exact_for_linear_f() {
    let (mut worst, mut ratios) = ([0.0_f64; 3], Vec::new());
    for case in cases() {
        let (problem, scale) = (case.problem(), case.scale());
        for alpha in [-1.0, -0.4, 0.0, 0.7] {
            let double = double_control_variate(&problem, 2, alpha);
            worst[0] = worst[0].max(distance(&double.mean, &double.exact) / scale);
            let plain = leave_one_out(&problem, 2);
            if alpha == 0.0 {
                let difference = (double.covariance_trace - plain.covariance_trace).abs();
                worst[1] = worst[1].max(difference / scale / scale);
            }
            if alpha == -1.0 && case.f.phi == Phi::Linear {
                worst[2] = worst[2].max(double.covariance_trace.sqrt() / scale);
            } else if alpha == -1.0 {
                ratios.push(double.covariance_trace / plain.covariance_trace);
            }
        }
        if problem.codes().len() <= 8 {
            let double = double_control_variate(&problem, 3, -0.4);
            worst[0] = worst[0].max(distance(&double.mean, &double.exact) / scale);
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "bias, α = 0 against leave-one-out, sd for linear f: {}; variance over leave-one-out's at α = −1 {:.3} to {:.3}",
        short(&worst),
        ratios[0],
        ratios[ratios.len() - 1]
    );
    assert!(worst.iter().all(|&error| error < ROUNDING), "{worst:?}");
}

/// The moments lead to the α of least variance: no other one has less.
#[test]
fn the_adapted_weight_has_the_least_variance() {
    for case in cases().iter().filter(|case| case.f.phi == Phi::Tanh && case.logits.len() <= 8) {
        let problem = case.problem();
        let trace = |alpha| double_control_variate(&problem, 2, alpha).covariance_trace;
        // E ‖A + α B‖² is a parabola in α, through three of its values.
        let (low, mid, high) = (trace(-1.0), trace(0.0), trace(1.0));
        let best = 0.5 * (low - high) / (low - 2.0 * mid + high);
        let estimator = DoubleControlVariate::new(2, 0.3).unwrap();
        let codes: Vec<_> = problem.codes().collect();
        let (mut cross, mut square) = (0.0, 0.0);
        for (a, b) in codes.iter().flat_map(|a| codes.iter().map(move |b| (a, b))) {
            let samples = [&a.one_hot[..], &b.one_hot].concat();
            let one = |_: &mut Tape<'_, f64>, loss: Var| loss;
            let _ = gradient(&case.logits, case, samples, |tape, logits, choice, f| {
                let loss = estimator.loss(tape, logits, choice, f);
                one(tape, loss)
            });
            let moments = estimator.take_moments();
            cross += a.probability * b.probability * moments.cross;
            square += a.probability * b.probability * moments.square;
        }
        let adapted = -cross / square;
        assert!((adapted - best).abs() < 1e-9 * best.abs().max(1.0), "{adapted} for {best}");
    }
}

/// The gradient of the logits of one input at given samples.
fn gradient(
    logits: &[f64],
    case: &Case,
    samples: Vec<f64>,
    record: impl for<'t> FnOnce(
        &mut Tape<'t, f64>,
        Var,
        &Choice<f64>,
        &mut dyn FnMut(&mut Tape<'t, f64>, Var) -> Var,
    ) -> Var,
) -> Vec<f64> {
    let count = samples.len() / logits.len();
    let mut values = Vec::new();
    let mut slopes = Vec::new();
    for d in samples.chunks(logits.len()) {
        let mut g = vec![0.0; d.len()];
        case.f.gradient(d, &mut g);
        // f(D_k) + ⟨g_k, D − D_k⟩ has the value and the gradient of f at D_k.
        values.push(case.f.value(d) - dot(&g, d));
        slopes.extend(g);
    }
    let noise = Noise::from_gumbel(vec![0.0; samples.len()]).with_sample(samples);
    let choice = Choice::without_gradient(case.categories).with_noise(noise);
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let leaf = tape.leaf(&Mat::from_vec(1, logits.len(), logits.to_vec()));
    let loss = record(&mut tape, leaf, &choice, &mut |tape, d| {
        let slope = tape.constant(&Mat::from_vec(count, logits.len(), slopes.clone()));
        let linear = tape.mul(d, slope);
        let linear = tape.row_sum(linear);
        let value = tape.constant(&Mat::from_vec(count, 1, values.clone()));
        tape.add(linear, value)
    });
    tape.backward_from(loss, &vec![0.5; count], &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(leaf).as_slice().to_vec()
}

#[test]
fn local_expectation_is_unbiased_and_exact_for_one_variable() {
    let mut worst = [0.0_f64; 2];
    for case in cases() {
        let (problem, scale) = (case.problem(), case.scale());
        let local = certify_loss(&problem, 1, |tape, logits, choice, f| {
            LocalExpectation.loss(tape, logits, choice, |tape, d| f(tape, d))
        })
        .unwrap();
        worst[0] = worst[0].max(distance(&local.mean, &local.exact) / scale);
        if case.logits.len() == case.categories {
            worst[1] = worst[1].max(local.covariance_trace.sqrt() / scale);
        } else {
            assert!(local.covariance_trace < leave_one_out(&problem, 2).covariance_trace);
        }
    }
    println!("local expectation, bias and sd for one variable: {}", short(&worst));
    assert!(worst.iter().all(|&error| error < ROUNDING), "{worst:?}");
}

/// Two categories by their probability as the two largest of θ + G, in both orders; and the
/// category outside the summed ones.
#[test]
fn pairs_and_sums_are_unbiased() {
    let mut worst = [0.0_f64; 3];
    for case in cases().iter().filter(|case| case.logits.len() == case.categories) {
        let (problem, c, scale) = (case.problem(), case.categories, case.scale());
        let (exact, pi) = (problem.gradient(), problem.pi());
        let mut mean = vec![0.0; c];
        for (i, j) in (0..c).flat_map(|i| (0..c).map(move |j| (i, j))).filter(|(i, j)| i != j) {
            let probability = pi[i] * pi[j] / (1.0 - pi[i]);
            let got = one_choice(case, &[i, j], |tape, logits, choice, f| {
                PairWithoutReplacement.loss(tape, logits, choice, f)
            });
            mean.iter_mut().zip(got).for_each(|(mean, got)| *mean += probability * got);
        }
        worst[0] = worst[0].max(distance(&mean, &exact) / scale);
        for k in 0..=c {
            let mut order: Vec<usize> = (0..c).collect();
            order.sort_by(|&i, &j| pi[j].total_cmp(&pi[i]));
            let rest = &order[k..];
            let outside: f64 = rest.iter().map(|&x| pi[x]).sum();
            let mut mean = vec![0.0; c];
            let mut add = |x: usize, probability: f64| {
                let got = one_choice(case, &[x], |tape, logits, choice, f| {
                    SumAndSample::new(k).unwrap().loss(tape, logits, choice, f)
                });
                mean.iter_mut().zip(got).for_each(|(mean, got)| *mean += probability * got);
            };
            if rest.is_empty() {
                add(0, 1.0)
            } else {
                rest.iter().for_each(|&x| add(x, pi[x] / outside))
            }
            let error = distance(&mean, &exact) / scale;
            worst[1] = worst[1].max(error);
            worst[2] = worst[2].max(if k == c { error } else { 0.0 });
        }
    }
    println!("pair, sum and sample, and with k = C: {}", short(&worst));
    assert!(worst.iter().all(|&error| error < ROUNDING), "{worst:?}");
}

/// Both estimators of a single choice, by enumeration of the rankings: they have no bias; a pair
/// has a smaller variance than leave-one-out with as many samples; k = 0 is REINFORCE; k = C − 1 is
/// exact; and rankings that are longer than the estimator needs change nothing.
#[test]
fn certificates_of_one_choice() {
    let (mut worst, mut ratios) = ([0.0_f64; 4], Vec::new());
    for case in cases().iter().filter(|case| case.logits.len() == case.categories) {
        let (problem, c, scale) = (case.problem(), case.categories, case.scale());
        let pair = |ranked| {
            certify_choice(&problem, ranked, |tape, logits, choice, f| {
                PairWithoutReplacement.loss(tape, logits, choice, f)
            })
            .unwrap()
        };
        let sum = |k, ranked| {
            let sum = SumAndSample::new(k).unwrap();
            certify_choice(&problem, ranked, |tape, logits, choice, f| sum.loss(tape, logits, choice, f))
                .unwrap()
        };
        let two = pair(2);
        worst[0] = worst[0].max(distance(&two.mean, &two.exact) / scale);
        let longer = pair(3);
        let difference = (longer.covariance_trace - two.covariance_trace).abs() / scale / scale;
        worst[1] = worst[1].max(difference + distance(&longer.mean, &two.mean) / scale);
        ratios.push(two.covariance_trace / leave_one_out(&problem, 2).covariance_trace);
        for k in (0..c).filter(|&k| k < 4 || k == c - 1) {
            // With k = C − 1 nothing is drawn, so that no ranking is needed.
            let sum = sum(k, if k == c - 1 { 1 } else { k + 1 });
            worst[0] = worst[0].max(distance(&sum.mean, &sum.exact) / scale);
            if k == 0 {
                let plain = Reinforce::new(Baseline::Constant(0.0));
                let plain =
                    certify_loss(&problem, 1, |tape, logits, choice, f| plain.loss(tape, logits, choice, f))
                        .unwrap();
                let difference = (sum.covariance_trace - plain.covariance_trace).abs();
                worst[2] = worst[2].max(difference / scale / scale);
            } else if k == c - 1 {
                worst[3] = worst[3].max(sum.covariance_trace.sqrt() / scale);
            }
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "one choice: bias, longer rankings, k = 0 against REINFORCE, sd for k = C − 1: {}; pair's variance over \
         leave-one-out's {:.3} to {:.3}",
        short(&worst),
        ratios[0],
        ratios[ratios.len() - 1]
    );
    assert!(worst.iter().all(|&error| error < ROUNDING), "{worst:?}");
    assert!(ratios.iter().all(|&ratio| ratio < 1.0), "{ratios:?}");
}

/// A category with probability 0 is in no ranking, and a problem of two variables is an error.
#[test]
fn certificates_of_one_choice_with_a_mask() {
    let f = (|d: &[f64]| 2.0 * d[0] - d[2], |_: &[f64], g: &mut [f64]| g.copy_from_slice(&[2.0, 0.0, -1.0]));
    let certify = |logits: &[f64], categories, ranked| {
        let problem = Problem::new(logits, categories, &f).unwrap();
        certify_choice(&problem, ranked, |tape, logits, choice, f| {
            PairWithoutReplacement.loss(tape, logits, choice, f)
        })
    };
    let masked = certify(&[0.3, f64::NEG_INFINITY, -0.2], 3, 2).unwrap();
    assert_eq!((masked.codes, masked.mean[1]), (2, 0.0));
    assert!(masked.bias_norm() < 1e-15 && masked.covariance_trace < 1e-30, "{masked:?}");
    let single = certify(&[0.3, f64::NEG_INFINITY, f64::NEG_INFINITY], 3, 2).unwrap();
    assert_eq!((single.codes, &single.mean[..]), (1, &[0.0; 3][..]));
    for (logits, categories, ranked, expected) in [
        (&[0.0; 4][..], 2, 2, "variables of the problem: got 2, expected one"),
        (&[0.0; 3][..], 3, 0, "ranked: got 0, expected at least 1"),
    ] {
        let e = certify(logits, categories, ranked).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    }
    let many = certify(&[0.0; 30], 30, 4).unwrap_err().to_string(); // 657 720 rankings
    assert!(many.contains("ranked: got 4, expected at least 1, and at most 16384 rankings of 30"), "{many}");
}

/// The gradient of one choice whose noise puts these categories first, in this order.
fn one_choice(
    case: &Case,
    first: &[usize],
    record: impl FnOnce(
        &mut Tape<'_, f64>,
        Var,
        &Choice<f64>,
        &mut dyn FnMut(&mut Tape<'_, f64>, Var) -> Var,
    ) -> Var,
) -> Vec<f64> {
    let c = case.categories;
    let mut gumbel: Vec<f64> = case.logits.iter().map(|theta| -theta).collect();
    first.iter().enumerate().for_each(|(place, &i)| gumbel[i] += (c - place) as f64);
    let choice = Choice::without_gradient(c).with_noise(Noise::from_gumbel(gumbel));
    let losses: Vec<f64> = (0..c)
        .map(|i| case.f.value(&(0..c).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>()))
        .collect();
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let leaf = tape.leaf(&Mat::from_vec(1, c, case.logits.clone()));
    let loss = record(&mut tape, leaf, &choice, &mut |tape, d| {
        let losses = tape.constant(&Mat::from_vec(c, 1, losses.clone()));
        tape.matmul(d, losses)
    });
    tape.backward(loss, &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(leaf).as_slice().to_vec()
}

/// E L̂ of two samples is a sum over all pairs, whose gradient is Σ q(D_1) q(D_2) L̂ (D_1 + D_2 −
/// 2π) where the log-weights do not depend on θ.
#[test]
fn vimco_is_unbiased_for_the_bound_and_reinforce_with_one_sample() {
    let mut worst = [0.0_f64; 2];
    for case in cases() {
        let (problem, scale) = (case.problem(), case.scale());
        let bound = |samples| {
            let vimco = Vimco::new(samples).unwrap();
            certify_loss(&problem, samples, |tape, logits, choice, f| {
                vimco.loss(tape, logits, choice, |tape, d| f(tape, d))
            })
            .unwrap()
        };
        let mut want = vec![0.0; case.logits.len()];
        let codes: Vec<_> = problem.codes().collect();
        for (a, b) in codes.iter().flat_map(|a| codes.iter().map(move |b| (a, b))) {
            let (f, g) = (case.f.value(&a.one_hot), case.f.value(&b.one_hot));
            let bound = f.max(g) + (0.5 * ((f - f.max(g)).exp() + (g - f.max(g)).exp())).ln();
            let weight = a.probability * b.probability * -bound;
            for (i, want) in want.iter_mut().enumerate() {
                *want += weight * (a.one_hot[i] + b.one_hot[i] - 2.0 * problem.pi()[i]);
            }
        }
        worst[0] = worst[0].max(distance(&bound(2).mean, &want) / scale);
        let plain = Reinforce::new(Baseline::Constant(0.0));
        let plain = certify_loss(&problem, 1, |tape, logits, choice, f| {
            plain.loss(tape, logits, choice, |tape, d| {
                let f = f(tape, d);
                tape.affine(f, -1.0, 0.0)
            })
        })
        .unwrap();
        let one = bound(1);
        worst[1] = worst[1].max(distance(&one.mean, &plain.mean) / scale);
        worst[1] = worst[1].max((one.covariance_trace - plain.covariance_trace).abs() / scale / scale);
    }
    println!("VIMCO's bias with two samples, and with one against REINFORCE: {}", short(&worst));
    assert!(worst.iter().all(|&error| error < ROUNDING), "{worst:?}");
}
