//! Synthetic digits, for tests and for use without MNIST.

use super::glyphs::{GLYPHS, Stroke};
use super::{Dataset, Images, Source, Split};
use crate::rng::{Pcg64, Purpose, Streams, below, uniform};

/// Default number of training images.
pub const DIGITS_TRAIN: usize = 10_000;
/// Default number of test images.
pub const DIGITS_TEST: usize = 2_000;

/// Height and width of an image in pixels.
const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
/// The larger side of the ink's bounding box in pixels, as in MNIST.
const BOX: f64 = 20.0;
/// Number of straight segments between two control points.
const PIECES: u32 = 6;
/// Width in pixels of the transition from full ink to none at the edge of a stroke.
const EDGE: f64 = 1.2;

/// Generates synthetic handwritten digits in the style of MNIST: 28 × 28 grey-scale images with
/// labels 0 to 9, `train` images for training and `test` for testing ([`DIGITS_TRAIN`] and
/// [`DIGITS_TEST`] are the default numbers).
///
/// Each image consists of a few pen strokes with random properties: one of several variants of the
/// digit is bent, slanted and rotated, drawn with a random thickness and soft edges, scaled to a
/// box of 20 pixels and centred by its centre of mass. The label of image `i` is `i % 10`, so the
/// classes are balanced as evenly as possible.
///
/// Image `i` of a split depends only on `seed`, the split and `i`, not on the number of images or
/// of threads. Only +, −, ×, ÷ and square roots of `f64` are used, which IEEE 754 rounds
/// identically everywhere, and no function of the platform's mathematical library. The bytes are
/// therefore identical on every platform.
///
/// # Panics
/// If `train` or `test` exceeds `u32::MAX`.
///
/// ```
/// use hardgrad::data::digits;
/// let data = digits(0, 20, 10);
/// assert_eq!(data.train.images().pixels_per_image(), 784);
/// assert_eq!(data.test.labels(), Some(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..]));
/// assert_eq!(data.train.images().image(7), digits(0, 8, 0).train.images().image(7));
/// ```
pub fn digits(seed: u64, train: usize, test: usize) -> Dataset {
    Dataset {
        name: "digits".into(),
        train: split(seed, 0, train),
        test: split(seed, 1, test),
        source: Source::Digits { seed },
    }
}

fn split(seed: u64, number: u64, count: usize) -> Split {
    assert!(u32::try_from(count).is_ok(), "digits: {count} images, expected at most {}", u32::MAX);
    let streams = Streams::new(seed);
    let mut pixels = vec![0; count * PIXELS];
    let draw = |(i, image): (usize, &mut [u8])| {
        draw(i % 10, &mut streams.rng(Purpose::Digits, number, i as u64), image);
    };
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        pixels.par_chunks_exact_mut(PIXELS).enumerate().for_each(draw);
    }
    #[cfg(not(feature = "rayon"))]
    pixels.chunks_exact_mut(PIXELS).enumerate().for_each(draw);
    let labels = (0..count).map(|i| (i % 10) as u8).collect();
    let images = Images { pixels, count, rows: SIDE, cols: SIDE };
    Split { images, labels: Some(labels) }
}

/// A point of a stroke: its position and half of the pen's width at this point.
#[derive(Clone, Copy, PartialEq)]
struct Dot {
    x: f64,
    y: f64,
    radius: f64,
}

/// A straight segment of a stroke.
type Piece = [Dot; 2];

fn draw(digit: usize, rng: &mut Pcg64, image: &mut [u8]) {
    let strokes = pick(digit, rng);
    let style = Style::draw(rng);
    let mut pieces = Vec::with_capacity(128);
    for stroke in strokes {
        trace(&style.dots(stroke, rng), &mut pieces);
    }
    place(&mut pieces, rng);
    ink(&pieces, image);
}

/// Draws one variant of `digit`, with probabilities proportional to the weights.
fn pick(digit: usize, rng: &mut Pcg64) -> &'static [Stroke] {
    let glyphs = GLYPHS[digit];
    let mut choice = below(rng, glyphs.iter().map(|g| u64::from(g.weight)).sum());
    for glyph in glyphs {
        let weight = u64::from(glyph.weight);
        if choice < weight {
            return glyph.strokes;
        }
        choice -= weight;
    }
    &[]
}

/// A random number with a bell-shaped density, mean 0 and standard deviation `sd`. It is the scaled
/// sum of four uniform numbers, which needs no logarithm and never exceeds 3.5 `sd` in magnitude.
fn bell(rng: &mut Pcg64, sd: f64) -> f64 {
    let sum: f64 = (0..4).map(|_| uniform::<f64>(rng)).sum();
    (sum - 2.0) * (sd * 1.732_050_807_568_877_2)
}

/// Properties that all strokes of an image share.
struct Style {
    /// Bending: the coefficients of y² and xy in x, and of xy and x² in y.
    bend: [f64; 4],
    /// The linear map that is applied after bending: slant, aspect ratio and rotation.
    map: [[f64; 2]; 2],
    /// Half of the pen's width in pixels.
    radius: f64,
}

