//! Charts as parts of an HTML page. The page defines the colours of the classes `hue-0` to `hue-6`,
//! and contains the legend.

use super::axis::{Axis, Scale};
use maud::{Markup, PreEscaped, html};
use std::fmt::Write as _;

/// The number of colours and shapes.
pub const HUES: usize = 7;

/// The largest [`Look::variant`] with a style of its own.
pub const LAST_VARIANT: usize = 3;

/// Style of a trace: a hue and shape for each method, which are equal in all figures, and a variant
/// for its forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    /// Colour and shape, below [`HUES`].
    pub hue: usize,
    /// 0: solid line and filled shapes; from 1: dashed line and hollow shapes.
    pub variant: usize,
}

/// A point with the text that is shown when the pointer is on it.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// Position along the x axis.
    pub x: f64,
    /// Position along the y axis; NaN is a gap in the line.
    pub y: f64,
    /// Half the length of the error bar; 0 for none.
    pub error: f64,
    /// Text that is shown when the pointer is on the point.
    pub note: String,
}

/// Points of one method.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Name in the legend.
    pub name: String,
    /// Colour and shape.
    pub look: Look,
    /// Points in the order of x.
    pub points: Vec<Point>,
    /// (x, low, high): an area behind the line. NaN is a gap.
    pub band: Vec<[f64; 3]>,
    /// Whether a line joins the points.
    pub line: bool,
    /// Number of points from one shape to the next; 0 for no shapes.
    pub marks: usize,
}

/// A chart of a page.
#[derive(Clone, Debug)]
pub struct Figure {
    /// `id` of the element in the page.
    pub id: String,
    /// Title above the figure.
    pub title: String,
    /// Explanation below the figure.
    pub caption: String,
    /// Label of the x axis, with the unit.
    pub x_label: String,
    /// Label of the y axis, with the unit.
    pub y_label: String,
    /// Scale of the x axis.
    pub x: Scale,
    /// Scale of the y axis.
    pub y: Scale,
    /// Labels of the x axis at 0, 1, … in place of numbers; empty for numbers.
    pub x_names: Vec<String>,
    /// Whether a stronger line is drawn at y = 0.
    pub zero: bool,
    /// Length of the error bars up to which the y axis is extended; longer ones are clipped.
    pub reach: f64,
    /// Traces; the first is drawn at the bottom.
    pub traces: Vec<Trace>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Left, top, right and bottom edge of the plot.
const PLOT: [f64; 4] = [76.0, 40.0, 616.0, 338.0];

impl Figure {
    /// The figure as SVG. The axes have the range of the points; what is outside of it is clipped.
    pub fn svg(&self) -> Markup {
        let points = || self.traces.iter().flat_map(|trace| &trace.points).filter(|p| !p.y.is_nan());
        let edges = [-0.6, self.x_names.len() as f64 - 0.4];
        let x = match self.x_names.len() {
            0 => Axis::new(self.x, points().map(|p| p.x)),
            _ => Axis::exactly(edges, 1.0),
        };
        let zero = self.zero.then_some(0.0);
        let reach = |p: &Point| p.error.min(self.reach);
        let heights = points().flat_map(|p| [p.y - reach(p), p.y + reach(p)]).chain(zero);
        let place = Place { x, y: Axis::new(self.y, heights) };
        let (title, description) = (format!("{}-title", self.id), format!("{}-description", self.id));
        html! {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby=(title) aria-describedby=(description) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.y_label) " against " (self.x_label) ". " (self.caption) }
                (self.frame(&place))
                @for trace in &self.traces { (trace.area(&place)) }
                @for trace in &self.traces { (trace.draw(&place)) }
            }
        }
    }

    /// Draws grid, axes, ticks and labels.
    fn frame(&self, place: &Place) -> Markup {
        let [left, top, right, bottom] = PLOT;
        let x_ticks = match self.x_names.as_slice() {
            [] => place.x.ticks(),
            names => {
                names.iter().enumerate().map(|(i, name)| (place.x.part(i as f64), escaped(name))).collect()
            }
        };
        let minus = |label: &str| PreEscaped(label.replace('-', "−").replace("dy=\"−", "dy=\"-"));
        html! {
            g.grid {
                @for (y, _) in place.y.ticks() { (rule([left, up(y), right, up(y)])) }
                @if self.zero { g.zero { (rule([left, up(place.y.part(0.0)), right, up(place.y.part(0.0))])) } }
            }
            g.axis {
                (rule([left, bottom, right, bottom]))
                @for (x, _) in &x_ticks { (rule([across(*x), bottom, across(*x), bottom + 5.0])) }
                @for (y, label) in place.y.ticks() {
                    text.tick x=(left - 8.0) y=(fixed(up(y))) dy="0.34em" text-anchor="end" { (minus(&label)) }
                }
                @for (x, label) in &x_ticks {
                    text.tick x=(fixed(across(*x))) y=(bottom + 9.0) dy="0.8em" text-anchor="middle" { (minus(label)) }
                }
                text x="4" y=(top - 20.0) { (self.y_label) }
                text x=(right) y=(HEIGHT - 8.0) text-anchor="end" { (self.x_label) }
            }
        }
    }
}

