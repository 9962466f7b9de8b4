//! Evaluation of the trained models with their parameters fixed.

use super::document::{Block, Cell, NONE, Table};
use super::groups::{Group, training};
use super::tables::{Context, plus_minus};
use crate::lab::stats::Mean;
use hardgrad::train::{ArgmaxLosses, Evaluation};

/// The table, if any run was evaluated.
pub fn blocks(context: &Context<'_>) -> Vec<Block> {
    // Results of earlier versions have no losses with argmax codes.
    let mut evaluations =
        context.groups.iter().flat_map(|group| &group.runs).filter_map(|run| run.evaluation.as_ref());
    let argmax = evaluations.any(|evaluation| evaluation.argmax.is_some());
    let rows: Vec<_> = context.groups.iter().flat_map(|group| rows(group, argmax)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
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

/// One row for each number of samples with which a group was evaluated; `argmax`: with the losses
/// of the most probable codes.
fn rows(group: &Group<'_>, argmax: bool) -> Vec<Vec<Cell>> {
    let samples = |evaluation: &Evaluation| evaluation.importance.map(|bound| bound.samples);
    let mut counts: Vec<_> =
        group.runs.iter().filter_map(|run| run.evaluation.as_ref().map(samples)).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
        .into_iter()
        .map(|count| {
            let runs: Vec<_> =
                group.runs.iter().filter_map(|run| run.evaluation.as_ref().map(|e| (run, e))).collect();
            let runs: Vec<_> = runs.into_iter().filter(|(_, e)| samples(e) == count).collect();
            let mean = |value: &dyn Fn(&Evaluation) -> Option<f64>| {
                let values: Option<Vec<f64>> = runs.iter().map(|(_, evaluation)| value(evaluation)).collect();
                let mean = values.and_then(|values| Mean::of(&values));
                Cell::from(mean.map_or_else(|| NONE.to_owned(), |mean| plus_minus(mean, 2)))
            };
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
            row.push(Mean::of(&during).map_or(NONE.into(), |mean| plus_minus(mean, 2).into()));
            row.push(mean(&|e| Some(e.train.loss)));
            row.push(mean(&|e| Some(e.test.loss)));
            if argmax {
                let columns: [fn(&ArgmaxLosses) -> f64; 4] =
                    [|a| a.train.loss, |a| a.train_gap, |a| a.test.loss, |a| a.test_gap];
                row.extend(columns.map(|of| mean(&|e| e.argmax.as_ref().map(of))));
            }
            row.push(count.map_or(NONE.into(), |count| count.to_string().into()));
            row.push(mean(&|e| e.importance.map(|bound| bound.bound)));
            row.push(mean(&|e| e.exact));
            row
        })
        .collect()
}
