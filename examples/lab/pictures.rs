//! Grids of grey images as PNG files.

use hardgrad::files::write_atomically;
use std::path::Path;

/// Each pixel becomes a square of this side, so that a picture can be looked at without zooming.
const ZOOM: usize = 2;
/// Zoomed pixels between two images.
const GAP: usize = 2;

/// Images of one size, each a row-major slice of probabilities of ink, 0 to 1.
pub struct Grid<'a> {
    /// Height of an image in pixels.
    pub height: usize,
    /// Width of an image in pixels.
    pub width: usize,
    /// Rows of images.
    pub rows: Vec<Vec<&'a [f32]>>,
}

impl Grid<'_> {
    /// Writes the grid, ink white on black as in MNIST, on a grey ground.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let (step_y, step_x) = (self.height * ZOOM + GAP, self.width * ZOOM + GAP);
        let (height, width) = (self.rows.len() * step_y + GAP, columns * step_x + GAP);
        let mut canvas = vec![96_u8; height * width];
        for (i, row) in self.rows.iter().enumerate() {
            for (j, image) in row.iter().enumerate() {
                let (top, left) = (i * step_y + GAP, j * step_x + GAP);
                for y in 0..self.height * ZOOM {
                    for x in 0..self.width * ZOOM {
                        let ink = image[y / ZOOM * self.width + x / ZOOM];
                        canvas[(top + y) * width + left + x] = (ink.clamp(0.0, 1.0) * 255.0).round() as u8;
                    }
                }
            }
        }
        let bytes = encode(&canvas, width, height).map_err(|e| format!("{}: {e}", path.display()))?;
        write_atomically(path, &bytes).map_err(|e| e.to_string())
    }
}

fn encode(canvas: &[u8], width: usize, height: usize) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header()?.write_image_data(canvas)?;
    Ok(bytes)
}
