//! Evaluation of the decoder for all codes that differ from one code in a single variable.

use super::Vae;
use crate::categorical::argmax;
use crate::estimators::{Choice, local_expectation};
use crate::kernels::bernoulli;
use crate::mat::MatMut;
use crate::nn::Activation;
use crate::par;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::sync::Arc;

/// Numbers per block of parallel work.
const BLOCK: usize = 1 << 12;

impl Vae {
    /// Cross-entropy −log p(x|D) of each image for a sampled code D, `[N, 1]` in nats, with the
    /// gradient of [`LocalExpectation`] for the logits. The average of this gradient over many
    /// samples serves as a reference where the codes cannot be enumerated. Shapes: x `[N, pixels]`,
    /// logits `[N, L·C]`. The decoder runs for L (C − 1) + 1 codes per image; its first layer runs
    /// for one.
    ///
    /// ```
    /// # use hardgrad::{Mat, ParamGrads, ParamStore, Workspace, rng, vae::{Vae, VaeConfig}};
    /// use hardgrad::estimators::Choice;
    /// # let mut params = ParamStore::<f64>::new();
    /// let config = VaeConfig { pixels: 6, hidden: vec![5], latent: "3x1".parse()? };
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

    /// Cross-entropy −log p(x|z') in nats for all codes z' that differ from z in one variable,
    /// `[N·L·(C−1), 1]`, row-major in `[N, L, C−1]`: entry o − 1 of a variable belongs to the
    /// category that follows that of z by o, where category 0 follows the last. No gradient flows
    /// back. Shapes: x `[N, pixels]`, z one-hot `[N, L·C]`.
    ///
    /// The first layer of the decoder is updated by adding the difference of two rows of weights
    /// for each code.
    ///
    /// # Panics
    /// If a shape does not fit, or there is only one category.
    pub fn bce_of_neighbours<T: Scalar>(&self, tape: &mut Tape<'_, T>, x: Var, z: Var) -> Var {
        let (layers, categories) = (self.decoder.layers(), self.latent.categories);
        assert!(categories > 1, "bce_of_neighbours: with one category there are no other codes");
        let base = layers[0].forward_with(tape, z, Activation::Identity);
        let weight = tape.param(layers[0].weight);
        let mut h = tape.custom_shared(Arc::new(FirstLayer { categories }), &[base, weight, z]);
        for layer in &layers[1..] {
            h = tape.activate(h, self.decoder.activation());
            h = layer.forward(tape, h);
        }
        tape.custom_shared(Arc::new(NeighbourBce), &[h, x])
    }
}

/// Inputs: the first layer's output for z, `[N, H]`, its weights `[L·C, H]`, and z. Value: the
/// outputs for the neighbours, `[N·L·(C−1), H]`.
#[derive(Debug)]
struct FirstLayer {
    categories: usize,
}

impl<T: Scalar> CustomOp<T> for FirstLayer {
    fn name(&self) -> &str {
        "first layer of the neighbours"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (base, z, c) = (inputs.get(0), inputs.get(2), self.categories);
        (base.rows * (z.cols / c) * (c - 1), base.cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (base, weight, z, c) = (inputs.get(0), inputs.get(1), inputs.get(2), self.categories);
        let (width, variables) = (base.cols.max(1), z.cols / c);
        par::for_each_block(out.data, BLOCK.div_ceil(width) * width, |from, rows: &mut [T]| {
            for (i, row) in (from / width..).zip(rows.chunks_mut(width)) {
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

/// Inputs: logits of the pixels `[m N, pixels]`, those of one image in consecutive rows, and images
/// `[N, pixels]`. Value: the cross-entropy of each row, `[m N, 1]`.
#[derive(Debug)]
struct NeighbourBce;

impl<T: Scalar> CustomOp<T> for NeighbourBce {
    fn name(&self) -> &str {
        "cross-entropy of the neighbours"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (pixels, x) = (inputs.get(0), inputs.get(1));
        assert!(
            pixels.cols == x.cols && x.rows > 0 && pixels.rows.is_multiple_of(x.rows),
            "neighbours: pixels [{}, {}], images [{}, {}]",
            pixels.rows,
            pixels.cols,
            x.rows,
            x.cols
        );
        (pixels.rows, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (pixels, x) = (inputs.get(0), inputs.get(1));
        let times = pixels.rows / x.rows;
        par::for_each_block(out.data, 8, |from, out: &mut [T]| {
            for (i, out) in (from..).zip(out.iter_mut()) {
                *out = bernoulli::row_loss(pixels.row(i), x.row(i / times));
            }
        });
    }

    fn has_gradient(&self) -> bool {
        false
    }

    fn vjp(&self, _: &Recorded<'_, T>, _: &mut InputGrads<'_, '_, T>, _: &mut [T]) {}
}
