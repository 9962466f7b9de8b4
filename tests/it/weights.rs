//! Weights to and from PyTorch (`tests/data/make_weights.py`).

use hardgrad::files::weights;
use hardgrad::vae::{LatentShape, Vae, VaeConfig};
use hardgrad::{MatRef, ParamStore, Workspace, rng};
use serde_json::Value;
use std::path::Path;

const FILE: &[u8] = include_bytes!("../data/weights.safetensors");

fn small(pixels: usize) -> (ParamStore<f32>, Vae) {
    let mut params = ParamStore::new();
    let latent = LatentShape { categories: 3, variables: 2 };
    let config = VaeConfig { pixels, hidden: vec![4], latent, ..VaeConfig::default() };
    let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    (params, vae)
}

fn read(params: &mut ParamStore<f32>, bytes: &[u8]) -> hardgrad::Result<()> {
    weights::from_bytes(params, bytes, Path::new("some/file"))
}

#[test]
fn networks_agree_with_pytorch() {
    let (mut params, vae) = small(5);
    read(&mut params, FILE).unwrap();
    let expected: Value = serde_json::from_str(include_str!("../data/weights.json")).unwrap();
    let numbers = |name: &str| -> Vec<f32> {
        expected[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
    };
    let mut workspace = Workspace::new();
    let mut tape = workspace.tape(&params);
    let (x, z) = (numbers("x"), numbers("z"));
    let (x, z) = (tape.constant(MatRef::new(3, 5, &x)), tape.constant(MatRef::new(3, 6, &z)));
    let (logits, pixels) = (vae.encode(&mut tape, x), vae.decode(&mut tape, z));
    for (name, got) in [("logits", logits), ("pixels", pixels)] {
        for (got, want) in tape.value(got).data.iter().zip(numbers(name)) {
            // Two layers of at most six products of numbers below 1, and a bias, each rounded in
            // another order.
            assert!((got - want).abs() < 16.0 * f32::EPSILON, "{name}: {got} for {want}");
        }
    }
}

#[test]
fn what_is_written_is_what_pytorch_wrote() {
    let (mut params, _) = small(5);
    read(&mut params, FILE).unwrap();
    let written = weights::to_bytes(&params);
    let header = |bytes: &[u8]| {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        serde_json::from_slice::<Value>(&bytes[8..8 + length]).unwrap()
    };
    assert_eq!(header(&written), header(FILE));
    let data = |bytes: &[u8]| bytes[bytes.len() - 4 * params.flat().len()..].to_vec();
    assert_eq!(data(&written), data(FILE));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    weights::save(&params, &path).unwrap();
    let (mut again, _) = small(5);
    weights::load(&mut again, &path).unwrap();
    assert_eq!(again, params);
}

/// Every changed byte and every truncation gives an error that changes no parameter, or other
/// numbers of equal shapes, because the format has no checksum.
#[test]
fn damage_is_an_error_or_other_numbers() {
    let (params, _) = small(5);
    let data = FILE.len() - 4 * params.flat().len();
    for at in 0..FILE.len() {
        let mut store = params.clone();
        assert!(read(&mut store, &FILE[..at]).is_err() && store == params, "cut at {at}");
        for flip in 1..=255 {
            let mut changed = FILE.to_vec();
            changed[at] ^= flip;
            match read(&mut store, &changed) {
                Ok(()) => assert!(store != params && store.flat().iter().all(|x| x.is_finite()), "byte {at}"),
                Err(e) => assert!(e.to_string().contains("some/file: at byte"), "{e}"),
            }
            assert!(
                at >= data || store == params || store == original(),
                "byte {at} ^ {flip}: other numbers"
            );
            store.clone_from(&params);
        }
    }
}

fn original() -> ParamStore<f32> {
    let (mut params, _) = small(5);
    read(&mut params, FILE).unwrap();
    params
}

#[test]
fn other_names_shapes_and_numbers_are_refused() {
    let (mut params, _) = small(6);
    let before = params.clone();
    let e = read(&mut params, FILE).unwrap_err().to_string();
    assert!(e.contains("`encoder.0.weight`: found F32 [4, 5], expected F32 [4, 6]"), "{e}");
    let mut one = ParamStore::new();
    one.add("theta", hardgrad::Mat::zeros(1, 1));
    let e = read(&mut one, FILE).unwrap_err().to_string();
    assert!(e.contains("found a tensor `decoder.0.bias`, expected only `theta` [1, 1]"), "{e}");
    let bytes = weights::to_bytes(&one);
    let e = read(&mut params, &bytes).unwrap_err().to_string();
    assert!(e.contains("found a tensor `theta`"), "{e}");
    params.flat_mut()[7] = f32::INFINITY;
    let e = read(&mut before.clone(), &weights::to_bytes(&params)).unwrap_err().to_string();
    assert!(e.contains("`encoder.0.weight`: found inf, expected finite numbers"), "{e}");
}
