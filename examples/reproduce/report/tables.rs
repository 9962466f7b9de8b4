//! Tables 2 and 3 from these runs, beside the published ones.

use super::document::{Block, Cell, NONE, Rank, Table, decimals, nats, or_none, signed};
use super::groups::{Group, PAPER_EPOCHS, TABLE_METHODS, table_latents};
use crate::lab::preset::Preset;
use crate::lab::published::{Published, Split};
use crate::lab::stats::{Comparison, Mean};
use hardgrad::estimators::EstimatorKind;
use hardgrad::vae::LatentShape;

/// The data of a section on one data set.
pub struct Context<'a> {
    /// Groups of runs on the data set.
    pub groups: &'a [Group<'a>],
    /// All published numbers. They apply to MNIST only.
    pub published: &'a [Published],
    /// Whether the data are those of the paper.
    pub mnist: bool,
    /// Prefix of every id, so that ids differ between data sets.
    pub prefix: String,
}

const PRESETS: [(Preset, &str, &str); 2] = [
    (Preset::AsRun, "as-run", "as run for the published numbers"),
    (Preset::Table4, "table4", "as table 4 prints them"),
];

impl<'a> Context<'a> {
    /// The runs of a cell.
    pub fn cell(
        &self,
        preset: Preset,
        kind: EstimatorKind,
        latent: LatentShape,
        epochs: usize,
    ) -> Option<&'a Group<'a>> {
        self.groups.iter().find(|group| group.epochs == epochs && group.is_cell(preset, kind, latent))
    }

    /// The number in table 2 or 3.
    pub fn published(&self, split: Split, kind: EstimatorKind, latent: LatentShape) -> Option<Mean> {
        let source = if split == Split::Train { "table-2" } else { "table-3" };
        let latent = latent.to_string();
        let found =
            self.published.iter().find(|p| p.source == source && p.method == kind && p.latent == latent);
        found.filter(|_| self.mnist).map(Published::mean)
    }

    /// Whether both presets are equal in a cell.
    fn is_shared(&self, kind: EstimatorKind, latent: LatentShape) -> bool {
        Preset::AsRun.run(kind, latent).ok() == Preset::Table4.run(kind, latent).ok()
    }

    /// Whether any cell of this preset has a run of so many epochs, apart from the cells in which
    /// both presets are equal.
    fn has_own(&self, preset: Preset, epochs: usize) -> bool {
        cells().any(|(kind, latent)| {
            let own = preset == Preset::AsRun || !self.is_shared(kind, latent);
            own && self.cell(preset, kind, latent, epochs).is_some_and(|group| !group.runs.is_empty())
        })
    }

    /// The tables of both presets and splits after the paper's epochs, each followed by its
    /// differences from the paper.
    pub fn tables(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (preset, name, how) in PRESETS {
            if preset == Preset::Table4 && !self.has_own(preset, PAPER_EPOCHS) {
                blocks.push(Block::Text(
                    "No run here has the hyper-parameters of table 4 in the four cells where they differ from those that \
                     were run for the published numbers, so its tables would be equal to those above."
                        .into(),
                ));
                continue;
            }
            for split in Split::ALL {
                blocks.push(Block::Table(self.overview(preset, name, how, split)));
                if self.mnist {
                    blocks.push(Block::Table(self.differences(preset, name, how, split)));
                }
            }
        }
        blocks
    }

    /// The table of methods by latent spaces, with our numbers and the paper's.
    fn overview(&self, preset: Preset, name: &str, how: &str, split: Split) -> Table {
        let mut rows = Vec::new();
        for kind in TABLE_METHODS {
            let group = |latent| self.cell(preset, kind, latent, PAPER_EPOCHS);
            let here = table_latents()
                .map(|latent| group(latent).map_or("missing".into(), |group| show(group, split)));
            rows.push(named(kind, "here", here));
            if self.mnist {
                let paper = table_latents().map(|latent| published(self.published(split, kind, latent)));
                rows.push(named(kind, "paper", paper));
            }
        }
        let end =
            |kind, latent| self.cell(preset, kind, latent, PAPER_EPOCHS).and_then(|group| group.end(split));
        self.rank(&mut rows, "here", &end);
        self.rank(&mut rows, "paper", &|kind, latent| self.published(split, kind, latent));
        self.mark_far(&mut rows, &|kind, latent| {
            Some((end(kind, latent)?, self.published(split, kind, latent)?))
        });
        let number = if split == Split::Train { 2 } else { 3 };
        Table {
            id: format!("{}table{number}-{name}", self.prefix),
            title: format!(
                "{} loss after {PAPER_EPOCHS} epochs, hyper-parameters {how}",
                capital(split.name())
            ),
            note: format!(
                "Nats per image, lower is better: mean ± standard error (runs), as in the paper's table {number}. Our standard error \
                 is sd/√n with divisor n − 1, and a single run has none; the paper's uses the population sd, which is 5 % less for \
                 ten seeds. The best of the methods that have runs is bold, the second underlined, the third italic. †: further \
                 from the paper than the spread explains.",
            ),
            columns: headings(&["Method", "Of"]),
            labels: 2,
            rows,
        }
    }

