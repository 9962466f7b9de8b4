//! NaN in, NaN out, in the forward pass of every operation: a NaN that becomes a number would hide
//! an error.

use hardgrad::nn::Activation;
use hardgrad::optim::{self, Adam, AdamConfig, Optimizer};
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace};

const NAN: f32 = f32::NAN;

/// The value of `f(x)` on a tape.
fn value(x: &Mat<f32>, f: impl Fn(&mut Tape<'_, f32>, Var) -> Var) -> Mat<f32> {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let x = tape.constant(x.view());
    let y = f(&mut tape, x);
    tape.value(y).to_mat()
}

fn constant(tape: &mut Tape<'_, f32>, rows: usize, cols: usize, at: Option<usize>) -> Var {
    tape.constant_with(rows, cols, |out| {
        for (i, x) in out.iter_mut().enumerate() {
            *x = if at == Some(i) { NAN } else { 0.25 };
        }
    })
}

/// Rows of 4 numbers, enough of them for every SIMD vector and a remainder, with a NaN at each
/// position in turn: the numbers that depend on it are NaN, and no others.
#[test]
fn every_operation_passes_nan_on() {
    type Op = fn(&mut Tape<'_, f32>, Var) -> Var;
    /// Whether a number of `[9, 4]` depends on number `at`, by row and column.
    type Depends = fn(usize, usize) -> bool;
    let itself: Depends = |i, at| i == at;
    let pair: Depends = |i, at| i / 2 == at / 2;
    let row: Depends = |i, at| i == at / 4;
    let all: Depends = |_, _| true;
    let operations: [(&str, Op, Depends); 17] = [
        ("relu", |t, x| t.relu(x), itself),
        ("sigmoid", |t, x| t.sigmoid(x), itself),
        ("exp", |t, x| t.exp(x), itself),
        ("ln", |t, x| t.ln(x), itself),
        ("affine", |t, x| t.affine(x, 0.0, 1.0), itself),
        ("detach", |t, x| t.detach(x), itself),
        (
            "add",
            |t, x| {
                let y = constant(t, 9, 4, None);
                t.add(y, x)
            },
            itself,
        ),
        (
            "sub",
            |t, x| {
                let y = constant(t, 9, 4, None);
                t.sub(y, x)
            },
            itself,
        ),
        (
            "mul",
            |t, x| {
                let y = t.affine(x, 0.0, 0.0);
                t.mul(y, x)
            },
            itself,
        ),
        (
            "add_bias",
            |t, x| {
                let b = constant(t, 1, 4, None);
                t.add_bias(x, b)
            },
            itself,
        ),
        ("softmax", |t, x| t.softmax(x, 2), pair),
        ("log_softmax", |t, x| t.log_softmax(x, 2), pair),
        ("categorical_kl", |t, x| t.categorical_kl(x, 2), row),
        (
            "bce_with_logits",
            |t, x| {
                let y = constant(t, 9, 4, None);
                t.bce_with_logits(x, y)
            },
            row,
        ),
        (
            "its targets",
            |t, x| {
                let y = constant(t, 9, 4, None);
                t.bce_with_logits(y, x)
            },
            row,
        ),
        ("sum", |t, x| t.sum(x), all),
        ("mean", |t, x| t.mean(x), all),
    ];
    for (name, operation, depends) in operations {
        for at in 0..36 {
            let x = Mat::from_fn(9, 4, |i, j| if 4 * i + j == at { NAN } else { 0.5 });
            for (i, y) in value(&x, operation).as_slice().iter().enumerate() {
                assert_eq!(y.is_nan(), depends(i, at), "{name}, NaN at {at}: number {i} is {y}");
            }
        }
    }
}

/// A layer with and without ReLU, dense and sparse: a NaN in the input, in the bias, or in a
/// weight, also one that is multiplied by zeros of the input, for which a sparse product skips the
/// weights.
#[test]
fn every_layer_passes_nan_on() {
    let (n, k, m) = (5, 9, 21);
    for sparse in [false, true] {
        for activation in [Activation::Identity, Activation::Relu] {
            for (place, of_x, of_weight, of_bias) in [
                ("input", Some(2 * k + 4), None, None),
                ("weights", None, Some(4 * m + 7), None),
                ("bias", None, None, Some(7)),
            ] {
                let x = Mat::from_fn(n, k, |i, j| match of_x {
                    Some(at) if at == i * k + j => NAN,
                    _ if sparse => 0.0, // row 4 of the weights is multiplied by zeros only
                    _ => 0.5,
                });
                let y = value(&x, |tape, x| {
                    let (w, b) = (constant(tape, k, m, of_weight), constant(tape, 1, m, of_bias));
                    tape.linear(x, w, b, activation)
                });
                for (i, y) in y.as_slice().iter().enumerate() {
                    let expected = if of_x.is_some() { i / m == 2 } else { i % m == 7 };
                    assert_eq!(
                        y.is_nan(),
                        expected,
                        "{place}, sparse {sparse}, {activation:?}: number {i} is {y}"
                    );
                }
            }
        }
    }
}

/// The backward rules multiply, so a NaN stays; ReLU passes the cotangent where its value is NaN,
/// as in PyTorch. The guide describes this.
#[test]
fn the_sweep_passes_nan_on_and_relu_passes_its_cotangent() {
    let (params, mut workspace) = (ParamStore::<f32>::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let x = tape.leaf(Mat::from_rows(&[[NAN, -1.0, 2.0]]).view());
    let y = tape.relu(x);
    tape.backward_from(y, &[3.0, 4.0, NAN], &mut ParamGrads::zeros(&params));
    let g = tape.grad(x).unwrap().data;
    assert_eq!((g[0], g[1], g[2].is_nan()), (3.0, 0.0, true));
    let z = tape.softmax(x, 3);
    tape.backward_from(z, &[1.0, 0.0, 0.0], &mut ParamGrads::zeros(&params));
    assert!(tape.grad(x).unwrap().data.iter().all(|g| g.is_nan()));
}

/// Neither clipping nor an update turns a gradient that is not finite, or whose norm overflows,
/// into a small one.
#[test]
fn clipping_and_updates_keep_what_is_not_finite() {
    for bad in [NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut params = ParamStore::<f32>::new();
        params.add("w", Mat::zeros(1, 40));
        let mut grads = ParamGrads::zeros(&params);
        grads.flat_mut()[17] = bad;
        grads.flat_mut()[3] = 2.0;
        assert!(!optim::clip_norm(&mut grads, 1.0).is_finite());
        assert!(!grads.flat()[17].is_finite() && grads.flat()[3] == 2.0, "{bad}");
        assert!(!Adam::new(AdamConfig::default()).unwrap().step(&mut params, &grads));
    }
    let mut params = ParamStore::<f64>::new();
    params.add("w", Mat::zeros(1, 2));
    let mut grads = ParamGrads::zeros(&params);
    grads.flat_mut().copy_from_slice(&[1e200, -1.0]); // whose square is infinite
    assert_eq!(optim::clip_norm(&mut grads, 1.0), f64::INFINITY);
    assert_eq!(grads.flat(), [1e200, -1.0]);
}
