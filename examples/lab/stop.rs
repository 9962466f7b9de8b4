//! Signals that stop a run: it finishes the current step and saves a checkpoint.

use super::error::RunError;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether a signal has asked the run to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Registers handlers for the signals with which users, terminals and schedulers end a program:
    /// SIGINT and SIGTERM, and on Unix SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU. Ctrl-C twice ends the
    /// program at once. On Windows only Ctrl-C (SIGINT) reaches a program: there is no other
    /// signal, and closing the console ends it as a kill does, with the last checkpoint saved.
    ///
    /// SIGHUP is not handled if the program was started with it ignored, as by `nohup`, and on
    /// systems other than Linux, where that cannot be determined. A file that grows beyond its size
    /// limit is an error of the write, not SIGXFSZ.
    pub fn watch() -> Result<Self, RunError> {
        Self::register().map_err(|e| RunError::machine(format!("cannot watch for signals: {e}")))
    }

    fn register() -> io::Result<Self> {
        let stop = Self::default();
        // In this order: the first SIGINT must find the flag not set.
        let twice = Arc::new(AtomicBool::new(false));
        flag::register_conditional_default(SIGINT, Arc::clone(&twice))?;
        flag::register(SIGINT, twice)?;
        for signal in [SIGINT, SIGTERM] {
            stop.on(signal)?;
        }
        // Windows has none of these signals.
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
            for signal in [SIGUSR1, SIGUSR2, SIGXCPU] {
                stop.on(signal)?;
            }
            if !is_ignored(SIGHUP) {
                stop.on(SIGHUP)?;
            }
            flag::register(SIGXFSZ, Arc::default())?;
        }
        Ok(stop)
    }

    fn on(&self, signal: i32) -> io::Result<()> {
        flag::register_usize(signal, Arc::clone(&self.0), signal as usize).map(drop)
    }

    /// The last signal, if any arrived.
    pub fn signal(&self) -> Option<i32> {
        // No other memory depends on the flag.
        i32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|&signal| signal != 0)
    }
}

/// Whether the program was started with the signal ignored; `true` where this cannot be determined.
#[cfg(unix)] // Windows has no signals to ignore
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}