    /// Marks the best three of each column among the rows of one kind.
    fn rank(
        &self,
        rows: &mut [Vec<Cell>],
        of: &str,
        value: &dyn Fn(EstimatorKind, LatentShape) -> Option<Mean>,
    ) {
        for (column, latent) in table_latents().enumerate() {
            let values = TABLE_METHODS
                .iter()
                .enumerate()
                .filter_map(|(i, &kind)| Some((value(kind, latent)?.mean, i)));
            let mut values: Vec<_> = values.collect();
            values.sort_by(|a, b| a.0.total_cmp(&b.0));
            if values.len() < 2 {
                continue;
            }
            for ((_, i), rank) in values.into_iter().zip([Rank::Best, Rank::Second, Rank::Third]) {
                let mut rows = rows.iter_mut().filter(|row| row[1].text == of);
                if let Some(cell) = rows.nth(i).and_then(|row| row.get_mut(column + 2)) {
                    cell.rank = Some(rank);
                }
            }
        }
    }

    /// Marks our numbers that are further from the paper's than the spread explains.
    fn mark_far(
        &self,
        rows: &mut [Vec<Cell>],
        pair: &dyn Fn(EstimatorKind, LatentShape) -> Option<(Mean, Mean)>,
    ) {
        for (row, kind) in rows.iter_mut().filter(|row| row[1].text == "here").zip(TABLE_METHODS) {
            for (cell, latent) in row.iter_mut().skip(2).zip(table_latents()) {
                if pair(kind, latent)
                    .is_some_and(|(here, theirs)| Comparison::new(here, theirs).far == Some(true))
                {
                    cell.far = true;
                    cell.text += " †";
                }
            }
        }
    }

    /// The table of differences from the published numbers, with one row for each cell that has
    /// runs.
    fn differences(&self, preset: Preset, name: &str, how: &str, split: Split) -> Table {
        let mut rows = Vec::new();
        for (kind, latent) in cells() {
            if preset == Preset::Table4 && self.is_shared(kind, latent) {
                continue;
            }
            let Some(group) = self.cell(preset, kind, latent, PAPER_EPOCHS) else { continue };
            let (Some(here), Some(theirs)) = (group.end(split), self.published(split, kind, latent)) else {
                continue;
            };
            let mut row = vec![kind.label().into(), latent.to_string().into(), group.count().into()];
            row.extend(beside(here, theirs));
            rows.push(row);
        }
        let number = if split == Split::Train { 2 } else { 3 };
        let only = match preset {
            Preset::AsRun | Preset::MveTable => "",
            Preset::Table4 => " Only the cells where table 4 differs from what was run.",
        };
        Table {
            id: format!("{}table{number}-{name}-differences", self.prefix),
            title: format!("{} loss minus the published one, hyper-parameters {how}", capital(split.name())),
            note: format!("{DIFFERENCES}{only}"),
            columns: difference_headings(&["Method", "Latent", "Runs"]),
            labels: 2,
            rows,
        }
    }

    /// The tables of the runs with other numbers of epochs.
    pub fn other_epochs(&self) -> Vec<Block> {
        let mut lengths: Vec<_> =
            self.groups.iter().filter(|g| g.is_any_cell() && !g.runs.is_empty()).map(|g| g.epochs).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let lengths = lengths.into_iter().filter(|&epochs| epochs != PAPER_EPOCHS);
        let tables = lengths.flat_map(|epochs| PRESETS.map(|preset| (epochs, preset)));
        let tables = tables.filter(|&(epochs, (preset, ..))| self.has_own(preset, epochs));
        tables.map(|(epochs, preset)| Block::Table(self.after(epochs, preset))).collect()
    }

