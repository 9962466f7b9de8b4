//! The explorer's page as a file, and its command line. `tests/browser/run` tests the content of
//! the page in a browser.

use crate::command_line::example;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

fn explorer(dir: &Path, args: &[&str]) -> Output {
    Command::new(example("explorer")).current_dir(dir).args(args).output().unwrap()
}

/// The library's numbers for these settings of one panel, or the error message.
fn answer(panel: &str, settings: &[Value]) -> Result<Vec<Value>, String> {
    let dir = tempfile::tempdir().unwrap();
    let questions: Vec<Value> = settings.iter().map(|setting| json!({ panel: setting })).collect();
    std::fs::write(dir.path().join("settings.json"), json!(questions).to_string()).unwrap();
    let output = explorer(dir.path(), &["--answer", "settings.json"]);
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    assert_eq!(output.status.code(), Some(1));
    Err(String::from_utf8(output.stderr).unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn the_page_is_one_file_without_links() {
    let dir = tempfile::tempdir().unwrap();
    let output = explorer(dir.path(), &[]);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"explorer.html\n");
    let page = std::fs::read_to_string(dir.path().join("explorer.html")).unwrap();
    assert!(page.len() < 5_000_000);
    for left in ["/* page.css */", "/* constants and scripts */", "{version}"] {
        assert!(!page.contains(left), "{left} was not filled in");
    }
    let outside = page.replace("http://www.w3.org/2000/svg", ""); // a name, not an address
    for link in ["http:", "https:", "src=", "@import", "url(", "import("] {
        assert!(!outside.contains(link), "{link}");
    }
    let nowhere = explorer(dir.path(), &["--out", "no/such/directory/page.html"]);
    assert_eq!(nowhere.status.code(), Some(1));
    let message = String::from_utf8(nowhere.stderr).unwrap();
    assert!(message.contains("no/such/directory/page.html"), "{message}");
}

/// The numbers with which the page is compared agree with what is known: ReinMax has no bias on a
/// quadratic loss, and the coupled control variate's mean lies within five standard errors of
/// ReinMax's.
#[test]
fn the_reference_numbers_agree_with_known_results() {
    let setting = |estimator: Value| json!({ "categories": 3, "loss": "quadratic", "theta": [0.4, -0.3, 0.1], "estimator": estimator });
    let settings = [
        setting(json!({ "reinmax": { "tau": 1.0 } })),
        setting(json!({ "reinmax-cv": { "form": "coupled", "tau": 1.0, "draws": 2, "eta": 1.0 } })),
        setting(json!({ "rebar": { "tau": 0.5, "eta": 1.0 } })),
    ];
    let answers = answer("evaluate", &settings).unwrap();
    let exact = numbers(&answers[0]["exact"]);
    for (mean, exact) in numbers(&answers[0]["mean"]).iter().zip(&exact) {
        assert!((mean - exact).abs() < 1e-15, "{mean} and {exact}");
    }
    for drawn in &answers[1..] {
        for (j, (mean, exact)) in numbers(&drawn["mean"]).iter().zip(&exact).enumerate() {
            let standard_error = drawn["covariance_of_mean"][j][j].as_f64().unwrap().sqrt();
            assert!(
                standard_error > 0.0 && (mean - exact).abs() < 5.0 * standard_error,
                "{mean} and {exact}"
            );
        }
    }
}

/// Areas by hand: the slope 2 − 3t + 4t³ has the area 3/2, its ends are 2 and 3, and its middle is
/// 1.
#[test]
fn reference_areas_of_the_rules() {
    let slope = |t: f64| 2.0 - 3.0 * t + 4.0 * t * t * t;
    let values: Vec<f64> = (0..4).map(|k| slope(f64::from(k) / 3.0)).collect();
    let areas = &answer("rule", &[json!({ "values": values, "beta": 0.25 })]).unwrap()[0];
    for (name, expected) in [
        ("exact", 1.5),
        ("rectangle", 2.0),
        ("trapezoid", 2.5),
        ("beta", 2.25),
        ("midpoint", 1.0),
        ("simpson", 1.5),
    ] {
        let area = areas[name].as_f64().unwrap();
        assert!((area - expected).abs() < 1e-14, "{name}: {area}"); // some ten roundings of numbers up to 20
    }
}

/// A masked category is never drawn, and the others as often as they should be.
#[test]
fn reference_draws_of_gumbel_max() {
    let setting = json!({ "theta": [0.0, null, 3.0_f64.ln()], "seed": 1, "draws": 4000 });
    let drawn = &answer("gumbel", &[setting]).unwrap()[0];
    assert_eq!(drawn["counts"][1], 0);
    assert!(numbers(&drawn["pi"]).iter().zip([0.25, 0.0, 0.75]).all(|(pi, p)| (pi - p).abs() < 1e-15));
    let share = drawn["counts"][0].as_f64().unwrap() / 4000.0;
    assert!((share - 0.25).abs() < 5.0 * (0.25 * 0.75 / 4000.0_f64).sqrt(), "{share}");
    let all_masked = json!({ "theta": [null, null], "seed": 1, "draws": 1 });
    let message = answer("gumbel", &[all_masked]).unwrap_err();
    assert!(message.contains("expected a category that is not masked"), "{message}");
}

/// One step of gradient descent with the exact gradient of a linear loss: w₁ − w₂ = 2 and π = ½ for
/// the two categories with equal logits, while the third has nearly no probability.
#[test]
fn reference_states_of_training() {
    let setting = |changes: Value| {
        let mut setting = json!({
            "loss": "linear", "theta": [[0.0, 0.0, -60.0]], "estimator": null, "optimizer": "sgd",
            "rate": 0.5, "batch": 1, "seed": 1, "report": [0, 1],
        });
        setting.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        setting
    };
    let states = &answer("train", &[setting(json!({}))]).unwrap()[0];
    let theta = numbers(&states[1]["theta"][0]);
    // ∂/∂θ₁ = π₁ π₂ (w₁ − w₂) = ¼ · 2
    assert!((theta[0] + 0.25).abs() < 1e-15 && (theta[1] - 0.25).abs() < 1e-15, "{theta:?}");
    let straight_through = setting(json!({ "estimator": { "st": { "tau": 1.0 } } }));
    let states = &answer("train", &[straight_through]).unwrap()[0];
    let theta = numbers(&states[1]["theta"][0]);
    assert!((theta[0] + 0.25).abs() < 1e-15, "ST is exact for a linear loss: {theta:?}");
    for (change, expected) in [
        (json!({ "theta": [[0.0, 0.0]] }), "expected 1 to 3 variables of 3 categories"),
        (json!({ "batch": 0 }), "batch: got 0, expected at least 1"),
        (json!({ "optimizer": "sgdm" }), "unknown variant `sgdm`"),
    ] {
        let message = answer("train", &[setting(change)]).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn settings_that_the_page_cannot_have_are_errors() {
    let wrong = |change: Value| {
        let mut setting = json!({ "categories": 3, "loss": "linear", "theta": [0.0, 0.0, 0.0], "estimator": { "st": { "tau": 1.0 } } });
        setting.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        answer("evaluate", &[setting]).unwrap_err()
    };
    for (change, expected) in [
        (json!({ "categories": 4 }), "categories: got 4, expected 2, 3 or 8"),
        (json!({ "theta": [0.0] }), "theta: got 1 numbers, expected 3"),
        (json!({ "samples": 1 }), "samples: got 1, expected 2 to 800"),
        (json!({ "loss": "quartic" }), "unknown variant `quartic`"),
        (json!({ "estimator": { "st": { "tau": 0.0 } } }), "tau: got 0, expected a finite number > 0"),
        (
            json!({ "estimator": { "gumbel-rao": { "tau": 1.0, "draws": 101 } } }),
            "draws: got 101, expected 1 to 100",
        ),
        (json!({ "estimator": "exact" }), "expected one that the page has"),
    ] {
        let message = wrong(change);
        assert!(message.contains(expected), "{message}");
    }
}
