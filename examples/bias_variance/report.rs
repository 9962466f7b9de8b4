//! Charts and tables of the lines, averaged over the training seeds.

use crate::lab::bias_variance::plan;
use crate::lab::bias_variance::record::{Line, What};
use crate::lab::error::RunError;
use crate::lab::svg::{Chart, Mark, Scale, Series};
use hardgrad::estimators::EstimatorConfig;
use hardgrad::files::write_atomically;
use std::fmt::Write as _;
use std::path::Path;

/// Function that returns one number of a line.
type Number = fn(&Line) -> Option<f64>;

/// ‖bias‖ / ‖exact‖, corrected for the remaining noise of the mean; 0 if that noise is larger.
const RELATIVE_BIAS: Number = |l| Some(l.bias_norm_corrected.unwrap_or(0.0) / l.exact_norm?);

/// ‖std‖ / ‖exact‖
const RELATIVE_SD: Number = |l| Some(l.sd_norm? / l.exact_norm?);

/// Values of table 1 for ReinMax, ST and ReinMax-Argmax.
const PRINTED: [f64; 3] = [7.400, 2.733, 2.873];

/// All lines, with a description of the run.
pub struct Report<'a> {
    /// Lines of all seeds and epochs.
    pub lines: &'a [Line],
    /// The latent space, the data and the run, for titles.
    pub run: String,
    /// Number K of conditional draws.
    pub draws: usize,
}

/// The files that are written.
pub const FILES: [&str; 7] = [
    "cosine.svg",
    "relative_sd.svg",
    "forms_cosine.svg",
    "forms_relative_sd.svg",
    "field_cosine.svg",
    "field_error.svg",
    "table.md",
];