    fn after(&self, epochs: usize, (preset, name, how): (Preset, &str, &str)) -> Table {
        let mut rows = Vec::new();
        for (kind, split) in TABLE_METHODS.iter().flat_map(|&kind| Split::ALL.map(|split| (kind, split))) {
            let group = |latent| self.cell(preset, kind, latent, epochs);
            if table_latents().any(|latent| group(latent).is_some_and(|group| !group.runs.is_empty())) {
                let cells = table_latents()
                    .map(|latent| group(latent).map_or(NONE.into(), |group| show(group, split)));
                rows.push(named(kind, split.name(), cells));
            }
        }
        Table {
            id: format!("{}after-{epochs}-epochs-{name}", self.prefix),
            title: format!(
                "After {epochs} epochs, hyper-parameters {how}: not comparable with the paper's {PAPER_EPOCHS}"
            ),
            note: "Nats per image: mean ± standard error (runs).".into(),
            columns: headings(&["Method", "Loss"]),
            labels: 2,
            rows,
        }
    }
}

/// Note below the tables of differences.
pub const DIFFERENCES: &str = "Difference: here minus published, in nats and in combined standard errors √(se² + published se²). \
    “beyond”: more than 3 combined standard errors and more than 1 nat. A single run has no standard error, and the sd of the published \
    seeds is used in its place; a dash means that this sd is not known.";

/// All cells of the tables, row by row.
pub fn cells() -> impl Iterator<Item = (EstimatorKind, LatentShape)> {
    TABLE_METHODS.iter().flat_map(|&kind| table_latents().map(move |latent| (kind, latent)))
}

/// Our number, the published one, and their difference.
pub fn beside(here: Mean, theirs: Mean) -> Vec<Cell> {
    let comparison = Comparison::new(here, theirs);
    let seeds = if theirs.n == 0 { NONE.to_owned() } else { theirs.n.to_string() };
    let texts = [
        nats(here.mean),
        or_none(here.error, nats),
        nats(theirs.mean),
        or_none(theirs.error, nats),
        seeds,
        signed(comparison.difference, 2),
        or_none(comparison.errors(), |x| signed(x, 1)),
    ];
    let mut cells: Vec<Cell> = texts.into_iter().map(Cell::from).collect();
    let verdict = comparison.far.map_or(NONE, |far| if far { "beyond" } else { "within" });
    cells.push(Cell { far: comparison.far == Some(true), ..verdict.into() });
    cells
}

/// Names of the columns of [`beside`], after others.
pub fn difference_headings(first: &[&str]) -> Vec<String> {
    let rest = ["Here", "SE", "Published", "SE", "Seeds", "Difference", "in SE", "Spread"];
    first.iter().chain(&rest).map(|&name| name.to_owned()).collect()
}

/// Names of the first columns, and a column for each latent space.
pub fn headings(first: &[&str]) -> Vec<String> {
    first.iter().map(|&name| name.to_owned()).chain(table_latents().map(|l| l.to_string())).collect()
}

fn named(kind: EstimatorKind, of: &str, cells: impl Iterator<Item = Cell>) -> Vec<Cell> {
    [kind.label().into(), of.into()].into_iter().chain(cells).collect()
}

/// The final loss of a group, with its number of runs.
pub fn show(group: &Group<'_>, split: Split) -> Cell {
    match group.end(split) {
        Some(mean) => format!("{} ({})", plus_minus(mean, 2), group.count()).into(),
        None if !group.diverged.is_empty() => "diverged".into(),
        None => "missing".into(),
    }
}

/// A mean with its standard error, if it has one.
pub fn plus_minus(mean: Mean, places: usize) -> String {
    let error = mean.error.map(|error| format!(" ± {}", decimals(error, places)));
    decimals(mean.mean, places) + &error.unwrap_or_default()
}

fn published(mean: Option<Mean>) -> Cell {
    mean.map_or(NONE.into(), |mean| format!("{} ({})", plus_minus(mean, 2), mean.n).into())
}

/// The text with a capital first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