impl Style {
    fn draw(rng: &mut Pcg64) -> Self {
        let bend = [0.3, 0.3, 0.2, 0.2].map(|sd| bell(rng, sd));
        let slant = 0.2 + bell(rng, 0.24);
        let aspect = 0.97 + bell(rng, 0.17);
        // t is the tangent of half the angle of rotation, so that no sine is needed.
        let t = bell(rng, 0.06);
        let (sin, cos) = (2.0 * t / (1.0 + t * t), (1.0 - t * t) / (1.0 + t * t));
        let map = [[cos * aspect, -cos * slant - sin], [sin * aspect, cos - sin * slant]];
        let radius = 1.3 + bell(rng, 0.34);
        Self { bend, map, radius }
    }

    /// The control points of a stroke with these properties, each with a small random offset,
    /// before scaling to pixels.
    fn dots(&self, stroke: Stroke, rng: &mut Pcg64) -> Vec<Dot> {
        let mut dots: Vec<Dot> = Vec::with_capacity(stroke.len());
        for (i, &(x, y)) in stroke.iter().enumerate() {
            if i > 0 && stroke[i - 1] == (x, y) {
                // A repeated point, which is a corner, stays repeated.
                dots.push(dots[i - 1]);
                continue;
            }
            let x = (f64::from(x) - 50.0) / 100.0 + bell(rng, 0.025);
            let y = (f64::from(y) - 50.0) / 100.0 + bell(rng, 0.025);
            let [a, b, c, d] = self.bend;
            let (x, y) = (x + a * y * y + b * x * y, y + c * x * y + d * x * x);
            let [[xx, xy], [yx, yy]] = self.map;
            let radius = self.radius * (1.0 + bell(rng, 0.1));
            dots.push(Dot { x: xx * x + xy * y, y: yx * x + yy * y, radius });
        }
        dots
    }
}

/// Appends the straight segments of a Catmull–Rom curve through the dots.
fn trace(dots: &[Dot], pieces: &mut Vec<Piece>) {
    for (i, pair) in dots.windows(2).enumerate() {
        let (p, q) = (pair[0], pair[1]);
        if p == q {
            continue;
        }
        let before = if i == 0 { p } else { dots[i - 1] };
        let after = dots.get(i + 2).copied().unwrap_or(q);
        let mut last = p;
        for k in 1..=PIECES {
            let t = f64::from(k) / f64::from(PIECES);
            let cubic = |a: f64, b: f64, c: f64, d: f64| {
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            };
            let next = Dot {
                x: cubic(before.x, p.x, q.x, after.x),
                y: cubic(before.y, p.y, q.y, after.y),
                radius: p.radius + t * (q.radius - p.radius),
            };
            pieces.push([last, next]);
            last = next;
        }
    }
}

/// Scales the drawing to the box, in pixels, and moves its centre of mass approximately to the
/// middle of the image.
fn place(pieces: &mut [Piece], rng: &mut Pcg64) {
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    let (mut mass, mut moment) = (0.0, [0.0; 2]);
    for [p, q] in pieces.iter() {
        for (axis, v) in [(0, p.x), (0, q.x), (1, p.y), (1, q.y)] {
            low[axis] = v.min(low[axis]);
            high[axis] = v.max(high[axis]);
        }
        let m = ((q.x - p.x) * (q.x - p.x) + (q.y - p.y) * (q.y - p.y)).sqrt() * (p.radius + q.radius);
        mass += m;
        moment[0] += m * 0.5 * (p.x + q.x);
        moment[1] += m * 0.5 * (p.y + q.y);
    }
    let radius = pieces.first().map_or(0.0, |[p, _]| p.radius);
    let scale = (BOX - EDGE - 2.0 * radius) / (high[0] - low[0]).max(high[1] - low[1]);
    // MNIST images are centred to whole pixels. The random offset has the effect of this rounding.
    let middle = [0; 2].map(|_| SIDE as f64 / 2.0 + uniform::<f64>(rng) - 0.5);
    for dot in pieces.iter_mut().flatten() {
        dot.x = middle[0] + scale * (dot.x - moment[0] / mass);
        dot.y = middle[1] + scale * (dot.y - moment[1] / mass);
    }
}

