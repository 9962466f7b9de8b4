//! The picture of the docs' front page, computed by the library and compared with the stored file.
//!
//! `HARDGRAD_WRITE_PICTURE=1 cargo test --release --lib guide::pictures` rewrites `front.svg`.

use crate::categorical::sample;
use crate::estimators::{At, Estimator, Noise, ReinMax, Scratch, StraightThrough};
use crate::exact::{Objective, Problem};
use std::fmt::Write;
use std::path::Path;

/// One colour per symbol, as on the explorer's page, with a contrast of at least 3 on the light and
/// the dark backgrounds of rustdoc.
const PI: &str = "#ad7d12";
const GUMBEL: &str = "#7f7fe0";
const SAMPLE: &str = "#1f9573";
const SLOPE: &str = "#c2609f";

/// f(D) = (a · D)², the problem of `03_straight_through`, and noise of about its median size.
const A: [f64; 3] = [1.0, -0.5, 2.0];
const LOGITS: [f64; 3] = [0.2, 0.9, -0.4];
const NOISE: [f64; 3] = [0.9, -0.4, 0.3];

fn slope(code: &[f64]) -> Vec<f64> {
    let score: f64 = code.iter().zip(A).map(|(d, a)| d * a).sum();
    A.iter().map(|a| 2.0 * score * a).collect()
}

fn objective() -> impl Objective {
    (
        |d: &[f64]| d.iter().zip(A).map(|(d, a)| d * a).sum::<f64>().powi(2),
        |d: &[f64], g: &mut [f64]| g.copy_from_slice(&slope(d)),
    )
}

/// The estimates for D = I_0, I_1 and I_2.
fn estimates(estimator: &dyn Estimator<f64>) -> Vec<Vec<f64>> {
    let noise = Noise::from_gumbel(vec![0.0; 3]); // the two estimators do not use it
    let of = |drawn| {
        let mut one_hot = [0.0; 3];
        one_hot[drawn] = 1.0;
        let at = At { logits: &LOGITS, one_hot: &one_hot, noise: &noise, categories: 3 };
        let mut dlogits = vec![0.0; 3];
        estimator.add_vjp(at, &slope(&one_hot), &mut dlogits, &mut Scratch::new());
        dlogits
    };
    (0..3).map(of).collect()
}

/// The coordinates of a gradient in the plane of rows that sum to 0: two orthonormal contrasts.
fn coordinates(gradient: &[f64]) -> (f64, f64) {
    let x = (gradient[0] - gradient[1]) / 2.0_f64.sqrt();
    let y = (gradient[0] + gradient[1] - 2.0 * gradient[2]) / 6.0_f64.sqrt();
    (x, y)
}

/// Map from that plane to pixels, with one scale for both axes.
struct Plane {
    low: (f64, f64),
    scale: f64,
}

impl Plane {
    /// The plane that shows all of `gradients` between (490, 60) and (820, 245).
    fn fitting<'a>(gradients: impl Iterator<Item = &'a Vec<f64>>) -> Self {
        let (mut low, mut high) = ((0.0_f64, 0.0_f64), (0.0_f64, 0.0_f64));
        for (x, y) in gradients.map(|gradient| coordinates(gradient)) {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
        Self { low, scale: (330.0 / (high.0 - low.0)).min(185.0 / (high.1 - low.1)) }
    }

    fn point(&self, gradient: &[f64]) -> (f64, f64) {
        let (x, y) = coordinates(gradient);
        (490.0 + self.scale * (x - self.low.0), 60.0 + self.scale * (y - self.low.1))
    }
}

