//! Parallel execution. Work is cut at boundaries that depend only on its size, never on the number
//! of threads, and every block writes to its own numbers. The results therefore have identical bits
//! for any number of threads, and without the `rayon` feature.
//!
//! The caller chooses the number of threads with `rayon::ThreadPool::install` around the work;
//! otherwise it is rayon's default.

#[cfg(feature = "rayon")]
use std::cell::Cell;
#[cfg(feature = "rayon")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs both closures, in parallel if a thread is idle.
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(feature = "rayon")]
    return rayon::join(a, b);
    #[cfg(not(feature = "rayon"))]
    return (a(), b());
}

/// Runs `work`, which consists of many short parallel parts, while the other threads of the pool
/// busy-wait between the parts. An idle thread goes to sleep after about ten microseconds, and
/// waking it takes longer than many of the parts: without busy-waiting, a training step on two
/// threads took a fifth longer.
#[cfg(feature = "rayon")]
pub(crate) fn with_busy_waiting<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    /// Releases the waiting threads when the work ends, even if it panics.
    struct Working<'a>(&'a AtomicBool, bool);
    impl Drop for Working<'_> {
        fn drop(&mut self) {
            WORKING.set(self.1);
            self.0.store(true, Ordering::Release);
        }
    }

    let (mut work, mut result) = (Some(work), None);
    let done = AtomicBool::new(false);
    let others = rayon::current_num_threads() - 1;
    with_others_waiting(others, &done, &mut || {
        let _working = Working(&done, WORKING.replace(true));
        result = work.take().map(|work| work());
    });
    result.expect("the work was run")
}

#[cfg(not(feature = "rayon"))]
pub(crate) fn with_busy_waiting<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(feature = "rayon")]
thread_local! {
    /// Whether this thread is inside the work of [`with_busy_waiting`]. Rayon may run the waiting
    /// loop of another such work on this thread while it waits for a part. The loop must then
    /// return at once, because that other work may in turn wait for this one.
    static WORKING: Cell<bool> = const { Cell::new(false) };
}

#[cfg(feature = "rayon")]
fn with_others_waiting(others: usize, done: &AtomicBool, work: &mut (dyn FnMut() + Send)) {
    if others == 0 {
        return work();
    }
    let look_for_parts = || {
        while !WORKING.get() && !done.load(Ordering::Acquire) {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                std::thread::yield_now(); // lets other processes run
            }
        }
    };
    rayon::join(|| with_others_waiting(others - 1, done, work), look_for_parts);
}

/// Calls `f` for every index in `0..count`, in parallel.
pub(crate) fn for_each(count: usize, f: impl Fn(usize) + Sync + Send) {
    match count {
        0 => {}
        1 => f(0),
        _ => {
            let (f, half) = (&f, count / 2);
            join(|| for_range(0, half, f), || for_range(half, count, f));
        }
    }
}

fn for_range<F: Fn(usize) + Sync>(start: usize, end: usize, f: &F) {
    if end - start == 1 {
        return f(start);
    }
    let half = start + (end - start) / 2;
    join(|| for_range(start, half, f), || for_range(half, end, f));
}

/// Slices, or tuples of slices of equal length, that can be split in two.
pub(crate) trait Split: Send + Sized {
    fn length(&self) -> usize;
    fn split(self, at: usize) -> (Self, Self);
}

impl<T: Send> Split for &mut [T] {
    fn length(&self) -> usize {
        self.len()
    }
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

impl<T: Sync> Split for &[T] {
    fn length(&self) -> usize {
        self.len()
    }
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }
}

/// A slice with `times` numbers for each number of the slices next to it.
pub(crate) struct Wide<'a, T> {
    pub(crate) slice: &'a mut [T],
    pub(crate) times: usize,
}

impl<T: Send> Split for Wide<'_, T> {
    fn length(&self) -> usize {
        self.slice.len() / self.times
    }
    fn split(self, at: usize) -> (Self, Self) {
        let (left, right) = self.slice.split_at_mut(at * self.times);
        (Self { slice: left, times: self.times }, Self { slice: right, times: self.times })
    }
}

