//! Images as text for a terminal: two pixels in a character, one above the other.

use std::fmt::Write;

/// Images wider than this are shown at half their size.
const WIDEST: usize = 16;
/// The code that ends all colours.
const RESET: &str = "\x1b[0m";

/// Rows of images of `height` × `width` probabilities of ink, 0 to 1, with a blank column between
/// two images. Each character is the upper half of a block: its colour is the upper pixel, its
/// ground the lower one, in the 24 greys of a terminal with 256 colours.
pub fn half_blocks(rows: &[Vec<&[f32]>], height: usize, width: usize) -> String {
    let step = if width > WIDEST { 2 } else { 1 };
    let grey = |image: &[f32], y: usize, x: usize| {
        let pixels = (0..step).flat_map(|i| (0..step).map(move |j| (step * y + i, step * x + j)));
        let inside = pixels.filter(|&(y, x)| y < height && x < width);
        let sum: f32 = inside.map(|(y, x)| image[y * width + x].clamp(0.0, 1.0)).sum();
        232 + (23.0 * sum / (step * step) as f32).round() as u32
    };
    let mut text = String::new();
    for images in rows {
        for line in 0..height.div_ceil(2 * step) {
            for (k, image) in images.iter().enumerate() {
                if k > 0 {
                    text.push(' ');
                }
                let mut before = None;
                for x in 0..width.div_ceil(step) {
                    let colours = (grey(image, 2 * line, x), grey(image, 2 * line + 1, x));
                    if before != Some(colours) {
                        let (upper, lower) = colours;
                        // Writing to a string cannot fail.
                        let _ = write!(text, "\x1b[38;5;{upper};48;5;{lower}m");
                        before = Some(colours);
                    }
                    text.push('▀');
                }
                text.push_str(RESET);
            }
            text.push('\n');
        }
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}
