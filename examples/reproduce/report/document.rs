//! A report as sections of text, tables and figures, before it becomes Markdown, TSV or HTML: all three show the same cells.

use crate::lab::svg::figure::Figure;

/// The whole report.
pub struct Document {
    /// Above everything.
    pub title: String,
    /// What it is, and what was found.
    pub lede: Vec<String>,
    /// In reading order.
    pub sections: Vec<Section>,
}

/// A heading with what is below it.
pub struct Section {
    /// For links.
    pub id: String,
    /// The heading.
    pub title: String,
    /// In reading order.
    pub blocks: Vec<Block>,
}

/// A part of a section.
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A list.
    Items(Vec<String>),
    /// A table.
    Table(Table),
    /// Figures side by side where there is room, with one legend.
    Figures(Vec<Figure>),
    /// A picture of pixels.
    Picture {
        /// What it shows.
        title: String,
        /// How to read it.
        caption: String,
        /// The PNG file.
        png: Vec<u8>,
    },
}

/// A table, and a file `{id}.tsv`.
pub struct Table {
    /// Name of its file.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// Headings; the first `labels` columns are names, the others numbers.
    pub columns: Vec<String>,
    /// How many columns name the row.
    pub labels: usize,
    /// As many cells a row as columns.
    pub rows: Vec<Vec<Cell>>,
}

/// The place among the methods of a column, as the paper marks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Bold.
    Best,
    /// Underlined.
    Second,
    /// Italic.
    Third,
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// As it stands in every output.
    pub text: String,
    /// Its place in its column.
    pub rank: Option<Rank>,
    /// Drawn out as further from the published number than the spread explains.
    pub far: bool,
}

impl Document {
    /// Every table.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
            Block::Table(table) => Some(table),
            _ => None,
        })
    }
}

impl Table {
    /// The cells as tab-separated text, after a line of headings.
    pub fn tsv(&self) -> String {
        let line = |cells: Vec<&str>| cells.join("\t").replace('\n', " ") + "\n";
        let rows = self.rows.iter().map(|row| line(row.iter().map(|cell| cell.text.as_str()).collect()));
        line(self.columns.iter().map(String::as_str).collect()) + &rows.collect::<String>()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text: text.replace(['\t', '\n', '\r'], " "), ..Self::default() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// Shown where a number does not exist.
pub const NONE: &str = "–";

/// With so many decimals, and no minus before a zero.
pub fn decimals(x: f64, decimals: usize) -> String {
    let text = format!("{x:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| matches!(c, '0' | '.')) => zero.to_owned(),
        _ => text,
    }
}

/// A loss: two decimals.
pub fn nats(x: f64) -> String {
    decimals(x, 2)
}

/// With its sign.
pub fn signed(x: f64, places: usize) -> String {
    let text = decimals(x, places);
    if x > 0.0 { format!("+{text}") } else { text }
}

/// The number, or [`NONE`].
pub fn or_none(x: Option<f64>, show: impl Fn(f64) -> String) -> String {
    x.map_or_else(|| NONE.to_owned(), show)
}

/// `1 run`, `2 runs`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
