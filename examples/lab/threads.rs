//! Thread pool for the option `--threads`.

use super::error::RunError;

/// Runs `work` on so many threads, or on one per core.
pub fn with_threads<R: Send>(threads: Option<u16>, work: impl FnOnce() -> R + Send) -> Result<R, RunError> {
    #[cfg(feature = "rayon")]
    {
        let threads = threads.map_or(0, usize::from);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Ok(pool.map_err(|e| RunError::machine(format!("cannot start {threads} threads: {e}")))?.install(work))
    }
    #[cfg(not(feature = "rayon"))]
    {
        if threads.is_some_and(|n| n > 1) {
            super::output::note!("note: built without the feature `rayon`: running on one thread");
        }
        Ok(work())
    }
}
