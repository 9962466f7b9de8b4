//! Stopping by a signal: the step is finished and the run saved.

use signal_hook::{consts::SIGINT, flag};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether a signal has asked the run to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Watches for these signals. Ctrl-C twice ends the program at once.
    pub fn on(signals: &[i32]) -> io::Result<Self> {
        let stop = Self::default();
        let twice = Arc::new(AtomicBool::new(false));
        for &signal in signals {
            if signal == SIGINT {
                // In this order, so that the first one finds the flag down.
                flag::register_conditional_default(signal, Arc::clone(&twice))?;
                flag::register(signal, Arc::clone(&twice))?;
            }
            flag::register_usize(signal, Arc::clone(&stop.0), signal as usize)?;
        }
        Ok(stop)
    }

    /// The signal that came last, if any.
    pub fn signal(&self) -> Option<i32> {
        // The flag stands for nothing but itself.
        i32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|&signal| signal != 0)
    }
}
