//! Adam and RAdam against trajectories of PyTorch's (`tests/data/make_optimizers.py`).

use hardgrad::optim::{Adam, AdamConfig, Optimizer, RAdam};
use hardgrad::{Mat, ParamGrads, ParamStore, Scalar};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Follows every stored trajectory; an error is relative to the larger of |parameter| and the distance moved so far, times
/// `tolerance`.
fn check<T: Scalar>(tolerance: f64) {
    let file: Value = serde_json::from_str(include_str!("../data/optimizers.json")).unwrap();
    let initial = numbers(&file["initial"]);
    let gradients: Vec<Vec<f64>> = file["gradients"].as_array().unwrap().iter().map(numbers).collect();
    assert!(gradients.len() >= 20);
    for case in file["cases"].as_array().unwrap() {
        let get = |name: &str| case[name].as_f64().unwrap();
        let config = AdamConfig { lr: get("lr"), beta1: get("beta1"), beta2: get("beta2"), eps: get("eps") };
        let mut optimizer: Box<dyn Optimizer<T>> = match case["optimizer"].as_str().unwrap() {
            "adam" => Box::new(Adam::new(config).unwrap()),
            "radam" => Box::new(RAdam::new(config).unwrap()),
            other => panic!("{other}"),
        };
        let mut params = ParamStore::new();
        let start: Vec<T> = initial.iter().map(|&x| T::of(x)).collect();
        params.add("p", Mat::from_vec(1, initial.len(), start));
        let mut grads = ParamGrads::zeros(&params);
        for (step, g) in gradients.iter().enumerate() {
            grads.flat_mut().iter_mut().zip(g).for_each(|(to, &g)| *to = T::of(g));
            optimizer.step(&mut params, &grads);
            let want = numbers(&case["parameters"][step]);
            for (i, (got, want)) in params.flat().iter().zip(&want).enumerate() {
                let scale = want.abs().max((want - initial[i]).abs()).max(1e-3);
                let error = (got.to_f64() - want).abs() / scale;
                assert!(error < tolerance, "{case:.60}, step {}, parameter {i}: {got} for {want}", step + 1);
            }
        }
    }
}

#[test]
fn trajectories_in_f64() {
    // The same formulas in the same precision: some roundings a step over 30 steps.
    check::<f64>(1e-12);
}

#[test]
fn trajectories_in_f32() {
    // 30 steps of a few roundings of 6e-8 each, which add up to well below 1e-5.
    check::<f32>(1e-5);
}
