//! Strokes of the built-in digits: control points of smooth curves, in hundredths of the glyph's
//! height.
//!
//! `x` increases to the right and `y` downwards, both from 0 to about 100. A curve passes through
//! its points. A point that is listed twice in a row is a corner. Each digit has several variants,
//! which are common ways of writing it.

/// Control points of one curve.
pub(super) type Stroke = &'static [(i8, i8)];

/// One variant of a digit.
pub(super) struct Glyph {
    /// Relative frequency among the variants of the digit.
    pub(super) weight: u8,
    /// Curves of the variant.
    pub(super) strokes: &'static [Stroke],
}

const fn glyph(weight: u8, strokes: &'static [Stroke]) -> Glyph {
    Glyph { weight, strokes }
}

/// The variants of each of the ten digits.
pub(super) static GLYPHS: [&[Glyph]; 10] = [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE];

#[rustfmt::skip]
const ZERO: &[Glyph] = &[
    // A closed oval.
    glyph(5, &[&[(56, 1), (32, 8), (15, 32), (12, 62), (26, 92), (50, 99), (76, 86), (88, 54), (82, 20), (62, 2), (50, 2)]]),
    // Nearly a circle.
    glyph(3, &[&[(48, 2), (22, 12), (6, 38), (8, 70), (30, 94), (60, 97), (86, 80), (95, 50), (84, 18), (58, 2), (44, 4)]]),
    // Starts at the right; the end crosses into the inside.
    glyph(2, &[&[(70, 12), (50, 2), (26, 18), (14, 52), (22, 86), (46, 99), (72, 84), (84, 50), (76, 16), (56, 6), (40, 22)]]),
    // Narrow.
    glyph(2, &[&[(54, 0), (36, 16), (27, 48), (32, 84), (48, 100), (66, 84), (73, 50), (67, 14), (52, 0)]]),
];

#[rustfmt::skip]
const ONE: &[Glyph] = &[
    glyph(8, &[&[(50, 0), (50, 50), (50, 100)]]),
    // With a flag.
    glyph(2, &[&[(30, 22), (44, 10), (54, 0), (54, 0), (54, 50), (54, 100)]]),
    // With a flag and a foot.
    glyph(1, &[&[(30, 22), (44, 10), (54, 0), (54, 0), (54, 50), (54, 98)], &[(26, 99), (54, 98), (84, 98)]]),
];

#[rustfmt::skip]
const TWO: &[Glyph] = &[
    // A corner at the foot.
    glyph(4, &[&[(14, 24), (28, 6), (52, 0), (76, 11), (78, 34), (60, 60), (34, 84), (12, 98), (12, 98), (46, 97), (90, 95)]]),
    // A loop at the foot.
    glyph(4, &[&[(14, 22), (32, 4), (58, 0), (76, 14), (74, 38), (56, 64), (32, 86), (14, 92), (10, 82), (24, 76), (44, 86), (66, 97), (92, 92)]]),
    // A flat back and a wavy foot.
    glyph(2, &[&[(10, 12), (38, 2), (68, 6), (78, 24), (64, 50), (40, 74), (14, 96), (14, 96), (34, 90), (58, 97), (90, 99)]]),
];

#[rustfmt::skip]
const THREE: &[Glyph] = &[
    // A cusp in the middle.
    glyph(5, &[&[(14, 12), (36, 1), (62, 4), (72, 20), (60, 38), (38, 46), (38, 46), (62, 50), (80, 66), (74, 88), (46, 100), (12, 92)]]),
    // A small loop in the middle.
    glyph(2, &[&[(16, 10), (42, 0), (68, 8), (70, 26), (52, 42), (36, 48), (36, 53), (48, 50), (70, 56), (80, 74), (66, 94), (38, 100), (10, 90)]]),
    // A flat top.
    glyph(1, &[&[(16, 4), (46, 4), (76, 2), (76, 2), (58, 22), (42, 40), (42, 40), (68, 46), (80, 68), (68, 92), (40, 100), (10, 90)]]),
];

#[rustfmt::skip]
const FOUR: &[Glyph] = &[
    // Open, two strokes.
    glyph(4, &[&[(22, 2), (17, 26), (11, 54), (11, 54), (34, 57), (60, 54), (86, 51)], &[(72, 6), (68, 34), (64, 66), (61, 100)]]),
    // Open and round, one stroke.
    glyph(3, &[&[(16, 4), (12, 26), (17, 48), (38, 56), (62, 48), (76, 28), (82, 2), (82, 2), (74, 36), (68, 68), (64, 100)]]),
    // Closed at the top.
    glyph(3, &[&[(62, 2), (38, 28), (8, 62), (8, 62), (46, 63), (88, 61)], &[(62, 2), (61, 34), (60, 68), (58, 100)]]),
];

