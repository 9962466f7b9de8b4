//! Each estimator's fused vjp against a composition of tape operations with the same noise.
//!
//! The composition is a scalar whose derivative on the tape is the estimate. A term w · J(q) g at
//! any point q of the simplex is the derivative of w · ⟨softmax(log q + θ − detach(θ)), g⟩: its
//! value is q, and its derivative by θ is that of a softmax.

use hardgrad::categorical::{gumbel, sample};
use hardgrad::estimators::{
    At, Blend, CvForm, Estimator, Gap, GappedStraightThrough, GumbelRao, GumbelSoftmax, Noise, ReinMax,
    ReinMaxArgmax, ReinMaxCv, ReinMaxRao, ReinMaxRk2, Rk2Form, Scratch, StraightThrough,
    StraightThroughGumbelSoftmax,
};
use hardgrad::rng::{from_key, uniform};
use hardgrad::{MatRef, ParamGrads, ParamStore, Tape, Var, Workspace};

/// One random problem: B rows of L variables with C categories, and hyper-parameters.
struct Problem {
    shape: [usize; 3],
    tau: f64,
    draws: usize,
    eta: f64,
    beta: f64,
    theta: Vec<f64>,
    gumbel: Vec<f64>,
    /// D
    hot: Vec<f64>,
    /// `[K + 1, B·L·C]`
    exponentials: Vec<Vec<f64>>,
    g: Vec<f64>,
}

impl Problem {
    fn new(shape: [usize; 3], tau: f64, draws: usize, eta: f64, beta: f64) -> Self {
        let (n, mut rng) = (shape.iter().product(), from_key(shape[2] as u64));
        let mut spread =
            |width: f64| -> Vec<f64> { (0..n).map(|_| width * (uniform::<f64>(&mut rng) - 0.5)).collect() };
        let (theta, g) = (spread(5.0), spread(4.0));
        let mut noise = vec![0.0; n];
        gumbel(&mut rng, &mut noise);
        let mut hot = vec![0.0; n];
        sample(&theta, &noise, shape[2], &mut hot);
        let mut exponential = || (0..n).map(|_| -uniform::<f64>(&mut rng).ln()).collect();
        let exponentials = (0..=draws).map(|_| exponential()).collect();
        Self { shape, tau, draws, eta, beta, theta, gumbel: noise, hot, exponentials, g }
    }

    fn logits(&self) -> MatRef<'_, f64> {
        let [batch, latents, c] = self.shape;
        MatRef::new(batch, latents * c, &self.theta)
    }

    /// f of each variable's rows of `a` and of D, in the layout of the logits.
    fn by_variable(&self, a: &[f64], f: impl Fn(&[f64], &[f64]) -> Vec<f64>) -> Vec<f64> {
        let c = self.shape[2];
        a.chunks(c).zip(self.hot.chunks(c)).flat_map(|(a, hot)| f(a, hot)).collect()
    }

    /// softmax(θ/τ)
    fn pi(&self, tau: f64) -> Vec<f64> {
        self.by_variable(&self.theta, |theta, _| softmax(theta.iter().map(|x| x / tau)))
    }

    /// log((π_τ + D)/2)
    fn log_p(&self, tau: f64) -> Vec<f64> {
        self.pi(tau).iter().zip(&self.hot).map(|(pi, d)| ((pi + d) / 2.0).ln()).collect()
    }

    /// Y_k of eq. 7 as printed, at these logits.
    fn conditional(&self, logits: &[f64], k: usize) -> Vec<f64> {
        let (c, mut y) = (self.shape[2], Vec::new());
        for (at, row) in logits.chunks(c).enumerate() {
            let e = &self.exponentials[k][at * c..(at + 1) * c];
            let hot = self.hot[at * c..(at + 1) * c].iter().position(|&d| d == 1.0).unwrap();
            let z: f64 = row.iter().map(|x| x.exp()).sum();
            y.extend((0..c).map(|j| match j == hot {
                true => z.ln() - e[hot].ln(),
                false => -(e[j] / row[j].exp() + e[hot] / z).ln(),
            }));
        }
        y
    }
}

