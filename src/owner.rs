//! Numbers by which a handle knows what it belongs to.
//!
//! A handle is a place in a list, and would fit any other list that is as long. So each list has a number of its own, and
//! each handle the number of its list. This counter is the library's only global state. What it counts is compared for equality
//! and nothing else: no result depends on it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that this process has not used before.
pub(crate) fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
