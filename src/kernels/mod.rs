//! The numeric kernels, on slices. Each forward function stands directly above its vjp.
//!
//! A forward function writes its output. A vjp *adds* to the gradient of each input; its argument
//! `g` is the cotangent of the output.
//!
//! In every forward function, a result that depends on a NaN is NaN. A vjp multiplies `g` by values
//! saved in the forward pass, so a NaN in either gives a NaN in the gradient. The exception is
//! ReLU, which selects: where its value is NaN it passes `g` on, as PyTorch does.
//!
//! Kernels do not depend on the tape. A row-major `[N, L·C]` matrix is also a list of `N·L` groups
//! of `C` numbers; the softmax kernels treat the logits of `L` latent variables in this way.

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
