//! Atomic replacement of files.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` atomically: a temporary file in the same directory is written, synced
/// and renamed, and the directory is synced.
///
/// # Errors
/// [`Error::Io`], with the file and the operation that failed. `path` then has its previous
/// content.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, None, &mut || {})
}

/// Like [`write_atomically`], and moves the previous file at `path` to `keep`, if supplied.
/// `between` is called after each written piece and after each step; tests interrupt the function
/// there.
///
/// At every moment at least one of the two files is complete, and together they are either the old
/// or the new pair.
pub(crate) fn replace(
    path: &Path,
    bytes: &[u8],
    keep: Option<&Path>,
    between: &mut dyn FnMut(),
) -> Result<()> {
    let temporary = beside(path, ".tmp");
    write(&temporary, bytes, between).map_err(|e| {
        // The incomplete file is removed, for example to free a full disk. If the removal fails
        // too, the next write overwrites the file.
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
    // On Unix a directory can be opened like a file, and syncing it makes the rename durable.
    // Windows cannot sync a directory: there a power failure may undo the rename, and `path` then
    // has its previous content.
    #[cfg(unix)]
    {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|d| d.sync_all()).map_err(|e| Error::io("sync", directory, e))?;
    }
    Ok(())
}

/// `path` with `ending` appended to its name.
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

/// Gives the file at `path`, if it exists, the name `keep`. If the file system supports hard links,
/// `keep` becomes a second name, so that `path` is never missing; otherwise the file is renamed.
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
