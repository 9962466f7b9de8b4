//! Threads, in one place. Work is cut at boundaries that depend on the sizes alone, never on the number of threads, and
//! every block writes numbers of its own: so the results are the same bits for any number of threads, and without the
//! `rayon` feature.
//!
//! The number of threads is the caller's: `rayon::ThreadPool::install` around the work, or rayon's default.

#[cfg(feature = "rayon")]
use std::cell::Cell;
#[cfg(feature = "rayon")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs both, side by side where a thread is free.
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(feature = "rayon")]
    return rayon::join(a, b);
    #[cfg(not(feature = "rayon"))]
    return (a(), b());
}

/// Runs `work`, made of many short parallel parts, while the pool's other threads stay awake between the parts. A thread with nothing to
/// do goes to sleep after some ten microseconds, and waking it takes longer than many a part: two threads lost a fifth of a
/// training step to that.
#[cfg(feature = "rayon")]
pub(crate) fn keep_awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    /// Lets the others go when the work ends, by a panic too.
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
    with_others_awake(others, &done, &mut || {
        let _working = Working(&done, WORKING.replace(true));
        result = work.take().map(|work| work());
    });
    result.expect("the work was run")
}

#[cfg(not(feature = "rayon"))]
pub(crate) fn keep_awake<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(feature = "rayon")]
thread_local! {
    /// Whether this thread is inside the work of [`keep_awake`]. While it waits for a part it may be handed the waiting of another
    /// such work, and must not wait there: that work may in turn wait for this one.
    static WORKING: Cell<bool> = const { Cell::new(false) };
}

#[cfg(feature = "rayon")]
fn with_others_awake(others: usize, done: &AtomicBool, work: &mut (dyn FnMut() + Send)) {
    if others == 0 {
        return work();
    }
    let look_for_parts = || {
        while !WORKING.get() && !done.load(Ordering::Acquire) {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                std::thread::yield_now(); // to whatever else the machine has to do
            }
        }
    };
    rayon::join(|| with_others_awake(others - 1, done, work), look_for_parts);
}

/// Calls `f` for every index in `0..count`, side by side.
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

/// Slices, or tuples of slices of one length, that can be cut in two.
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

/// A slice of `times` numbers for each number of the slices beside it.
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

/// Blocks of `size` numbers each, but for the last one, which may be shorter.
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

/// Cuts `work` into blocks of `block` numbers and calls `f(start, block)` for each, side by side.
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

/// The sum of `f` over blocks of `block` numbers, added up in a tree that depends on the length alone.
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

    /// Would hang if the waiting threads outlived the work, or waited for each other.
    #[test]
    fn work_with_others_awake_ends() {
        assert_eq!(keep_awake(|| keep_awake(|| 7)), 7);
        let panic = std::panic::catch_unwind(|| keep_awake(|| assert_eq!(1, 2)));
        assert!(panic.is_err());
        let done: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
        for_each(100, |i| {
            keep_awake(|| {
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
