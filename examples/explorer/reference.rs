//! The library's numbers for what the page shows. Only the noise is the page's.

mod evaluate;
mod gradients;
mod gumbel;
mod noise;
mod rule;
mod training;

pub use noise::{DRAWS_GIVEN, ROWS, SEED};

use hardgrad::Result;
use noise::NoiseTable;
use serde::{Deserialize, Serialize};

/// A question about one panel of the page.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Mean, bias and covariance of an estimator.
    Evaluate(evaluate::Setting),
    /// States of a training run.
    Train(training::Setting),
    /// Draws by the Gumbel-max trick.
    Gumbel(gumbel::Setting),
    /// Areas by rules of integration.
    Rule(rule::Setting),
}

/// The answer to a [`Question`], in the same order of variants.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Numbers {
    Evaluate(evaluate::Numbers),
    Train(Vec<training::Numbers>),
    Gumbel(gumbel::Numbers),
    Rule(rule::Numbers),
}

/// The numbers of each question.
///
/// # Errors
/// If a setting is not one the page can have.
pub fn answer(questions: &[Question]) -> Result<Vec<Numbers>> {
    let tables: Vec<_> = DRAWS_GIVEN.iter().map(|&(c, draws)| NoiseTable::new(c, draws)).collect();
    questions
        .iter()
        .map(|question| match question {
            Question::Evaluate(setting) => evaluate::numbers(setting, &tables).map(Numbers::Evaluate),
            Question::Train(setting) => training::numbers(setting).map(Numbers::Train),
            Question::Gumbel(setting) => gumbel::numbers(setting).map(Numbers::Gumbel),
            Question::Rule(setting) => rule::numbers(setting).map(Numbers::Rule),
        })
        .collect()
}