/// Positions of numbers in the drawing.
struct Place {
    x: Axis,
    y: Axis,
}

impl Place {
    fn at(&self, x: f64, y: f64) -> [f64; 2] {
        [across(self.x.part(x)), up(self.y.part(y))]
    }
}

impl Trace {
    fn classes(&self) -> String {
        format!("hue-{} variant-{}", self.look.hue % HUES, self.look.variant.min(LAST_VARIANT))
    }

    /// Draws the band, which consists of several parts if it has gaps.
    fn area(&self, place: &Place) -> Markup {
        let mut d = String::new();
        for piece in self.band.split(|b| b.iter().any(|x| x.is_nan())).filter(|piece| piece.len() > 1) {
            let lower = piece.iter().rev().map(|&[x, low, _]| place.at(x, low));
            let upper = piece.iter().map(|&[x, _, high]| place.at(x, high));
            d += &path(upper.chain(lower));
            d.push('Z');
        }
        html! { @if !d.is_empty() { path class={ "band " (self.classes()) } d=(d) {} } }
    }

    /// Draws the line, the error bars and the shapes.
    fn draw(&self, place: &Place) -> Markup {
        let pieces = self.points.split(|p| p.y.is_nan()).filter(|piece| piece.len() > 1);
        let line: String = pieces.map(|piece| path(piece.iter().map(|p| place.at(p.x, p.y)))).collect();
        let every = self.marks.max(1);
        let marked = self.points.iter().enumerate().filter(|(i, p)| {
            // A point between two gaps has no line, so it gets a shape.
            let alone = |j: Option<usize>| j.and_then(|j| self.points.get(j)).is_none_or(|p| p.y.is_nan());
            let isolated = alone(i.checked_sub(1)) && alone(i.checked_add(1));
            !p.y.is_nan() && ((self.marks > 0 && (i + 1) % every == 0) || isolated)
        });
        html! {
            g class=(self.classes()) {
                @if self.line && !line.is_empty() { path.line d=(line) {} }
                @for (_, point) in marked {
                    @let [x, y] = place.at(point.x, point.y);
                    g.point {
                        @if !point.note.is_empty() { title { (point.note) } }
                        @if point.error > 0.0 {
                            @let (low, high) = (place.at(0.0, point.y - point.error)[1], place.at(0.0, point.y + point.error)[1]);
                            path.error d={ "M" (fixed(x)) " " (fixed(low)) "V" (fixed(high)) } {}
                        }
                        path.mark d=(shape(self.look.hue, [x, y])) {}
                    }
                }
            }
        }
    }

    /// Line and shape of the trace for the legend.
    pub fn key(&self) -> Markup {
        html! {
            svg.key viewBox="0 0 30 14" width="30" height="14" aria-hidden="true" {
                g class=(self.classes()) {
                    @if self.line { path.line d="M1 7H29" {} }
                    @if self.marks > 0 { path.mark d=(shape(self.look.hue, [15.0, 7.0])) {} }
                }
            }
        }
    }
}

/// The shape of a hue, about 9 units wide.
fn shape(hue: usize, [x, y]: [f64; 2]) -> String {
    let corners = |corners: &[[f64; 2]]| path(corners.iter().map(|[dx, dy]| [x + dx, y + dy])) + "Z";
    match hue % HUES {
        0 => format!("M{} {}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", fixed(x - 4.0), fixed(y)),
        1 => corners(&[[-3.7, -3.7], [3.7, -3.7], [3.7, 3.7], [-3.7, 3.7]]),
        2 => corners(&[[0.0, -5.0], [4.8, 3.6], [-4.8, 3.6]]),
        3 => corners(&[[0.0, -5.3], [5.3, 0.0], [0.0, 5.3], [-5.3, 0.0]]),
        4 => corners(&[[0.0, 5.0], [4.8, -3.6], [-4.8, -3.6]]),
        5 => corners(&[[-5.4, -2.2], [5.4, -2.2], [5.4, 2.2], [-5.4, 2.2]]),
        _ => corners(&[[-2.2, -5.4], [2.2, -5.4], [2.2, 5.4], [-2.2, 5.4]]),
    }
}

fn path(points: impl Iterator<Item = [f64; 2]>) -> String {
    let mut d = String::new();
    for (i, [x, y]) in points.enumerate() {
        let _ = write!(d, "{}{} {}", if i == 0 { 'M' } else { 'L' }, fixed(x), fixed(y));
    }
    d
}

fn rule([x1, y1, x2, y2]: [f64; 4]) -> Markup {
    html! { path d={ "M" (fixed(x1)) " " (fixed(y1)) "L" (fixed(x2)) " " (fixed(y2)) } {} }
}

fn fixed(x: f64) -> String {
    format!("{x:.1}")
}

fn escaped(text: &str) -> String {
    html! { (text) }.into_string()
}

fn across(part: f64) -> f64 {
    PLOT[0] + (PLOT[2] - PLOT[0]) * part
}

fn up(part: f64) -> f64 {
    PLOT[3] - (PLOT[3] - PLOT[1]) * part
}
