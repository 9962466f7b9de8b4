//! Functions of categorical distributions with masked categories, against direct formulas over the
//! other categories.

use hardgrad::categorical::{self, scratch_len};
use hardgrad::gradcheck::gradcheck;
use hardgrad::rng::{self, Pcg64, below, uniform};
use hardgrad::{Mat, ParamGrads, ParamStore, Scalar, Workspace};

/// Kinds of masks of a variable.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Masked {
    None,
    One,
    Some,
    AllButOne,
    /// All categories from a random size on, as in `ragged_mask`.
    Tail,
}

const KINDS: [Masked; 5] = [Masked::None, Masked::One, Masked::Some, Masked::AllButOne, Masked::Tail];

/// Rows and variables per row: one variable; 21 variables, which are a SIMD vector of sixteen and a
/// remainder; and, for some C, two blocks of rows.
fn shapes(c: usize) -> &'static [(usize, usize)] {
    let all = &[(1, 1), (3, 7), (27, 2)];
    if c.is_power_of_two() { all } else { &all[..2] }
}

/// Whether each category can be chosen; at least one can.
fn mask(kind: Masked, c: usize, rng: &mut Pcg64) -> Vec<bool> {
    let chosen = below(rng, c as u64) as usize;
    match kind {
        Masked::None => vec![true; c],
        Masked::One => (0..c).map(|j| j != chosen).collect(),
        Masked::Some => (0..c).map(|j| j == chosen || uniform::<f64>(rng) < 0.5).collect(),
        Masked::AllButOne => (0..c).map(|j| j == chosen).collect(),
        Masked::Tail => (0..c).map(|j| j <= chosen).collect(),
    }
}

/// Inputs, all of which `f32` represents exactly: logits in (−4, 4) and cotangents in (−1, 1).
struct Problem {
    rows: usize,
    cols: usize,
    c: usize,
    /// Logits with masks.
    x: Vec<f64>,
    /// Logits with the same masks in the even variables and without in the odd ones.
    p: Vec<f64>,
    /// One-hot samples of categories that are not masked.
    d: Vec<f64>,
    /// A cotangent for each row, and for each number.
    g: Vec<f64>,
    wide: Vec<f64>,
}

impl Problem {
    fn new(kind: Masked, (rows, variables): (usize, usize), c: usize) -> Self {
        let mut rng = rng::from_key(1000 * c as u64 + rows as u64);
        let random = |rng: &mut Pcg64, size: f64, len: usize| -> Vec<f64> {
            (0..len).map(|_| size * f64::from(uniform::<f32>(rng) - 0.5)).collect()
        };
        let len = rows * variables * c;
        let (mut x, mut p) = (random(&mut rng, 8.0, len), random(&mut rng, 8.0, len));
        let (g, wide) = (random(&mut rng, 2.0, rows), random(&mut rng, 2.0, len));
        let mut d = vec![0.0; len];
        for variable in 0..rows * variables {
            let kept = mask(kind, c, &mut rng);
            for (j, _) in kept.iter().enumerate().filter(|(_, kept)| !**kept) {
                x[variable * c + j] = f64::NEG_INFINITY;
                if variable % 2 == 0 {
                    p[variable * c + j] = f64::NEG_INFINITY;
                }
            }
            let first = kept.iter().position(|&kept| kept).unwrap();
            d[variable * c + first] = 1.0;
        }
        Self { rows, cols: variables * c, c, x, p, d, g, wide }
    }
}

