//! Noise and samples: eq. 7 against rejection sampling, and pinned values of the random streams.

use super::{distance, numbers, rand_key, run};
use hardgrad::categorical::{argmax, gumbel, sample};
use hardgrad::certify::gumbel_given;
use hardgrad::estimators::{GumbelRao, Noise, StraightThroughGumbelSoftmax};
use hardgrad::rng::{from_key, uniform};

/// The exponentials E from which eq. 7 gives the Y = θ + G that drew D: E_D = Z e^{−Y_D}, E_j =
/// e^{θ_j} (e^{−Y_j} − e^{−Y_D}).
fn exponentials_of(logits: &[f64], gumbel: &[f64], hot: usize) -> Vec<f64> {
    let y = |j: usize| (-logits[j] - gumbel[j]).exp();
    let z = logits.iter().map(|t| t.exp()).sum::<f64>();
    (0..logits.len()).map(|j| if j == hot { z * y(hot) } else { logits[j].exp() * (y(j) - y(hot)) }).collect()
}

#[test]
fn one_draw_of_gumbel_rao_is_stgs() {
    let rng = &mut from_key(9);
    for _ in 0..1000 {
        let (logits, g) = (numbers(rng, 5, 2.0), numbers(rng, 5, 1.0));
        let (mut noise, mut one_hot, mut back) = ([0.0; 5], [0.0; 5], [0.0; 5]);
        gumbel(rng, &mut noise);
        sample(&logits, &noise, 5, &mut one_hot);
        let hot = one_hot.iter().position(|&d| d == 1.0).unwrap();
        let values = exponentials_of(&logits, &noise, hot);
        gumbel_given(&logits, hot, &values, &mut back);
        assert!(distance(&noise, &back) < 1e-12, "{noise:?} {back:?}");
        let noise = Noise::from_gumbel(noise.to_vec()).with_exponentials(values);
        let rao = run(&GumbelRao::new(0.7, 1).unwrap(), &logits, &one_hot, &noise, &g);
        let stgs = run(&StraightThroughGumbelSoftmax::new(0.7).unwrap(), &logits, &one_hot, &noise, &g);
        assert!(distance(&rao, &stgs) < 1e-12, "{rao:?} {stgs:?}");
    }
}

/// The largest distance between the two empirical distribution functions.
fn kolmogorov_smirnov(mut a: Vec<f64>, mut b: Vec<f64>) -> f64 {
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        if a[i] <= b[j] {
            i += 1;
        } else {
            j += 1;
        }
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

/// Noise by eq. 7 against noise that is drawn until its argmax is D, and one draw of Gumbel-Rao
/// against STGS with the latter noise, by component.
///
/// The limit is that of the two-sample test at level 1e-6: √(ln(2/1e-6)/2) √(2/n) = 0.038. The test
/// makes 144 comparisons.
#[test]
fn conditional_noise_has_the_law_of_rejection_sampling() {
    const N: usize = 10_000;
    let limit = (2e6_f64.ln() / 2.0).sqrt() * (2.0 / N as f64).sqrt();
    let (stgs, rao) = (StraightThroughGumbelSoftmax::new(0.7).unwrap(), GumbelRao::new(0.7, 1).unwrap());
    let (rng, mut worst, mut comparisons) = (&mut from_key(10), 0.0_f64, 0);
    let thetas: [&[f64]; 4] =
        [&[0.0; 4], &[3.0, 1.0, 2.0, 1.5], &[-1.0, 1.0], &[0.5, 2.0, 0.0, -0.5, 1.0, 0.9]];
    for theta in thetas {
        let (c, g) = (theta.len(), numbers(rng, theta.len(), 1.0));
        for hot in 0..c {
            let (mut drawn, mut noise) = (vec![0.0; c], vec![0.0; c]);
            let mut given = [const { Vec::new() }; 2];
            let mut rejected = [const { Vec::new() }; 2];
            for _ in 0..N {
                noise.fill_with(|| -uniform::<f64>(rng).ln());
                gumbel_given(theta, hot, &noise, &mut drawn);
                while {
                    gumbel(rng, &mut noise);
                    argmax(theta.iter().zip(&noise).map(|(t, g)| t + g)) != hot
                } {}
                let mut one_hot = vec![0.0; c];
                one_hot[hot] = 1.0;
                let of_step = Noise::from_gumbel(noise.clone()).with_key(rand_key(rng));
                given[1].push(run(&rao, theta, &one_hot, &of_step, &g));
                rejected[1].push(run(&stgs, theta, &one_hot, &of_step, &g));
                given[0].push(drawn.clone());
                rejected[0].push(noise.clone());
            }
            for (given, rejected) in given.iter().zip(&rejected) {
                for k in 0..c {
                    let column = |rows: &[Vec<f64>]| rows.iter().map(|row| row[k]).collect();
                    let found = kolmogorov_smirnov(column(given), column(rejected));
                    assert!(found < limit, "{theta:?}, D = {hot}, component {k}: {found} ≥ {limit}");
                    worst = worst.max(found);
                    comparisons += 1;
                }
            }
        }
    }
    println!("Kolmogorov–Smirnov: largest {worst:.4} of {limit:.4} in {comparisons}");
}

/// Pinned values of the random streams. A change of these values must be listed in the CHANGELOG.
/// The uniform numbers are equal on every machine; logarithms may differ in the last bits.
#[test]
fn samplers_are_pinned() {
    let mut noise = [0.0_f64; 3];
    gumbel(&mut from_key(12), &mut noise);
    let mut noise_32 = [0.0_f32; 3];
    gumbel(&mut from_key(12), &mut noise_32);
    let mut drawn = String::new();
    let rng = &mut from_key(13);
    for _ in 0..20 {
        let (mut g, mut d) = ([0.0; 3], [0.0; 3]);
        gumbel(rng, &mut g);
        sample(&[0.0, 1.0, 0.5], &g, 3, &mut d);
        drawn.push_str(&d.iter().position(|&d| d == 1.0).unwrap().to_string());
    }
    let close = |a: f64, b: f64, tolerance: f64| assert!((a - b).abs() <= tolerance * b.abs(), "{a} for {b}");
    let want = [0.21277413811726628, 0.6995584943517829, 4.525072256611597];
    noise.iter().zip(want).for_each(|(&a, b)| close(a, b, 1e-14));
    noise_32.iter().zip([0.21277405, 0.69955826, 4.5250673]).for_each(|(&a, b)| close(a.into(), b, 1e-6));
    assert_eq!(drawn, "12212112122122112212");
}
