//! The decoder at all codes that differ from one code in one variable.

use super::Vae;
use crate::categorical::argmax;
use crate::estimators::{Choice, local_expectation};
use crate::kernels::bernoulli;
use crate::mat::MatMut;
use crate::nn::Activation;
use crate::par;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::ops::Range;
use std::sync::Arc;

/// Numbers per block of parallel work.
const BLOCK: usize = 1 << 12;

/// Numbers on the tape per block of decoded codes: 16 MiB in `f32`.
const BLOCK_NUMBERS: usize = 1 << 22;

impl Vae {
    /// The negative log-likelihood −log p(x|D) of a sampled code for each image, `[N, 1]` in nats,
    /// with the gradient of [`LocalExpectation`] for the logits. Averaged over draws of the
    /// choice's noise, that gradient is the reference where the codes cannot be enumerated. Shapes:
    /// x `[N, pixels]`, logits `[N, L·C]`. The decoder runs for L (C − 1) + 1 codes per image, and
    /// its first layer for one.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamGrads, ParamStore, Workspace, rng, vae::{Vae, VaeConfig}};
    /// use hardgrad::estimators::Choice;
    /// # let mut params = ParamStore::<f64>::new();
    /// let latent = "3x1".parse()?;
    /// let config = VaeConfig { pixels: 6, hidden: vec![5], ..VaeConfig::paper(latent) };
    /// # let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    /// # let mut workspace = Workspace::new();
    /// let gradient = |workspace: &mut Workspace<f64>, sampled: bool| {
    ///     let mut choice = Choice::without_gradient(3);
    ///     choice.draw(&mut rng::from_key(1), 4);
    ///     let mut tape = workspace.tape(&params);
    ///     let x = tape.constant(Mat::from_fn(4, 6, |i, j| ((i + j) % 2) as f64).view());
    ///     let logits = tape.leaf(Mat::from_fn(4, 3, |i, j| (i * j) as f64 / 4.0).view());
    ///     let bce = match sampled {
    ///         true => vae.local_expectation(&mut tape, x, logits, &choice),
    ///         false => vae.expected_bce(&mut tape, x, logits),
    ///     };
    ///     let total = tape.sum(bce);
    ///     tape.backward(total, &mut ParamGrads::zeros(&params));
    ///     tape.grad_or_zeros(logits).row(1)[2]
    /// };
    /// // With one variable the gradient is exact.
    /// let (local, exact) = (gradient(&mut workspace, true), gradient(&mut workspace, false));
    /// assert!(exact.abs() > 1e-3 && (local / exact - 1.0).abs() < 1e-12);
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// [`LocalExpectation`]: crate::estimators::LocalExpectation
    ///
    /// # Panics
    /// If a shape does not fit.
    pub fn local_expectation<T: Scalar>(
        &self,
        tape: &mut Tape<'_, T>,
        x: Var,
        logits: Var,
        choice: &Choice<T>,
    ) -> Var {
        choice.assert_draws_at_logits();
        let held = tape.detach(logits);
        let d = tape.sample(choice, held);
        let z = tape.detach(d);
        let bce = self.bce(tape, x, z);
        if self.latent.categories < 2 {
            return bce;
        }
        let others = self.bce_of_neighbours(tape, x, z);
        local_expectation(tape, logits, z, bce, others, self.latent.categories)
    }

