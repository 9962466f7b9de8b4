//! Checks of every operation's vjp against central differences. The match below is exhaustive, so
//! an operation without a check does not compile.

use super::op::{Op, OpKind};
use super::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var, Workspace};
use crate::gradcheck::gradcheck;
use crate::kernels::activation::Activation;
use crate::mat::{Mat, MatMut};
use crate::params::{ParamGrads, ParamStore};
use crate::rng::{self, uniform};

/// The project's requirement is 1e-7. The error of the difference quotient is below 1e-11 (see
/// `gradcheck`), so this tolerance detects a single wrong digit.
const TOLERANCE: f64 = 1e-9;

/// Shapes [N, K, M, group size], including 1 row and 0 rows. The group size divides K.
const SHAPES: [[usize; 4]; 5] = [[3, 6, 4, 3], [1, 6, 2, 2], [0, 6, 4, 3], [5, 1, 1, 1], [2, 8, 17, 8]];

/// Every activation except the identity, which records no node.
const BENT: [Activation; 3] = [Activation::Relu, Activation::LEAKY_RELU, Activation::LeakyRelu(0.2)];

fn random(key: u64, rows: usize, cols: usize, low: f64, high: f64) -> Mat<f64> {
    let mut rng = rng::from_key(key);
    let mut m = Mat::zeros(rows, cols);
    m.as_mut_slice().iter_mut().for_each(|x| *x = low + (high - low) * uniform::<f64>(&mut rng));
    m
}

/// Numbers at least 0.1 away from 0, so that no difference quotient crosses the kink of an
/// activation.
fn away_from_zero(key: u64, rows: usize, cols: usize) -> Mat<f64> {
    let mut m = random(key, rows, cols, -1.0, 1.0);
    m.as_mut_slice().iter_mut().for_each(|x| *x += 0.1 * x.signum());
    m
}

/// x³, which exercises the custom operation itself.
struct Cube;

impl CustomOp<f64> for Cube {
    fn name(&self) -> &str {
        "cube"
    }
    fn shape(&self, inputs: &Inputs<'_, f64>) -> (usize, usize) {
        (inputs.get(0).rows, inputs.get(0).cols)
    }
    fn forward(&self, inputs: &Inputs<'_, f64>, out: MatMut<'_, f64>) {
        out.data.iter_mut().zip(inputs.get(0).data).for_each(|(y, x)| *y = x * x * x);
    }
    fn vjp(&self, node: &Recorded<'_, f64>, grads: &mut InputGrads<'_, '_, f64>, _: &mut [f64]) {
        let Some(dx) = grads.get(0) else { return };
        let x = node.inputs.get(0).data;
        dx.data.iter_mut().zip(x).zip(node.g.data).for_each(|((dx, x), g)| *dx += g * 3.0 * x * x);
    }
}