fn softmax(x: impl Iterator<Item = f64>) -> Vec<f64> {
    let e: Vec<_> = x.map(f64::exp).collect();
    let total: f64 = e.iter().sum();
    e.iter().map(|e| e / total).collect()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Builds compositions on a tape.
struct Builder<'a, 't> {
    problem: &'a Problem,
    tape: Tape<'t, f64>,
    theta: Var,
    g: Var,
}

impl Builder<'_, '_> {
    fn constant(&mut self, values: &[f64]) -> Var {
        let (rows, cols) = self.tape.shape(self.theta);
        self.tape.constant(MatRef::new(rows, cols, values))
    }

    /// `values` with the derivative of θ: values + θ − detach(θ).
    fn like_theta(&mut self, values: &[f64]) -> Var {
        let (values, still) = (self.constant(values), self.tape.detach(self.theta));
        let moving = self.tape.sub(self.theta, still);
        self.tape.add(values, moving)
    }

    /// weight · ⟨softmax(x/τ), g⟩, summed.
    fn term(&mut self, weight: f64, x: Var, tau: f64) -> Var {
        let scaled = self.tape.affine(x, 1.0 / tau, 0.0);
        let q = self.tape.softmax(scaled, self.problem.shape[2]);
        let product = self.tape.mul(q, self.g);
        let total = self.tape.sum(product);
        self.tape.affine(total, weight, 0.0)
    }

    /// weight · J(q) g at q = softmax(values).
    fn at(&mut self, weight: f64, values: &[f64]) -> Var {
        let x = self.like_theta(values);
        self.term(weight, x, 1.0)
    }

    /// weight · (1/τ) J(softmax(values/τ)) g
    fn relaxed(&mut self, weight: f64, values: &[f64]) -> Var {
        let x = self.like_theta(values);
        self.term(weight, x, self.problem.tau)
    }

    fn sum<const N: usize>(&mut self, terms: [Var; N]) -> Var {
        terms.into_iter().reduce(|a, b| self.tape.add(a, b)).unwrap()
    }

    /// − ½ J(π) g
    fn minus_half(&mut self) -> Var {
        self.term(-0.5, self.theta, 1.0)
    }

    fn gumbel_rao(&mut self, weight: f64, logits: &[f64]) -> Var {
        let draws = self.problem.draws;
        let terms: Vec<_> = (0..draws)
            .map(|k| self.relaxed(weight / draws as f64, &self.problem.conditional(logits, k)))
            .collect();
        terms.into_iter().reduce(|a, b| self.tape.add(a, b)).unwrap()
    }

    fn gst(&mut self, gap: Gap) -> Var {
        let shifts = self.problem.by_variable(&self.problem.theta, |theta, hot| {
            let top = theta.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
            let at: f64 = softmax(theta.iter().copied()).iter().zip(hot).map(|(pi, d)| pi * d).sum();
            let gap = match gap {
                Gap::Fixed(gap) => gap,
                Gap::Probability => -(1.0 - at).ln() / at,
            };
            let shift = |(x, d): (&f64, &f64)| (top - x) * d - (x - top + gap).max(0.0) * (1.0 - d);
            theta.iter().zip(hot).map(shift).collect()
        });
        let shifts = self.constant(&shifts);
        let moved = self.tape.add(self.theta, shifts);
        self.term(1.0, moved, self.problem.tau)
    }

    fn reinmax(&mut self, weight: f64) -> Var {
        let first = self.at(2.0 * weight, &self.problem.log_p(self.problem.tau));
        let second = self.term(-0.5 * weight, self.theta, 1.0);
        self.sum([first, second])
    }

    fn reinmax_rao(&mut self, weight: f64) -> Var {
        let first = self.gumbel_rao(2.0 * weight, &self.problem.log_p(1.0));
        let second = self.term(-0.5 * weight, self.theta, 1.0);
        self.sum([first, second])
    }

    fn argmax(&mut self) -> Var {
        let top = self.problem.by_variable(&self.problem.theta, |theta, _| {
            let top = theta.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
            theta.iter().map(|&x| f64::from(x == top)).collect()
        });
        let pi = self.problem.pi(self.problem.tau);
        let log_q: Vec<_> = pi.iter().zip(&top).map(|(pi, top)| ((pi + top) / 2.0).ln()).collect();
        let (first, second) = (self.at(2.0, &log_q), self.minus_half());
        self.sum([first, second])
    }

    fn cv(&mut self, form: CvForm) -> Var {
        let p = self.problem;
        let log_p = p.log_p(1.0);
        let (outer, inner) = match form {
            CvForm::Shared | CvForm::Coupled => (2.0, 2.0 * p.eta),
            CvForm::Printed => (1.0, p.eta),
            CvForm::AuthorCode => (2.0, p.eta),
        };
        let control = match form {
            CvForm::Shared | CvForm::Printed => self.relaxed(-inner, &add(&log_p, &p.gumbel)),
            CvForm::Coupled => self.relaxed(-inner, &p.conditional(&log_p, p.draws)),
            CvForm::AuthorCode => {
                let scores = add(&p.theta, &p.gumbel);
                let s = p.by_variable(&scores, |x, _| softmax(x.iter().map(|x| x / p.tau)));
                self.at(-inner / p.tau, &add(&log_p, &s))
            }
        };
        let terms = [self.at(outer, &log_p), control, self.gumbel_rao(inner, &log_p), self.minus_half()];
        self.sum(terms)
    }

    /// Sums of the rows of x `[B·L, C]`, each repeated C times.
    fn row_sums(&mut self, x: Var) -> Var {
        let ones = vec![1.0; self.problem.shape[2]];
        let ones = self.tape.constant(MatRef::new(1, ones.len(), &ones));
        let sums = self.tape.row_sum(x);
        self.tape.matmul(sums, ones)
    }

    /// The estimate by arithmetic, then ⟨θ, detach(estimate)⟩.
    fn rk2(&mut self, form: Rk2Form) -> Var {
        let (p, beta) = (self.problem, self.problem.beta);
        let [batch, latents, c] = p.shape;
        let (pi, d) = (self.constant(&p.pi(1.0)), self.constant(&p.hot));
        let rows = [pi, d, self.g].map(|x| self.tape.reshape(x, batch * latents, c));
        let [pi, d, g] = rows;
        let tape = &mut self.tape;
        let twice_p = tape.add(pi, d);
        let (pi_part, d_part) = (tape.affine(pi, beta, 0.0), tape.affine(d, 1.0 - beta, 0.0));
        let end = tape.add(pi_part, d_part);
        let end_g = tape.mul(end, g);
        let pi_g = tape.mul(pi, g);
        let (end_mean, pi_mean) = (self.row_sums(end_g), self.row_sums(pi_g));
        let tape = &mut self.tape;
        let (from_end, from_pi) = (tape.sub(g, end_mean), tape.sub(g, pi_mean));
        let first = tape.mul(twice_p, from_end); // 2 [p ⊙ g − ⟨…⟩ p]
        let jacobian = tape.mul(pi, from_pi); // J(π) g
        let last = if form == Rk2Form::AuthorCode { 1.0 - beta } else { beta };
        let last = tape.affine(jacobian, -last, 0.0);
        let mut e = tape.add(first, last);
        if form != Rk2Form::Eq27 {
            let total = self.row_sums(e);
            let excess = match form {
                Rk2Form::Projected => self.tape.mul(pi, total),
                _ => self.tape.affine(total, 1.0 / c as f64, 0.0),
            };
            e = self.tape.sub(e, excess);
        }
        let e = self.tape.reshape(e, batch, latents * c);
        let e = self.tape.detach(e);
        let product = self.tape.mul(self.theta, e);
        self.tape.sum(product)
    }
}

/// The gradient of the composition that `build` makes.
fn composed(problem: &Problem, build: &dyn Fn(&mut Builder<'_, '_>) -> Var) -> Vec<f64> {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let theta = tape.leaf(problem.logits());
    let g = tape.constant(MatRef { data: &problem.g, ..problem.logits() });
    let mut builder = Builder { problem, tape, theta, g };
    let loss = build(&mut builder);
    builder.tape.backward(loss, &mut ParamGrads::zeros(&params));
    builder.tape.grad(theta).unwrap().data.to_vec()
}

fn fused(problem: &Problem, estimator: &dyn Estimator<f64>) -> Vec<f64> {
    let noise = Noise::from_gumbel(problem.gumbel.clone()).with_exponentials(problem.exponentials.concat());
    let (logits, categories) = (&problem.theta, problem.shape[2]);
    let [mut one_hot, mut grad] = [const { Vec::new() }; 2].map(|_: Vec<f64>| vec![0.0; logits.len()]);
    estimator.sample(logits, &noise, categories, &mut one_hot);
    let at = At { logits, one_hot: &one_hot, noise: &noise, categories };
    estimator.add_vjp(at, &problem.g, &mut grad, &mut Scratch::new());
    grad
}

/// Random problems with different shapes, logits and hyper-parameters.
fn problems() -> [Problem; 4] {
    [
        Problem::new([1, 1, 2], 1.0, 1, 1.0, 0.5),
        Problem::new([3, 2, 3], 0.5, 4, 1.5, 0.6),
        Problem::new([2, 5, 8], 1.3, 7, 0.3, -0.2),
        Problem::new([4, 3, 17], 0.7, 2, -1.0, 1.2),
    ]
}

fn agree(
    name: &str,
    problem: &Problem,
    estimator: &dyn Estimator<f64>,
    build: &dyn Fn(&mut Builder<'_, '_>) -> Var,
) {
    let (got, want) = (fused(problem, estimator), composed(problem, build));
    let scale = want.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    assert!(scale > 1e-3, "{name}: the gradient is too small to compare");
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let error = (got - want).abs() / scale;
        assert!(error < 1e-12, "{name} {:?}, number {i}: {got} for {want}", problem.shape);
    }
}

