//! Tests of the registry's consistency, and of the tables in the documentation that repeat it.

use super::*;
use crate::categorical;
use crate::estimators::{At, Noise, Scratch};

/// The table in `src/estimators/table.md`, which the docs include and the README repeats.
fn table() -> String {
    let mut text = String::from(
        "| name | ∂f/∂θ of one latent variable | equation | bias | evaluations of f | type |\n|---|---|---|---|---|---|\n",
    );
    for entry in EstimatorKind::ALL.iter().map(|kind| kind.entry()) {
        let Entry { name, formula, equation, bias, passes, type_name, .. } = entry;
        text += &format!("| `{name}` | {formula} | {equation} | {bias} | {passes} | `{type_name}` |\n");
    }
    text
}

/// `HARDGRAD_WRITE_TABLE=1 cargo test --lib registry` rewrites both tables.
#[test]
fn the_written_tables_match_the_registry() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (path, table) = (here.join("src/estimators/table.md"), table());
    let stored = std::fs::read_to_string(&path).unwrap();
    let readme = std::fs::read_to_string(here.join("README.md")).unwrap();
    if std::env::var_os("HARDGRAD_WRITE_TABLE").is_some() {
        assert!(readme.contains(&stored), "README.md does not contain the previous table");
        std::fs::write(here.join("README.md"), readme.replace(&stored, &table)).unwrap();
        std::fs::write(&path, &table).unwrap();
        return;
    }
    assert_eq!(stored, table, "src/estimators/table.md differs from the registry");
    assert!(readme.contains(&table), "README.md does not contain src/estimators/table.md");
}

#[test]
fn every_default_is_valid_and_its_text_parses_to_it() {
    for &kind in EstimatorKind::ALL {
        let config = kind.default_config();
        assert_eq!((config.kind(), kind.name().parse::<EstimatorKind>().unwrap()), (kind, kind));
        config.build::<f32>().unwrap();
        let mut again = kind.default_config();
        for Parameter { name, value, about, .. } in config.parameters() {
            assert!(about.ends_with('.'), "{kind} {name}: {about}");
            again.set(name, &value).unwrap();
            let e = again.set(name, "nonsense").unwrap_err().to_string();
            assert!(e.starts_with(&format!("{name}: got nonsense, expected ")), "{e}");
        }
        assert_eq!(again, config);
        let stored = serde_json::to_string(&config).unwrap();
        assert!(stored.contains(&format!("\"{kind}\"")), "{stored}");
        assert_eq!(serde_json::from_str::<EstimatorConfig>(&stored).unwrap(), config);
    }
}

/// A row that builds a wrong estimator would pass every other test.
#[test]
fn every_estimator_at_the_sample_has_a_distinct_gradient() {
    let (logits, g, c) = ([0.3, -0.4, 0.9, 0.1, 0.2, -1.0], [0.5, -0.3, 0.8, 0.2, 0.7, -0.9], 3);
    let noise = Noise::from_gumbel(vec![0.1, 0.9, -0.2, 0.3, 0.4, 2.5]).with_key(3);
    let mut one_hot = [0.0; 6];
    categorical::sample(&logits, noise.gumbel(), c, &mut one_hot);
    let mut seen: Vec<(EstimatorKind, [f64; 12])> = Vec::new();
    for &kind in EstimatorKind::ALL {
        let mut config = kind.default_config();
        // ReinMax-RK2 with its default β is ReinMax at τ = 1. Other values distinguish the
        // estimators.
        for (name, value) in [("tau", "0.8"), ("beta", "0.3"), ("draws", "5")] {
            let _ = config.set(name, value);
        }
        let BuiltEstimator::Sample(estimator) = config.build::<f64>().unwrap() else { continue };
        let mut dlogits = [0.0; 6];
        let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: c };
        estimator.add_vjp(at, &g, &mut dlogits, &mut Scratch::new());
        assert!(dlogits.iter().all(|&x| x != 0.0), "{kind}: {dlogits:?}");
        // The plain relaxation and the straight-through one differ in their samples.
        let mut both = [0.0; 12];
        both[..6].copy_from_slice(&dlogits);
        estimator.sample(&logits, &noise, c, &mut both[6..]);
        let alike =
            seen.iter().find(|(_, other)| other.iter().zip(&both).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(alike.is_none(), "{kind} gives the gradient of {}", alike.unwrap().0);
        seen.push((kind, both));
    }
    assert!(seen.len() >= 10);
}
