//! A guide to gradient estimators for discrete variables, for readers who know basic calculus and
//! PyTorch. Each chapter begins with the question that it answers and ends with what to try. The
//! chapters, in reading order:
//!
//! 1. [A gradient through a sample](chapter_1_gradients): definition, and why
//!    autodiff alone gives wrong gradients without an error
//! 2. [Score functions and baselines](chapter_2_score_functions)
//! 3. [Straight-Through is the rectangle rule, ReinMax the trapezoidal
//!    rule](chapter_3_straight_through)
//! 4. [Gumbel-softmax and Rao-Blackwell](chapter_4_gumbel_softmax)
//! 5. [What a control variate can and cannot do, given D](chapter_5_control_variates)
//! 6. [Choosing an estimator](chapter_6_choosing): tables by size and budget, with measured numbers
//! 7. [The autodiff engine](chapter_7_engine): recording and backward pass of a tape of five nodes
//! 8. [Write your own estimator](chapter_8_your_own)
//! 9. [Errata of the paper](errata)
//!
//! If something looks wrong, see the [ten frequent confusions](faq), from the value of a
//! straight-through node to reproducibility.
//!
//! [Exercises for a course](exercises) are eight tasks with hints, and with solutions that are run
//! as tests.
//!
//! [The lineage of the estimators](lineage) summarises how they are derived from one another, from
//! REINFORCE to ReinMax and MVE.
//!
//! Two reference pages list the [guarantees about numbers and files](reproducibility) and the
//! [profile of a training step](performance).
//!
//! In the pictures, as on the explorer's page, D is green, g = ∂f/∂D is pink, π is ochre and the
//! Gumbel noise G is violet.
//!
//! Every code block is a test that asserts a number. `cargo run --release --example explorer`
//! writes an interactive page that shows bias and variance, and prints the path of the page.

#[doc = include_str!("chapter_1.md")]
pub mod chapter_1_gradients {}

#[doc = include_str!("chapter_2.md")]
pub mod chapter_2_score_functions {}

#[doc = include_str!("chapter_3.md")]
pub mod chapter_3_straight_through {}

#[doc = include_str!("chapter_4.md")]
pub mod chapter_4_gumbel_softmax {}

#[doc = include_str!("chapter_5.md")]
pub mod chapter_5_control_variates {}

#[doc = include_str!("chapter_6.md")]
pub mod chapter_6_choosing {}

#[doc = include_str!("chapter_7.md")]
pub mod chapter_7_engine {}

#[doc = include_str!("chapter_8.md")]
pub mod chapter_8_your_own {}

#[doc = include_str!("faq.md")]
pub mod faq {}

#[doc = include_str!("exercises.md")]
pub mod exercises {}

#[doc = include_str!("lineage.md")]
pub mod lineage {}

#[doc = include_str!("errata.md")]
pub mod errata {}

#[doc = include_str!("reproducibility.md")]
pub mod reproducibility {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[cfg(test)]
mod pictures;
