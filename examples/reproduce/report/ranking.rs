//! Order of the methods within each latent space, here and in the paper: the orderings that are
//! statistically certain, and whether they confirm the paper's claims.

use super::document::{Block, Cell, NONE, Table, decimals, nats, or_none, signed};
use super::groups::{PAPER_EPOCHS, TABLE_METHODS, table_latents};
use super::tables::{Context, capital, plus_minus};
use crate::lab::preset::Preset;
use crate::lab::published::Split;
use crate::lab::stats::{Estimate, Mean, welch};
use crate::lab::svg::Scale;
use crate::lab::svg::figure::{Figure, Look, Point, Trace};
use hardgrad::estimators::EstimatorKind;
use hardgrad::vae::LatentShape;

/// Probability of one or more wrong orderings among all pairs of a latent space, if all its methods
/// were equal.
const LEVEL: f64 = 0.05;

/// A method's loss in a latent space.
#[derive(Clone, Copy)]
struct Place {
    kind: EstimatorKind,
    mean: Mean,
    /// `None` if the variance between seeds is unknown.
    estimate: Option<Estimate>,
}

/// Methods with their losses, the best first.
struct Ranking(Vec<Place>);

impl Ranking {
    fn new(place: impl Fn(EstimatorKind) -> Option<Place>) -> Self {
        let mut methods: Vec<_> = TABLE_METHODS.iter().filter_map(|&kind| place(kind)).collect();
        methods.sort_by(|a, b| a.mean.mean.total_cmp(&b.mean.mean));
        Self(methods)
    }

    fn place(&self, kind: EstimatorKind) -> Option<usize> {
        self.0.iter().position(|other| other.kind == kind)
    }

    /// The pairs (better, worse) that Welch's t-test separates, with Holm's correction for the
    /// number of pairs.
    fn certain(&self) -> Vec<(EstimatorKind, EstimatorKind)> {
        let pairs = self.0.iter().enumerate().flat_map(|(i, a)| self.0[i + 1..].iter().map(move |b| (a, b)));
        let mut tests: Vec<_> =
            pairs.filter_map(|(a, b)| Some((welch(a.estimate?, b.estimate?)?, a.kind, b.kind))).collect();
        tests.sort_by(|a, b| a.0.total_cmp(&b.0));
        let n = tests.len();
        let passed = tests.iter().enumerate().take_while(|(i, (p, ..))| p * ((n - i) as f64) < LEVEL);
        passed.map(|(_, &(_, better, worse))| (better, worse)).collect()
    }

    /// The best of the methods for which `is` holds.
    fn best(&self, is: impl Fn(EstimatorKind) -> bool) -> Option<Place> {
        self.0.iter().copied().find(|place| is(place.kind))
    }
}

/// Whether the paper introduces this method.
fn is_new(kind: EstimatorKind) -> bool {
    matches!(kind, EstimatorKind::ReinMaxRao | EstimatorKind::ReinMaxCv)
}

/// Blocks with the rankings by each loss, the paper's claims, and a figure for each latent space.
pub fn blocks(context: &Context<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for split in Split::ALL {
        let rows: Vec<_> = table_latents().flat_map(|latent| ranked(context, split, latent)).collect();
        if rows.is_empty() {
            continue;
        }
        blocks.push(Block::Table(ranking(context, split, rows)));
        if context.mnist {
            blocks.push(Block::Table(agreement(context, split)));
            blocks.push(Block::Table(claims(context, split)));
        }
    }
    let figures: Vec<_> = table_latents().filter_map(|latent| figure(context, latent)).collect();
    blocks.extend(figures.into_iter().map(|figure| Block::Figures(vec![figure])));
    blocks
}

/// The ranking here. The variance between seeds is pooled with that of the published seeds, which
/// are runs of the same experiment.
fn here(context: &Context<'_>, split: Split, latent: LatentShape) -> Ranking {
    Ranking::new(|kind| {
        let mean = context.cell(Preset::AsRun, kind, latent, PAPER_EPOCHS)?.end(split)?;
        let estimate = Estimate::pooled(mean, context.published(split, kind, latent));
        Some(Place { kind, mean, estimate })
    })
}

/// The ranking in the paper.
fn paper(context: &Context<'_>, split: Split, latent: LatentShape) -> Ranking {
    Ranking::new(|kind| {
        let mean = context.published(split, kind, latent)?;
        Some(Place { kind, mean, estimate: Estimate::of(mean) })
    })
}

