//! `reproduce report`: the paper's tables and figures from the runs of a directory, beside the
//! published numbers.
//!
//! The report depends only on `results.jsonl`, `manifest.jsonl`, the file of `--bias-variance` and
//! the picture of one run: equal files give an equal report, byte by byte.

mod beta;
mod bias_variance;
mod coverage;
mod curves;
mod document;
mod evaluation;
mod groups;
mod html;
mod load;
mod markdown;
mod on_the_way;
mod provenance;
mod ranking;
mod tables;
mod variants;

use crate::lab::preset::Preset;
use crate::lab::published;
use document::{Block, Document, Section, count};
use groups::Group;
use hardgrad::estimators::EstimatorKind;
use hardgrad::files::write_atomically;
use load::Experiment;
use std::fs;
use std::path::{Path, PathBuf};
use tables::Context;

/// Writes `report/report.md`, `report/report.html` and a `.tsv` for each table below `out`. Returns
/// the path of the HTML page.
pub fn write(out: &Path, bias_variance: Option<&Path>) -> Result<PathBuf, String> {
    let experiment = Experiment::load(out)?;
    let document = document(&experiment, out, bias_variance)?;
    let directory = out.join("report");
    fs::create_dir_all(&directory)
        .map_err(|e| format!("cannot make the directory {}: {e}", directory.display()))?;
    remove_tables(&directory)?;
    let save = |name: &str, text: String| {
        write_atomically(&directory.join(name), text.as_bytes()).map_err(|e| e.to_string())
    };
    for table in document.tables() {
        save(&format!("{}.tsv", table.id), table.tsv())?;
    }
    save("report.md", markdown::render(&document))?;
    save("report.html", html::render(&document))?;
    Ok(directory.join("report.html"))
}

/// Removes the tables of an earlier report, because this report may not contain and overwrite all
/// of them.
fn remove_tables(directory: &Path) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot clear {}: {e}", directory.display());
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "tsv") {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

fn document(experiment: &Experiment, out: &Path, bias_variance: Option<&Path>) -> Result<Document, String> {
    let published = published::all()?;
    let planned = experiment.planned.as_deref().unwrap_or_default();
    let groups = groups::all(&experiment.results, planned);
    let mut sections = Vec::new();
    // The groups are sorted by data.
    let alike = |a: &Group<'_>, b: &Group<'_>| groups::images(a.dataset) == groups::images(b.dataset);
    let sets: Vec<_> = groups.chunk_by(alike).collect();
    for (i, of_data) in sets.iter().enumerate() {
        let prefix = if i == 0 { String::new() } else { format!("data-{}-", i + 1) };
        let mnist = load::is_mnist(of_data[0].dataset);
        let namesakes = sets.iter().filter(|set| set[0].dataset.name == of_data[0].dataset.name).count();
        let name =
            if namesakes == 1 { of_data[0].dataset.name.clone() } else { of_data[0].dataset.to_string() };
        sections.extend(on_data(&Context { groups: of_data, published: &published, mnist, prefix }, &name));
    }
    if let Some(path) = bias_variance {
        let blocks = bias_variance::blocks(path, &published)?;
        sections.push(Section {
            id: "bias-variance".into(),
            title: "Bias and variance of the gradients".into(),
            blocks,
        });
    }
    sections.extend(picture(&groups, out)?);
    let blocks = provenance::blocks(experiment);
    sections.push(Section { id: "provenance".into(), title: "Provenance of the numbers".into(), blocks });
    Ok(Document { title: "Beyond ReinMax, reproduced".into(), lede: lede(experiment), sections })
}

fn lede(experiment: &Experiment) -> Vec<String> {
    let planned =
        experiment.planned.as_ref().map_or(String::new(), |planned| format!(" of {} planned", planned.len()));
    vec![
        format!(
            "{}{planned} of the discrete VAE of Wang and Bui (2026), “Beyond ReinMax: Low-Variance Gradient Estimators for Discrete \
             Latent Variables” (arXiv:2603.08257), trained with hardgrad and compared with the numbers of the paper, which are licensed \
             CC BY 4.0.",
            count(experiment.results.len(), "run")
        ),
        "Losses are negative evidence lower bounds in nats per image; lower is better. The train loss is the mean of the \
         minibatch losses during the epoch, the test loss is computed at its end with one sample per image, as in the paper."
            .into(),
    ]
}

/// The sections on one data set, which is called `data`. Those without content are left out.
fn on_data(context: &Context<'_>, data: &str) -> Vec<Section> {
    let at_the_end = if context.groups.iter().any(|g| g.epochs == groups::PAPER_EPOCHS && g.is_any_cell()) {
        let mut blocks = vec![coverage::sentences(context)];
        blocks.extend(context.tables());
        blocks.extend(curves::differences(context));
        blocks.extend(coverage::minutes(context));
        blocks
    } else if !context.mnist {
        Vec::new()
    } else {
        let none = format!(
            "No run of {} epochs with the paper's hyper-parameters is planned or complete.",
            groups::PAPER_EPOCHS
        );
        vec![Block::Text(none)]
    };
    let earlier: Vec<_> = context.other_epochs().into_iter().chain(on_the_way::blocks(context)).collect();
    let parts = [
        ("tables", "Tables 2 and 3", at_the_end),
        ("ranking", "Ranking of the methods", ranking::blocks(context)),
        ("earlier", "After fewer epochs", earlier),
        ("curves", "Training curves", curves::blocks(context)),
        ("forms", "The forms of ReinMax-CV", variants::forms(context)),
        ("beta", "ReinMax-RK2 against β", beta::blocks(context)),
        ("grid", "The search for hyper-parameters", variants::grids(context)),
        ("evaluation", "Evaluation with fixed parameters", evaluation::blocks(context)),
        ("others", "Other runs", variants::others(context)),
    ];
    let parts = parts.into_iter().filter(|(.., blocks)| !blocks.is_empty());
    parts
        .map(|(id, title, blocks)| {
            let title = if context.mnist { title.to_owned() } else { format!("{title}: {data}") };
            Section { id: format!("{}{id}", context.prefix), title, blocks }
        })
        .collect()
}

/// The reconstructions of one run, if any run has them: of ReinMax in the first latent space of the
/// tables if they exist, otherwise of the first run in the tables' order.
fn picture(groups: &[Group<'_>], out: &Path) -> Result<Option<Section>, String> {
    let preferred = |group: &&Group<'_>| {
        group.kind() == EstimatorKind::ReinMax
            && group.is_cell(Preset::AsRun, group.kind(), group.config.vae.latent)
    };
    for group in groups.iter().filter(preferred).chain(groups) {
        for result in &group.runs {
            let path = result.run.directory(out).join("reconstructions.png");
            if !path.exists() {
                continue;
            }
            let png = fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            if !png.starts_with(b"\x89PNG\r\n\x1a\n") {
                return Err(format!(
                    "{}: this is not a PNG file; remove it or run the experiment again",
                    path.display()
                ));
            }
            let title = "Test images above their reconstructions".into();
            let caption = format!("{}, after {} epochs.", result.run.name, group.epochs);
            let blocks = vec![Block::Picture { title, caption, png }];
            return Ok(Some(Section {
                id: "reconstructions".into(),
                title: "Reconstructions".into(),
                blocks,
            }));
        }
    }
    Ok(None)
}
