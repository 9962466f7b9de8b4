//! The estimators that stand beside the paper's against stored float64 vectors.
//!
//! The file is `tests/data/field.json`, or the one that `HARDGRAD_FIELD_GOLDENS` names. Three lists, row-major. `sample`: theta, gumbel,
//! upstream and each of grads `[B, L, C]`, one_hot_index `[B, L]` = argmax(theta + gumbel), `lam` for `mve`. `score`: n samples of one code:
//! theta and grads `[B, L, C]`, gumbel and loss_grad `[n, B, L, C]`, one_hot_index `[n, B, L]`, loss, log_weight and vimco_score `[n, B]`,
//! vimco_bound `[B]`. `choice`: one variable of C categories and the loss of each.

use hardgrad::Scalar;
use hardgrad::estimators::{At, Darn, Estimator, Mve, Noise, Scratch};
use serde_json::Value;

fn load() -> Value {
    let path = std::env::var("HARDGRAD_FIELD_GOLDENS").unwrap_or_else(|_| "tests/data/field.json".into());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn numbers<T: Scalar>(value: &Value) -> Vec<T> {
    value.as_array().unwrap().iter().map(|x| T::of(x.as_f64().unwrap())).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
}

fn size(case: &Value, name: &str) -> usize {
    case[name].as_u64().unwrap_or_else(|| panic!("{name} is missing")) as usize
}

/// The cases of a list, which a file of this layout may leave out.
fn cases<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    file[list].as_array().map_or(&[], Vec::as_slice)
}

/// The largest error of a vector relative to its largest number, so far.
struct Worst {
    tolerance: f64,
    error: f64,
    vectors: usize,
}

impl Worst {
    fn compare<T: Scalar>(&mut self, name: &str, got: &[T], want: &Value) {
        let want = numbers::<f64>(want);
        assert_eq!(got.len(), want.len(), "{name}");
        let scale = want.iter().fold(0.0_f64, |m, x| m.max(x.abs())).max(f64::MIN_POSITIVE);
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let error = (got.to_f64() - want).abs() / scale;
            assert!(error < self.tolerance, "{name}, number {i}: {got} for {want}");
            self.error = self.error.max(error);
        }
        self.vectors += 1;
    }
}

fn one_hot<T: Scalar>(hot: &[usize], categories: usize) -> Vec<T> {
    let mut rows = vec![T::ZERO; hot.len() * categories];
    rows.chunks_mut(categories).zip(hot).for_each(|(row, &hot)| row[hot] = T::ONE);
    rows
}

fn sample_side<T: Scalar>(case: &Value, worst: &mut Worst) {
    let categories = size(case, "C");
    let (theta, upstream) = (numbers::<T>(&case["theta"]), numbers::<T>(&case["upstream"]));
    let noise = Noise::from_gumbel(numbers::<T>(&case["gumbel"]));
    let mve = Mve::new(case["lam"].as_f64().unwrap()).unwrap();
    let known: [(&str, Box<dyn Estimator<T>>); 3] =
        [("darn", Box::new(Darn)), ("mve", Box::new(mve)), ("mve_limit", Box::new(Mve::limit()))];
    for (name, want) in case["grads"].as_object().unwrap() {
        let (_, estimator) =
            known.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name}"));
        let mut sample = vec![T::ZERO; theta.len()];
        estimator.sample(&theta, &noise, categories, &mut sample);
        assert!(sample == one_hot::<T>(&indices(&case["one_hot_index"]), categories), "{name}: the sample");
        let mut grad = vec![T::ZERO; theta.len()];
        let at = At { logits: &theta, one_hot: &sample, noise: &noise, categories };
        estimator.add_vjp(at, &upstream, &mut grad, &mut Scratch::new());
        worst.compare(name, &grad, want);
    }
}

fn check<T: Scalar>(tolerance: f64) {
    let file = load();
    let mut worst = Worst { tolerance, error: 0.0, vectors: 0 };
    cases(&file, "sample").iter().for_each(|case| sample_side::<T>(case, &mut worst));
    assert!(worst.vectors > 0, "a file without vectors");
    println!("{} vectors, largest error {:.1e}", worst.vectors, worst.error);
}

#[test]
fn field_goldens_in_f64() {
    check::<f64>(1e-9);
}

#[test]
fn field_goldens_in_f32() {
    check::<f32>(1e-4);
}