/// The rows of a latent space; none if fewer than two methods have runs.
fn ranked(context: &Context<'_>, split: Split, latent: LatentShape) -> Vec<Vec<Cell>> {
    let (ours, theirs) = (here(context, split, latent), paper(context, split, latent));
    if ours.0.len() < 2 {
        return Vec::new();
    }
    let certain = ours.certain();
    let row = |(i, &Place { kind, mean, .. }): (usize, &Place)| {
        let worse = certain.iter().filter(|&&(better, _)| better == kind).map(|(_, worse)| worse.label());
        let worse: Vec<_> = worse.collect();
        let worse = if worse.is_empty() { NONE.to_owned() } else { worse.join(", ") };
        let place = theirs.place(kind).map_or(NONE.to_owned(), |place| (place + 1).to_string());
        let place_here = (i + 1).to_string();
        let loss = format!("{} ({})", plus_minus(mean, 2), mean.n);
        [latent.to_string(), kind.label().into(), worse, place_here, place, loss].map(Cell::from).to_vec()
    };
    ours.0.iter().enumerate().map(row).collect()
}

fn ranking(context: &Context<'_>, split: Split, rows: Vec<Vec<Cell>>) -> Table {
    Table {
        id: format!("{}ranking-{}", context.prefix, split.name()),
        title: format!("Ranking by {} loss after {PAPER_EPOCHS} epochs", split.name()),
        note: format!(
            "A method is certainly better than another if Welch's t-test separates them, with Holm's correction for all pairs of \
             methods of the latent space: if all methods were equal, one or more such pairs would occur with a probability of at most \
             {LEVEL}. The variance between seeds is pooled over the runs here and the published ones, because the variance of three \
             runs is inaccurate."
        ),
        columns: ["Latent", "Method", "Certainly better than", "Place here", "Place in the paper", "Loss"]
            .map(String::from)
            .to_vec(),
        labels: 3,
        rows,
    }
}

/// The table with the numbers of pairs of methods whose order is certain here, in the paper and in
/// both, and with the pairs in which the two contradict each other.
fn agreement(context: &Context<'_>, split: Split) -> Table {
    let mut rows = Vec::new();
    for latent in table_latents() {
        let (ours, theirs) = (here(context, split, latent), paper(context, split, latent));
        let n = ours.0.len();
        if n < 2 {
            continue;
        }
        let has = |kind: &EstimatorKind| ours.place(*kind).is_some();
        let (a, mut b) = (ours.certain(), theirs.certain());
        b.retain(|(better, worse)| has(better) && has(worse));
        let both = a.iter().filter(|pair| b.contains(pair)).count();
        let contrary: Vec<_> = a
            .iter()
            .filter(|&&(x, y)| b.contains(&(y, x)))
            .map(|(x, y)| format!("{} < {}", x.label(), y.label()))
            .collect();
        let contrary = if contrary.is_empty() { "none".to_owned() } else { contrary.join("; ") };
        let counts = [n * (n - 1) / 2, a.len(), b.len(), both].map(|count| count.to_string());
        let mut row = vec![Cell::from(latent.to_string())];
        row.extend(counts.map(Cell::from));
        row.push(contrary.into());
        rows.push(row);
    }
    let columns = ["Latent", "Pairs", "Certain here", "Certain in the paper", "Certain in both, same order"];
    Table {
        id: format!("{}orderings-{}", context.prefix, split.name()),
        title: format!("Certain orderings by {} loss, here and in the paper", split.name()),
        note: "Pairs of the methods that have runs here, by the test of the table above; for the paper from its means, standard \
               errors and numbers of seeds. The last column lists the orderings here whose opposite is certain in the paper."
            .into(),
        columns: columns.iter().chain(&["Contradictions"]).map(|&name| name.to_owned()).collect(),
        labels: 1,
        rows,
    }
}

