//! Adam, AdamW, RAdam and the schedules of the learning rate against PyTorch's
//! (`tests/data/make_optimizers.py`).

use hardgrad::optim::{Adam, AdamConfig, AdamW, LrSchedule, Optimizer, RAdam};
use hardgrad::{Mat, ParamGrads, ParamStore, Scalar};
use serde_json::Value;

fn file() -> Value {
    serde_json::from_str(include_str!("../data/optimizers.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// A stored schedule and its largest rate.
fn schedule(stored: &Value) -> (LrSchedule, f64) {
    let get = |name: &str| stored[name].as_f64().unwrap();
    let count = |name: &str| usize::try_from(stored[name].as_u64().unwrap()).unwrap();
    let (warm_up, total) = (count("warm_up"), count("total"));
    let schedule = LrSchedule { warm_up, start_factor: get("start_factor"), total, min_lr: get("min_lr") };
    (schedule.validated().unwrap(), get("lr"))
}

/// PyTorch multiplies each rate by a ratio to get the next one; the closed form rounds a few times.
/// In units of ε · lr, a step of the warm-up adds some 4 roundings. Along the cosine,
/// c_t = 1 + cos(π t/T) has an absolute error of at most 3 (of the argument's two roundings 1.9, of
/// the cosine and the sum 1), so step t adds a relative error of at most 3/c_t + 3/c_{t+1} + 2. At
/// a later step s the rate is c_s/2, and c_s/c_t ≤ 1 as c falls: no step adds more than 5.
#[test]
fn schedules_are_those_of_pytorch() {
    for stored in file()["schedules"].as_array().unwrap() {
        let (schedule, lr) = schedule(stored);
        let rates = numbers(&stored["rates"]);
        assert_eq!(rates.len(), schedule.total + 1);
        let tolerance = (5.0 * schedule.total as f64 + 8.0) * f64::EPSILON * lr;
        for (done, want) in rates.iter().enumerate() {
            let got = schedule.at(lr, done);
            assert!((got - want).abs() <= tolerance, "{schedule:?} after {done}: {got} for {want}");
        }
        assert_eq!(schedule.at(lr, schedule.total + 9), schedule.min_lr);
    }
}

/// Compares every stored trajectory. An error is relative to the larger of |parameter| and the
/// distance moved so far; it must be below `tolerance`.
fn check<T: Scalar>(tolerance: f64) {
    let file = file();
    let initial = numbers(&file["initial"]);
    let gradients: Vec<Vec<f64>> = file["gradients"].as_array().unwrap().iter().map(numbers).collect();
    assert!(gradients.len() >= 20);
    for case in file["cases"].as_array().unwrap() {
        let get = |name: &str| case[name].as_f64().unwrap();
        let config = AdamConfig { lr: get("lr"), beta1: get("beta1"), beta2: get("beta2"), eps: get("eps") };
        let mut optimizer: Box<dyn Optimizer<T>> = match case["optimizer"].as_str().unwrap() {
            "adam" => Box::new(Adam::new(config).unwrap()),
            "adamw" => Box::new(AdamW::new(config, get("weight_decay")).unwrap()),
            "radam" => Box::new(RAdam::new(config).unwrap()),
            other => panic!("{other}"),
        };
        let mut params = ParamStore::new();
        let start: Vec<T> = initial.iter().map(|&x| T::of(x)).collect();
        params.add("p", Mat::from_vec(1, initial.len(), start));
        let mut grads = ParamGrads::zeros(&params);
        let schedule = case["schedule"].as_u64().map(|k| schedule(&file["schedules"][k as usize]));
        for (step, g) in gradients.iter().enumerate() {
            if let Some((schedule, lr)) = schedule {
                optimizer.set_lr(schedule.at(lr, step)).unwrap();
            }
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
    // Equal formulas in equal precision: some roundings per step over 30 steps, and rates that
    // differ by 5 · 30 ε.
    check::<f64>(1e-12);
}

#[test]
fn trajectories_in_f32() {
    // 30 steps of a few roundings of 6e-8 each, whose sum is well below 1e-5.
    check::<f32>(1e-5);
}