/// Sets the grey level of each pixel by its distance from the nearest edge of a stroke.
fn ink(pieces: &[Piece], image: &mut [u8]) {
    // Distance of each pixel's centre from the nearest stroke; negative inside a stroke.
    let mut distance = [EDGE; PIXELS];
    for [p, q] in pieces {
        let reach = p.radius.max(q.radius) + EDGE;
        let (dx, dy) = (q.x - p.x, q.y - p.y);
        let squared = (dx * dx + dy * dy).max(1e-12);
        for row in range(p.y.min(q.y) - reach, p.y.max(q.y) + reach) {
            for col in range(p.x.min(q.x) - reach, p.x.max(q.x) + reach) {
                let (x, y) = (col as f64 + 0.5 - p.x, row as f64 + 0.5 - p.y);
                let t = ((x * dx + y * dy) / squared).clamp(0.0, 1.0);
                let (ox, oy) = (x - t * dx, y - t * dy);
                let d = (ox * ox + oy * oy).sqrt() - (p.radius + t * (q.radius - p.radius));
                let best = &mut distance[row * SIDE + col];
                *best = d.min(*best);
            }
        }
    }
    for (pixel, d) in image.iter_mut().zip(distance) {
        let level = (0.5 - d / EDGE).clamp(0.0, 1.0);
        *pixel = (255.0 * level + 0.5) as u8;
    }
}

/// The range of pixel rows or columns whose centres may lie between two coordinates.
fn range(from: f64, to: f64) -> std::ops::Range<usize> {
    // A cast from a floating-point number saturates.
    (from as usize).min(SIDE)..(to as usize + 1).min(SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digits are part of the library's guarantee of stable values. A change of these checksums
    /// is a change of the data set, which must be recorded in the CHANGELOG.
    #[test]
    fn digits_have_stored_checksums() {
        let data = digits(0, 500, 200);
        assert_eq!((data.train.images().crc32(), data.test.images().crc32()), (2_080_731_419, 3_576_988_361));
        assert_ne!(digits(1, 500, 0).train, data.train);
    }

    #[test]
    fn an_image_does_not_depend_on_the_number_of_images() {
        let (few, many) = (digits(5, 13, 7), digits(5, 40, 20));
        assert_eq!(few.train.images().pixels(), &many.train.images().pixels()[..13 * PIXELS]);
        assert_eq!(few.test.images().pixels(), &many.test.images().pixels()[..7 * PIXELS]);
        assert_ne!(few.train.images().image(3), few.test.images().image(3));
    }

    /// MNIST: 80.9 % of the pixels are 0, the mean is 0.1307, 7.4 % are 250 or more.
    #[test]
    fn grey_levels_are_distributed_as_in_mnist() {
        let data = digits(0, 2000, 0);
        let pixels = data.train.images().pixels();
        let part = |f: fn(u8) -> bool| pixels.iter().filter(|&&v| f(v)).count() as f64 / pixels.len() as f64;
        let mean = pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / (255.0 * pixels.len() as f64);
        assert!((0.79..0.83).contains(&part(|v| v == 0)), "{}", part(|v| v == 0));
        assert!((0.12..0.14).contains(&mean), "{mean}");
        assert!((0.06..0.085).contains(&part(|v| v >= 250)), "{}", part(|v| v >= 250));
    }

    #[test]
    fn every_digit_is_centred_by_mass_in_a_box_of_20_pixels() {
        for image in digits(2, 300, 0).train.images().pixels().chunks(PIXELS) {
            let inked = |i: &usize| image[*i] > 0;
            let side = |at: fn(usize) -> usize| {
                let ink = || (0..PIXELS).filter(inked).map(at);
                ink().max().unwrap() - ink().min().unwrap() + 1
            };
            let largest = side(|i| i / SIDE).max(side(|i| i % SIDE));
            assert!((17..=22).contains(&largest), "{largest}");
            let mass: f64 = image.iter().map(|&v| f64::from(v)).sum();
            for at in [|i: usize| i / SIDE, |i: usize| i % SIDE] {
                let moment: f64 = (0..PIXELS).map(|i| at(i) as f64 * f64::from(image[i])).sum();
                // The random offset is up to half a pixel, and the estimated mass counts ink twice
                // where strokes cross.
                assert!((moment / mass - 13.5).abs() < 1.8, "{}", moment / mass);
            }
        }
    }

    #[test]
    fn a_nearest_mean_classifier_is_right_in_80_percent() {
        let data = digits(0, 2000, 500);
        let mut means = vec![[0.0; PIXELS]; 10];
        for i in 0..2000 {
            for (m, &v) in means[i % 10].iter_mut().zip(data.train.images().image(i)) {
                *m += f64::from(v) / 200.0;
            }
        }
        let away = |i: usize, class: usize| -> f64 {
            let image = data.test.images().image(i);
            means[class].iter().zip(image).map(|(m, &v)| (m - f64::from(v)) * (m - f64::from(v))).sum()
        };
        let nearest = |&i: &usize| (0..10).min_by(|&a, &b| away(i, a).total_cmp(&away(i, b))) == Some(i % 10);
        let right = (0..500).filter(nearest).count();
        // On MNIST itself the classifier reaches 82 %.
        assert!(right > 400, "{right} of 500");
    }

    #[test]
    fn classes_are_balanced() {
        let data = digits(0, 100, 0);
        let labels = data.train.labels().unwrap();
        assert!((0..10).all(|class| labels.iter().filter(|&&l| l == class).count() == 10));
    }
}
