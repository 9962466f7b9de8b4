//! Types that can be sent to and shared with other threads, checked by the compiler.

use hardgrad::estimators::{
    Blend, Choice, EstimatorConfig, GumbelRao, Noise, Rebar, ReinMax, ReinMaxCv, Reinforce, Scratch,
};
use hardgrad::{Error, Mat, MatRef, ParamGrads, ParamStore, Workspace, certify, data, nn, optim, train, vae};

fn send_and_sync<T: Send + Sync>() {}
fn send<T: Send>() {}

#[test]
fn configs_have_defaults_and_the_defaults_are_valid() {
    assert!(train::TrainConfig::default().validated().is_ok());
    assert!(optim::AdamConfig::default().validated().is_ok());
    assert_eq!(vae::VaeConfig::default().latent.to_string(), "8x4");
    assert_eq!(train::OptimizerKind::default(), train::OptimizerKind::Adam);
}

#[test]
fn public_types_are_send_and_sync() {
    send_and_sync::<Mat<f32>>();
    send_and_sync::<MatRef<'_, f64>>();
    send_and_sync::<ParamStore<f32>>();
    send_and_sync::<ParamGrads<f32>>();
    send_and_sync::<Workspace<f32>>();
    send_and_sync::<Noise<f32>>();
    send_and_sync::<(ReinMax, GumbelRao, ReinMaxCv, Blend<ReinMax, GumbelRao>, Rebar, Reinforce)>();
    send_and_sync::<(Choice<f32>, Scratch<f32>)>();
    send_and_sync::<EstimatorConfig>();
    send_and_sync::<(optim::Adam<f32>, optim::AdamW<f32>, optim::RAdam<f32>)>();
    send_and_sync::<(nn::Mlp, vae::Vae)>();
    send_and_sync::<(data::Dataset, data::Batches)>();
    send_and_sync::<(train::TrainConfig, train::Checkpoint)>();
    send_and_sync::<certify::Certificate>();
    send_and_sync::<Error>();
    // A trainer contains its optimiser as a `dyn Optimizer`, which only has to be `Send`.
    send::<train::Trainer<'_>>();
}