/// One row per category: π, θ + G, D and g of one draw.
fn draw_panel(out: &mut String, pi: &[f64]) {
    let mut one_hot = [0.0; 3];
    sample(&LOGITS, &NOISE, 3, &mut one_hot);
    let g = slope(&one_hot);
    let heads =
        [(40, PI, "π = softmax(θ)"), (160, GUMBEL, "θ + G"), (275, SAMPLE, "D"), (345, SLOPE, "g = ∂f/∂D")];
    for (x, colour, text) in heads {
        writeln!(out, r#"<text x="{x}" y="60" fill="{colour}" font-weight="bold">{text}</text>"#).unwrap();
    }
    for i in 0..3 {
        let y = 80 + 62 * i;
        let middle = y + 22;
        let bar = |x: f64, width: f64, colour| {
            format!(r#"<rect x="{x:.1}" y="{y}" width="{width:.1}" height="30" rx="3" fill="{colour}"/>"#)
        };
        let label = |x: f64, text: String| format!(r#"<text x="{x:.1}" y="{middle}">{text}</text>"#);
        let total = LOGITS[i] + NOISE[i];
        let lines = [
            label(14.0, format!("{i}")),
            bar(40.0, 90.0 * pi[i], PI),
            label(46.0 + 90.0 * pi[i], format!("{:.2}", pi[i])),
            bar(175.0 + 30.0 * total.min(0.0), 30.0 * total.abs(), GUMBEL),
            label(181.0 + 30.0 * total.max(0.0), format!("{total:.1}").replace('-', "−")),
            bar(345.0 + 12.0 * (g[i].min(0.0) + 1.0), 12.0 * g[i].abs(), SLOPE),
            label(363.0 + 12.0 * g[i].max(0.0), format!("{:.0}", g[i]).replace('-', "−")),
        ];
        lines.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        let (fill, text) = if one_hot[i] == 1.0 { (SAMPLE, "1") } else { ("none", "0") };
        writeln!(
            out,
            r#"<rect x="275" y="{y}" width="30" height="30" rx="3" fill="{fill}" stroke="{SAMPLE}"/>"#
        )
        .unwrap();
        let ink = if one_hot[i] == 1.0 { "white" } else { "currentColor" };
        writeln!(out, r#"<text x="290" y="{middle}" text-anchor="middle" fill="{ink}">{text}</text>"#)
            .unwrap();
    }
}

/// The estimates of one estimator: a disc per D with the area π_D, and a ring around their mean.
fn estimate_marks(out: &mut String, plane: &Plane, pi: &[f64], estimates: &[Vec<f64>], colour: &str) {
    let mut mean = [0.0; 3];
    for (p, estimate) in pi.iter().zip(estimates) {
        mean.iter_mut().zip(estimate).for_each(|(mean, e)| *mean += p * e);
        let ((x, y), r) = (plane.point(estimate), 17.0 * p.sqrt());
        writeln!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="{r:.1}" fill="{colour}" fill-opacity="0.45"/>"#)
            .unwrap();
    }
    let (x, y) = plane.point(&mean);
    writeln!(
        out,
        r#"<circle cx="{x:.1}" cy="{y:.1}" r="6" fill="none" stroke="{colour}" stroke-width="3"/>"#
    )
    .unwrap();
}

fn front() -> String {
    let f = objective();
    let problem = Problem::new(&LOGITS, 3, &f).unwrap();
    let pi = problem.pi();
    let mut out = String::from(concat!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 290" width="100%" style="max-width:860px" "#,
        r#"font-family="sans-serif" font-size="14" fill="currentColor" role="img" aria-label="One draw D among three "#,
        r#"categories, and the estimates of Straight-Through and ReinMax beside the exact gradient">"#,
        "\n",
        r#"<text x="14" y="24" font-weight="bold">One draw: D is the largest of θ + G</text>"#,
        "\n",
        r#"<text x="460" y="24" font-weight="bold">Gradient estimates: a disc per D, a ring at the mean</text>"#,
        "\n",
    ));
    draw_panel(&mut out, pi);
    let reinmax = estimates(&ReinMax::new(1.0).unwrap());
    let st = estimates(&StraightThrough::new(1.0).unwrap());
    let plane = Plane::fitting(reinmax.iter().chain(&st));
    let (x0, y0) = plane.point(&[0.0; 3]);
    let (x1, y1) = plane.point(&problem.gradient());
    writeln!(
        out,
        r#"<path d="M{x0:.1},{y0:.1} L{x1:.1},{y1:.1}" stroke="currentColor" stroke-width="2.5"/>"#
    )
    .unwrap();
    estimate_marks(&mut out, &plane, pi, &st, "#3A96D8");
    estimate_marks(&mut out, &plane, pi, &reinmax, "#D55E00");
    writeln!(out, r#"<circle cx="{x1:.1}" cy="{y1:.1}" r="3"/>"#).unwrap();
    let legend = [
        ("currentColor", "exact gradient"),
        ("#3A96D8", "Straight-Through"),
        ("#D55E00", "ReinMax: its mean is exact, as f is quadratic"),
    ];
    for ((colour, text), x) in legend.into_iter().zip([330, 444, 570]) {
        writeln!(out, r#"<text x="{x}" y="282" font-size="13" fill="{colour}">{text}</text>"#).unwrap();
    }
    out + "</svg>\n"
}

#[test]
fn the_front_page_shows_what_the_library_computes() {
    let (picture, path) = (front(), Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/front.svg"));
    if std::env::var_os("HARDGRAD_WRITE_PICTURE").is_some() {
        std::fs::write(&path, &picture).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        picture,
        "src/guide/front.svg differs from the library's numbers"
    );
}
