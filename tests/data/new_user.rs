//! ReinMax in a two-layer model on a matrix of floats: training, saving, loading.
use hardgrad::data::Batches;
use hardgrad::estimators::{Choice, ReinMax};
use hardgrad::nn::Linear;
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::{Mat, ParamGrads, ParamStore, Tape, Var, Workspace, rng};

const CATEGORIES: usize = 4;

struct Model {
    encoder: Linear,
    decoder: Linear,
}

impl Model {
    fn new(params: &mut ParamStore<f32>) -> Self {
        let mut rng = rng::from_key(0);
        let encoder = Linear::new(params, "encoder", 6, 2 * CATEGORIES, &mut rng);
        Self { encoder, decoder: Linear::new(params, "decoder", 2 * CATEGORIES, 6, &mut rng) }
    }

    /// Mean squared error of the reconstruction of x from two categorical choices.
    fn loss(&self, tape: &mut Tape<f32>, x: Var, choice: &Choice<f32>) -> Var {
        let logits = self.encoder.forward(tape, x);
        let code = tape.sample(choice, logits);
        let rebuilt = self.decoder.forward(tape, code);
        let error = tape.sub(rebuilt, x);
        let square = tape.mul(error, error);
        tape.mean(square)
    }
}

fn main() -> hardgrad::Result<()> {
    let data = Mat::from_fn(240, 6, |i, j| if (i / 3) % 4 == j { 1.0 } else { 0.1 * (i % 5) as f32 });
    let mut params = ParamStore::new();
    let model = Model::new(&mut params);
    let mut choice = Choice::new(ReinMax::new(1.0)?, CATEGORIES);
    let mut adam = Adam::new(AdamConfig { lr: 1e-2, ..AdamConfig::default() })?;
    let (mut workspace, mut grads, mut rng) = (Workspace::new(), ParamGrads::zeros(&params), rng::from_key(1));
    let mut losses = Vec::new();
    for _epoch in 0..30 {
        for batch in Batches::shuffled(data.rows(), 24, &mut rng)?.iter() {
            choice.draw(&mut rng, batch.len() * 2);
            let mut tape = workspace.tape(&params);
            let x = tape.constant(&data.rows_at(batch));
            let loss = model.loss(&mut tape, x, &choice);
            losses.push(tape.scalar(loss));
            tape.backward(loss, &mut grads);
            adam.step(&mut params, &grads);
        }
    }
    params.save("model.params")?;
    let mut loaded = ParamStore::new();
    let _model = Model::new(&mut loaded);
    loaded.load("model.params")?;
    println!("{} {} {}", losses[0], losses[losses.len() - 1], loaded == params);
    Ok(())
}