/// Results of the functions: a value per row, and the gradients.
#[derive(Default)]
struct Answers {
    values: Vec<(&'static str, Vec<f64>)>,
    wide: Vec<(&'static str, Vec<f64>)>,
}

const EPSILONS: [f64; 4] = [0.0, 0.01, 0.5, 1.0];

/// Results of the library, in `T`. Gradients are added to ones.
fn library<T: Scalar>(problem: &Problem) -> Answers {
    let of = |x: &[f64]| -> Vec<T> { x.iter().map(|&x| T::of(x)).collect() };
    let (x, p, d) = (&of(&problem.x)[..], &of(&problem.p)[..], &of(&problem.d)[..]);
    let (g, wide) = (&of(&problem.g)[..], &of(&problem.wide)[..]);
    let (cols, c) = (problem.cols, problem.c);
    let mut scratch = vec![T::of(f64::NAN); scratch_len(problem.rows, cols, c)];
    let mut answers = Answers::default();
    let mut value = |name, f: &dyn Fn(&mut [T], &mut [T])| {
        let mut out = vec![T::ZERO; problem.rows];
        f(&mut out, &mut scratch);
        answers.values.push((name, out.iter().map(|x| x.to_f64()).collect()));
    };
    value("categorical_kl", &|out, scratch| categorical::kl_to_uniform(x, cols, c, out, scratch));
    value("entropy", &|out, scratch| categorical::entropy(x, cols, c, out, scratch));
    value("kl", &|out, scratch| categorical::kl(x, p, cols, c, out, scratch));
    value("log_prob", &|out, scratch| categorical::log_prob(x, d, cols, c, out, scratch));
    let mut gradient = |name, f: &dyn Fn(&mut [T], &mut [T])| {
        let mut out = vec![T::ZERO; x.len()];
        f(&mut out, &mut scratch);
        answers.wide.push((name, out.iter().map(|x| x.to_f64()).collect()));
    };
    gradient("categorical_kl_vjp", &|dx, s| categorical::kl_to_uniform_vjp(x, cols, c, g, dx, s));
    gradient("entropy_vjp", &|dx, s| categorical::entropy_vjp(x, cols, c, g, dx, s));
    gradient("kl_vjp_q", &|dx, s| categorical::kl_vjp_q(x, p, cols, c, g, dx, s));
    gradient("kl_vjp_p", &|dx, s| categorical::kl_vjp_p(x, p, cols, c, g, dx, s));
    gradient("log_prob_vjp_logits", &|dx, s| categorical::log_prob_vjp_logits(x, d, cols, c, g, dx, s));
    gradient("log_prob_vjp_sample", &|dx, s| categorical::log_prob_vjp_sample(x, d, cols, c, g, dx, s));
    for epsilon in EPSILONS {
        gradient("unimix", &|y, s| categorical::unimix(epsilon, x, cols, c, y, s));
        gradient("unimix_vjp", &|dx, s| categorical::unimix_vjp(epsilon, x, cols, c, wide, dx, s));
    }
    answers
}

/// π of the categories in `kept` alone.
fn pi(x: &[f64], kept: &[usize]) -> Vec<f64> {
    let total: f64 = kept.iter().map(|&j| x[j].exp()).sum();
    kept.iter().map(|&j| x[j].exp() / total).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn ln(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.ln()).collect()
}

/// Results of the formulas, one variable after the other, without the masked categories.
fn direct(problem: &Problem) -> Answers {
    let (c, len) = (problem.c, problem.x.len());
    let per_row = problem.cols / c;
    let names = ["categorical_kl", "entropy", "kl", "log_prob"];
    let mut values = names.map(|name| (name, vec![0.0; problem.rows]));
    let mut wide: Vec<(&str, Vec<f64>)> = Vec::new();
    for name in [
        "categorical_kl_vjp",
        "entropy_vjp",
        "kl_vjp_q",
        "kl_vjp_p",
        "log_prob_vjp_logits",
        "log_prob_vjp_sample",
    ] {
        wide.push((name, vec![0.0; len]));
    }
    for _ in EPSILONS {
        wide.push(("unimix", vec![f64::NEG_INFINITY; len]));
        wide.push(("unimix_vjp", vec![0.0; len]));
    }
    for variable in 0..len / c {
        let (row, at) = (variable / per_row, variable * c);
        let (x, p, d) = (&problem.x[at..at + c], &problem.p[at..at + c], &problem.d[at..at + c]);
        let g = problem.g[row];
        let kept: Vec<usize> = (0..c).filter(|&j| x[j] > f64::NEG_INFINITY).collect();
        let kept_p: Vec<usize> = (0..c).filter(|&j| p[j] > f64::NEG_INFINITY).collect();
        let (q, all_p) = (pi(x, &kept), pi(p, &kept_p));
        let p_of = |j: usize| kept_p.iter().position(|&k| k == j).map_or(0.0, |i| all_p[i]);
        let q_of = |j: usize| kept.iter().position(|&k| k == j).map_or(0.0, |i| q[i]);
        let ratio: Vec<f64> = kept.iter().zip(&q).map(|(&j, q)| (q / p_of(j)).ln()).collect();
        let (log_q, sample) = (ln(&q), kept.iter().map(|&j| d[j]).collect::<Vec<f64>>());
        let negative_entropy = dot(&q, &log_q);
        let of_row =
            [negative_entropy + (c as f64).ln(), -negative_entropy, dot(&q, &ratio), dot(&sample, &log_q)];
        values.iter_mut().zip(of_row).for_each(|((_, out), value)| out[row] += value);
        for (i, &j) in kept.iter().enumerate() {
            let by_logits = g * q[i] * (log_q[i] - negative_entropy);
            wide[0].1[at + j] = by_logits;
            wide[1].1[at + j] = -by_logits;
            wide[2].1[at + j] = g * q[i] * (ratio[i] - dot(&q, &ratio));
            wide[4].1[at + j] = g * (d[j] - q[i]);
            wide[5].1[at + j] = g * log_q[i];
            for (k, epsilon) in EPSILONS.into_iter().enumerate() {
                let mixed = |q: f64| (1.0 - epsilon) * q + epsilon / kept.len() as f64;
                let w = |i: usize| (1.0 - epsilon) * problem.wide[at + kept[i]] / mixed(q[i]);
                let mean: f64 = (0..kept.len()).map(|i| q[i] * w(i)).sum();
                wide[6 + 2 * k].1[at + j] = mixed(q[i]).ln();
                wide[7 + 2 * k].1[at + j] = q[i] * (w(i) - mean);
            }
        }
        for j in 0..c {
            wide[3].1[at + j] = g * (p_of(j) - q_of(j));
        }
    }
    Answers { values: values.into(), wide }
}

/// Every function in `T` against the formulas. With logits within 8 of each other, s and ln Σ eˢ
/// are at most 8 + ln C in size, rounded to ε of that, so an exponential is off by 2 (8 + ln C) ε
/// relative; a sum of C positive numbers adds C ε. Each number is a product or a sum of a few of
/// those, of size (8 + ln C) at most if it contains a logarithm or a mean over π. In all
/// (8 + ln C) · (C + 4 (8 + ln C)) ε covers it, once per variable of a row.
fn check<T: Scalar>() {
    for c in 2..=64 {
        let size = 8.0 + (c as f64).ln();
        let tolerance = size * (c as f64 + 4.0 * size) * T::EPSILON.to_f64();
        for kind in KINDS {
            for &shape in shapes(c) {
                let problem = Problem::new(kind, shape, c);
                let (got, want) = (library::<T>(&problem), direct(&problem));
                let describe = format!("C = {c}, {kind:?}, {shape:?}");
                for ((name, got), (of, want)) in got.values.iter().zip(&want.values) {
                    assert_eq!(name, of);
                    for (got, want) in got.iter().zip(want) {
                        let error = (got - want).abs();
                        assert!(error <= shape.1 as f64 * tolerance, "{describe}: {name}: {got} for {want}");
                    }
                }
                for ((name, got), (of, want)) in got.wide.iter().zip(&want.wide) {
                    assert_eq!(name, of);
                    for (i, (got, want)) in got.iter().zip(want).enumerate() {
                        // A masked number is exact: −∞ of unimix, and 0 of every gradient but that
                        // by p where p has mass.
                        let exact = problem.x[i] == f64::NEG_INFINITY && *name != "kl_vjp_p";
                        let near = got == want || (!exact && (got - want).abs() <= tolerance);
                        assert!(near, "{describe}: {name}, number {i}: {got} for {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_masked_category_is_as_one_left_out_in_f64() {
    check::<f64>();
}

#[test]
fn a_masked_category_is_as_one_left_out_in_f32() {
    check::<f32>();
}

/// Every vjp on slices against central differences of its function, with masks: of Σ g value over
/// the rows, and of Σ g y over the numbers of `unimix` that are not masked. A step of h = ∛ε leaves
/// an error of h² times a third derivative and of ε/h times the sum, neither of which exceeds the
/// numbers of 21 variables of C logarithms of at most 8 + ln C.
#[test]
fn vjps_match_central_differences_with_masks() {
    const C: usize = 5;
    let h = f64::EPSILON.cbrt();
    for kind in KINDS {
        let still = Problem::new(kind, (3, 7), C);
        let gradients = library::<f64>(&still);
        let tolerance = 21.0 * C as f64 * (8.0 + (C as f64).ln()) * (h * h + f64::EPSILON / h);
        // The inputs that can be moved, and the function and the gradient of each: the names' order
        // in `library`.
        type Move = fn(&mut Problem, usize, f64);
        let moves: [(Move, &[(usize, usize)]); 3] = [
            (|problem, i, h| problem.x[i] += h, &[(0, 0), (1, 1), (2, 2), (3, 4)]),
            (|problem, i, h| problem.p[i] += h, &[(2, 3)]),
            (|problem, i, h| problem.d[i] += h, &[(3, 5)]),
        ];
        for (by, (moved, functions)) in moves.into_iter().enumerate() {
            for i in 0..still.x.len() {
                let ends = [h, -h].map(|h| {
                    let mut problem = Problem::new(kind, (3, 7), C);
                    moved(&mut problem, i, h);
                    library::<f64>(&problem)
                });
                // A weight for a masked category makes the log-probability infinite.
                if by == 2 && still.x[i] == f64::NEG_INFINITY {
                    continue;
                }
                let close = |sums: [f64; 2], gradient: f64, name: &str| {
                    let difference = (sums[0] - sums[1]) / (2.0 * h);
                    let error = (difference - gradient).abs();
                    assert!(error < tolerance, "{kind:?}: {name}, number {i}: {gradient} for {difference}");
                };
                for &(value, vjp) in functions {
                    let sums = [0, 1].map(|end| dot(&ends[end].values[value].1, &still.g));
                    close(sums, gradients.wide[vjp].1[i], gradients.wide[vjp].0);
                }
                for k in (6..gradients.wide.len()).step_by(2).filter(|_| by == 0) {
                    let sums = [0, 1].map(|end| {
                        let y = ends[end].wide[k].1.iter().zip(&still.wide);
                        y.filter(|(y, _)| y.is_finite()).map(|(y, g)| y * g).sum::<f64>()
                    });
                    close(sums, gradients.wide[k + 1].1[i], "unimix_vjp");
                }
            }
        }
    }
}

fn same_bits(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// One of 21 variables contains a NaN: the value of its row and its gradient are NaN, and no other
/// number changes by a bit.
fn check_spoiled<T: Scalar>() {
    const C: usize = 5;
    for variable in [0, 6, 13, 15, 16, 20] {
        for (what, numbers) in [
            ("NaN", vec![(3, f64::NAN)]),
            ("NaN beside a mask", vec![(2, f64::NAN), (3, f64::NEG_INFINITY)]),
            ("+∞", vec![(1, f64::INFINITY)]),
            ("−∞ alone", (0..C).map(|j| (j, f64::NEG_INFINITY)).collect()),
        ] {
            let clean = Problem::new(Masked::None, (3, 7), C);
            let mut spoiled = Problem::new(Masked::None, (3, 7), C);
            for (j, x) in numbers {
                spoiled.x[variable * C + j] = x;
            }
            let (clean, spoiled) = (library::<T>(&clean), library::<T>(&spoiled));
            for ((name, clean), (_, spoiled)) in clean.values.iter().zip(&spoiled.values) {
                for (row, (clean, spoiled)) in clean.iter().zip(spoiled).enumerate() {
                    let hit = row == variable / 7;
                    let right = if hit { spoiled.is_nan() } else { same_bits(*clean, *spoiled) };
                    assert!(right, "{what} in variable {variable}: {name} of row {row} is {spoiled}");
                }
            }
            for ((name, clean), (_, spoiled)) in clean.wide.iter().zip(&spoiled.wide) {
                for (i, (clean, spoiled)) in clean.iter().zip(spoiled).enumerate() {
                    let hit = i / C == variable;
                    let masked = *name == "unimix" && *spoiled == f64::NEG_INFINITY;
                    let right = if hit { spoiled.is_nan() || masked } else { same_bits(*clean, *spoiled) };
                    assert!(right, "{what} in variable {variable}: {name}, number {i} is {spoiled}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_variable() {
    check_spoiled::<f32>();
    check_spoiled::<f64>();
}

/// Where the divergence is +∞ or the log-probability −∞, so is the value, and the gradient of that
/// variable is NaN.
fn check_infinite<T: Scalar>() {
    const C: usize = 4;
    for variable in [0, 15, 16, 20] {
        let mut problem = Problem::new(Masked::None, (3, 7), C);
        // A category has probability 0 under p and a positive probability under q, which is
        // ordinary or far below the smallest number.
        for far in [0.0, -1e5] {
            problem.p[variable * C + 1] = f64::NEG_INFINITY;
            problem.x[variable * C + 1] = far;
            let answers = library::<T>(&problem);
            assert_eq!(answers.values[2].1[variable / 7], f64::INFINITY);
            for (name, gradient) in &answers.wide[2..4] {
                for (i, x) in gradient.iter().enumerate() {
                    assert_eq!(x.is_nan(), i / C == variable, "{name}, number {i} is {x}");
                }
            }
        }
        let mut problem = Problem::new(Masked::None, (3, 7), C);
        problem.x[variable * C] = f64::NEG_INFINITY; // the sample is the first category
        let answers = library::<T>(&problem);
        assert_eq!(answers.values[3].1[variable / 7], f64::NEG_INFINITY);
        for (name, gradient) in &answers.wide[4..6] {
            for (i, x) in gradient.iter().enumerate() {
                assert_eq!(x.is_nan(), i / C == variable, "{name}, number {i} is {x}");
            }
        }
    }
}

#[test]
fn infinite_values_have_no_gradient() {
    check_infinite::<f32>();
    check_infinite::<f64>();
}

/// ε may be far below the smallest number of the type, because the logarithm represents it.
#[test]
fn unimix_with_a_tiny_epsilon() {
    let (mut y, mut scratch) = ([0.0_f32; 2], vec![0.0; scratch_len(1, 2, 2)]);
    categorical::unimix(1e-60, &[0.0, -1000.0], 2, 2, &mut y, &mut scratch);
    let want = 1e-60_f64.ln() - 2.0_f64.ln();
    assert_eq!(y[0], 0.0);
    assert!((f64::from(y[1]) - want).abs() < 2.0 * want.abs() * f64::from(f32::EPSILON), "{}", y[1]);
}

/// On the tape: a mask is added to the logits of a network, and no loss gives a masked category a
/// gradient.
#[test]
fn masks_on_the_tape() {
    let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let mask = tape.constant(categorical::ragged_mask(&[2, 3, 1]).view());
    let raw = tape.leaf(Mat::from_fn(20, 9, |i, j| ((5 * i + 3 * j) % 7) as f64 - 3.0).view());
    let logits = tape.add_bias(raw, mask);
    let mixed = tape.unimix(logits, 0.1, 3);
    let sample = tape.constant(Mat::from_fn(20, 9, |_, j| f64::from(u8::from(j % 3 == 0))).view());
    let terms = [
        tape.categorical_kl(logits, 3),
        tape.categorical_kl_to(mixed, logits, 3),
        tape.categorical_entropy(mixed, 3),
        tape.categorical_log_prob(mixed, sample, 3),
    ];
    let sum = terms.into_iter().reduce(|a, b| tape.add(a, b)).unwrap();
    let loss = tape.mean(sum);
    assert!(tape.scalar(loss).is_finite());
    tape.backward(loss, &mut ParamGrads::zeros(&params));
    let gradient = tape.grad(raw).unwrap();
    for row in (0..20).map(|i| gradient.row(i)) {
        for (j, &g) in row.iter().enumerate() {
            let alone = j == 6; // the only category of its variable: nothing to choose
            let masked = [2, 7, 8].contains(&j);
            assert_eq!(g == 0.0, masked || alone, "column {j}: {g}");
        }
    }
}

/// Losses with masks on both sides, against central differences: both gradients of the divergence,
/// and those of the other functions.
#[test]
fn masked_losses_on_the_tape_match_central_differences() {
    let logits = |shift: usize| Mat::from_fn(4, 9, |i, j| ((5 * i + 3 * j + shift) % 7) as f64 / 2.0 - 1.5);
    let worst = gradcheck(&mut rng::from_key(1), &[logits(0), logits(3)], |tape, v| {
        let mask = tape.constant(&categorical::ragged_mask(&[2, 3, 1]));
        let (q, p) = (tape.add_bias(v[0], mask), tape.add_bias(v[1], mask));
        let mixed = tape.unimix(q, 0.1, 3);
        let sample = tape.constant(&Mat::from_fn(4, 9, |_, j| f64::from(u8::from(j % 3 == 0))));
        let terms = [
            tape.categorical_kl(q, 3),
            tape.categorical_kl_to(mixed, p, 3),
            tape.categorical_entropy(p, 3),
            tape.categorical_log_prob(mixed, sample, 3),
        ];
        terms.into_iter().reduce(|a, b| tape.add(a, b)).unwrap()
    });
    assert!(worst.error < 1e-9, "{worst:?}");
}

/// The exact cross-entropy of the VAE with a masked category is the mean over the other codes. The
/// gradient of the masked category is 0, and those of the others are finite.
#[test]
fn the_exact_expectation_of_the_vae_leaves_masked_codes_out() {
    use hardgrad::vae::{Vae, VaeConfig};
    let config =
        VaeConfig { pixels: 6, hidden: vec![5], latent: "3x2".parse().unwrap(), ..VaeConfig::default() };
    let mut params = ParamStore::<f64>::new();
    let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));
    let mut tape = workspace.tape(&params);
    let x = tape.constant(&Mat::from_fn(2, 6, |i, j| ((i + j) % 2) as f64));
    let mask = f64::NEG_INFINITY;
    let logits = tape.leaf(&Mat::from_fn(2, 6, |_, j| if j == 4 { mask } else { 0.0 }));
    let every = vae.bce_of_every_code(&mut tape, x);
    let expected = vae.expected_bce(&mut tape, x, logits);
    let codes = config.latent.one_hot_codes::<f64>().unwrap();
    for i in 0..2 {
        let left = (0..9).filter(|&k| codes.row(k)[4] == 0.0); // six of nine, equally likely
        let mean = left.map(|k| tape.value(every).row(i)[k]).sum::<f64>() / 6.0;
        assert!((tape.value(expected).data[i] - mean).abs() < 1e-13, "{mean}");
    }
    let total = tape.sum(expected);
    tape.backward(total, &mut grads);
    let grad = tape.grad(logits).unwrap();
    assert!((0..2).all(|i| grad.row(i)[4] == 0.0 && grad.row(i)[3] != 0.0), "{grad:?}");
    assert!(grad.data.iter().all(|g| g.is_finite()), "{grad:?}");
}
