//! Enumeration of all codes of L variables with C categories each, in one order and with one limit
//! for the whole library.

/// The largest number of codes that [`exact::Problem`](crate::exact::Problem) and the
/// [`vae`](crate::vae) enumerate. The VAE decodes every code, and its training step stores the
/// pixels of all of them.
pub const MAX_CODES: usize = 1 << 14;

/// The number of codes, Cᴸ, if it is at most [`MAX_CODES`].
pub(crate) fn count(categories: usize, variables: usize) -> Option<usize> {
    let count = categories.checked_pow(u32::try_from(variables).ok()?)?;
    (count <= MAX_CODES).then_some(count)
}

/// The category of each variable in code number `index`, as an infinite iterator. The first
/// variable varies fastest.
pub(crate) fn categories_of(index: usize, categories: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(index), move |rest| Some(rest / categories)).map(move |rest| rest % categories)
}

#[cfg(test)]
mod tests {
    use crate::exact::Problem;
    use crate::vae::LatentShape;

    #[test]
    fn problems_and_the_vae_enumerate_codes_in_one_order() {
        let f = (|_: &[f64]| 0.0, |_: &[f64], g: &mut [f64]| g.fill(0.0));
        let codes = LatentShape { categories: 3, variables: 2 }.one_hot_codes::<f64>().unwrap();
        let logits = [0.0; 6];
        let problem = Problem::new(&logits, 3, &f).unwrap();
        assert_eq!(problem.codes().len(), codes.rows());
        for (i, code) in problem.codes().enumerate() {
            assert_eq!((&code.one_hot[..], code.categories[0]), (codes.row(i), i % 3));
        }
    }

    #[test]
    fn the_limit_applies_to_every_count() {
        assert_eq!(super::count(2, 14), Some(super::MAX_CODES));
        assert_eq!(
            (super::count(2, 15), super::count(2, usize::MAX), super::count(1, 99)),
            (None, None, Some(1))
        );
    }
}
