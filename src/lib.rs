//! Gradients through discrete choices: a small tape-based autodiff engine, and the gradient estimators of Wang and Bui,
//! "Beyond ReinMax: Low-Variance Gradient Estimators for Discrete Latent Variables" (2026), on the CPU.
//!
//! New to the subject, or to the library? Begin with the [guide]: nine short chapters, from "what is a gradient through a
//! sample" to an estimator of your own.
//!
//! A sample from a categorical distribution has no derivative, so backpropagation stops there. An estimator puts something
//! useful in its place. Here it is a node of the tape whose backward is not the derivative of its forward:
//!
//! ```
//! use hardgrad::{Mat, ParamGrads, ParamStore, Workspace, rng};
//! use hardgrad::estimators::{Noise, ReinMax, SampleNode};
//!
//! let mut params = ParamStore::<f64>::new();
//! let theta = params.add("theta", Mat::from_rows(&[[0.0, 0.0, 0.0]]));
//! let reinmax = ReinMax::new(1.0)?;
//! let mut noise = Noise::new();
//! noise.draw(&mut rng::from_key(7), 3); // noise first, then everything is deterministic
//! let sample = SampleNode::new(&reinmax, &noise, 3);
//!
//! let mut workspace = Workspace::new(); // memory, kept from step to step
//! let mut grads = ParamGrads::zeros(&params);
//! let mut tape = workspace.tape(&params);
//! let logits = tape.param(theta);
//! let d = tape.custom(&sample, &[logits]); // one-hot
//! let prices = tape.constant(Mat::from_rows(&[[1.0, 2.0, 6.0]]).view());
//! let cost = tape.mul(d, prices);
//! let cost = tape.sum(cost);
//! tape.backward(cost, &mut grads);
//! assert!(grads.get(theta).data.iter().sum::<f64>().abs() < 1e-12); // logits matter up to a constant
//! # Ok::<(), hardgrad::Error>(())
//! ```
//!
//! # The modules, in reading order
//!
//! | module | what it holds |
//! |---|---|
//! | [`scalar`], [`error`], [`rng`] | the two number types; the one error; one generator per (seed, purpose, epoch, step) |
//! | [`mat`], [`gemm`], [`kernels`] | matrices; their product; the numeric loops, each forward above its vjp |
//! | [`params`], [`tape`], [`gradcheck`] | parameters; the engine: record, then one reverse sweep; checks for it and for yours |
//! | [`nn`], [`optim`] | linear layers and MLPs; Adam and RAdam |
//! | [`categorical`], [`estimators`] | sampling by the Gumbel-max trick; the estimators and the nodes they live in |
//! | [`exact`], [`certify`], [`stats`] | the oracle by enumeration; bias and variance of any estimator against it; of any stream of estimates |
//! | [`vae`], [`data`], [`train`] | the paper's discrete VAE; MNIST and built-in digits; a trainer that resumes to the same bits |
//!
//! # From the paper to the code
//!
//! A linked equation number leads to the method; its source link, to the lines.
//!
//! | equation | type | file | test |
//! |---|---|---|---|
//! | 2, exact gradient | [`exact::Problem::gradient`] | `src/exact.rs` | `tests/it/identities.rs` |
//! | [3](estimators::StraightThrough#method.vjp), ST | [`estimators::StraightThrough`] | `src/estimators/straight_through.rs` | `tests/it/goldens.rs` |
//! | 4, Gumbel-max | [`categorical::sample`] | `src/categorical.rs` | `tests/it/goldens.rs` |
//! | [5](estimators::StraightThroughGumbelSoftmax#method.vjp), STGS | [`estimators::StraightThroughGumbelSoftmax`] | `src/estimators/straight_through_gumbel_softmax.rs` | `tests/it/goldens.rs` |
//! | [6, 7](estimators::GumbelRao#method.vjp), Gumbel-Rao | [`estimators::GumbelRao`] | `src/estimators/gumbel_rao.rs` | `tests/it/goldens.rs` |
//! | [Fan et al. (2022)](estimators::GappedStraightThrough#method.vjp), GST | [`estimators::GappedStraightThrough`] | `src/estimators/gapped_straight_through.rs` | `tests/it/goldens.rs` |
//! | 7, noise given D | [`certify::gumbel_given`] | `src/certify.rs` | `tests/it/identities/sampling.rs` |
//! | 9, 11, first and second order | [`exact::Problem::first_order`], [`exact::Problem::second_order`] | `src/exact.rs` | `tests/it/identities.rs` |
//! | [12](estimators::ReinMax#method.vjp), ReinMax | [`estimators::ReinMax`] | `src/estimators/reinmax.rs` | `tests/it/goldens.rs` |
//! | [table 1](estimators::ReinMaxArgmax#method.vjp), ReinMax-Argmax | [`estimators::ReinMaxArgmax`] | `src/estimators/reinmax.rs` | `tests/it/goldens.rs` |
//! | section 2.5, REINFORCE | [`estimators::Reinforce`] | `src/estimators/reinforce.rs` | `tests/it/unbiased.rs` |
//! | 15, REBAR | [`estimators::Rebar`] | `src/estimators/rebar.rs` | `tests/it/unbiased.rs` |
//! | [17](estimators::ReinMaxRao#method.vjp), ReinMax-Rao | [`estimators::ReinMaxRao`] | `src/estimators/reinmax_rao.rs` | `tests/it/goldens.rs` |
//! | [18](estimators::ReinMaxCv#method.vjp), ReinMax-CV | [`estimators::ReinMaxCv`] | `src/estimators/reinmax_cv.rs` | `tests/it/goldens.rs` |
//! | [27](estimators::ReinMaxRk2#method.vjp), ReinMax-RK2 | [`estimators::ReinMaxRk2`] | `src/estimators/reinmax_rk2.rs` | `tests/it/goldens.rs` |
//! | 2, the VAE's exact gradient | [`vae::Vae::expected_bce`] | `src/vae.rs` | `tests/it/unbiased.rs` |
//! | 21, the VAE's loss | [`vae::Vae::loss`] | `src/vae.rs` | `tests/it/tiny_vae.rs` |
//! | 26, Runge–Kutta | [`exact::Problem::rk2`] | `src/exact.rs` | `tests/it/identities.rs` |
//! | [importance-weighted bound](train::Trainer#method.evaluate), Burda et al. (2016) | [`train::ImportanceBound`] | `src/train/evaluate.rs` | `src/train/evaluate/tests.rs` |
//! | bias and variance of an estimator | [`certify::certify`] | `src/certify.rs` | `tests/it/identities.rs` |
//! | figure 1, table 1 | [`stats::Estimates`] | `examples/bias_variance.rs` | `tests/it/bias_variance.rs` |
//!
//! Several formulas of the paper have misprints, and its numbers come from code that differs from them in places: see
//! [the errata](guide::errata).
//!
//! # Promises
//!
//! *Bits.* The same binary on a CPU with the same features gives the same bits for the same seed, for any number of threads,
//! and for a run that was stopped at any step and resumed. Not promised: the same bits on another CPU, in another version, or from
//! another C library. See [what is promised, and which test holds it](guide::reproducibility). The environment variable
//! `HARDGRAD_SIMD` (`plain`, `avx2` or `avx512`) [lowers the vector width](guide::reproducibility#vector-widths).
//!
//! *Errors.* A shape that does not fit is a bug and panics, naming the op and both shapes. Files and hyper-parameters give an
//! [`Error`] that says what was wrong, where, and what would be right.
//!
//! *Features.* `rayon` (default): threads. `gzip` (default): read `.gz` data files. Without them the library depends on no
//! thread and no compression crate. `safetensors`: weights to and from PyTorch (`weights`).

pub mod categorical;
pub mod certify;
pub mod data;
pub mod error;
pub mod estimators;
pub mod exact;
pub mod gemm;
pub mod gradcheck;
pub mod guide;
pub mod kernels;
pub mod mat;
pub mod nn;
pub mod optim;
mod owner;
mod par;
pub mod params;
pub mod rng;
pub mod scalar;
mod simd;
pub mod stats;
pub mod tape;
pub mod train;
pub mod vae;
#[cfg(feature = "safetensors")]
pub mod weights;

pub use error::{Error, Result};
pub use mat::{Mat, MatMut, MatRef};
pub use params::{ParamGrads, ParamId, ParamStore};
pub use scalar::{Real, Scalar};
pub use simd::aligned::Aligned;
pub use simd::lanes::Lanes;
pub use tape::{CustomOp, Tape, Var, Workspace};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
