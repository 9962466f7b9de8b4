//! The autodiff engine in one example: a tape records five nodes while it computes them, one
//! reverse sweep computes every gradient, central differences agree with them, and the next step
//! uses the memory of the first.
//!
//! ```text
//! cargo run --release --example 01_tape        (a millisecond; with --smoke it prints nothing)
//!
//! node 0  x     = [1, 2]            a constant: no gradient
//! node 1  w     = [3; -1]           a parameter: its gradient goes to the ParamGrads
//! node 2  u     = x · w             = 1
//! node 3  v     = u²                = 1
//! node 4  loss  = 3 v + 5           = 8
//! dloss/dw      = [6, 12]           6 u x, from one sweep over nodes 4, 3, 2
//! central differences agree to 2e-13
//! gradient descent, 20 steps of 0.02: loss 8.00 -> 5.00
//! ```

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::gradcheck::gradcheck;
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace, rng};
use lab::output::answer as println; // unlike std's, it does not panic if the pipe is closed

/// Records 3 (x · w)² + 5 and returns its nodes.
fn record(tape: &mut Tape<'_, f64>, x: Var, w: Var) -> [Var; 3] {
    let u = tape.matmul(x, w); // computed immediately; the tape records "MatMul of x and w"
    let v = tape.mul(u, u);
    let loss = tape.affine(v, 3.0, 5.0);
    [u, v, loss]
}

fn main() {
    let smoke = lab::smoke::is_wanted();
    let row = Mat::from_rows(&[[1.0, 2.0]]);
    let mut params = ParamStore::new();
    let w = params.add("w", Mat::from_rows(&[[3.0], [-1.0]]));
    let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));

    // Record, then sweep. The tape borrows the parameters, so it ends before they change.
    let mut tape = workspace.tape(&params);
    let x = tape.constant(row.view());
    let w_var = tape.param(w);
    let [u, v, loss] = record(&mut tape, x, w_var);
    tape.backward(loss, &mut grads);
    let values = [u, v, loss].map(|node| tape.scalar(node));
    assert_eq!(values, [1.0, 1.0, 8.0]);
    assert_eq!(grads.get(w).data, [6.0, 12.0]); // 3 · 2u · x with u = 1
    assert_eq!(tape.grad(u).map(|g| g.data[0]), Some(6.0)); // intermediate gradients are kept too
    assert_eq!(tape.grad(x), None); // it is not needed, so it is not computed

    // The function with leaves in place of the parameter: its gradient against difference
    // quotients.
    let worst = gradcheck(&mut rng::from_key(1), &[row.clone(), params.get(w).to_mat()], |tape, leaves| {
        record(tape, leaves[0], leaves[1])[2]
    });
    assert!(worst.error < 1e-9, "{worst:?}");

    // Twenty steps, which reuse the memory of the workspace.
    for _ in 0..20 {
        let mut tape = workspace.tape(&params);
        let (x, w_var) = (tape.constant(row.view()), tape.param(w));
        let [.., loss] = record(&mut tape, x, w_var);
        tape.backward(loss, &mut grads);
        params.flat_mut().iter_mut().zip(grads.flat()).for_each(|(w, g)| *w -= 0.02 * g);
    }
    let mut tape = workspace.tape(&params);
    let (x, w_var) = (tape.constant(row.view()), tape.param(w));
    let [.., loss] = record(&mut tape, x, w_var);
    let last = tape.scalar(loss);
    // Each step takes u to u − 0.02 · 6 u · |x|² = 0.4 u, so after twenty steps 3 u² is below the
    // tolerance.
    assert!((last - 5.0).abs() < 1e-12, "{last}");
    if smoke {
        return;
    }
    println!("node 0  x     = [1, 2]            a constant: no gradient");
    println!("node 1  w     = [3; -1]           a parameter: its gradient goes to the ParamGrads");
    println!("node 2  u     = x · w             = {}", values[0]);
    println!("node 3  v     = u²                = {}", values[1]);
    println!("node 4  loss  = 3 v + 5           = {}", values[2]);
    println!("dloss/dw      = [6, 12]           6 u x, from one sweep over nodes 4, 3, 2");
    println!("central differences agree to {:.0e}", worst.error);
    println!("gradient descent, 20 steps of 0.02: loss {:.2} -> {last:.2}", values[2]);
}
