//! Reading files of lines, such as JSON lines. All programs follow these rules: a line that is not
//! UTF-8 is an error with the number of the line, and blank lines are skipped.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// The lines of a file that are not blank, with their numbers from 1.
pub struct Lines(Vec<(usize, String)>);

impl Lines {
    /// Reads the whole file.
    pub fn read(path: &Path) -> Result<Self, String> {
        Self::read_if_there(path)?
            .ok_or_else(|| format!("cannot read {}: there is no such file", path.display()))
    }

    /// Reads the whole file. Returns `None` if there is none.
    pub fn read_if_there(path: &Path) -> Result<Option<Self>, String> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
        };
        let lines = bytes.split(|&byte| byte == b'\n').enumerate();
        let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
        let lines = lines.map(|(i, line)| {
            let text = std::str::from_utf8(line).map_err(|e| at(path, i + 1, format!("not UTF-8: {e}")))?;
            Ok((i + 1, text.trim_end_matches('\r').to_owned()))
        });
        lines.collect::<Result<_, _>>().map(|lines| Some(Self(lines)))
    }

    /// Each line's number and text.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.iter().map(|(number, text)| (*number, text.as_str()))
    }
}

/// Message about a line: "runs/results.jsonl, line 3: not a result".
pub fn at(path: &Path, number: usize, what: impl Display) -> String {
    format!("{}, line {number}: {what}", path.display())
}

/// Serde's message without its line number, which is 1 because Serde parses each line as a text of
/// its own.
pub fn in_a_line(message: String) -> String {
    message.replace(" at line 1 column", ", at column")
}
