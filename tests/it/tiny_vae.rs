//! Loss, gradients and five updates of a small VAE, against PyTorch in float64
//! (`tests/data/make_tiny_vae.py`).

use hardgrad::estimators::{Choice, Noise, ReinMax, StraightThrough, StraightThroughGumbelSoftmax};
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::vae::{LatentShape, Vae, VaeConfig};
use hardgrad::{MatRef, ParamGrads, ParamStore, Workspace, rng};
use serde_json::Value;

/// Both sides compute in double precision, with other orders of sums.
const TOLERANCE: f64 = 1e-10;

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|x| if x.is_array() { numbers(x) } else { vec![x.as_f64().unwrap()] })
        .collect()
}

fn close(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= TOLERANCE * want.abs().max(1.0),
            "{what}, number {i}: {got} for {want}"
        );
    }
}

#[test]
fn loss_gradients_and_updates_match_pytorch() {
    let file: Value = serde_json::from_str(include_str!("../data/tiny_vae.json")).unwrap();
    let latent = LatentShape { categories: 3, variables: 2 };
    let config = VaeConfig { pixels: 12, hidden: vec![7, 5], latent, ..VaeConfig::default() };
    let (x, noise) = (numbers(&file["x"]), Noise::from_gumbel(numbers(&file["gumbel"])));
    for case in file["estimators"].as_array().unwrap() {
        let name = case["estimator"].as_str().unwrap();
        let tau = case["tau"].as_f64().unwrap();
        let choice = match name {
            "st" => Choice::new(StraightThrough::new(tau).unwrap(), latent.categories),
            "stgs" => Choice::new(StraightThroughGumbelSoftmax::new(tau).unwrap(), latent.categories),
            "reinmax" => Choice::new(ReinMax::new(tau).unwrap(), latent.categories),
            other => panic!("{other}"),
        };
        let choice = choice.with_noise(noise.clone());
        let mut params = ParamStore::new();
        let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
        let ids: Vec<_> = params.iter().map(|(name, id)| (name.to_string(), id)).collect();
        for (name, id) in &ids {
            params.get_mut(*id).data.copy_from_slice(&numbers(&file["parameters"][name]));
        }
        let mut grads = ParamGrads::zeros(&params);
        let mut adam = Adam::new(AdamConfig::default()).unwrap();
        let mut workspace = Workspace::new();
        for step in 0..5 {
            let mut tape = workspace.tape(&params);
            let x = tape.constant(MatRef::new(4, 12, &x));
            let logits = vae.encode(&mut tape, x);
            let z = tape.sample(&choice, logits);
            let loss = vae.loss(&mut tape, x, logits, z);
            tape.backward(loss.total, &mut grads);
            let want = case["adam_losses"][step].as_f64().unwrap();
            close(&format!("{name}: loss {step}"), &[tape.scalar(loss.total)], &[want]);
            if step == 0 {
                let mean = |v| tape.value(v).data.iter().sum::<f64>() / 4.0;
                close("bce", &[mean(loss.bce)], &numbers(&Value::Array(vec![case["bce"].clone()])));
                close("kl", &[mean(loss.kl)], &numbers(&Value::Array(vec![case["kl"].clone()])));
                for (parameter, id) in &ids {
                    let want = numbers(&case["gradients"][parameter]);
                    close(&format!("{name}: gradient of {parameter}"), grads.get(*id).data, &want);
                }
            }
            adam.step(&mut params, &grads);
        }
        for (parameter, id) in &ids {
            let want = numbers(&case["adam_parameters"][parameter]);
            close(&format!("{name}: {parameter} after five updates"), params.get(*id).data, &want);
        }
    }
}
