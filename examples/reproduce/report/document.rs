//! A report as sections of text, tables and figures, from which Markdown, TSV and HTML are written
//! with equal cells.

use crate::lab::svg::figure::Figure;

/// The whole report.
pub struct Document {
    /// Title of the report.
    pub title: String,
    /// Introductory paragraphs.
    pub lede: Vec<String>,
    /// Sections in reading order.
    pub sections: Vec<Section>,
}

/// A heading with its content.
pub struct Section {
    /// Anchor for links.
    pub id: String,
    /// The heading.
    pub title: String,
    /// Content in reading order.
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
        /// Content of the picture.
        title: String,
        /// Explanation of the picture.
        caption: String,
        /// The PNG file.
        png: Vec<u8>,
    },
}

/// A table, and a file `{id}.tsv`.
pub struct Table {
    /// Name of the file.
    pub id: String,
    /// Content of the table.
    pub title: String,
    /// Explanation of the numbers.
    pub note: String,
    /// Headings; the first `labels` columns are names, the others numbers.
    pub columns: Vec<String>,
    /// Number of columns that name the row.
    pub labels: usize,
    /// Rows, each with one cell per column.
    pub rows: Vec<Vec<Cell>>,
}

/// Rank of a method in its column, marked as in the paper.
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
    /// Text in every output.
    pub text: String,
    /// Rank in the column.
    pub rank: Option<Rank>,
    /// Whether the cell is marked as further from the published number than the spread explains.
    pub far: bool,
}

impl Document {
    /// All tables of the report.
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

/// The number with so many decimals, and no minus sign before a zero.
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

/// The number with its sign.
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
