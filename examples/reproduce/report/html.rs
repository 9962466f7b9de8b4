//! The report as one HTML file that needs no other file.

use super::document::{Block, Cell, Document, Rank, Section, Table};
use crate::lab::svg::figure::{Figure, Trace};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The whole file.
pub fn render(document: &Document) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // The page sends no request, not even for an icon.
                link rel="icon" href="data:,";
                title { (document.title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { (typeset(&document.title)) }
                    @for paragraph in &document.lede { p.lede { (typeset(paragraph)) } }
                    nav aria-label="Contents" {
                        ol { @for section in &document.sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                    }
                }
                main { @for one in &document.sections { (section(one)) } }
            }
        }
    };
    page.into_string() + "\n"
}

fn section(section: &Section) -> Markup {
    html! {
        section id=(section.id) {
            h2 { (typeset(&section.title)) }
            @for block in &section.blocks {
                @match block {
                    Block::Text(text) => { p { (typeset(text)) } }
                    Block::Items(items) => { ul { @for item in items { li { (typeset(item)) } } } }
                    Block::Table(one) => { (table(one)) }
                    Block::Figures(all) => { (figures(all)) }
                    Block::Picture { title, caption, png } => {
                        figure.picture {
                            h3 { (typeset(title)) }
                            img alt=(title) src={ "data:image/png;base64," (STANDARD.encode(png)) };
                            figcaption { (typeset(caption)) }
                        }
                    }
                }
            }
        }
    }
}

fn table(table: &Table) -> Markup {
    let kind = |i: usize| if i < table.labels { "name" } else { "number" };
    html! {
        h3.title id={ (table.id) "-title" } { (typeset(&table.title)) }
        div.table tabindex="0" role="region" aria-labelledby={ (table.id) "-title" } {
            table id=(table.id) aria-labelledby={ (table.id) "-title" } {
                thead {
                    tr { @for (i, name) in table.columns.iter().enumerate() { th scope="col" class=(kind(i)) { (typeset(name)) } } }
                }
                tbody {
                    @for (i, row) in table.rows.iter().enumerate() {
                        tr.group[i > 0 && row.first() != table.rows[i - 1].first()] {
                            @for (i, one) in row.iter().enumerate() { (cell(one, i < table.labels)) }
                        }
                    }
                }
            }
        }
        p.note { (typeset(&table.note)) " (" code { (table.id) ".tsv" } ")" }
    }
}

fn cell(cell: &Cell, name: bool) -> Markup {
    let text = typeset(&cell.text);
    let text = match cell.rank {
        Some(Rank::Best) => html! { b { (text) } },
        Some(Rank::Second) => html! { u { (text) } },
        Some(Rank::Third) => html! { i { (text) } },
        None => text,
    };
    html! {
        @if name { th scope="row" class="name" { (text) } }
        @else { td class=(if cell.far { "number far" } else { "number" }) { (text) } }
    }
}

/// The figures below one legend that lists the lines of all of them.
fn figures(figures: &[Figure]) -> Markup {
    let mut keys: Vec<&Trace> = Vec::new();
    for trace in figures.iter().flat_map(|figure| &figure.traces) {
        if !keys.iter().any(|key| key.name == trace.name) {
            keys.push(trace);
        }
    }
    html! {
        div.figures {
            ul.legend { @for trace in keys { li { (trace.key()) (typeset(&trace.name)) } } }
            div.panels {
                @for one in figures {
                    figure id=(one.id) {
                        h3 { (typeset(&one.title)) }
                        (one.svg())
                        figcaption { (typeset(&one.caption)) }
                    }
                }
            }
        }
    }
}

/// The escaped text, with minus signs instead of hyphens before numbers.
fn typeset(text: &str) -> Markup {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let minus = c == '-' && matches!(before, ' ' | '(') && rest.peek().is_some_and(char::is_ascii_digit);
        out.push(if minus { '−' } else { c });
        before = c;
    }
    html! { (out) }
}