    /// The negative log-likelihood −log p(x|z') in nats for all codes z' that differ from z in one
    /// variable, `[N·L·(C−1), 1]`, row-major in `[N, L, C−1]`: entry o − 1 of a variable is for the
    /// category o after that of z, and category 0 follows the last. No gradient flows back. Shapes:
    /// x `[N, pixels]`, z one-hot `[N, L·C]`.
    ///
    /// In the decoder's first layer, each code costs the difference of two rows of weights. The
    /// codes are decoded in blocks of about 16 MiB in `f32`, whose memory is reused; the bits of
    /// the result do not depend on the blocks.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamStore, Workspace, rng, vae::{Vae, VaeConfig}};
    /// # let mut params = ParamStore::<f64>::new();
    /// let latent = "3x2".parse()?;
    /// let config = VaeConfig { pixels: 6, hidden: vec![5], ..VaeConfig::paper(latent) };
    /// # let vae = Vae::new(&mut params, &config, &mut rng::from_key(0));
    /// # let mut workspace = Workspace::new();
    /// # let mut tape = workspace.tape(&params);
    /// let x = tape.constant(&Mat::from_fn(1, 6, |_, j| (j % 2) as f64));
    /// let z = tape.constant(&Mat::from_rows(&[[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]])); // code (2, 0)
    /// let others = vae.bce_of_neighbours(&mut tape, x, z); // (0, 0), (1, 0), (2, 1), (2, 2)
    /// let every = vae.bce_of_every_code(&mut tape, x); // the first variable runs fastest
    /// for (other, code) in [0, 1, 2 + 3, 2 + 6].into_iter().enumerate() {
    ///     let difference = tape.value(others).data[other] - tape.value(every).data[code];
    ///     assert!(difference.abs() < 1e-13);
    /// }
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// If a shape does not fit, or there is only one category.
    pub fn bce_of_neighbours<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, z: Var) -> Var {
        // The numbers that one code takes on the tape: each layer's output, before and after its
        // activation.
        let layers = self.decoder.layers().iter();
        let of_code: usize = layers.map(|layer| 2 * layer.bias.shape().1).sum();
        self.bce_of_neighbours_by(tape, x, z, (BLOCK_NUMBERS / of_code.max(1)).max(1))
    }

    /// [`bce_of_neighbours`](Self::bce_of_neighbours) in blocks of this number of codes.
    fn bce_of_neighbours_by<T: Scalar>(
        &self,
        tape: &mut Tape<'_, T>,
        x: Var,
        z: Var,
        codes_per_block: usize,
    ) -> Var {
        let (layers, categories) = (self.decoder.layers(), self.latent.categories);
        assert!(categories > 1, "bce_of_neighbours: with one category there are no other codes");
        let base = layers[0].forward_with(tape, z, Activation::Identity);
        let weight = tape.param(layers[0].weight);
        let of_image = self.latent.variables * (categories - 1);
        let codes = tape.shape(z).0 * of_image;
        let all = tape.constant_with(codes, 1, |out| out.fill(T::ZERO));
        for from in (0..codes).step_by(codes_per_block) {
            let rows = from..codes.min(from + codes_per_block);
            tape.compute_into(all, from, |tape| {
                let first = FirstLayer { categories, rows: rows.clone() };
                let mut h = tape.custom_shared(Arc::new(first), &[base, weight, z]);
                for layer in &layers[1..] {
                    h = tape.activate(h, self.decoder.activation());
                    h = layer.forward(tape, h);
                }
                tape.custom_shared(Arc::new(NeighbourBce { first: rows.start, of_image }), &[h, x])
            });
        }
        all
    }
}

/// The first layer at some of the neighbours. Inputs: its output at z, `[N, H]`, its weights
/// `[L·C, H]`, and z. Value: the output at the neighbours `rows` of the N·L·(C−1), `[rows, H]`.
#[derive(Debug)]
struct FirstLayer {
    categories: usize,
    rows: Range<usize>,
}

