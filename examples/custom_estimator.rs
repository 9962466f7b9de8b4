//! An estimator of one's own: the identity straight-through, which hands the cotangent on as if D had been θ, and the same with
//! each entry clipped. Then a check of both, beside two of the library's.
//!
//! ```text
//! cargo run --release --example custom_estimator
//! ```

use hardgrad::Error;
use hardgrad::estimators::{Conditional, Latent, ReinMax, SampleEstimator, StraightThrough, Work};

/// ∂f/∂θ ≈ g, each entry cut to [−limit, limit]. Cut, it is not linear in g, as a [`Blend`](hardgrad::estimators::Blend) wants it.
#[derive(Debug)]
struct IdentityStraightThrough {
    limit: f64,
}

impl SampleEstimator<f64> for IdentityStraightThrough {
    fn vjp(&self, _: &Latent<'_, f64>, g: &[f64], dlogits: &mut [f64], _: Work<'_, f64>) {
        for (to, g) in dlogits.iter_mut().zip(g) {
            *to += g.clamp(-self.limit, self.limit);
        }
    }

    fn work_rows(&self) -> usize {
        0
    }
}

/// f(D) = Σ a_j D_j + Σ b_j D_j². At a one-hot D this is Σ (a_j + b_j) D_j, and its derivative a + 2 b ⊙ D.
const A: [f64; 3] = [1.0, 2.0, 6.0];
const B: [f64; 3] = [3.0, -1.0, 0.5];
const THETA: [f64; 3] = [0.3, -0.5, 0.1];

/// The mean of the estimate and the exact gradient, both by going through the three values of D: enough for an estimator that
/// uses no noise but D.
fn check(estimator: &dyn SampleEstimator<f64>) -> ([f64; 3], [f64; 3]) {
    let total: f64 = THETA.iter().map(|x| x.exp()).sum();
    let pi = THETA.map(|x| x.exp() / total);
    let mean_f: f64 = (0..3).map(|j| pi[j] * (A[j] + B[j])).sum();
    let exact = std::array::from_fn(|j| pi[j] * (A[j] + B[j] - mean_f));
    let (mut mean, mut memory) = ([0.0; 3], vec![0.0; 3 * estimator.work_rows()]);
    for (hot, pi_d) in pi.into_iter().enumerate() {
        let d = std::array::from_fn::<_, 3, _>(|j| if j == hot { 1.0 } else { 0.0 });
        let g = std::array::from_fn::<_, 3, _>(|j| A[j] + 2.0 * B[j] * d[j]);
        let conditional = Conditional::Key(0);
        let latent = Latent { logits: &THETA, one_hot: &d, gumbel: &[0.0; 3], conditional };
        let mut estimate = [0.0; 3];
        estimator.vjp(&latent, &g, &mut estimate, Work::new(&mut memory, 3));
        mean.iter_mut().zip(estimate).for_each(|(mean, e)| *mean += pi_d * e);
    }
    (mean, exact)
}

fn main() -> Result<(), Error> {
    let estimators: [(&str, Box<dyn SampleEstimator<f64>>); 4] = [
        ("identity", Box::new(IdentityStraightThrough { limit: f64::INFINITY })),
        ("identity, clipped at 1", Box::new(IdentityStraightThrough { limit: 1.0 })),
        ("ST", Box::new(StraightThrough::new(1.0)?)),
        ("ReinMax", Box::new(ReinMax::new(1.0)?)),
    ];
    println!("{:24} {:>26} {:>26} {:>10}", "estimator", "mean", "exact gradient", "|bias|");
    let numbers = |x: [f64; 3]| x.map(|x| format!("{x:8.4}")).join(" ");
    let mut smallest = f64::INFINITY;
    for (name, estimator) in &estimators {
        let (mean, exact) = check(&**estimator);
        let bias = mean.iter().zip(exact).map(|(m, e)| (m - e).powi(2)).sum::<f64>().sqrt();
        println!("{name:24} {:>26} {:>26} {bias:>10.1e}", numbers(mean), numbers(exact));
        smallest = smallest.min(bias);
    }
    assert!(smallest < 1e-14, "f is quadratic, and for such f ReinMax has no bias");
    Ok(())
}
