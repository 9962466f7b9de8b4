//! Tests that handles are checked against their owner, and that gradients stay readable.

use crate::mat::Mat;
use crate::optim::{Adam, AdamConfig, Optimizer};
use crate::params::{ParamGrads, ParamStore};
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var, Workspace};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns the message of the panic in which `f` must end.
fn panic_message<R>(f: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(f()))) else { panic!("there was no panic") };
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).expect("a message")
}

struct Identity;

impl CustomOp<f64> for Identity {
    fn name(&self) -> &str {
        "identity"
    }
    fn shape(&self, inputs: &Inputs<'_, f64>) -> (usize, usize) {
        (inputs.get(0).rows, inputs.get(0).cols)
    }
    fn forward(&self, inputs: &Inputs<'_, f64>, out: crate::MatMut<'_, f64>) {
        out.data.copy_from_slice(inputs.get(0).data);
    }
    fn vjp(&self, node: &Recorded<'_, f64>, grads: &mut InputGrads<'_, '_, f64>, _: &mut [f64]) {
        if let Some(dx) = grads.get(0) {
            dx.data.iter_mut().zip(node.g.data).for_each(|(dx, g)| *dx += g);
        }
    }
}

/// Two workspaces with tapes of equal length and equal shapes: the handles differ only in their
/// owner.
#[test]
fn a_value_of_another_workspace_is_refused() {
    let params = ParamStore::<f64>::new();
    let (mut a, mut b) = (Workspace::new(), Workspace::new());
    let record = |tape: &mut Tape<'_, f64>, x: f64| -> (Var, Var) {
        let x = tape.leaf(Mat::from_rows(&[[x, 2.0 * x]]).view());
        (x, tape.sum(x))
    };
    let (mut ta, mut tb) = (a.tape(&params), b.tape(&params));
    let (xa, loss_a) = record(&mut ta, 1.0);
    let (xb, _) = record(&mut tb, 10.0);
    assert_eq!((ta.value(xa).data, tb.value(xb).data), (&[1.0, 2.0][..], &[10.0, 20.0][..]));
    assert_ne!(xa, xb);
    let mut grads = ParamGrads::zeros(&params);
    ta.backward(loss_a, &mut grads);
    type Use = fn(&mut Tape<'_, f64>, Var, Var, &mut ParamGrads<f64>);
    let uses: [Use; 9] = [
        |tape, x, _, _| assert!(tape.value(x).data.is_empty()),
        |tape, x, _, _| assert!(tape.shape(x).0 == 9),
        |tape, x, _, _| assert!(tape.grad(x).is_none()),
        |tape, x, _, _| assert!(tape.grad_or_zeros(x).rows() == 9),
        |tape, x, _, _| _ = tape.detach(x),
        |tape, x, own, _| _ = tape.mul(own, x),
        |tape, x, own, _| _ = tape.linear(own, x, own, crate::nn::Activation::Identity),
        |tape, x, _, _| _ = tape.custom(&Identity, &[x]),
        |tape, x, _, grads| tape.backward_from(x, &[1.0, 1.0], grads),
    ];
    for (k, misuse) in uses.into_iter().enumerate() {
        let message = panic_message(|| misuse(&mut tb, xa, xb, &mut grads));
        assert!(message.contains("this Var belongs to another tape"), "use {k}: {message}");
    }
}

/// Two models of the same layout: their parameters differ only in their owner. A clone counts as
/// the same model.
#[test]
fn a_parameter_of_another_store_is_refused() {
    let store = |x: f64| {
        let mut params = ParamStore::new();
        let id = params.add("w", Mat::from_rows(&[[x]]));
        (params, id)
    };
    let ((mut a, id_a), (mut b, id_b)) = (store(1.0), store(2.0));
    assert_eq!((a.get(id_a).data, b.get(id_b).data), (&[1.0][..], &[2.0][..]));
    assert_eq!(a.clone().get(id_a).data, [1.0]);
    assert_ne!(id_a, id_b);
    let (mut grads_a, mut grads_b) = (ParamGrads::zeros(&a), ParamGrads::zeros(&b));
    for message in [
        panic_message(|| b.get(id_a).data[0]),
        panic_message(|| b.get_mut(id_a).data[0]),
        panic_message(|| grads_b.get(id_a).data[0]),
        panic_message(|| Workspace::new().tape(&b).param(id_a)),
    ] {
        assert_eq!(message, "this ParamId belongs to another ParamStore");
    }
    let mut workspace = Workspace::new();
    let mut tape = workspace.tape(&b);
    let w = tape.param(id_b);
    let swept = panic_message(|| tape.backward(w, &mut grads_a));
    tape.backward(w, &mut grads_b);
    let mut adam = Adam::new(AdamConfig::default()).expect("defaults");
    let stepped = panic_message(|| adam.step(&mut a, &grads_b));
    // A clone of `a` to which a parameter is added no longer has the parameters of `a`, and
    // gradients of `a` do not cover all of its parameters.
    let mut grown = a.clone();
    let (of_grown, of_a) = (grown.add("v", Mat::zeros(1, 1)), a.add("v", Mat::zeros(1, 1)));
    let early = panic_message(|| adam.step(&mut a, &grads_a));
    for message in [swept, stepped, early] {
        assert!(message.starts_with("these ParamGrads belong to another ParamStore"), "{message}");
    }
    assert_eq!(panic_message(|| a.get(of_grown).data[0]), panic_message(|| grown.get(of_a).data[0]));
    assert_eq!(a, grown, "names, shapes and numbers are equal");
}

#[test]
fn a_gradient_survives_further_recording() {
    let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    let mut grads = ParamGrads::zeros(&params);
    let mut tape = workspace.tape(&params);
    let x = tape.leaf(Mat::from_rows(&[[3.0]]).view());
    let y = tape.mul(x, x);
    tape.backward(y, &mut grads);
    let z = tape.affine(y, 2.0, 0.0);
    let more = tape.constant(Mat::zeros(100, 100).view()); // reallocates the arena
    let gradient = |tape: &Tape<'_, f64>, v| tape.grad(v).map(|g| g.data[0]);
    assert_eq!((gradient(&tape, x), tape.grad_or_zeros(x).as_slice()), (Some(6.0), &[6.0][..]));
    assert_eq!((gradient(&tape, y), gradient(&tape, z), gradient(&tape, more)), (Some(1.0), None, None));
    // A sweep from another value replaces all gradients.
    tape.backward(z, &mut grads);
    assert_eq!([x, y, z].map(|v| gradient(&tape, v)), [Some(12.0), Some(2.0), Some(1.0)]);
    // A new tape has no gradients.
    let mut tape = workspace.tape(&params);
    let x = tape.leaf(Mat::from_rows(&[[3.0]]).view());
    assert_eq!((gradient(&tape, x), tape.grad_or_zeros(x).as_slice()), (None, &[0.0][..]));
}

#[test]
fn grad_or_zeros_of_a_parameter_panics() {
    let mut params = ParamStore::<f64>::new();
    let id = params.add("w", Mat::from_rows(&[[3.0]]));
    let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));
    let mut tape = workspace.tape(&params);
    let w = tape.param(id);
    let loss = tape.mul(w, w);
    tape.backward(loss, &mut grads);
    assert_eq!((grads.get(id).data, tape.grad(w).is_none()), (&[6.0][..], true));
    assert!(panic_message(|| tape.grad_or_zeros(w)).contains("in the ParamGrads"));
}