#[test]
fn straight_through_and_gumbel() {
    for p in &problems() {
        agree("ST", p, &StraightThrough::new(p.tau).unwrap(), &|b| b.term(1.0, b.theta, p.tau));
        let relaxed = |b: &mut Builder<'_, '_>| {
            let noise = b.constant(&p.gumbel);
            let scores = b.tape.add(b.theta, noise);
            b.term(1.0, scores, p.tau)
        };
        agree("STGS", p, &StraightThroughGumbelSoftmax::new(p.tau).unwrap(), &relaxed);
        agree("Gumbel-softmax", p, &GumbelSoftmax::decoupled(0.2, p.tau).unwrap(), &relaxed);
        let rao = GumbelRao::new(p.tau, p.draws).unwrap();
        agree("Gumbel-Rao", p, &rao, &|b| b.gumbel_rao(1.0, &p.theta));
        for gap in [Gap::Fixed(1.0), Gap::Fixed(0.0), Gap::Probability] {
            let gst = GappedStraightThrough::new(gap, p.tau).unwrap();
            agree(&format!("GST {gap:?}"), p, &gst, &|b| b.gst(gap));
        }
    }
}

#[test]
fn reinmax() {
    for p in &problems() {
        agree("ReinMax", p, &ReinMax::new(p.tau).unwrap(), &|b| b.reinmax(1.0));
        agree("ReinMax-Argmax", p, &ReinMaxArgmax::new(p.tau).unwrap(), &|b| b.argmax());
        let rao = ReinMaxRao::new(p.tau, p.draws).unwrap();
        agree("ReinMax-Rao", p, &rao, &|b| b.reinmax_rao(1.0));
        let blend = Blend::new(ReinMax::new(p.tau).unwrap(), rao, 0.3).unwrap();
        agree("Blend", p, &blend, &|b| {
            let parts = [b.reinmax(0.3), b.reinmax_rao(0.7)];
            b.sum(parts)
        });
    }
}

#[test]
fn reinmax_cv() {
    for p in &problems() {
        for form in [CvForm::Shared, CvForm::Printed, CvForm::Coupled, CvForm::AuthorCode] {
            let cv = ReinMaxCv::new(form, p.tau, p.draws, p.eta).unwrap();
            agree(&format!("{form:?}"), p, &cv, &|b| b.cv(form));
        }
    }
}

#[test]
fn reinmax_rk2() {
    for p in &problems() {
        for form in [Rk2Form::Eq27, Rk2Form::AuthorCode, Rk2Form::Projected] {
            let rk2 = ReinMaxRk2::new(form, p.beta).unwrap();
            agree(&format!("{form:?}"), p, &rk2, &|b| b.rk2(form));
        }
    }
}
