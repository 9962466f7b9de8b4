//! The estimators that are not in the paper, against stored float64 vectors.
//!
//! The file is `tests/data/field.json`, or the one that `HARDGRAD_FIELD_GOLDENS` names. Three lists, row-major. `sample`: theta, gumbel,
//! upstream and each of grads `[B, L, C]`, one_hot_index `[B, L]` = argmax(theta + gumbel), `lam` for `mve`. `score`: n samples of one code:
//! theta and grads `[B, L, C]`, gumbel and loss_grad `[n, B, L, C]`, one_hot_index `[n, B, L]`, loss, log_weight and vimco_score `[n, B]`,
//! vimco_bound `[B]`. `choice`: one variable of C categories and the loss of each.

use hardgrad::estimators::{
    At, Baseline, Choice, Darn, DoubleControlVariate, Estimator, Mve, Noise, PairWithoutReplacement,
    Reinforce, Scratch, SumAndSample, Vimco,
};
use hardgrad::{Mat, ParamGrads, ParamStore, Scalar, Tape, Var, Workspace};
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

/// The cases of a list. A file may lack the list.
fn cases<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    file[list].as_array().map_or(&[], Vec::as_slice)
}

/// The largest error so far, relative to the largest number of its vector.
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

/// From `[n, B, width]` to `[B, n, width]`: in the library the samples of one input are in
/// consecutive rows.
fn together<T: Copy>(values: &[T], n: usize, batch: usize) -> Vec<T> {
    let width = values.len() / (n * batch);
    let row = |b: usize, k: usize| &values[(k * batch + b) * width..][..width];
    (0..batch).flat_map(|b| (0..n).flat_map(move |k| row(b, k).to_vec())).collect()
}

/// A loss with these values and gradients at the samples: f_k + ⟨g_k, D − D_k⟩.
fn given<T: Scalar>(tape: &mut Tape<'_, T>, d: Var, losses: &[T], gradients: &[T]) -> Var {
    let (rows, width) = tape.shape(d);
    let slope = tape.constant(&Mat::from_vec(rows, width, gradients.to_vec()));
    let held = tape.detach(d);
    let moved = tape.sub(d, held);
    let linear = tape.mul(moved, slope);
    let linear = tape.row_sum(linear);
    let losses = tape.constant(&Mat::from_vec(rows, 1, losses.to_vec()));
    tape.add(losses, linear)
}

