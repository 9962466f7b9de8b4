//! Line charts as SVG, written by hand: axes, ticks, labels, one line a series, and a legend in the order of the lines' ends.

use std::fmt::Write as _;

/// One line of a chart.
#[derive(Debug)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// (x, y), by ascending x.
    pub points: Vec<(f64, f64)>,
}

/// A chart whose y axis is logarithmic.
#[derive(Debug)]
pub struct LogChart {
    /// Above the plot. May hold SVG markup, as may all texts.
    pub title: String,
    /// Below the x axis.
    pub x_label: String,
    /// Along the y axis.
    pub y_label: String,
    /// Where the y axis begins: smaller values are drawn there.
    pub floor: f64,
    /// The lines.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 540.0;
/// The plot's left, top, right and bottom edge.
const PLOT: [f64; 4] = [84.0, 56.0, 690.0, 474.0];
/// Seven colours that stay apart for colour-blind readers (Okabe and Ito); the next seven lines have the same, dashed.
const COLOURS: [&str; 7] = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const DASHES: [&str; 3] = ["none", "7 4", "2 3"];

impl LogChart {
    /// The SVG document.
    pub fn to_svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let all = || self.series.iter().flat_map(|s| &s.points);
        let x_end = all().fold(f64::MIN_POSITIVE, |m, p| m.max(p.0));
        let y_top = all().fold(self.floor, |m, p| m.max(p.1)).log10().mul_add(2.0, 0.1).ceil() / 2.0;
        let y_low = self.floor.log10();
        let [left, top, right, bottom] = PLOT;
        let x_at = |x: f64| left + (right - left) * x / x_end;
        let y_at = |log: f64| bottom - (bottom - top) * (log.max(y_low) - y_low) / (y_top - y_low);
        self.axes(&mut svg, x_end, x_at, [y_low, y_top], y_at);

        let mut order: Vec<_> = self.series.iter().enumerate().collect();
        let end = |s: &Series| s.points.last().map_or(0.0, |p| p.1);
        order.sort_by(|a, b| end(b.1).total_cmp(&end(a.1)));
        for (row, (i, series)) in order.into_iter().enumerate() {
            let points: Vec<_> = series
                .points
                .iter()
                .map(|&(x, y)| format!("{:.1},{:.1}", x_at(x), y_at(y.log10())))
                .collect();
            let dash = DASHES[i / COLOURS.len() % DASHES.len()];
            let pen = format!(
                "stroke=\"{}\" stroke-dasharray=\"{dash}\" stroke-width=\"2\"",
                COLOURS[i % COLOURS.len()]
            );
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke-linejoin=\"round\" {pen} points=\"{}\"/>",
                points.join(" ")
            );
            let y = top + 12.0 + 22.0 * row as f64;
            let (from, to) = (right + 24.0, right + 56.0);
            let _ = writeln!(svg, "<line x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\" {pen}/>");
            text(&mut svg, [to + 10.0, y + 4.5], "start", &series.name);
        }
        svg + "</svg>\n"
    }

    fn axes(
        &self,
        svg: &mut String,
        x_end: f64,
        x_at: impl Fn(f64) -> f64,
        [y_low, y_top]: [f64; 2],
        y_at: impl Fn(f64) -> f64,
    ) {
        let [left, top, right, bottom] = PLOT;
        let mut line = |x1: f64, y1: f64, x2: f64, y2: f64, colour: &str| {
            let _ = writeln!(
                svg,
                "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
            );
        };
        let decades: Vec<_> = (y_low.ceil() as i32..=y_top.floor() as i32).collect();
        decades.iter().for_each(|&d| line(left, y_at(d.into()), right, y_at(d.into()), "#ddd"));
        let step = round_step(x_end / 6.0);
        let ticks: Vec<_> = (0..).map(|k| f64::from(k) * step).take_while(|&x| x <= x_end * 1.0001).collect();
        ticks.iter().for_each(|&x| line(x_at(x), bottom, x_at(x), bottom + 5.0, "#222"));
        line(left, bottom, right, bottom, "#222");
        line(left, top, left, bottom, "#222");
        for d in decades {
            let sign = if d < 0 { "−" } else { "" };
            let label = format!("10<tspan dy=\"-5\" font-size=\"10\">{sign}{}</tspan>", d.abs());
            text(svg, [left - 8.0, y_at(d.into()) + 4.5], "end", &label);
        }
        ticks.iter().for_each(|&x| text(svg, [x_at(x), bottom + 20.0], "middle", &x.to_string()));
        text(svg, [0.5 * (left + right), bottom + 44.0], "middle", &self.x_label);
        let middle = 0.5 * (top + bottom);
        let _ = writeln!(svg, "<g transform=\"rotate(-90 24 {middle})\">");
        text(svg, [24.0, middle], "middle", &self.y_label);
        let _ = writeln!(svg, "</g>\n<g font-size=\"16\" font-weight=\"bold\">");
        text(svg, [left, 32.0], "start", &self.title);
        let _ = writeln!(svg, "</g>");
    }
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, content: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>");
}

/// The largest of 1, 2 and 5 times a power of ten that is at most `x`.
fn round_step(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    [5.0, 2.0].into_iter().map(|k| k * power).find(|&step| step <= x).unwrap_or(power)
}
