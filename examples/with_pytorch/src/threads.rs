//! The threads of this process.
//!
//! rayon's global pool does not survive `fork`, by which Python's `multiprocessing` starts
//! processes on Linux: its threads exist in the parent only, and work that is given to them never
//! ends. The pool here belongs to one process; a forked one makes its own.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};

/// The pool and the process that it belongs to.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Pool of this process, or a new one with `threads` threads. 0 is rayon's default number:
/// `RAYON_NUM_THREADS`, or one for each core.
fn pool(threads: Option<usize>) -> PyResult<Arc<ThreadPool>> {
    let (mut held, here) = (POOL.lock().unwrap_or_else(PoisonError::into_inner), std::process::id());
    let wanted = match (held.take(), threads) {
        (Some((process, pool)), None) if process == here => {
            *held = Some((here, pool.clone()));
            return Ok(pool);
        }
        (Some((process, pool)), wanted) if process != here => {
            let before = pool.current_num_threads();
            std::mem::forget(pool); // it would wait for threads that are not there
            wanted.unwrap_or(before)
        }
        (_, wanted) => wanted.unwrap_or(0),
    };
    let built = ThreadPoolBuilder::new().num_threads(wanted).build();
    let pool = Arc::new(built.map_err(|e| PyRuntimeError::new_err(format!("cannot start threads: {e}")))?);
    *held = Some((here, pool.clone()));
    Ok(pool)
}

/// Runs the work on the pool of this process.
pub fn run<R: Send>(work: impl FnOnce() -> R + Send) -> PyResult<R> {
    Ok(pool(None)?.install(work))
}

/// Sets the number of threads of this process, at least 1. The results do not depend on it.
///
/// Without a call it is the environment's RAYON_NUM_THREADS, or the number of cores.
#[pyfunction]
pub fn set_num_threads(threads: usize) -> PyResult<()> {
    if threads == 0 {
        return Err(PyValueError::new_err("threads: got 0, expected a whole number > 0"));
    }
    pool(Some(threads)).map(|_| ())
}

/// Returns the number of threads of this process.
#[pyfunction]
pub fn get_num_threads() -> PyResult<usize> {
    Ok(pool(None)?.current_num_threads())
}