/// Blocks of `size` numbers each. The last block may be shorter.
pub(crate) struct Blocks<'a, T> {
    pub(crate) slice: &'a mut [T],
    pub(crate) size: usize,
}

impl<T: Send> Split for Blocks<'_, T> {
    fn length(&self) -> usize {
        self.slice.len().div_ceil(self.size)
    }
    fn split(self, at: usize) -> (Self, Self) {
        let (left, right) = self.slice.split_at_mut((at * self.size).min(self.slice.len()));
        (Self { slice: left, size: self.size }, Self { slice: right, size: self.size })
    }
}

impl<A: Split, B: Split> Split for (A, B) {
    fn length(&self) -> usize {
        debug_assert_eq!(self.0.length(), self.1.length());
        self.0.length()
    }
    fn split(self, at: usize) -> (Self, Self) {
        let ((a, a2), (b, b2)) = (self.0.split(at), self.1.split(at));
        ((a, b), (a2, b2))
    }
}

/// Cuts `work` into blocks of `block` numbers and calls `f(start, block)` for each, in parallel.
pub(crate) fn for_each_block<S: Split>(work: S, block: usize, f: impl Fn(usize, S) + Sync) {
    fn halve<S: Split, F: Fn(usize, S) + Sync>(start: usize, work: S, block: usize, f: &F) {
        let blocks = work.length().div_ceil(block);
        if blocks <= 1 {
            if work.length() > 0 {
                f(start, work);
            }
            return;
        }
        let middle = blocks / 2 * block;
        let (left, right) = work.split(middle);
        join(|| halve(start, left, block, f), || halve(start + middle, right, block, f));
    }
    halve(0, work, block.max(1), &f);
}

/// The sum of `f` over blocks of `block` numbers, added in a tree that depends only on the length.
pub(crate) fn sum_blocks<T: Sync>(x: &[T], block: usize, f: &(impl Fn(&[T]) -> f64 + Sync)) -> f64 {
    let blocks = x.len().div_ceil(block);
    if blocks <= 1 {
        return f(x);
    }
    let (left, right) = x.split_at(blocks / 2 * block);
    let (left, right) = join(|| sum_blocks(left, block, f), || sum_blocks(right, block, f));
    left + right
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// This test would hang if the waiting threads did not stop with the work, or waited for each
    /// other.
    #[test]
    fn work_with_busy_waiting_ends() {
        assert_eq!(with_busy_waiting(|| with_busy_waiting(|| 7)), 7);
        let panic = std::panic::catch_unwind(|| with_busy_waiting(|| assert_eq!(1, 2)));
        assert!(panic.is_err());
        let done: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
        for_each(100, |i| {
            with_busy_waiting(|| {
                for_each(10, |k| {
                    done[i].fetch_add(k, Ordering::Relaxed);
                })
            })
        });
        assert!(done.iter().all(|d| d.load(Ordering::Relaxed) == 45));
    }

    #[test]
    fn a_sum_of_blocks_takes_every_number_once() {
        let x: Vec<f64> = (0..1000).map(f64::from).collect();
        for block in [1, 7, 999, 1000, 5000] {
            assert_eq!(sum_blocks(&x, block, &|b: &[f64]| b.iter().sum()), 499_500.0, "block {block}");
        }
        assert_eq!(sum_blocks(&[], 4, &|b: &[f64]| b.iter().sum()), 0.0);
    }

    #[test]
    fn blocks_cover_everything_once() {
        for (len, block) in [(0, 4), (1, 4), (4, 4), (5, 4), (1000, 7), (3, 0)] {
            let mut out = vec![0usize; len];
            for_each_block(&mut out[..], block, |start, b: &mut [usize]| {
                b.iter_mut().enumerate().for_each(|(i, v)| *v += start + i)
            });
            assert!(out.iter().enumerate().all(|(i, &v)| i == v), "len {len}, block {block}");
        }
    }
}
