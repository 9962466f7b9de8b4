//! Evaluation of the trained models with their parameters fixed.

use super::document::{Block, Cell, NONE, Table};
use super::groups::{Group, training};
use super::tables::{Context, plus_minus};
use crate::lab::stats::Mean;
use crate::result::RunResult;
use hardgrad::train::{ArgmaxLosses, Evaluation};
use std::collections::BTreeMap;

/// The table, if any run was evaluated.
pub fn blocks(context: &Context<'_>) -> Vec<Block> {
    let evaluated: Vec<_> = context.groups.iter().flat_map(evaluated).collect();
    if evaluated.is_empty() {
        return Vec::new();
    }
    // Results of earlier versions have no losses with argmax codes.
    let argmax = evaluated.iter().any(|row| row.mean(|e| e.argmax.as_ref().map(|a| a.train.loss)).is_some());
    let rows = evaluated.iter().map(|row| row.cells(argmax)).collect();
    let with_argmax = if argmax {
        " Argmax: the loss with the most probable code of each image, which is not a bound. Gap: the loss with drawn codes minus \
         this loss."
    } else {
        ""
    };
    let mut columns = vec![
        "Latent",
        "Estimator",
        "Training",
        "Epochs",
        "Runs",
        "Train, last epoch",
        "Train, fixed",
        "Test",
    ];
    if argmax {
        columns.extend(["Train, argmax", "Train, gap", "Test, argmax", "Test, gap"]);
    }
    columns.extend(["S", "Bound", "Exact"]);
    vec![Block::Table(Table {
        id: format!("{}evaluation", context.prefix),
        title: "Losses and likelihoods of the trained models, parameters fixed".into(),
        note: "Nats per image, lower is better: mean ± standard error over the runs that were evaluated. “Train, last epoch” is the \
               paper's train loss; “Train, fixed” and “Test” draw one code per image with the final parameters. Bound: the \
               importance-weighted bound on −log p(x) of the test images with S samples per image. Exact: −log p(x) by \
               enumeration of all codes, where they are few enough."
            .to_owned()
            + with_argmax,
        columns: columns.into_iter().map(str::to_owned).collect(),
        labels: 4,
        rows,
    })]
}

/// Runs of one group that were evaluated with one number of samples: a row of the table.
struct Evaluated<'a> {
    group: &'a Group<'a>,
    /// Number of samples of the importance-weighted bound.
    samples: Option<usize>,
    runs: Vec<(&'a RunResult, &'a Evaluation)>,
}

/// The evaluated runs of a group, by number of samples.
fn evaluated<'a>(group: &'a Group<'a>) -> Vec<Evaluated<'a>> {
    let mut rows: BTreeMap<Option<usize>, Vec<_>> = BTreeMap::new();
    for &run in &group.runs {
        if let Some(evaluation) = &run.evaluation {
            let samples = evaluation.importance.map(|bound| bound.samples);
            rows.entry(samples).or_default().push((run, evaluation));
        }
    }
    rows.into_iter().map(|(samples, runs)| Evaluated { group, samples, runs }).collect()
}

impl Evaluated<'_> {
    /// The mean of a number that all runs have.
    fn mean(&self, value: impl Fn(&Evaluation) -> Option<f64>) -> Option<Mean> {
        let values: Option<Vec<f64>> = self.runs.iter().map(|(_, evaluation)| value(evaluation)).collect();
        Mean::of(&values?)
    }

    /// The cells of the row; `argmax`: with the losses of the most probable codes.
    fn cells(&self, argmax: bool) -> Vec<Cell> {
        let cell =
            |mean: Option<Mean>| Cell::from(mean.map_or_else(|| NONE.to_owned(), |m| plus_minus(m, 2)));
        let Self { group, samples, runs } = self;
        let during: Vec<f64> =
            runs.iter().filter_map(|(run, _)| Some(run.history.last()?.train.loss)).collect();
        let labels = [
            group.latent(),
            group.config.estimator.label(),
            training(group.config),
            group.epochs.to_string(),
            runs.len().to_string(),
        ];
        let mut row: Vec<Cell> = labels.into_iter().map(Cell::from).collect();
        row.push(cell(Mean::of(&during)));
        row.push(cell(self.mean(|e| Some(e.train.loss))));
        row.push(cell(self.mean(|e| Some(e.test.loss))));
        if argmax {
            let columns: [fn(&ArgmaxLosses) -> f64; 4] =
                [|a| a.train.loss, |a| a.train_gap, |a| a.test.loss, |a| a.test_gap];
            row.extend(columns.map(|of| cell(self.mean(|e| e.argmax.as_ref().map(of)))));
        }
        row.push(samples.map_or(NONE.into(), |samples| samples.to_string().into()));
        row.push(cell(self.mean(|e| e.importance.map(|bound| bound.bound))));
        row.push(cell(self.mean(|e| e.exact)));
        row
    }
}