/// Checks one operation at one shape. Where a second use of an input takes another code path,
/// because its gradient is added to rather than overwritten, the closure uses the input a second
/// time.
fn check(kind: OpKind, [n, k, m, group]: [usize; 4]) {
    let x = random(1, n, k, -1.0, 1.0);
    let y = random(2, n, k, -1.0, 1.0);
    let w = random(3, k, m, -1.0, 1.0);
    let b = random(4, 1, m, -1.0, 1.0);
    let run = |inputs: &[Mat<f64>], f: &dyn for<'t> Fn(&mut Tape<'t, f64>, &[Var]) -> Var| {
        let twice = |tape: &mut Tape<'_, f64>, v: &[Var]| {
            let last = tape.workspace.nodes.len();
            let once = f(tape, v);
            let recorded = tape.workspace.nodes[last..].iter().any(|node| node.op.kind() == kind);
            assert!(
                recorded || kind == OpKind::Leaf || kind == OpKind::Constant,
                "{kind:?} was not recorded"
            );
            let again = f(tape, v);
            tape.mul(once, again)
        };
        let worst = gradcheck(&mut rng::from_key(9), inputs, twice);
        assert!(worst.error < TOLERANCE, "{kind:?} at [{n}, {k}, {m}, {group}]: {worst:?}");
    };
    match kind {
        OpKind::Leaf => run(&[x], &|_, v| v[0]),
        OpKind::Constant => run(std::slice::from_ref(&x), &|tape, v| {
            let c = tape.constant(y.view());
            tape.mul(v[0], c)
        }),
        OpKind::Param => check_param(&x, &w),
        OpKind::MatMul => {
            run(&[x.clone(), w.clone()], &|tape, v| tape.matmul(v[0], v[1]));
            // The same value as both operands.
            run(&[random(5, k, k, -1.0, 1.0)], &|tape, v| tape.matmul(v[0], v[0]));
            // Cases in which one of the operands needs no gradient.
            run(std::slice::from_ref(&x), &|tape, v| {
                let w = tape.constant(w.view());
                tape.matmul(v[0], w)
            });
            run(std::slice::from_ref(&w), &|tape, v| {
                let x = tape.constant(x.view());
                tape.matmul(x, v[0])
            });
        }
        OpKind::MatMulTransposed => {
            run(&[x.clone(), random(5, m, k, -1.0, 1.0)], &|tape, v| tape.matmul_transposed(v[0], v[1]));
            run(std::slice::from_ref(&x), &|tape, v| tape.matmul_transposed(v[0], v[0]));
        }
        OpKind::Linear => {
            run(&[x.clone(), w.clone(), b.clone()], &|tape, v| {
                tape.linear(v[0], v[1], v[2], Activation::Identity)
            });
            // The inputs have one sign and the bias the other, so that the pre-activations lie on
            // both sides of the kink but not near it.
            let positive = |key, rows, cols| random(key, rows, cols, 0.2, 1.0);
            let bias =
                |sign: f64| Mat::from_fn(1, m, |_, j| if j % 2 == 0 { sign * (k as f64 + 1.0) } else { 0.5 });
            for sign in [1.0, -1.0] {
                let inputs = [positive(6, n, k), positive(7, k, m), bias(sign)];
                for activation in BENT {
                    run(&inputs, &|tape, v| tape.linear(v[0], v[1], v[2], activation));
                }
            }
        }
        OpKind::AddBias => run(&[random(8, n, m, -1.0, 1.0), b], &|tape, v| tape.add_bias(v[0], v[1])),
        OpKind::Add => run(&[x, y], &|tape, v| tape.add(v[0], v[1])),
        OpKind::Sub => run(&[x, y], &|tape, v| tape.sub(v[0], v[1])),
        OpKind::Mul => {
            run(&[x.clone(), y], &|tape, v| tape.mul(v[0], v[1]));
            run(&[x], &|tape, v| tape.mul(v[0], v[0]));
        }
        OpKind::Affine => run(&[x], &|tape, v| tape.affine(v[0], -1.7, 0.4)),
        OpKind::AtLeast => run(&[away_from_zero(10, n, k)], &|tape, v| tape.at_least(v[0], 0.0)),
        OpKind::Activate => {
            for activation in BENT {
                run(&[away_from_zero(10, n, k)], &|tape, v| tape.activate(v[0], activation));
            }
        }
        OpKind::Sigmoid => run(&[x], &|tape, v| tape.sigmoid(v[0])),
        OpKind::Exp => run(&[x], &|tape, v| tape.exp(v[0])),
        OpKind::Ln => run(&[random(11, n, k, 0.5, 2.0)], &|tape, v| tape.ln(v[0])),
        OpKind::Softmax => run(&[x], &|tape, v| tape.softmax(v[0], group)),
        OpKind::LogSoftmax => run(&[x], &|tape, v| tape.log_softmax(v[0], group)),
        OpKind::Sum => run(&[x], &|tape, v| tape.sum(v[0])),
        OpKind::RowSum => run(&[x], &|tape, v| tape.row_sum(v[0])),
        OpKind::BceWithLogits => {
            // The formula contains |x|, which has no derivative at 0, but the loss itself is
            // differentiable. Logits of both signs are checked, with targets inside (0, 1).
            let targets = random(12, n, k, 0.0, 1.0);
            run(&[away_from_zero(13, n, k), targets], &|tape, v| tape.bce_with_logits(v[0], v[1]));
        }
        OpKind::CategoricalKl => run(&[x], &|tape, v| tape.categorical_kl(v[0], group)),
        OpKind::CategoricalKlTo => {
            run(&[x.clone(), y.clone()], &|tape, v| tape.categorical_kl_to(v[0], v[1], group));
            run(std::slice::from_ref(&x), &|tape, v| {
                let p = tape.constant(y.view());
                tape.categorical_kl_to(v[0], p, group)
            });
            run(std::slice::from_ref(&y), &|tape, v| {
                let q = tape.constant(x.view());
                tape.categorical_kl_to(q, v[0], group)
            });
        }
        OpKind::CategoricalEntropy => run(&[x], &|tape, v| tape.categorical_entropy(v[0], group)),
        OpKind::CategoricalLogProb => {
            let weights = random(14, n, k, 0.0, 1.0);
            run(&[x, weights], &|tape, v| tape.categorical_log_prob(v[0], v[1], group));
        }
        OpKind::Unimix => {
            for epsilon in [0.0, 1e-3, 0.3, 1.0] {
                run(std::slice::from_ref(&x), &|tape, v| tape.unimix(v[0], epsilon, group));
            }
        }
        OpKind::Reshape => run(&[x], &|tape, v| tape.reshape(v[0], k, n)),
        OpKind::RepeatRows => run(&[x], &|tape, v| tape.repeat_rows(v[0], 3)),
        OpKind::Custom => run(&[x], &|tape, v| tape.custom(&Cube, &[v[0]])),
    }
}

