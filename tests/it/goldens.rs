//! Every estimator against stored float64 vectors.
//!
//! The file is `tests/data/estimators.json`, or the one that `HARDGRAD_GOLDENS` names. Layout, row-major: theta, gumbel, upstream
//! and each of grads `[B, L, C]`; exponential `[K, B, L, C]`; one_hot_index `[B, L]` = argmax(theta + gumbel).

use hardgrad::Scalar;
use hardgrad::estimators::{
    At, CvForm, Estimator, Gap, GappedStraightThrough, GumbelRao, Noise, ReinMax, ReinMaxArgmax, ReinMaxCv,
    ReinMaxRao, ReinMaxRk2, Rk2Form, Scratch, StraightThrough, StraightThroughGumbelSoftmax,
};
use serde_json::Value;

fn load() -> Value {
    let path = std::env::var("HARDGRAD_GOLDENS").unwrap_or_else(|_| "tests/data/estimators.json".into());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn numbers<T: Scalar>(value: &Value) -> Vec<T> {
    value.as_array().unwrap().iter().map(|x| T::of(x.as_f64().unwrap())).collect()
}

/// The estimators of a case, by their names in the file.
fn estimators<T: Scalar>(case: &Value) -> Vec<(&'static str, Box<dyn Estimator<T>>)> {
    let get = |name: &str| case[name].as_f64().unwrap();
    let (tau, eta, beta, draws) = (get("tau"), get("eta"), get("beta"), get("K") as usize);
    let cv = |form| Box::new(ReinMaxCv::new(form, tau, draws, eta).unwrap());
    vec![
        ("st", Box::new(StraightThrough::new(tau).unwrap())),
        ("stgs", Box::new(StraightThroughGumbelSoftmax::new(tau).unwrap())),
        ("gumbel_rao", Box::new(GumbelRao::new(tau, draws).unwrap())),
        ("gst_1.0", Box::new(GappedStraightThrough::new(Gap::Fixed(1.0), tau).unwrap())),
        ("reinmax", Box::new(ReinMax::new(tau).unwrap())),
        ("reinmax_argmax", Box::new(ReinMaxArgmax::new(tau).unwrap())),
        ("reinmax_rao", Box::new(ReinMaxRao::new(tau, draws).unwrap())),
        ("rk2_eq27", Box::new(ReinMaxRk2::new(Rk2Form::Eq27, beta).unwrap())),
        ("reinmax_cv_author_code", cv(CvForm::AuthorCode)),
        ("reinmax_cv_printed", cv(CvForm::Printed)),
        ("reinmax_cv_shared_noise", cv(CvForm::Shared)),
    ]
}

/// Compares within `tolerance` times the largest number of each vector, because small entries are
/// differences of larger ones and have their absolute error.
fn check<T: Scalar>(tolerance: f64) {
    let file = load();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let size = |name: &str| case[name].as_u64().unwrap() as usize;
        let (batch, latents, categories) = (size("B"), size("L"), size("C"));
        let theta = numbers::<T>(&case["theta"]);
        let upstream = numbers::<T>(&case["upstream"]);
        let noise = Noise::from_gumbel(numbers::<T>(&case["gumbel"]))
            .with_exponentials(numbers::<T>(&case["exponential"]));
        let names = case["grads"].as_object().unwrap();
        let known = estimators::<T>(case);
        assert!(
            names.keys().all(|name| known.iter().any(|(n, _)| n == name)),
            "a vector that no estimator claims"
        );
        for (name, estimator) in known {
            let mut one_hot = vec![T::ZERO; theta.len()];
            estimator.sample(&theta, &noise, categories, &mut one_hot);
            for (row, index) in one_hot.chunks(categories).zip(case["one_hot_index"].as_array().unwrap()) {
                let hot = index.as_u64().unwrap() as usize;
                assert!(row.iter().enumerate().all(|(c, &x)| x == if c == hot { T::ONE } else { T::ZERO }));
            }
            let mut grad = vec![T::ZERO; theta.len()];
            let at = At { logits: &theta, one_hot: &one_hot, noise: &noise, categories };
            estimator.add_vjp(at, &upstream, &mut grad, &mut Scratch::new());
            let want = numbers::<f64>(&case["grads"][name]);
            let scale = want.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            for (i, (got, want)) in grad.iter().zip(&want).enumerate() {
                let error = (got.to_f64() - want).abs() / scale;
                assert!(
                    error < tolerance,
                    "{name}, {batch}×{latents}×{categories}, number {i}: {got} for {want}"
                );
            }
        }
    }
}

#[test]
fn goldens_in_f64() {
    check::<f64>(1e-9);
}

#[test]
fn goldens_in_f32() {
    check::<f32>(1e-4);
}
