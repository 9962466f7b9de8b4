//! Losses after a few epochs, compared with the authors' stored seeds. A wrong implementation shows
//! here long before the last epoch.

use super::document::{Block, Cell, Table};
use super::tables::{Context, DIFFERENCES, beside, difference_headings};
use crate::lab::preset::Preset;
use crate::lab::published::{Published, Split};
use crate::lab::stats::Mean;
use std::collections::BTreeMap;

/// The table, if there is any run for it.
pub fn blocks(context: &Context<'_>) -> Vec<Block> {
    let stored = context.published.iter().filter(|p| p.source == "stored" && context.mnist);
    let rows: Vec<_> = stored.filter_map(|published| row(context, published)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    vec![Block::Table(Table {
        id: format!("{}on-the-way", context.prefix),
        title: "Losses after 1 and 10 epochs, compared with the runs of tables 2 and 3".into(),
        note: format!(
            "Nats per image. The table includes all runs with the hyper-parameters as run, regardless of their number of epochs, \
             because an epoch does not depend on later ones. {DIFFERENCES}"
        ),
        columns: difference_headings(&["Method", "Latent", "Epoch", "Loss", "Runs"]),
        labels: 4,
        rows,
    })]
}

fn row(context: &Context<'_>, published: &Published) -> Option<Vec<Cell>> {
    let latent = published.latent.parse().ok()?;
    let split = published.split?;
    let mut seeds = BTreeMap::new();
    for group in context.groups.iter().filter(|group| group.is_cell(Preset::AsRun, published.method, latent))
    {
        for result in group.runs.iter().chain(&group.diverged) {
            if let Some(record) = published.epoch.checked_sub(1).and_then(|i| result.history.get(i)) {
                let loss = if split == Split::Train { record.train.loss } else { record.test.loss };
                seeds.insert(result.run.config.seed, loss);
            }
        }
    }
    let losses: Vec<f64> = seeds.into_values().collect();
    let here = if published.median { median(&losses) } else { Mean::of(&losses) }?;
    let name = published.method.label();
    let name = if published.median { format!("{name}, median") } else { name.to_owned() };
    let labels = [
        name,
        published.latent.clone(),
        published.epoch.to_string(),
        split.name().into(),
        here.n.to_string(),
    ];
    Some(labels.into_iter().map(Cell::from).chain(beside(here, published.mean())).collect())
}

/// The median: the middle value, or the mean of the two middle values.
fn median(losses: &[f64]) -> Option<Mean> {
    let mut sorted = losses.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, middle) = (sorted.len(), sorted.len() / 2);
    let upper = *sorted.get(middle)?;
    let mean = if n % 2 == 1 { upper } else { 0.5 * (sorted.get(middle - 1)? + upper) };
    Some(Mean { n, mean, error: None })
}