/// A parameter has the gradient that a leaf in its place would have, even if it is used twice.
fn check_param(x: &Mat<f64>, w: &Mat<f64>) {
    let mut params = ParamStore::new();
    let id = params.add("w", w.clone());
    let unused = params.add("unused", Mat::from_rows(&[[1.0]]));
    let mut grads = ParamGrads::zeros(&params);
    grads.flat_mut().fill(f64::NAN);
    let mut workspace = Workspace::new();
    let loss = |tape: &mut Tape<'_, f64>, w: Var| {
        let x = tape.constant(x.view());
        let y = tape.matmul(x, w);
        let y = tape.exp(y);
        let z = tape.matmul(x, w);
        let both = tape.mul(y, z);
        tape.sum(both)
    };
    let mut tape = workspace.tape(&params);
    let w_var = tape.param(id);
    assert_eq!(w_var, tape.param(id));
    assert!(matches!(tape.node(w_var).op, Op::Param(_)));
    let l = loss(&mut tape, w_var);
    tape.backward(l, &mut grads);
    let mut tape = workspace.tape(&params);
    let leaf = tape.leaf(w.view());
    let l = loss(&mut tape, leaf);
    tape.backward(l, &mut ParamGrads::zeros(&params));
    assert_eq!(tape.grad(leaf).expect("reached").data, grads.get(id).data);
    assert_eq!(grads.get(unused).data, [0.0]);
}

#[test]
fn every_op_matches_central_differences() {
    for &kind in OpKind::ALL {
        for shape in SHAPES {
            check(kind, shape);
        }
    }
}

#[test]
fn gradcheck_detects_a_wrong_vjp() {
    struct Wrong;
    impl CustomOp<f64> for Wrong {
        fn name(&self) -> &str {
            "wrong"
        }
        fn shape(&self, inputs: &Inputs<'_, f64>) -> (usize, usize) {
            Cube.shape(inputs)
        }
        fn forward(&self, inputs: &Inputs<'_, f64>, out: MatMut<'_, f64>) {
            Cube.forward(inputs, out);
        }
        fn vjp(&self, node: &Recorded<'_, f64>, grads: &mut InputGrads<'_, '_, f64>, scratch: &mut [f64]) {
            Cube.vjp(node, grads, scratch);
            if let Some(dx) = grads.get(0) {
                dx.data[1] *= 1.0 + 1e-6;
            }
        }
    }
    let x = random(1, 1, 3, 0.5, 1.0);
    let worst = gradcheck(&mut rng::from_key(1), &[x], |tape, v| tape.custom(&Wrong, &[v[0]]));
    assert!(worst.error > TOLERANCE && worst.element == 1, "{worst:?}");
}

#[test]
fn a_second_sweep_does_not_add_to_the_first() {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let x = tape.leaf(random(1, 2, 2, -1.0, 1.0).view());
    let y = tape.mul(x, x);
    let loss = tape.sum(y);
    let mut grads = ParamGrads::zeros(&params);
    tape.backward(loss, &mut grads);
    let first = tape.grad_or_zeros(x);
    tape.backward(loss, &mut grads);
    assert_eq!(first, tape.grad_or_zeros(x));
}

#[test]
#[should_panic(expected = "matmul: [2, 3] · [2, 3]: the inner sizes differ")]
fn mismatched_shapes_are_named_in_the_panic() {
    let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let x = tape.leaf(Mat::zeros(2, 3).view());
    let _ = tape.matmul(x, x);
}

#[test]
#[should_panic(expected = "belongs to another tape")]
fn a_stale_handle_is_refused() {
    let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    let x = workspace.tape(&params).leaf(Mat::zeros(1, 1).view());
    let mut tape = workspace.tape(&params);
    let _ = tape.leaf(Mat::zeros(1, 1).view());
    let _ = tape.sum(x);
}

#[test]
#[should_panic(expected = "linear: LeakyRelu(-0.5): slope: got -0.5, expected a number in [0, 1]")]
fn a_slope_outside_its_range_is_refused() {
    let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let x = tape.leaf(Mat::zeros(1, 1).view());
    let _ = tape.linear(x, x, x, Activation::LeakyRelu(-0.5));
}
