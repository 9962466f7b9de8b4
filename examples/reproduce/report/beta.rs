//! Figure 2: the loss of ReinMax-RK2 against β.

use super::document::{Block, Cell, NONE, Table, nats};
use super::groups::{Group, look, training};
use super::tables::{Context, plus_minus, show};
use crate::lab::published::Split;
use crate::lab::svg::Scale;
use crate::lab::svg::figure::{Figure, Look, Point, Trace};
use hardgrad::estimators::{EstimatorConfig, EstimatorKind, Rk2Form};

const FORMS: [Rk2Form; 3] = [Rk2Form::AuthorCode, Rk2Form::Projected, Rk2Form::Eq27];

/// Number of epochs after which the paper compares the values of β.
const PAPER_EPOCHS: usize = 50;

/// The groups of one figure, which differ in form and β only.
struct Sweep<'a> {
    latent: String,
    epochs: usize,
    training: String,
    groups: Vec<(Rk2Form, f64, &'a Group<'a>)>,
}

/// A figure and a table for each latent space and training configuration.
pub fn blocks(context: &Context<'_>) -> Vec<Block> {
    let mut sweeps: Vec<Sweep<'_>> = Vec::new();
    for group in context.groups {
        let EstimatorConfig::ReinMaxRk2 { form, beta } = group.config.estimator else { continue };
        let (latent, epochs, training) = (group.latent(), group.epochs, training(group.config));
        let same = |s: &&mut Sweep<'_>| (&s.latent, s.epochs, &s.training) == (&latent, epochs, &training);
        match sweeps.iter_mut().find(same) {
            Some(sweep) => sweep.groups.push((form, beta, group)),
            None => sweeps.push(Sweep { latent, epochs, training, groups: vec![(form, beta, group)] }),
        }
    }
    sweeps.iter_mut().for_each(|sweep| sweep.groups.sort_by(|a, b| a.1.total_cmp(&b.1)));
    sweeps.iter().enumerate().flat_map(|(i, sweep)| sweep.blocks(context, i)).collect()
}

impl Sweep<'_> {
    fn blocks(&self, context: &Context<'_>, i: usize) -> Vec<Block> {
        let id = format!("{}beta-{}-{}-epochs-{}", context.prefix, self.latent, self.epochs, i + 1);
        let mut blocks = Vec::new();
        if self.groups.iter().any(|(.., group)| !group.runs.is_empty()) {
            blocks.push(Block::Figures(vec![self.figure(context, format!("{id}-figure"))]));
        }
        blocks.push(Block::Table(self.table(context, id)));
        blocks
    }

    /// β and loss of the published curve, if it is of runs with this configuration.
    fn published(&self, context: &Context<'_>) -> Vec<(f64, f64)> {
        let of_these = context.mnist && self.epochs == PAPER_EPOCHS;
        let curve = context
            .published
            .iter()
            .filter(|p| of_these && p.source == "figure-2" && p.latent == self.latent);
        curve.filter_map(|p| Some((p.at?, p.value))).collect()
    }

    fn forms(&self) -> impl Iterator<Item = Rk2Form> {
        FORMS.into_iter().filter(|&form| self.groups.iter().any(|&(other, ..)| other == form))
    }

    fn figure(&self, context: &Context<'_>, id: String) -> Figure {
        let mut traces: Vec<_> = self.forms().map(|form| self.trace(form)).collect();
        let published = self.published(context);
        if !published.is_empty() {
            let points = published.iter().map(|&(x, y)| Point {
                x,
                y,
                error: 0.0,
                note: format!("published, β {x}: {} nats", nats(y)),
            });
            let look = Look { hue: 2, variant: 1 };
            let name = "published (author-code, 5 seeds)".into();
            traces.push(Trace { name, look, points: points.collect(), band: vec![], line: false, marks: 1 });
        }
        Figure {
            id,
            title: format!("ReinMax-RK2, {}: train loss after {} epochs against β", self.latent, self.epochs),
            caption: format!(
                "{}. Dots: mean over seeds; bars: ± one standard error, where there is more than one run. β = ½ is ReinMax. {}",
                self.training,
                if published.is_empty() {
                    ""
                } else {
                    "The published curve contains the stored values that are known."
                }
            ),
            x_label: "β".into(),
            y_label: "train loss, nats per image".into(),
            x: Scale::Linear { low: f64::INFINITY },
            y: Scale::Linear { low: f64::INFINITY },
            x_names: Vec::new(),
            zero: false,
            reach: f64::INFINITY,
            traces,
        }
    }

    fn trace(&self, form: Rk2Form) -> Trace {
        let name = form.name();
        let own = self.groups.iter().filter(|&&(other, ..)| other == form);
        let points = own.map(|(_, beta, group)| {
            let mean = group.end(Split::Train);
            Point {
                x: *beta,
                y: mean.map_or(f64::NAN, |mean| mean.mean),
                error: mean.and_then(|mean| mean.error).unwrap_or(0.0),
                note: mean.map_or_else(String::new, |mean| {
                    format!("{name}, β {beta}: {} nats ({})", plus_minus(mean, 2), group.count())
                }),
            }
        });
        let look = match form {
            Rk2Form::AuthorCode => look(EstimatorKind::ReinMax),
            Rk2Form::Projected => Look { hue: 1, variant: 0 },
            Rk2Form::Eq27 => Look { hue: 3, variant: 0 },
        };
        Trace { name: name.into(), look, points: points.collect(), band: vec![], line: true, marks: 1 }
    }

    fn table(&self, context: &Context<'_>, id: String) -> Table {
        let published = self.published(context);
        let mut betas: Vec<f64> =
            self.groups.iter().map(|g| g.1).chain(published.iter().map(|p| p.0)).collect();
        betas.sort_by(f64::total_cmp);
        betas.dedup();
        let rows = betas.into_iter().map(|beta| {
            let mut row: Vec<Cell> = vec![beta.to_string().into()];
            for (form, split) in self.forms().flat_map(|form| Split::ALL.map(|split| (form, split))) {
                let group = self.groups.iter().find(|g| g.0 == form && g.1 == beta);
                row.push(group.map_or(NONE.into(), |g| show(g.2, split)));
            }
            if !published.is_empty() {
                row.push(published.iter().find(|p| p.0 == beta).map_or(NONE.into(), |p| nats(p.1).into()));
            }
            row
        });
        let forms = self
            .forms()
            .flat_map(|form| Split::ALL.map(|split| format!("{}, {}", form.name(), split.name())));
        let stored = (!published.is_empty()).then(|| "published, train".to_owned());
        Table {
            id,
            title: format!("ReinMax-RK2, {}, after {} epochs", self.latent, self.epochs),
            note: format!(
                "Nats per image: mean ± standard error (runs). {}. “author-code” made the published figure; only “projected” has \
                 the mean of eq. 26 at every β.",
                self.training
            ),
            columns: std::iter::once("β".to_owned()).chain(forms).chain(stored).collect(),
            labels: 1,
            rows: rows.collect(),
        }
    }
}