#[rustfmt::skip]
const FIVE: &[Glyph] = &[
    // The top is a separate stroke.
    glyph(4, &[&[(30, 6), (27, 24), (24, 46), (24, 46), (48, 38), (74, 48), (78, 74), (56, 96), (28, 99), (8, 88)], &[(30, 6), (56, 4), (86, 1)]]),
    // One stroke with a corner.
    glyph(2, &[&[(86, 2), (60, 4), (34, 6), (34, 6), (28, 24), (24, 42), (24, 42), (46, 40), (66, 50), (70, 74), (50, 96), (24, 99), (6, 90)]]),
    // Nearly an s.
    glyph(2, &[&[(88, 4), (62, 2), (38, 10), (28, 28), (40, 44), (62, 56), (70, 76), (54, 95), (30, 99), (8, 92)]]),
];

#[rustfmt::skip]
const SIX: &[Glyph] = &[
    glyph(4, &[&[(68, 1), (44, 16), (22, 46), (16, 76), (32, 98), (60, 94), (74, 74), (60, 56), (36, 64), (20, 82)]]),
    // A straight back and a low loop.
    glyph(3, &[&[(60, 0), (42, 28), (26, 58), (22, 84), (38, 99), (62, 92), (70, 74), (56, 64), (38, 74), (28, 90)]]),
    // A wide arc.
    glyph(2, &[&[(78, 6), (50, 6), (22, 30), (10, 64), (24, 92), (52, 99), (78, 84), (76, 60), (50, 52), (24, 64), (14, 76)]]),
];

#[rustfmt::skip]
const SEVEN: &[Glyph] = &[
    glyph(5, &[&[(10, 10), (44, 7), (82, 4), (82, 4), (66, 34), (52, 66), (44, 100)]]),
    // With a bar.
    glyph(2, &[&[(10, 8), (44, 6), (82, 4), (82, 4), (66, 34), (52, 66), (42, 100)], &[(32, 54), (56, 51), (82, 48)]]),
    // With a tick at the start and a round shoulder.
    glyph(3, &[&[(10, 26), (13, 10), (32, 8), (62, 6), (80, 10), (76, 30), (64, 58), (56, 100)]]),
];

#[rustfmt::skip]
const EIGHT: &[Glyph] = &[
    // One stroke that crosses itself.
    glyph(5, &[&[(74, 14), (54, 1), (30, 8), (26, 28), (48, 46), (70, 64), (70, 88), (46, 100), (22, 88), (26, 66), (50, 46), (72, 28), (74, 10)]]),
    // Two loops of about the same size.
    glyph(2, &[&[(50, 48), (28, 34), (28, 10), (52, 0), (74, 12), (72, 34), (50, 48), (26, 62), (20, 84), (46, 100), (74, 88), (74, 62), (50, 48)]]),
    // Open at the top.
    glyph(2, &[&[(78, 6), (52, 2), (30, 14), (36, 36), (58, 56), (68, 80), (46, 100), (26, 86), (38, 60), (66, 36), (84, 12)]]),
];

#[rustfmt::skip]
const NINE: &[Glyph] = &[
    // A straight stem.
    glyph(5, &[&[(70, 16), (50, 3), (26, 12), (17, 36), (32, 52), (56, 44), (70, 18), (70, 18), (68, 46), (64, 74), (60, 100)]]),
    // The stem continues from the loop in an arc.
    glyph(3, &[&[(72, 10), (46, 2), (22, 18), (20, 42), (44, 50), (66, 34), (74, 10), (76, 40), (66, 74), (48, 98), (22, 96)]]),
    // A slanted stem.
    glyph(3, &[&[(66, 24), (54, 4), (30, 6), (18, 30), (34, 48), (56, 38), (66, 12), (66, 12), (60, 44), (50, 74), (42, 100)]]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_has_valid_points() {
        for glyphs in GLYPHS {
            assert!(glyphs.iter().all(|g| g.weight > 0));
            for stroke in glyphs.iter().flat_map(|g| g.strokes) {
                assert!(stroke.len() >= 3);
                assert!(stroke.iter().all(|&(x, y)| (0..=100).contains(&x) && (0..=100).contains(&y)));
            }
        }
    }
}