impl<T: Scalar> CustomOp<T> for FirstLayer {
    fn name(&self) -> &str {
        "first layer of the neighbours"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        (self.rows.len(), inputs.get(0).cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (base, weight, z, c) = (inputs.get(0), inputs.get(1), inputs.get(2), self.categories);
        let (width, variables) = (base.cols.max(1), z.cols / c);
        par::for_each_block(out.data, BLOCK.div_ceil(width) * width, |from, rows: &mut [T]| {
            for (i, row) in (self.rows.start + from / width..).zip(rows.chunks_mut(width)) {
                let (variable, offset) = (i / (c - 1), i % (c - 1) + 1);
                let (n, l) = (variable / variables, variable % variables);
                let hot = argmax(z.row(n)[l * c..(l + 1) * c].iter().copied());
                let (old, new) = (weight.row(l * c + hot), weight.row(l * c + (hot + offset) % c));
                for (((to, &base), &old), &new) in row.iter_mut().zip(base.row(n)).zip(old).zip(new) {
                    *to = base + (new - old);
                }
            }
        });
    }

    fn has_gradient(&self) -> bool {
        false
    }

    fn vjp(&self, _: &Recorded<'_, T>, _: &mut InputGrads<'_, '_, T>, _: &mut [T]) {}
}

/// The cross-entropy of some of the neighbours. Inputs: logits of their pixels, `[rows, pixels]`,
/// and images `[N, pixels]`. Value: the cross-entropy of each row, `[rows, 1]`. Row 0 is neighbour
/// number `first`, and each image has `of_image` neighbours.
#[derive(Debug)]
struct NeighbourBce {
    first: usize,
    of_image: usize,
}

impl<T: Scalar> CustomOp<T> for NeighbourBce {
    fn name(&self) -> &str {
        "cross-entropy of the neighbours"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (pixels, x) = (inputs.get(0), inputs.get(1));
        assert!(
            pixels.cols == x.cols && self.first + pixels.rows <= x.rows * self.of_image,
            "neighbours: pixels [{}, {}] from neighbour {} on, images [{}, {}]",
            pixels.rows,
            pixels.cols,
            self.first,
            x.rows,
            x.cols
        );
        (pixels.rows, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (pixels, x) = (inputs.get(0), inputs.get(1));
        par::for_each_block(out.data, 8, |from, out: &mut [T]| {
            for (i, out) in (from..).zip(out.iter_mut()) {
                *out = bernoulli::row_loss(pixels.row(i), x.row((self.first + i) / self.of_image));
            }
        });
    }

    fn has_gradient(&self) -> bool {
        false
    }

    fn vjp(&self, _: &Recorded<'_, T>, _: &mut InputGrads<'_, '_, T>, _: &mut [T]) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vae::VaeConfig;
    use crate::{Mat, ParamStore, Workspace, rng};

    fn of_every_block<T: Scalar>(latent: &str, images: usize) {
        let latent = latent.parse().expect("a latent space");
        let config = VaeConfig { hidden: vec![64, 40], ..VaeConfig::paper(latent) };
        let mut params = ParamStore::<T>::new();
        let vae = Vae::new(&mut params, &config, &mut rng::from_key(3));
        let (mut workspace, c) = (Workspace::new(), latent.categories);
        let mut of = |codes_per_block| {
            let mut tape = workspace.tape(&params);
            let x = Mat::from_fn(images, 784, |i, j| T::of(((i + 3 * j) % 5) as f64 / 4.0));
            let z = Mat::from_fn(images, latent.width(), |i, j| {
                T::of(f64::from(u8::from(j % c == (i + j / c) % c)))
            });
            let (x, z) = (tape.constant(&x), tape.constant(&z));
            let nodes = |tape: &Tape<'_, T>| format!("{tape:?}");
            let all = vae.bce_of_neighbours_by(&mut tape, x, z, codes_per_block);
            // What was recorded for the blocks is gone, whatever their number.
            assert_eq!(nodes(&tape), "Tape with 6 nodes");
            tape.value(all).data.to_vec()
        };
        let codes = images * latent.variables * (c - 1);
        let whole = of(codes);
        assert_eq!(whole.len(), codes);
        for codes_per_block in [1, 2, 7, 33, 64, codes - 1] {
            assert!(of(codes_per_block) == whole, "{latent} in blocks of {codes_per_block}");
        }
    }

    /// A block of one code is a product of one row, and one of 64 codes has whole tiles.
    #[test]
    fn the_bits_do_not_depend_on_the_blocks() {
        of_every_block::<f32>("8x4", 5);
        of_every_block::<f64>("8x4", 5);
        of_every_block::<f32>("5x7", 3);
    }
}
