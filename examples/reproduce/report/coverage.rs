//! How much of tables 2 and 3 has runs, which cells agree with the paper, and how long a run took.

use super::document::{Block, Cell, NONE, Table, count, decimals, signed};
use super::groups::{Group, PAPER_EPOCHS, TABLE_METHODS, table_latents};
use super::tables::{Context, cells, headings};
use crate::lab::preset::Preset;
use crate::lab::published::Split;
use crate::lab::stats::Comparison;
use hardgrad::estimators::EstimatorKind;
use hardgrad::vae::LatentShape;
use std::collections::BTreeMap;

/// A sentence with the number of combinations that have runs, and one with the number of cells that
/// agree with the paper and the names of the others.
pub fn sentences(context: &Context<'_>) -> Block {
    let held: Vec<_> = cells().filter_map(|(kind, latent)| group(context, kind, latent)).collect();
    let by_seeds = held.iter().fold(BTreeMap::<usize, usize>::new(), |mut counts, group| {
        *counts.entry(group.runs.len()).or_default() += 1;
        counts
    });
    let seeds: Vec<_> = by_seeds
        .iter()
        .rev()
        .map(|(&seeds, groups)| format!("with {}: {groups}", count(seeds, "seed")))
        .collect();
    let runs: usize = held.iter().map(|group| group.runs.len()).sum();
    let mut text = format!(
        "{} of the {} combinations of method and latent space have complete runs of {PAPER_EPOCHS} epochs, {} in all (combinations {}).",
        held.len(),
        cells().count(),
        count(runs, "run"),
        seeds.join("; ")
    );
    if context.mnist {
        text += &agreement(context);
    }
    Block::Text(text)
}

fn agreement(context: &Context<'_>) -> String {
    let mut compared = Vec::new();
    for (kind, latent) in cells() {
        for split in Split::ALL {
            let here = group(context, kind, latent).and_then(|group| group.end(split));
            let Some((here, theirs)) = here.zip(context.published(split, kind, latent)) else { continue };
            compared.push((format!("{} at {latent}", kind.label()), split, Comparison::new(here, theirs)));
        }
    }
    let known: Vec<_> = compared.iter().filter(|(.., comparison)| comparison.far.is_some()).collect();
    let beyond = known.iter().filter(|(.., comparison)| comparison.far == Some(true));
    let names: Vec<_> = beyond.map(|(cell, split, _)| format!("{cell} ({})", split.name())).collect();
    let within = format!(
        " {} of their {} losses agree with the paper's within 3 combined standard errors or 1 nat",
        known.len() - names.len(),
        known.len()
    );
    let others =
        if names.is_empty() { String::new() } else { format!("; the others are {}", names.join(", ")) };
    let spread: Vec<_> = Split::ALL.iter().filter_map(|split| standardised(&compared, *split)).collect();
    let spread = if spread.is_empty() {
        String::new()
    } else {
        format!(
            " Divided by the standard errors that they have if our seeds spread as the published ones do, the differences have {}; \
             runs of one experiment have a mean of 0 and a root mean square of 1.",
            spread.join(" and ")
        )
    };
    within + &others + "." + &spread
}

/// The mean and the root mean square of the standardised differences of a loss.
fn standardised(compared: &[(String, Split, Comparison)], split: Split) -> Option<String> {
    let of_split = compared.iter().filter(|(_, of, _)| *of == split);
    let z: Vec<f64> = of_split.filter_map(|(.., comparison)| comparison.standardised).collect();
    let mean = z.iter().sum::<f64>() / z.len() as f64;
    let square = z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64;
    (!z.is_empty()).then(|| {
        format!(
            "a mean of {} and a root mean square of {} by {} loss",
            signed(mean, 1),
            decimals(square.sqrt(), 1),
            split.name()
        )
    })
}

/// Complete runs of a combination with the hyper-parameters of the published numbers.
fn group<'a>(context: &Context<'a>, kind: EstimatorKind, latent: LatentShape) -> Option<&'a Group<'a>> {
    context.cell(Preset::AsRun, kind, latent, PAPER_EPOCHS).filter(|group| !group.runs.is_empty())
}

/// The table of minutes of a run, by processor, method and latent space.
pub fn minutes(context: &Context<'_>) -> Option<Block> {
    let mut times = BTreeMap::<(String, u16, usize), BTreeMap<String, Vec<f64>>>::new();
    for (place, (kind, latent)) in cells().enumerate() {
        for run in group(context, kind, latent).into_iter().flat_map(|group| &group.runs) {
            let provenance = &run.provenance;
            let Some(seconds) = provenance.seconds else { continue };
            let method = place / table_latents().count();
            let row = times.entry((provenance.cpu.clone(), provenance.threads, method)).or_default();
            row.entry(latent.to_string()).or_default().push(seconds / 60.0);
        }
    }
    let rows: Vec<_> = times
        .into_iter()
        .map(|((cpu, threads, method), row)| {
            let method = TABLE_METHODS[method].label();
            let times =
                table_latents().map(|latent| row.get(&latent.to_string()).map_or(NONE.into(), |t| show(t)));
            [cpu, threads.to_string(), method.into()].map(Cell::from).into_iter().chain(times).collect()
        })
        .collect();
    (!rows.is_empty()).then(|| Block::Table(Table {
        id: format!("{}minutes", context.prefix),
        title: format!("Minutes of a run of {PAPER_EPOCHS} epochs"),
        note: "The shortest run on each processor (number of runs). The time includes the evaluation at the end of each epoch, and \
               the time during which a run was paused or shared its core with other work."
            .into(),
        columns: headings(&["CPU", "Threads", "Method"]),
        labels: 3,
        rows,
    }))
}

fn show(minutes: &[f64]) -> Cell {
    let shortest = minutes.iter().copied().fold(f64::INFINITY, f64::min);
    format!("{} ({})", decimals(shortest, 1), minutes.len()).into()
}
