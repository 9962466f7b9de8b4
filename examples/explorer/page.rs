//! Assembly of the page from its parts.

use super::{losses, reference};
use serde_json::json;

/// The scripts in reading order: each uses those before it.
const SCRIPTS: [&str; 20] = [
    include_str!("kernels.js"),
    include_str!("noise.js"),
    include_str!("losses.js"),
    include_str!("mve.js"),
    include_str!("estimators.js"),
    include_str!("scores.js"),
    include_str!("evaluate.js"),
    include_str!("training.js"),
    include_str!("drawing.js"),
    include_str!("plots.js"),
    include_str!("state.js"),
    include_str!("view.js"),
    include_str!("training-view.js"),
    include_str!("gumbel.js"),
    include_str!("rule.js"),
    include_str!("paths.js"),
    include_str!("temperature.js"),
    include_str!("expression.js"),
    include_str!("advisor.js"),
    include_str!("controls.js"),
];

/// The page, with style, constants and scripts inside.
pub fn assemble() -> String {
    let script = format!("const constants = {};\n\n{}", constants(), SCRIPTS.join("\n"));
    include_str!("page.html")
        .replace("/* page.css */", include_str!("page.css"))
        .replace("/* constants and scripts */", &script)
        .replace("{version}", env!("CARGO_PKG_VERSION"))
}

/// What the page must have in common with the library.
fn constants() -> serde_json::Value {
    json!({
        "weights": losses::WEIGHTS,
        "centers": losses::CENTERS,
        "decoder": {
            "first": losses::FIRST,
            "first_bias": losses::FIRST_BIAS,
            "second": losses::SECOND,
            "second_bias": losses::SECOND_BIAS,
            "target": losses::TARGET,
        },
        "seed": reference::SEED,
        "rows": reference::ROWS,
        "draws_given": reference::DRAWS_GIVEN.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}
