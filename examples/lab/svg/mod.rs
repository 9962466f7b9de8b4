//! SVG charts with axes, ticks, labels, a legend, and one line or one kind of dot per series.

mod axis;
pub mod figure;

use axis::Axis;
use hardgrad::Error;
use hardgrad::files::write_atomically;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

pub use axis::Scale;

/// One line of a chart, or one kind of dot.
#[derive(Debug)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points (x, y), for a line in the order of x. A point whose y is NaN makes a gap.
    pub points: Vec<(f64, f64)>,
}

/// Marks that are drawn for the points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// A line through the points; the legend is in the order of the lines' last values.
    Line,
    /// One dot per point; the legend is in the order of the series.
    Dot,
}

/// A chart. All texts may contain SVG markup.
#[derive(Debug)]
pub struct Chart {
    /// Title above the plot.
    pub title: String,
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// Scale of the x axis.
    pub x: Scale,
    /// Scale of the y axis.
    pub y: Scale,
    /// Lines or dots.
    pub mark: Mark,
    /// Series of the chart.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 540.0;
/// Left, top, right and bottom edge of the plot.
const PLOT: [f64; 4] = [84.0, 56.0, 690.0, 474.0];
/// Seven colours that colour-blind readers can distinguish (Okabe and Ito). The next seven series
/// have these colours too, with dashed lines or hollow dots.
const COLOURS: [&str; 7] = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const DASHES: [&str; 3] = ["none", "7 4", "2 3"];

impl Chart {
    /// A chart with linear axes that begin at the smallest values.
    pub fn linear(title: String, [x, y]: [&str; 2], mark: Mark, series: Vec<Series>) -> Self {
        let own = Scale::Linear { low: f64::INFINITY };
        Self { title, x_label: x.into(), y_label: y.into(), x: own, y: own, mark, series }
    }

    /// Writes the SVG document to `path`, and creates the directories that do not exist.
    pub fn save(&self, path: &Path) -> hardgrad::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|e| Error::io("make the directory", directory, e))?;
        }
        write_atomically(path, self.to_svg().as_bytes())
    }

    /// The SVG document.
    pub fn to_svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let all = || self.series.iter().flat_map(|s| &s.points);
        let (x, y) = (Axis::new(self.x, all().map(|p| p.0)), Axis::new(self.y, all().map(|p| p.1)));
        self.frame(&mut svg, &x, &y);
        let mut order: Vec<_> = self.series.iter().enumerate().collect();
        if self.mark == Mark::Line {
            let end = |s: &Series| s.points.iter().rfind(|p| !p.1.is_nan()).map_or(0.0, |p| p.1);
            order.sort_by(|a, b| end(b.1).total_cmp(&end(a.1)));
        }
        for (row, (i, series)) in order.into_iter().enumerate() {
            let place = |p: &(f64, f64)| [across(x.part(p.0)), up(y.part(p.1))];
            let pieces = series.points.split(|p| p.1.is_nan()).filter(|piece| !piece.is_empty());
            let pieces = pieces.map(|piece| piece.iter().map(place).collect::<Vec<_>>());
            let [_, top, right, _] = PLOT;
            let (key, from) = (top + 12.0 + 22.0 * row as f64, right + 24.0);
            match self.mark {
                Mark::Line => {
                    pieces.for_each(|points| line(&mut svg, i, &points));
                    line(&mut svg, i, &[[from, key], [from + 32.0, key]]);
                }
                Mark::Dot => {
                    pieces.flatten().for_each(|p| dot(&mut svg, i, p));
                    dot(&mut svg, i, [from + 16.0, key]);
                }
            }
            text(&mut svg, [from + 42.0, key + 4.5], "start", &series.name);
        }
        svg + "</svg>\n"
    }

    /// Grid, axes, ticks and texts.
    fn frame(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let [left, top, right, bottom] = PLOT;
        let mut rule = |x1: f64, y1: f64, x2: f64, y2: f64, colour: &str| {
            let _ = writeln!(
                svg,
                "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
            );
        };
        y.ticks().iter().for_each(|t| rule(left, up(t.0), right, up(t.0), "#ddd"));
        x.ticks().iter().for_each(|t| rule(across(t.0), bottom, across(t.0), bottom + 5.0, "#222"));
        rule(left, bottom, right, bottom, "#222");
        rule(left, top, left, bottom, "#222");
        y.ticks().iter().for_each(|t| text(svg, [left - 8.0, up(t.0) + 4.5], "end", &t.1));
        x.ticks().iter().for_each(|t| text(svg, [across(t.0), bottom + 20.0], "middle", &t.1));
        text(svg, [0.5 * (left + right), bottom + 44.0], "middle", &self.x_label);
        let middle = 0.5 * (top + bottom);
        let _ = writeln!(svg, "<g transform=\"rotate(-90 24 {middle})\">");
        text(svg, [24.0, middle], "middle", &self.y_label);
        let _ = writeln!(svg, "</g>\n<g font-size=\"16\" font-weight=\"bold\">");
        text(svg, [left, 32.0], "start", &self.title);
        let _ = writeln!(svg, "</g>");
    }
}

fn across(part: f64) -> f64 {
    PLOT[0] + (PLOT[2] - PLOT[0]) * part
}

fn up(part: f64) -> f64 {
    PLOT[3] - (PLOT[3] - PLOT[1]) * part
}

fn line(svg: &mut String, i: usize, points: &[[f64; 2]]) {
    let (colour, dash) = (COLOURS[i % COLOURS.len()], DASHES[i / COLOURS.len() % DASHES.len()]);
    let points: Vec<_> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke-linejoin=\"round\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\" \
         stroke-width=\"2\" points=\"{}\"/>",
        points.join(" ")
    );
}

fn dot(svg: &mut String, i: usize, [x, y]: [f64; 2]) {
    let colour = COLOURS[i % COLOURS.len()];
    let fill = if i < COLOURS.len() { colour } else { "white" };
    let pen = format!("fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"2.5\"");
    let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" {pen}/>");
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, content: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>");
}