impl Report<'_> {
    /// Writes all of them.
    pub fn save(&self, out: &Path) -> Result<(), RunError> {
        let [cosine, relative_sd, forms_cosine, forms_relative_sd, field_cosine, field_error, table] = FILES;
        for (configs, names) in [
            (plan::figure(self.draws), [cosine, relative_sd]),
            (plan::forms(self.draws), [forms_cosine, forms_relative_sd]),
        ] {
            let y = "cosine of the mean of the estimates and the exact gradient";
            self.chart(y, &configs, |l| l.cosine, &out.join(names[0]))?;
            let y = "relative standard deviation, |std| / |mean|";
            self.chart(y, &configs, |l| l.relative_sd, &out.join(names[1]))?;
        }
        let field = plan::field(self.draws);
        let y = "cosine of the expected estimate and the exact gradient";
        self.chart(y, &field, |l| l.cosine_corrected, &out.join(field_cosine))?;
        self.error_chart(&field, &out.join(field_error))?;
        Ok(write_atomically(&out.join(table), self.tables().as_bytes())?)
    }

    fn chart(
        &self,
        y_label: &str,
        configs: &[EstimatorConfig],
        number: Number,
        path: &Path,
    ) -> Result<(), RunError> {
        let series = configs.iter().map(|&config| {
            let at = |&epoch: &usize| (epoch as f64, self.mean(config, epoch, number).unwrap_or(f64::NAN));
            Series {
                name: What::of(config).label().replace("ReinMax-CV", "CV"),
                points: self.epochs().iter().map(at).collect(),
            }
        });
        let series = series.filter(|series| series.points.iter().any(|(_, y)| y.is_finite()));
        let chart = Chart {
            title: self.run.clone(),
            x_label: "epoch".into(),
            y_label: y_label.into(),
            x: Scale::Linear { low: 0.0 },
            y: Scale::Linear { low: 0.0 },
            mark: Mark::Line,
            series: series.collect(),
        };
        Ok(chart.save(path)?)
    }

    /// Bias and standard deviation after the last epoch, a point for each estimator.
    fn error_chart(&self, configs: &[EstimatorConfig], path: &Path) -> Result<(), RunError> {
        let Some(&epoch) = self.epochs().last() else { return Ok(()) };
        let series = configs.iter().filter_map(|&config| {
            let point = (self.mean(config, epoch, RELATIVE_BIAS)?, self.mean(config, epoch, RELATIVE_SD)?);
            Some(Series { name: What::of(config).label(), points: vec![point] })
        });
        let title = format!("{}, epoch {epoch}", self.run);
        let labels = ["|bias| / |exact gradient|", "standard deviation / |exact gradient|"];
        Ok(Chart::linear(title, labels, Mark::Dot, series.collect()).save(path)?)
    }

    /// The epochs in the lines.
    fn epochs(&self) -> Vec<usize> {
        let mut epochs: Vec<usize> = self.lines.iter().map(|line| line.what.epoch).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }

    /// One number of each seed.
    fn of(&self, config: EstimatorConfig, epoch: usize, number: Number) -> Vec<Option<f64>> {
        let lines = self.lines.iter().filter(|line| line.what.epoch == epoch && line.what.is(config));
        lines.map(number).collect()
    }

    /// The mean over the seeds, if every seed has the number.
    fn mean(&self, config: EstimatorConfig, epoch: usize, number: Number) -> Option<f64> {
        let values: Vec<f64> = self.of(config, epoch, number).into_iter().collect::<Option<_>>()?;
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    fn tables(&self) -> String {
        let first = self.lines.first().map(|line| &line.what);
        let (estimates, batch) = first.map_or((0, 0), |what| (what.estimates, what.batch));
        let mut seeds: Vec<String> = self.lines.iter().map(|line| line.what.seed.to_string()).collect();
        seeds.dedup();
        seeds.sort_unstable();
        seeds.dedup();
        let mut text = format!(
            "# Bias and variance of the estimators\n\n{}; {estimates} estimates on the first {batch} \
             training images, K = {}, means over the training seeds {}. A dash means that the number does not exist.\n",
            self.run,
            self.draws,
            seeds.join(", ")
        );
        let relative = self.lines.iter().filter_map(|l| Some(l.reference_se? / l.exact_norm?));
        let relative = relative.fold(0.0, f64::max);
        if let Some(samples) = first.and_then(|what| what.reference_samples) {
            let _ = writeln!(
                text,
                "\nThe codes are not enumerated. The reference is not the exact gradient but a mean of {samples} \
                 samples of local expectation; its standard error is at most {relative:.4} of its norm, the standard \
                 deviation of one sample at most {:.2} of it.",
                relative * (samples as f64).sqrt()
            );
        }
        self.table_1(&mut text);
        let figure = plan::figure(self.draws);
        let more: Vec<_> = plan::all(self.draws).into_iter().filter(|c| !figure.contains(c)).collect();
        for (title, number, decimals) in [
            ("cosine of the mean and the exact gradient", (|l| l.cosine) as Number, 3),
            ("relative standard deviation, ‖std‖ / ‖mean‖", |l| l.relative_sd, 2),
        ] {
            self.by_epoch(&mut text, &format!("Figure 1: {title}"), &figure, number, decimals);
            self.by_epoch(&mut text, &format!("Other estimators: {title}"), &more, number, decimals);
        }
        self.at_the_end(&mut text);
        text
    }

    /// A row for each estimator, a column for each epoch.
    fn by_epoch(
        &self,
        text: &mut String,
        title: &str,
        configs: &[EstimatorConfig],
        number: Number,
        decimals: usize,
    ) {
        let epochs = self.epochs();
        let heads: Vec<String> = epochs.iter().map(usize::to_string).collect();
        let _ = writeln!(
            text,
            "\n## {title}\n\n| epoch | {} |\n|---{}|",
            heads.join(" | "),
            "|---:".repeat(epochs.len())
        );
        for &config in configs {
            let cells: Vec<_> =
                epochs.iter().map(|&epoch| cell(self.mean(config, epoch, number), decimals)).collect();
            let _ = writeln!(text, "| {} | {} |", What::of(config).label(), cells.join(" | "));
        }
    }

    /// Table 1, in several normalisations, because the paper does not state which one it uses.
    fn table_1(&self, text: &mut String) {
        let Some(&epoch) = self.epochs().last() else { return };
        let _ = writeln!(
            text,
            "\n## Table 1, after {epoch} epochs, each seed\n\n| | printed | ‖std‖ / ‖mean‖ | ‖std‖ / ‖exact‖ | ‖std‖, loss averaged over \
             the batch | ‖std‖, loss summed |\n|---|---:|---:|---:|---:|---:|"
        );
        for (&config, printed) in plan::table().iter().zip(PRINTED) {
            let cells = |number: Number, decimals| {
                let cells: Vec<_> =
                    self.of(config, epoch, number).into_iter().map(|x| cell(x, decimals)).collect();
                cells.join(", ")
            };
            let _ = writeln!(
                text,
                "| {} | {printed:.3} | {} | {} | {} | {} |",
                What::of(config).label(),
                cells(|l| l.relative_sd, 3),
                cells(RELATIVE_SD, 3),
                cells(|l| l.sd_norm, 3),
                cells(|l| Some(l.sd_norm? * l.what.batch as f64), 1)
            );
        }
    }

    /// The table of bias and variance after the last epoch.
    fn at_the_end(&self, text: &mut String) {
        let Some(&epoch) = self.epochs().last() else { return };
        let _ = writeln!(
            text,
            "\n## Bias against variance after {epoch} epochs\n\nBias and standard deviation are relative to the exact gradient's norm; the \
             cosine and the bias are corrected for the remaining noise of the mean. √(bias² + sd²) is the error of one estimate.\n\n\
             | | cosine | standard error | bias | sd | √(bias² + sd²) | ms per estimate |\n|---|---:|---:|---:|---:|---:|---:|"
        );
        let error: Number = |l| Some(RELATIVE_BIAS(l)?.hypot(RELATIVE_SD(l)?));
        for config in plan::all(self.draws) {
            let value = |number, decimals| cell(self.mean(config, epoch, number), decimals);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                What::of(config).label(),
                value(|l| l.cosine_corrected, 3),
                value(|l| l.cosine_se, 3),
                value(|l| Some(l.bias_norm_corrected? / l.exact_norm?), 3),
                value(RELATIVE_SD, 2),
                value(error, 2),
                value(|l| Some(1e3 * l.seconds / l.what.estimates as f64), 2)
            );
        }
    }
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or("–".into(), |x| format!("{x:.decimals$}"))
}
