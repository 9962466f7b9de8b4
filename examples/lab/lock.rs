//! Lock file that allows one process per directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

/// A locked file. It is unlocked when this value is dropped, and by the kernel when the process
/// ends in any way.
pub struct Lock(File);

/// Result of an attempt to lock.
pub enum Attempt {
    /// The lock, and the number of an earlier process that ended without unlocking it, if there is
    /// one.
    Taken(Lock, Option<String>),
    /// Another process holds the lock.
    Held(String),
}

impl Lock {
    /// Tries to lock the file, and writes the number of this process into it.
    pub fn take(path: &Path) -> io::Result<Attempt> {
        // The file is not truncated here, because it may contain the number of the process that
        // holds the lock.
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let taken = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            // On a file system without locks the run continues without a lock.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => true,
            Err(TryLockError::Error(e)) => return Err(e),
        };
        let mut holder = String::new();
        // Windows does not allow reading a file that another process has locked, so there the
        // number of that process is not known.
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
    /// Empties the file, which means that the lock was released. (The file is not removed, because
    /// another process may have locked it.)
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}