/// The table with the paper's two claims about the ranking, for each latent space.
fn claims(context: &Context<'_>, split: Split) -> Table {
    let mut rows = Vec::new();
    for latent in table_latents() {
        let (ours, theirs) = (here(context, split, latent), paper(context, split, latent));
        let new = "The better of ReinMax-Rao and ReinMax-CV is better than every earlier method";
        rows.extend(statement(latent, new, &ours, &theirs, is_new));
        if ["16x12", "64x8"].contains(&latent.to_string().as_str()) {
            let rao = |kind| kind == EstimatorKind::ReinMaxRao;
            rows.extend(statement(latent, "ReinMax-Rao is the best of all", &ours, &theirs, rao));
        }
    }
    Table {
        id: format!("{}claims-{}", context.prefix, split.name()),
        title: format!("The paper's claims, by {} loss", split.name()),
        note: "Section 4.3 of the paper says that ReinMax-Rao and ReinMax-CV “outperform previous estimators across most \
               configurations”, and that ReinMax-Rao is best at 16×12 and 64×8. Difference: the loss of the best method of the first \
               kind less that of the best of the others, in nats, with the combined standard error; below 0 supports the claim. \
               “confirmed” and “refuted”: at least two combined standard errors from 0; “open”: nearer, or without a standard error; \
               “incomplete”: a method has no run."
            .into(),
        columns: ["Latent", "Claim", "Here", "In the paper", "Difference here", "SE", "In the paper", "SE"]
            .map(String::from)
            .to_vec(),
        labels: 2,
        rows,
    }
}

/// A row on the claim that the best of the methods for which `first` holds is better than all others.
fn statement(
    latent: LatentShape,
    claim: &str,
    ours: &Ranking,
    theirs: &Ranking,
    first: impl Fn(EstimatorKind) -> bool,
) -> Option<Vec<Cell>> {
    let difference = |ranking: &Ranking| {
        let (a, b) = (ranking.best(&first)?, ranking.best(|kind| !first(kind))?);
        let error = a.estimate.zip(b.estimate).map(|(a, b)| a.error.hypot(b.error));
        Some((a.mean.mean - b.mean.mean, error))
    };
    let verdict = |ranking: &Ranking| match difference(ranking) {
        _ if ranking.0.len() < TABLE_METHODS.len() => "incomplete",
        Some((difference, Some(error))) if difference <= -2.0 * error => "confirmed",
        Some((difference, Some(error))) if difference >= 2.0 * error => "refuted",
        _ => "open",
    };
    if ours.0.len() < 2 {
        return None;
    }
    let numbers = |ranking: &Ranking| {
        let found = difference(ranking);
        [
            or_none(found.map(|(d, _)| d), |d| signed(d, 2)),
            or_none(found.and_then(|(_, e)| e), |e| decimals(e, 2)),
        ]
    };
    let texts = [latent.to_string(), claim.into(), verdict(ours).into(), verdict(theirs).into()];
    let numbers = numbers(ours).into_iter().chain(numbers(theirs));
    Some(texts.into_iter().chain(numbers).map(Cell::from).collect())
}

/// The losses here and in the paper, with a dot and an interval for each method.
fn figure(context: &Context<'_>, latent: LatentShape) -> Option<Figure> {
    let ours = here(context, Split::Train, latent);
    if ours.0.len() < 2 {
        return None;
    }
    let theirs = paper(context, Split::Train, latent);
    let trace = |name: &str, hue: usize, ranking: &Ranking, shift: f64| {
        let point = |(i, &kind): (usize, &EstimatorKind)| {
            let mean = ranking.0[ranking.place(kind)?].mean;
            let note = format!("{}, {name}: {} nats", kind.label(), plus_minus(mean, 2));
            Some(Point { x: i as f64 + shift, y: mean.mean, error: 2.0 * mean.error.unwrap_or(0.0), note })
        };
        let points = TABLE_METHODS.iter().enumerate().filter_map(point).collect();
        Trace { name: name.into(), look: Look { hue, variant: 0 }, points, marks: 1, ..Trace::default() }
    };
    let mut traces = vec![trace("here", 0, &ours, -0.12)];
    if !theirs.0.is_empty() {
        traces.push(trace("paper", 3, &theirs, 0.12));
    }
    Some(Figure {
        id: format!("{}ranking-{latent}", context.prefix),
        title: format!("{latent}: {} loss after {PAPER_EPOCHS} epochs", Split::Train.name()),
        caption: format!(
            "{} loss, here and in the paper. Bars: ± two standard errors; a mark without one is a single run. Best here: {}.",
            capital(Split::Train.name()),
            ours.0.first().map_or(NONE.into(), |best| format!(
                "{}, {}",
                best.kind.label(),
                nats(best.mean.mean)
            ))
        ),
        x_label: "method (RM: ReinMax)".into(),
        y_label: "train loss, nats per image".into(),
        x: Scale::Linear { low: f64::INFINITY },
        y: Scale::Linear { low: f64::INFINITY },
        x_names: TABLE_METHODS.iter().map(|kind| kind.label().replace("ReinMax-", "RM-")).collect(),
        zero: false,
        reach: 1.0,
        traces,
    })
}
