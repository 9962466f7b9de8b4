//! The report as Markdown.

use super::document::{Block, Cell, Document, Rank, Table};
use std::fmt::Write as _;

/// The whole file.
pub fn render(document: &Document) -> String {
    let mut out = format!("# {}\n", text(&document.title));
    for paragraph in &document.lede {
        let _ = write!(out, "\n{}\n", text(paragraph));
    }
    for section in &document.sections {
        let _ = write!(out, "\n## {}\n", text(&section.title));
        section.blocks.iter().for_each(|one| out += &block(one));
    }
    out
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(paragraph) => format!("\n{}\n", text(paragraph)),
        Block::Items(items) => {
            let lines: String = items.iter().map(|item| format!("- {}\n", text(item))).collect();
            format!("\n{lines}")
        }
        Block::Table(one) => table(one),
        Block::Figures(figures) => {
            let line = |title: &str, caption: &str| {
                format!("\n*{}* (a figure of report.html). {}\n", text(title), text(caption))
            };
            figures.iter().map(|figure| line(&figure.title, &figure.caption)).collect()
        }
        Block::Picture { title, caption, .. } => {
            format!("\n*{}* (a picture in report.html). {}\n", text(title), text(caption))
        }
    }
}

fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = (0..table.columns.len()).map(|i| if i < table.labels { "---" } else { "---:" }.to_owned());
    let mut out = format!("\n### {}\n\n{}\n\n", text(&table.title), text(&table.note));
    out += &line(table.columns.iter().map(|name| text(name)).collect());
    out += &line(rule.collect());
    table.rows.iter().for_each(|row| out += &line(row.iter().map(cell).collect()));
    let _ = write!(out, "\n(`{}.tsv`)\n", table.id);
    out
}

fn cell(cell: &Cell) -> String {
    let text = text(&cell.text);
    match cell.rank {
        Some(Rank::Best) => format!("**{text}**"),
        Some(Rank::Second) => format!("<u>{text}</u>"),
        Some(Rank::Third) => format!("*{text}*"),
        None => text,
    }
}

/// Escapes text, because names of runs, machines and files can contain any character.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' => out.extend(['\\', c]),
            '<' => out += "&lt;",
            '&' => out += "&amp;",
            '\n' | '\r' | '\t' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}
