//! One process to a directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

/// A file that is locked while this lives. The kernel gives the lock back when the process ends, however it ends.
pub struct Lock(File);

/// Result of an attempt to lock.
pub enum Attempt {
    /// The lock, and the process that died with it, if one did.
    Taken(Lock, Option<String>),
    /// Another process holds the lock.
    Held(String),
}

impl Lock {
    /// Tries to take it, and writes this process's number into the file.
    pub fn take(path: &Path) -> io::Result<Attempt> {
        // The holder's number must survive our opening the file.
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let taken = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            // A file system without locks: better no lock than no run.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => true,
            Err(TryLockError::Error(e)) => return Err(e),
        };
        let mut holder = String::new();
        // A number has few digits; whatever else is in there is not one. Windows lets nobody read a file that another process has
        // locked: there the holder stays unnamed.
        let number = (&file).take(20).read_to_string(&mut holder).is_ok();
        let holder = Some(holder.trim().to_string()).filter(|h| number && h.parse::<u32>().is_ok());
        if !taken {
            return Ok(Attempt::Held(
                holder.map_or("another process".into(), |pid| format!("process {pid}")),
            ));
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Attempt::Taken(Self(file), holder))
    }
}

impl Drop for Lock {
    /// An empty file says that nobody died. (The file stays: removing it could remove another process's.)
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}
