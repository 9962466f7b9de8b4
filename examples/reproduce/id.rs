//! Ids of runs: twelve hexadecimal digits, a hash of a run's config, images and number of epochs.
//!
//! Two schemes are accepted, so that runs which an earlier version planned or computed can be
//! continued:
//!
//! - [`id`], which new runs get, is a hash of the options that differ from their defaults. A new option that has its default
//!   changes no id.
//! - [`earlier`], which earlier versions gave to runs, is a hash of the whole config as JSON. It is
//!   computed here from the options of those versions; a run with another option cannot have such
//!   an id.
//!
//! Both are the first 48 bits of a SHA-256: among a million runs the probability of two equal ids
//! is 0.2 %, and `plan` reports such a pair as an error. The hash includes the numbers of images
//! and their checksums, not the name of the data. Only a run that was planned before the checksum
//! of the test images was recorded has the name in its place.

use hardgrad::data::DatasetId;
use hardgrad::estimators::EstimatorConfig;
use hardgrad::train::TrainConfig;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The id of a run.
pub fn id(config: &TrainConfig, dataset: &DatasetId, epochs: usize) -> String {
    let DatasetId { name, train, test, crc32, test_crc32 } = dataset;
    let mut text = format!("estimator {}\n", config.estimator.kind());
    changed(config).for_each(|line| text += &format!("{line}\n"));
    let test_images = test_crc32.as_ref().unwrap_or(name);
    text += &format!("images {train} {crc32} {test} {test_images}\nepochs {epochs}\n");
    digest(&text)
}

/// Whether this is the run's id in one of the two schemes.
pub fn is_id(id: &str, config: &TrainConfig, dataset: &DatasetId, epochs: usize) -> bool {
    id == self::id(config, dataset, epochs)
        || earlier(config, dataset, epochs).is_some_and(|other| id == other)
}

/// The config's lines that differ from those of the same estimator's defaults.
fn changed(config: &TrainConfig) -> impl Iterator<Item = String> {
    let estimator = config.estimator.kind().default_config();
    let defaults = TrainConfig { estimator, ..TrainConfig::default() }.to_string();
    let lines: Vec<_> = config.to_string().lines().map(str::to_owned).collect();
    lines.into_iter().filter(move |line| !defaults.lines().any(|default| default == line))
}

/// The options that a config had under the earlier scheme. This list never changes.
const OPTIONS: [&str; 9] =
    ["pixels", "hidden", "latent", "tau_schedule", "optimizer", "lr", "clip_norm", "batch_size", "seed"];

/// The hyper-parameters that estimators had under the earlier scheme.
const PARAMETERS: [&str; 9] = ["tau", "draws", "gap", "form", "beta", "eta", "lambda", "rao_tau", "baseline"];

/// The id in the earlier scheme; `None` if an option that the scheme does not have differs from its
/// default.
fn earlier(config: &TrainConfig, dataset: &DatasetId, epochs: usize) -> Option<String> {
    let known = |line: &String| {
        let key = line.split(' ').next().unwrap_or_default();
        let parameter = key.strip_prefix("estimator.");
        parameter.map_or(OPTIONS.contains(&key), |name| PARAMETERS.contains(&name))
    };
    if !changed(config).all(|line| known(&line)) {
        return None;
    }
    let TrainConfig { vae, tau_schedule, optimizer, lr, clip_norm, batch_size, seed, .. } = config;
    let vae = format!(
        r#"{{"pixels":{},"hidden":{},"latent":{}}}"#,
        vae.pixels,
        json(&vae.hidden),
        json(&vae.latent)
    );
    let config = format!(
        r#"{{"vae":{vae},"estimator":{},"tau_schedule":{},"optimizer":{},"lr":{},"clip_norm":{},"batch_size":{batch_size},"seed":{seed}}}"#,
        earlier_estimator(&config.estimator),
        json(tau_schedule),
        json(optimizer),
        json(lr),
        json(clip_norm),
    );
    let DatasetId { train, test, crc32, test_crc32, .. } = dataset;
    let images = match test_crc32 {
        Some(test_crc32) => json(&(train, crc32, test, test_crc32)),
        None => json(dataset),
    };
    Some(digest(&format!("[{config},{images},{epochs}]")))
}

fn earlier_estimator(estimator: &EstimatorConfig) -> String {
    let (name, parameters) = (estimator.kind().name(), estimator.parameters());
    let value = serde_json::to_value(estimator).unwrap_or_default();
    let fields = parameters.iter().filter(|parameter| PARAMETERS.contains(&parameter.name));
    let fields: Vec<_> = fields.map(|p| format!("{:?}:{}", p.name, value[name][p.name])).collect();
    match &fields[..] {
        [] => format!("{name:?}"),
        fields => format!("{{{name:?}:{{{}}}}}", fields.join(",")),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and names are JSON")
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text)[..6])
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
