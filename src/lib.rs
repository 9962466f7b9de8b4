//! Gradients through discrete choices on the CPU: a small tape-based autodiff engine, and the
//! gradient estimators of Wang and Bui, "Beyond ReinMax: Low-Variance Gradient Estimators for
//! Discrete Latent Variables" (2026).
//!
//! <div>
#![doc = include_str!("guide/front.svg")]
//! </div>
//!
//! (Left: one choice D among three categories, and g = ∂f/∂D at D, for f = (a · D)². Right: the
//! gradients that two estimators compute. A disc is the estimate for one D, and its area is
//! proportional to the probability of that D. [Chapter 3](guide::chapter_3_straight_through) of the
//! guide explains the picture. `HARDGRAD_WRITE_PICTURE=1 cargo test --release --lib
//! guide::pictures` draws it.)
//!
//! If the subject or the library is new to you, begin with the [guide]. Its nine short chapters
//! start with the gradient through a sample and end with an estimator that you write yourself. For
//! a course there are [exercises with solutions](guide::exercises). If something looks wrong, see
//! the [frequent confusions](guide::faq).
//!
//! A sample from a categorical distribution has no derivative, so backpropagation stops there. An
//! estimator computes a gradient in its place. The estimators work on whole batches in slices, from
//! any model or framework. A step draws the noise first, then computes the sample, then the
//! gradient.
//!
//! ```
//! use hardgrad::estimators::{At, Estimator, Noise, ReinMax, Scratch};
//! use hardgrad::rng;
//!
//! const C: usize = 2; // categories
//! let logits = [0.0, 3.0_f64.ln()]; // [N, L·C]: one variable, π = (¼, ¾)
//! let (mut noise, mut scratch) = (Noise::new(), Scratch::new()); // reused in every step
//! let reinmax = ReinMax::new(1.0)?;
//!
//! noise.draw(&mut rng::from_key(1), logits.len());
//! let mut one_hot = [0.0; 2];
//! reinmax.sample(&logits, &noise, C, &mut one_hot);
//! assert_eq!(one_hot, [0.0, 1.0]);
//!
//! let g = [0.0, 4.0]; // ∂f/∂D, from your own backward pass
//! let mut dlogits = [0.0; 2];
//! let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: C };
//! reinmax.add_vjp(at, &g, &mut dlogits, &mut scratch);
//! assert!((dlogits[1] - 0.5).abs() < 1e-15); // 2 · ⅛ · ⅞ · 4 − ½ · ¼ · ¾ · 4
//! # Ok::<(), hardgrad::Error>(())
//! ```
//!
//! In a model on this library's own tape, a [`Choice`](estimators::Choice) owns an estimator and
//! its noise, and [`Tape::sample`] records the sample with its gradient:
//!
//! ```
//! use hardgrad::estimators::{Choice, ReinMax};
//! use hardgrad::{Mat, ParamGrads, ParamStore, Workspace, rng};
//!
//! let mut params = ParamStore::<f64>::new();
//! let theta = params.add("theta", Mat::from_rows(&[[0.0, 3.0_f64.ln()]]));
//! let mut choice = Choice::new(ReinMax::new(1.0)?, 2);
//! let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));
//!
//! choice.draw(&mut rng::from_key(1), 1); // the noise of one variable
//! let mut tape = workspace.tape(&params);
//! let logits = tape.param(theta);
//! let d = tape.sample(&choice, logits); // one-hot; its backward is ReinMax
//! let prices = tape.constant(&Mat::from_rows(&[[0.0, 4.0]]));
//! let cost = tape.mul(d, prices);
//! let cost = tape.sum(cost);
//! tape.backward(cost, &mut grads);
//! assert!((grads.get(theta).data[1] - 0.5).abs() < 1e-15);
//! # Ok::<(), hardgrad::Error>(())
//! ```
//!
//! # The modules, in reading order
//!
//! | module | content |
//! |---|---|
//! | [`scalar`], [`error`], [`rng`] | the two number types; the error type; one generator per (seed, purpose, epoch, step) |
//! | [`mat`], [`softmax`] | matrices; the softmax of one variable and its vector-Jacobian product |
//! | [`params`], [`tape`], [`gradcheck`] | parameters; the autodiff engine: recording, then one reverse sweep; gradient checks for its operations and for user-defined ones |
//! | [`nn`], [`optim`] | linear layers and MLPs; Adam, AdamW and RAdam |
//! | [`categorical`], [`estimators`] | sampling by the Gumbel-max trick; the estimators, on slices and on the tape |
//! | [`exact`], [`certify`], [`stats`] | the exact gradient by enumeration; bias and variance of an estimator with respect to it; statistics of a stream of estimates |
//! | [`files`] | atomic writing; parameters and weights in files |
//! | [`vae`], [`data`], [`train`], [`usage`] | the paper's discrete VAE; MNIST and synthetic digits; a trainer that resumes with identical bits; usage statistics of the codes |
//!
//! # From the paper to the code
//!
//! Each linked equation number leads to the method that implements the equation.
//!
//! | equation | item | file | test |
//! |---|---|---|---|
//! | 2, exact gradient | [`exact::Problem::gradient`] | `src/exact.rs` | `tests/it/identities.rs` |
//! | [3](estimators::StraightThrough#method.vjp), ST | [`estimators::StraightThrough`] | `src/estimators/formulas/straight_through.rs` | `tests/it/goldens.rs` |
//! | 4, Gumbel-max | [`categorical::sample`] | `src/categorical.rs` | `tests/it/goldens.rs` |
//! | [5](estimators::StraightThroughGumbelSoftmax#method.vjp), STGS | [`estimators::StraightThroughGumbelSoftmax`] | `src/estimators/formulas/straight_through_gumbel_softmax.rs` | `tests/it/goldens.rs` |
//! | [6, 7](estimators::GumbelRao#method.vjp), Gumbel-Rao | [`estimators::GumbelRao`] | `src/estimators/formulas/gumbel_rao.rs` | `tests/it/goldens.rs` |
//! | [Fan et al. (2022)](estimators::GappedStraightThrough#method.vjp), GST | [`estimators::GappedStraightThrough`] | `src/estimators/formulas/gapped_straight_through.rs` | `tests/it/goldens.rs` |
//! | 7, noise given D | [`certify::gumbel_given`] | `src/certify.rs` | `tests/it/identities/sampling.rs` |
//! | 9, 11, first and second order | [`exact::Problem::first_order`], [`exact::Problem::second_order`] | `src/exact.rs` | `tests/it/identities.rs` |
//! | [12](estimators::ReinMax#method.vjp), ReinMax | [`estimators::ReinMax`] | `src/estimators/formulas/reinmax.rs` | `tests/it/goldens.rs` |
//! | [table 1](estimators::ReinMaxArgmax#method.vjp), ReinMax-Argmax | [`estimators::ReinMaxArgmax`] | `src/estimators/formulas/reinmax.rs` | `tests/it/goldens.rs` |
//! | section 2.5, REINFORCE | [`estimators::Reinforce`] | `src/estimators/score/reinforce.rs` | `tests/it/unbiased.rs` |
//! | 15, REBAR | [`estimators::Rebar`] | `src/estimators/score/rebar.rs` | `tests/it/unbiased.rs` |
//! | [17](estimators::ReinMaxRao#method.vjp), ReinMax-Rao | [`estimators::ReinMaxRao`] | `src/estimators/formulas/reinmax_rao.rs` | `tests/it/goldens.rs` |
//! | [18](estimators::ReinMaxCv#method.vjp), ReinMax-CV | [`estimators::ReinMaxCv`] | `src/estimators/formulas/reinmax_cv.rs` | `tests/it/goldens.rs` |
//! | [27](estimators::ReinMaxRk2#method.vjp), ReinMax-RK2 | [`estimators::ReinMaxRk2`] | `src/estimators/formulas/reinmax_rk2.rs` | `tests/it/goldens.rs` |
//! | [Gregor et al. (2014)](estimators::Darn#method.vjp), DARN | [`estimators::Darn`] | `src/estimators/formulas/darn.rs` | `tests/it/field.rs` |
//! | [AISTATS 2026](estimators::Mve#method.vjp), MVE | [`estimators::Mve`] | `src/estimators/formulas/mve.rs` | `tests/it/field.rs` |
//! | Titsias and Shi (2022), double control variate | [`estimators::DoubleControlVariate`] | `src/estimators/score/double_control_variate.rs` | `tests/it/identities/losses.rs` |
//! | Mnih and Rezende (2016), VIMCO | [`estimators::Vimco`] | `src/estimators/score/vimco.rs` | `tests/it/identities/losses.rs` |
//! | Titsias and Lázaro-Gredilla (2015), local expectation | [`estimators::LocalExpectation`], [`vae::Vae::local_expectation`] | `src/estimators/score/local_expectation.rs` | `tests/it/vae_losses.rs` |
//! | Kool et al. (2020), Liu et al. (2019), one choice | [`estimators::PairWithoutReplacement`], [`estimators::SumAndSample`] | `src/estimators/score/one_choice.rs` | `tests/it/identities/losses.rs` |
//! | 2, the VAE's exact gradient | [`vae::Vae::expected_bce`] | `src/vae.rs` | `tests/it/unbiased.rs` |
//! | 21, the VAE's loss | [`vae::Vae::loss`] | `src/vae.rs` | `tests/it/tiny_vae.rs` |
//! | 26, Runge–Kutta | [`exact::Problem::rk2`] | `src/exact.rs` | `tests/it/identities.rs` |
//! | [importance-weighted bound](train::Trainer#method.evaluate), Burda et al. (2016) | [`train::ImportanceBound`] | `src/train/evaluate.rs` | `src/train/evaluate/tests.rs` |
//! | bias and variance of an estimator | [`certify::certify`] | `src/certify.rs` | `tests/it/identities.rs` |
//! | figure 1, table 1 | [`stats::Estimates`] | `examples/bias_variance/main.rs` | `tests/it/bias_variance.rs` |
//!
//! Several formulas in the paper have misprints, and the code that produced the paper's numbers
//! differs from the formulas in some places. The [errata](guide::errata) list them.
//!
//! # Guarantees
//!
//! *Reproducibility.* One binary, on CPUs with the same features, gives bit-identical results for
//! one seed, for any number of threads, and for a run that was stopped at any step and resumed.
//! Another CPU, another version of this library or another C library may give other bits. The guide
//! lists the [guarantees and their tests](guide::reproducibility). The environment variable
//! `HARDGRAD_SIMD` (`plain`, `avx2` or `avx512`) [limits the SIMD
//! width](guide::reproducibility#vector-widths).
//!
//! *Errors.* A wrong shape is a bug in the calling program and panics with the name of the
//! operation and both shapes. An invalid file or hyper-parameter returns an [`Error`] that says
//! what was wrong, where, and what would be valid.
//!
//! *Features.* `rayon` (default) enables threads. `gzip` (default) reads `.gz` data files. Without
//! these two, the library depends on no thread and no compression crate. `safetensors` exchanges
//! weights with PyTorch (`weights`).

pub mod categorical;
pub mod certify;
mod codes;
pub mod data;
pub mod error;
pub mod estimators;
pub mod exact;
pub mod files;
mod gemm;
pub mod gradcheck;
pub mod guide;
mod kernels;
pub mod mat;
pub mod nn;
pub mod optim;
mod owner;
mod par;
pub mod params;
pub mod rng;
pub mod scalar;
mod simd;
pub mod softmax;
pub mod stats;
pub mod tape;
pub mod train;
pub mod usage;
pub mod vae;
#[cfg(test)]
mod widths;

pub use error::{Error, Result};
pub use mat::{Mat, MatMut, MatRef};
pub use params::{ParamGrads, ParamId, ParamStore};
pub use scalar::{Real, Scalar};
pub use tape::{CustomOp, Tape, Var, Workspace};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
