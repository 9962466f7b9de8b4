//! A user-defined estimator, whose bias and variance the library computes: the identity
//! straight-through estimator, which returns the cotangent unchanged, as if D were θ.
//!
//! ```text
//! cargo run --release --example custom_estimator
//! ```

#[path = "lab/mod.rs"]
mod lab;

use hardgrad::certify::certify;
use hardgrad::estimators::{Estimator, Formula, Latent, ReinMax, StraightThrough, Work};
use hardgrad::{Error, Real, exact::Problem, rng};
use lab::output::answer as println; // unlike std's, it does not panic if the pipe is closed

/// ∂f/∂θ ≈ g
#[derive(Debug)]
struct IdentityStraightThrough;

impl Formula for IdentityStraightThrough {
    fn vjp<T: Real>(&self, _: &Latent<'_, T>, g: &[T], dlogits: &mut [T], _: Work<'_, T>) {
        dlogits.iter_mut().zip(g).for_each(|(to, &g)| *to += g);
    }

    fn work_rows(&self) -> usize {
        0
    }
}

fn main() -> Result<(), Error> {
    clap::Command::new("custom_estimator").get_matches(); // an argument is an error
    // Two variables of three categories; f(D) = (Σ a_j D_j)², quadratic but not separable.
    const A: [f64; 6] = [1.0, -2.0, 0.5, 3.0, 1.0, -1.0];
    let sum = |code: &[f64]| A.iter().zip(code).map(|(a, d)| a * d).sum::<f64>();
    let value = |code: &[f64]| sum(code).powi(2);
    let gradient =
        |code: &[f64], g: &mut [f64]| g.iter_mut().zip(A).for_each(|(g, a)| *g = 2.0 * sum(code) * a);
    let f = (value, gradient);
    let problem = Problem::new(&[0.3, -0.5, 0.1, 0.0, 0.8, -0.2], 3, &f)?;
    let estimators: [(&str, &dyn Estimator<f64>); 3] = [
        ("identity", &IdentityStraightThrough),
        ("ST", &StraightThrough::new(1.0)?),
        ("ReinMax", &ReinMax::new(1.0)?),
    ];
    println!("{:10} {:>10} {:>10} {:>16}", "estimator", "|bias|", "cosine", "covariance trace");
    for (name, estimator) in estimators {
        // D is enumerated. These three estimators use no other noise, so the smallest number of
        // draws given D suffices.
        let certificate = certify(estimator, &problem, 2, &mut rng::from_key(0))?;
        let (bias, cosine) = (certificate.bias_norm(), certificate.cosine);
        println!("{name:10} {bias:10.2e} {cosine:10.4} {:16.3}", certificate.covariance_trace);
        assert!(name != "ReinMax" || bias < 1e-13, "ReinMax has no bias where f is quadratic");
    }
    Ok(())
}
