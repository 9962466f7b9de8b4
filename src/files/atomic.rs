//! Files that are replaced whole or not at all.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` through a temporary file in the same directory: written, synced, renamed, directory synced.
///
/// # Errors
/// [`Error::Io`] naming the file and the step that failed; `path` then holds what it held before.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, None, &mut || {})
}

/// [`write_atomically`]; what `path` held before is then in `keep`, if given. `between` is called between the pieces that are
/// written and between the steps: a test stops there.
///
/// At every moment one of the two files is whole, and which they are at `path` and `keep` is either the old or the new pair.
pub(crate) fn replace(
    path: &Path,
    bytes: &[u8],
    keep: Option<&Path>,
    between: &mut dyn FnMut(),
) -> Result<()> {
    let temporary = beside(path, ".tmp");
    write(&temporary, bytes, between).map_err(|e| {
        // Half a file on a full disk helps nobody. If it cannot be removed either, the next write overwrites it.
        let _ = fs::remove_file(&temporary);
        Error::io("write", &temporary, e)
    })?;
    between();
    if let Some(keep) = keep {
        set_aside(path, keep).map_err(|e| Error::io("rename", path, e))?;
        between();
    }
    fs::rename(&temporary, path).map_err(|e| Error::io("rename to", path, e))?;
    between();
    // On Unix a directory opens like a file, and syncing it makes the rename itself durable. Windows cannot sync a directory:
    // there a power failure may undo the rename, and the file before it stands at `path`.
    #[cfg(unix)]
    {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|d| d.sync_all()).map_err(|e| Error::io("sync", directory, e))?;
    }
    Ok(())
}

/// `path` with `ending` behind its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn write(path: &Path, bytes: &[u8], between: &mut dyn FnMut()) -> io::Result<()> {
    const PIECES: usize = 8;
    let mut file = File::create(path)?;
    for piece in bytes.chunks(bytes.len().div_ceil(PIECES).max(1)) {
        file.write_all(piece)?;
        between();
    }
    file.sync_all()
}

/// Lets `keep` name what `path` names, if there is such a file: a second name where the file system has that, so that
/// `path` is never missing, and else a new one.
fn set_aside(path: &Path, keep: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory; expected a file"));
    }
    if !path.exists() {
        return Ok(());
    }
    match fs::remove_file(keep) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::hard_link(path, keep).or_else(|_| fs::rename(path, keep))
}
