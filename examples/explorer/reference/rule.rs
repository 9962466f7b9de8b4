//! Rules of integration for the slope of a loss between two corners. The loss is recorded on the
//! tape, which gives its slopes.

use hardgrad::{Error, Mat, ParamGrads, ParamStore, Result, Tape, Var, Workspace};
use serde::{Deserialize, Serialize};

/// What the panel of rules shows.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// The slope at d + 1 equidistant points from 0 to 1, of degree d; at d = 0 at any point.
    values: Vec<f64>,
    /// Weight of the far end.
    beta: f64,
}

/// Areas below the slope from 0 to 1.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    exact: f64,
    rectangle: f64,
    trapezoid: f64,
    beta: f64,
    midpoint: f64,
    simpson: f64,
}

pub fn numbers(setting: &Setting) -> Result<Numbers> {
    if !(1..=5).contains(&setting.values.len()) {
        let got = format!("{} numbers", setting.values.len());
        return Err(Error::argument("values", got, "1 to 5"));
    }
    let slope = coefficients(&setting.values);
    // f = Σ a_k t^(k+1) / (k+1)
    let f: Vec<f64> = slope.iter().enumerate().map(|(k, a)| a / (k + 1) as f64).collect();
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let t = tape.leaf(&Mat::from_rows(&[[0.0], [0.5], [1.0]]));
    let values = integral(&mut tape, t, &f);
    let total = tape.sum(values);
    tape.backward(total, &mut ParamGrads::zeros(&params));
    let (values, slopes) = (tape.value(values).data.to_vec(), tape.grad_or_zeros(t));
    let [near, middle, far] = [0, 1, 2].map(|i| slopes.row(i)[0]);
    Ok(Numbers {
        exact: values[2] - values[0],
        rectangle: near,
        trapezoid: 0.5 * (near + far),
        beta: (1.0 - setting.beta) * near + setting.beta * far,
        midpoint: middle,
        simpson: (near + 4.0 * middle + far) / 6.0,
    })
}

/// The coefficients of 1, t, t², … through these values, as a sum of Lagrange's polynomials.
fn coefficients(values: &[f64]) -> Vec<f64> {
    let degree = values.len() - 1;
    let node = |k: usize| if degree > 0 { k as f64 / degree as f64 } else { 0.0 };
    let mut sum = vec![0.0; values.len()];
    for (k, value) in values.iter().enumerate() {
        let mut product = vec![*value];
        for other in (0..=degree).filter(|&other| other != k) {
            let scale = node(k) - node(other);
            // times (t − node) / (node_k − node)
            let mut next = vec![0.0; product.len() + 1];
            for (power, x) in product.iter().enumerate() {
                next[power] -= x * node(other) / scale;
                next[power + 1] += x / scale;
            }
            product = next;
        }
        sum.iter_mut().zip(&product).for_each(|(sum, x)| *sum += x);
    }
    sum
}

/// t (a_0 + t (a_1 + …)) of each row.
fn integral(tape: &mut Tape<'_, f64>, t: Var, coefficients: &[f64]) -> Var {
    let (last, others) = coefficients.split_last().expect("one coefficient or more");
    let inner = tape.affine(t, 0.0, *last);
    let sum = others.iter().rev().fold(inner, |sum, a| {
        let product = tape.mul(sum, t);
        tape.affine(product, 1.0, *a)
    });
    tape.mul(sum, t)
}
