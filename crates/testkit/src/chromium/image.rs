//! What a screenshot shows, as far as a program can tell.

use std::collections::BTreeSet;

use super::Problem;

/// A screenshot.
#[derive(Clone, Debug)]
pub struct Image {
    /// Width and height.
    pub size: (u32, u32),
    pixels: Vec<[u8; 3]>,
}

impl Image {
    /// Reads a PNG file.
    ///
    /// # Errors
    /// It is none.
    pub fn of_png(bytes: &[u8]) -> Result<Self, Problem> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder
            .set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
        let wrong = |error: png::DecodingError| format!("no picture: {error}");
        let mut reader = decoder.read_info().map_err(wrong)?;
        let mut bytes = vec![0; reader.output_buffer_size().ok_or("a picture that is too large")?];
        let info = reader.next_frame(&mut bytes).map_err(wrong)?;
        bytes.truncate(info.buffer_size());
        let (pixels, _) = bytes.as_chunks::<4>();
        let pixels = pixels.iter().map(|[red, green, blue, _]| [*red, *green, *blue]);
        Ok(Self { size: (info.width, info.height), pixels: pixels.collect() })
    }

    /// How many pixels have this colour, as a style sheet writes it.
    pub fn count(&self, colour: u32) -> usize {
        let [_, red, green, blue] = colour.to_be_bytes();
        self.pixels.iter().filter(|pixel| **pixel == [red, green, blue]).count()
    }

    /// How many colours there are.
    pub fn colours(&self) -> usize {
        self.pixels.iter().collect::<BTreeSet<_>>().len()
    }

    /// The colour of the rightmost columns, if they have a single one: no text and no chart reaches them.
    pub fn right_edge(&self) -> Option<[u8; 3]> {
        const COLUMNS: usize = 12;
        let width = usize::try_from(self.size.0).ok()?;
        let rows = self.pixels.chunks_exact(width);
        let mut edge = rows.flat_map(|row| row.iter().skip(width.saturating_sub(COLUMNS)));
        let first = edge.next()?;
        edge.all(|pixel| pixel == first).then_some(*first)
    }
}
