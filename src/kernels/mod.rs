//! The numeric loops: slices in, slices out. Each forward stands directly above its vjp.
//!
//! A forward writes its output; a vjp *adds* to the gradient of each input, given `g`, the cotangent of the output.
//!
//! A number that depends on NaN is NaN, in every forward. A vjp multiplies `g` by what the forward saved, so NaN in either is NaN in the
//! gradient; only ReLU chooses, and passes `g` on where its value is NaN, as PyTorch does.
//!
//! Kernels know no tape. A row-major `[N, L·C]` matrix is also a list of `N·L` groups of `C` numbers, which is how the
//! softmax kernels see the logits of `L` latent variables.

pub mod activation;
pub mod bernoulli;
pub mod categorical;
pub mod elementwise;
pub mod laplacian;
pub mod log_sum_exp;
pub mod reduce;
pub mod softmax;
pub mod sparse;
pub mod unimix;
