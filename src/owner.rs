//! Identifiers that connect a handle with its owner.
//!
//! A handle is an index into a list, and would be in range for any other list of at least that
//! length. Each list therefore has a unique identifier, which is stored in its handles. The counter
//! of identifiers is the library's only global state. Identifiers are only compared for equality,
//! so no result depends on them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Returns an identifier that has not been used before in this process.
pub(crate) fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
