//! The gradient of a sample is zero. Straight-Through and ReinMax estimate the gradient of its
//! expectation: the mean of the former is exact for linear f, that of the latter for quadratic f
//! too.
//!
//! One variable has three categories, and f(D) = (a · D)^p. The exact gradient contains the line
//! integrals of the directional derivative of f between corners of the simplex. Straight-Through
//! approximates them by the rectangle with the height at the sample (first order), ReinMax by the
//! trapezoid with the heights at both ends (second order). A higher order is exact for more
//! functions and not better for all: at p = 3 the mean of ReinMax is further from the exact
//! gradient than that of Straight-Through.
//!
//! ```text
//! cargo run --release --example 03_straight_through        (a millisecond; with --smoke it prints nothing)
//!
//! autodiff alone, any p  0.00000  0.00000  0.00000   no error, no warning, no learning
//! p = 1  exact           0.19476 -0.45569  0.26093
//!        E[ST]           0.19476 -0.45569  0.26093   |bias| 2.8e-17, sd 0.00
//!        E[ReinMax]      0.19476 -0.45569  0.26093   |bias| 5.6e-17, sd 0.32
//! p = 2  exact          -0.01073 -0.44554  0.45626
//!        E[ST]           0.11926 -0.27904  0.15978   |bias| 3.6e-1, sd 1.09
//!        E[ReinMax]     -0.01073 -0.44554  0.45626   |bias| 1.4e-17, sd 1.77
//! p = 3  exact          -0.12419 -0.88600  1.01019
//!        E[ST]           0.60659 -1.41930  0.81271   |bias| 9.3e-1, sd 2.19
//!        E[ReinMax]      0.12194 -1.83404  1.71210   |bias| 1.2e0, sd 4.69
//! ```

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::certify::certify;
use hardgrad::estimators::{Choice, Estimator, Noise, ReinMax, StraightThrough};
use hardgrad::{Error, Mat, ParamGrads, ParamStore, Workspace, exact::Problem, rng};
use lab::output::answer as println; // unlike std's, it does not panic if the pipe is closed

const A: [f64; 3] = [1.0, -0.5, 2.0];
const LOGITS: [f64; 3] = [0.2, 0.9, -0.4];

/// a · D
fn score(code: &[f64]) -> f64 {
    code.iter().zip(A).map(|(d, a)| a * d).sum()
}

/// The gradient by plain autodiff, for which the sample is a constant.
fn plain_autodiff() -> Option<Mat<f64>> {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let choice = Choice::without_gradient(3).with_noise(Noise::from_gumbel(vec![0.0; 3]));
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(Mat::from_rows(&[LOGITS]).view());
    let sample = tape.sample(&choice, logits); // argmax has derivative 0 wherever it has one
    let kl = tape.categorical_kl(logits, 3); // another term that depends on the logits, so that they have a gradient
    let nothing = tape.affine(kl, 0.0, 0.0);
    let prices = tape.constant(Mat::from_rows(&[A]).view());
    let priced = tape.mul(sample, prices);
    let f = tape.sum(priced);
    let loss = tape.add(f, nothing);
    tape.backward(loss, &mut ParamGrads::zeros(&params));
    tape.grad(logits).map(|g| g.to_mat())
}

fn main() -> Result<(), Error> {
    let smoke = lab::smoke::is_wanted();
    let say = |line: String| {
        if !smoke {
            println!("{line}")
        }
    };
    let text = |v: &[f64]| v.iter().map(|x| format!("{x:9.5}")).collect::<String>();

    let silent = plain_autodiff().map_or(vec![f64::NAN; 3], |g| g.as_slice().to_vec());
    say(format!("autodiff alone, any p{}   no error, no warning, no learning", text(&silent)));
    assert_eq!(silent, [0.0; 3]);

    let estimators: [(&str, &dyn Estimator<f64>); 2] =
        [("ST", &StraightThrough::new(1.0)?), ("ReinMax", &ReinMax::new(1.0)?)];
    for p in [1, 2, 3] {
        let value = |code: &[f64]| score(code).powi(p);
        let slope = |code: &[f64], g: &mut [f64]| {
            let outer = f64::from(p) * score(code).powi(p - 1);
            g.iter_mut().zip(A).for_each(|(g, a)| *g = outer * a);
        };
        let f = (value, slope);
        let problem = Problem::new(&LOGITS, 3, &f)?;
        say(format!("p = {p}  exact         {}", text(&problem.gradient())));
        for (name, estimator) in estimators {
            // The sample is enumerated, so these means are exact.
            let found = certify(estimator, &problem, 2, &mut rng::from_key(0))?;
            say(format!(
                "       E[{name}]{:4$}{}   |bias| {:.1e}, sd {:.2}",
                "",
                text(&found.mean),
                found.bias_norm(),
                found.covariance_trace.sqrt(),
                11 - name.len()
            ));
            let order = if name == "ST" { 1 } else { 2 };
            assert_eq!(found.bias_norm() < 1e-14, p <= order, "{name} at p = {p}: {found:?}");
        }
    }
    Ok(())
}