/// The gradient of the logits `theta` `[rows, cols]` of the sum over `weight` times the loss that `record` records.
fn gradient<T: Scalar>(
    theta: &[T],
    cols: usize,
    weight: f64,
    record: impl FnOnce(&mut Tape<'_, T>, Var) -> Var,
) -> (Vec<T>, Vec<T>) {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(&Mat::from_vec(theta.len() / cols, cols, theta.to_vec()));
    let loss = record(&mut tape, logits);
    let value = tape.value(loss).data.to_vec();
    tape.backward_from(loss, &vec![T::of(weight); value.len()], &mut ParamGrads::zeros(&params));
    (tape.grad_or_zeros(logits).as_slice().to_vec(), value)
}

fn score_side<T: Scalar>(case: &Value, worst: &mut Worst) {
    let (n, batch, categories) = (size(case, "n"), size(case, "B"), size(case, "C"));
    let width = size(case, "L") * categories;
    let get = |name: &str| together(&numbers::<T>(&case[name]), n, batch);
    let (theta, losses, gradients, weights) =
        (numbers::<T>(&case["theta"]), get("loss"), get("loss_grad"), get("log_weight"));
    let hot = together(&indices(&case["one_hot_index"]), n, batch);
    let choice = Choice::without_gradient(categories).with_noise(Noise::from_gumbel(get("gumbel")));
    let drawn = |tape: &Tape<'_, T>, d: Var| assert!(tape.value(d).data == one_hot::<T>(&hot, categories));
    let alpha = case["alpha"].as_f64().unwrap();
    for (name, want) in case["grads"].as_object().unwrap() {
        let (got, _) = match name.as_str() {
            "leave_one_out" => gradient(&theta, width, 1.0 / n as f64, |tape, logits| {
                let repeated = tape.repeat_rows(logits, n);
                let baseline = Baseline::leave_one_out(n).unwrap();
                Reinforce::new(baseline).loss(tape, repeated, &choice, |tape, d| {
                    drawn(tape, d);
                    given(tape, d, &losses, &gradients)
                })
            }),
            "double_control_variate" => gradient(&theta, width, 1.0 / n as f64, |tape, logits| {
                let estimator = DoubleControlVariate::new(n, alpha).unwrap();
                estimator.loss(tape, logits, &choice, |tape, d| {
                    drawn(tape, d);
                    given(tape, d, &losses, &gradients)
                })
            }),
            // The loss is −L̂, and constant log-weights leave the score part alone.
            "vimco" => {
                let (got, bound) = gradient(&theta, width, -1.0, |tape, logits| {
                    Vimco::new(n).unwrap().loss(tape, logits, &choice, |tape, d| {
                        drawn(tape, d);
                        tape.constant(&Mat::from_vec(n * batch, 1, weights.clone()))
                    })
                });
                let bound: Vec<T> = bound.into_iter().map(|x| -x).collect();
                worst.compare("vimco_bound", &bound, &case["vimco_bound"]);
                (got, bound)
            }
            name => panic!("{name}"),
        };
        worst.compare(name, &got, want);
    }
    let mut scores = vec![0.0; n * batch];
    let weights: Vec<f64> = weights.iter().map(|w| w.to_f64()).collect();
    weights.chunks(n).zip(scores.chunks_mut(n)).for_each(|(w, scores)| Vimco::scores(w, scores));
    worst.compare("vimco_score", &together(&scores, batch, n), &case["vimco_score"]);
}

fn choice_side<T: Scalar>(case: &Value, worst: &mut Worst) {
    let (categories, k) = (size(case, "C"), size(case, "k"));
    let (theta, each) = (numbers::<T>(&case["theta"]), numbers::<T>(&case["loss_of_each"]));
    let noise = Noise::from_gumbel(numbers::<T>(&case["gumbel"]));
    let choice = Choice::without_gradient(categories).with_noise(noise);
    let prices = Mat::from_vec(categories, 1, each);
    let run = |name: &str| match name {
        "pair_without_replacement" => gradient(&theta, categories, 1.0, |tape, logits| {
            PairWithoutReplacement.loss(tape, logits, &choice, |tape, d| {
                assert!(tape.value(d).data == one_hot::<T>(&indices(&case["pair"]), categories));
                let prices = tape.constant(&prices);
                tape.matmul(d, prices)
            })
        }),
        "sum_and_sample" => gradient(&theta, categories, 1.0, |tape, logits| {
            SumAndSample::new(k).unwrap().loss(tape, logits, &choice, |tape, d| {
                let rest = one_hot::<T>(&[size(case, "rest")], categories);
                assert!(k >= categories || tape.value(d).data.ends_with(&rest));
                let prices = tape.constant(&prices);
                tape.matmul(d, prices)
            })
        }),
        name => panic!("{name}"),
    };
    for (name, want) in case["grads"].as_object().unwrap() {
        worst.compare(name, &run(name).0, want);
    }
    let (exact, _) = gradient(&theta, categories, 1.0, |tape, logits| {
        SumAndSample::new(categories).unwrap().loss(tape, logits, &choice, |tape, d| {
            let prices = tape.constant(&prices);
            tape.matmul(d, prices)
        })
    });
    worst.compare("exact", &exact, &case["exact"]);
}

fn check<T: Scalar>(tolerance: f64) {
    let file = load();
    let mut worst = Worst { tolerance, error: 0.0, vectors: 0 };
    cases(&file, "sample").iter().for_each(|case| sample_side::<T>(case, &mut worst));
    cases(&file, "score").iter().for_each(|case| score_side::<T>(case, &mut worst));
    cases(&file, "choice").iter().for_each(|case| choice_side::<T>(case, &mut worst));
    assert!(worst.vectors > 0, "the file contains no vectors");
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
