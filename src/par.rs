//! Threads, in one place. Work is cut at boundaries that depend on the sizes alone, never on the number of threads, and
//! every block writes numbers of its own: so the results are the same bits for any number of threads, and without the
//! `rayon` feature.
//!
//! The number of threads is the caller's: `rayon::ThreadPool::install` around the work, or rayon's default.

/// Runs both, side by side where a thread is free.
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(feature = "rayon")]
    return rayon::join(a, b);
    #[cfg(not(feature = "rayon"))]
    return (a(), b());
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
