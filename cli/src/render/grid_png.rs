//! A sheet as a PNG: heading, then rows of framed pictures with title and score below.
//!
//! [`Layout`] is all arithmetic and knows no pixels; [`Canvas`] draws rectangles, pictures and
//! letters and knows no layout.

use image::Rgb;
use looksee::Result;

use super::canvas::{BODY, Canvas, GREY, HEADING, INK, LINE, WHITE, printable};
use super::grid::{NOT_FOUND, Sheet, score_line, title};
use super::text;
use looksee::search::Shown;

/// Pixels of a picture's side.
pub(super) const SIDE: usize = 240;

const MARGIN: usize = 32;
const GAP: usize = 24;
/// The thin frame around a picture lies outside of it.
const BORDER: usize = 1;
/// Side of a query's picture in the heading.
const ASKED_SIDE: usize = 120;
const MIN_WIDTH: usize = 560;
const HEADING_LINES: usize = 3;
const TITLE_LINES: usize = 2;

const EMPTY: Rgb<u8> = Rgb([232, 232, 235]);

/// The PNG's bytes.
pub(super) fn draw(sheet: &Sheet<'_>) -> Result<Vec<u8>> {
    let layout = Layout::of(sheet);
    let mut canvas = Canvas::new(layout.width, layout.height);
    draw_heading(&mut canvas, sheet, &layout);
    for (number, (hit, picture)) in sheet.answer.hits.iter().zip(&sheet.found).enumerate() {
        draw_cell(&mut canvas, layout.cell(number), hit, picture.as_deref());
    }
    canvas.png()
}

/// Where everything stands, in pixels.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    width: usize,
    height: usize,
    columns: usize,
    /// Lines of the query.
    heading: Vec<String>,
    /// Left edge of the heading's text, right of the query's pictures.
    heading_x: usize,
    /// Its top edge: in the middle of the pictures when they are higher.
    heading_y: usize,
    /// Top edge of the first row of pictures.
    grid_y: usize,
}

impl Layout {
    fn of(sheet: &Sheet<'_>) -> Self {
        let columns = sheet.columns();
        let rows = sheet.found.len().div_ceil(columns.max(1));
        let width = (2 * MARGIN + extent(columns, CELL_WIDTH)).max(MIN_WIDTH);
        let pictures = fitting_pictures(sheet.asked.len(), width);
        let heading_x = MARGIN + pictures * (ASKED_SIDE + 2 * BORDER + GAP);
        let letters = HEADING.letters(width - MARGIN - heading_x);
        let heading = text::wrap(&printable(&sheet.answer.query), letters, HEADING_LINES);
        let text_height = heading.len() * HEADING.line + BODY.line;
        let picture_height = if pictures > 0 { ASKED_SIDE + 2 * BORDER } else { 0 };
        let heading_y = MARGIN + picture_height.saturating_sub(text_height) / 2;
        let grid_y = MARGIN + text_height.max(picture_height) + GAP;
        let below = if rows == 0 { 0 } else { extent(rows, CELL_HEIGHT) + MARGIN };
        Self { width, height: grid_y + below, columns, heading, heading_x, heading_y, grid_y }
    }

    /// The upper left corner of a cell.
    fn cell(&self, number: usize) -> (usize, usize) {
        let (row, column) = (number / self.columns, number % self.columns);
        (MARGIN + column * (CELL_WIDTH + GAP), self.grid_y + row * (CELL_HEIGHT + GAP))
    }
}

const CELL_WIDTH: usize = SIDE + 2 * BORDER;
const CAPTION_GAP: usize = 8;
const CELL_HEIGHT: usize = SIDE + 2 * BORDER + CAPTION_GAP + (TITLE_LINES + 1) * BODY.line;

/// Pixels that so many things of one size take with gaps between them.
fn extent(number: usize, size: usize) -> usize {
    (number * (size + GAP)).saturating_sub(GAP)
}

/// Pictures of the query that leave at least half of the width to the text.
fn fitting_pictures(asked: usize, width: usize) -> usize {
    asked.min((width / 2 - MARGIN) / (ASKED_SIDE + 2 * BORDER + GAP))
}

fn draw_heading(canvas: &mut Canvas, sheet: &Sheet<'_>, layout: &Layout) {
    let shown = fitting_pictures(sheet.asked.len(), layout.width);
    for (number, picture) in sheet.asked.iter().take(shown).enumerate() {
        let x = MARGIN + number * (ASKED_SIDE + 2 * BORDER + GAP);
        outline(canvas, (x, MARGIN), ASKED_SIDE + 2 * BORDER);
        canvas.picture((x + BORDER, MARGIN + BORDER), &halved(picture, sheet.side), ASKED_SIDE);
    }
    let mut at = (layout.heading_x, layout.heading_y);
    for line in &layout.heading {
        canvas.text(at, line, HEADING, INK);
        at.1 += HEADING.line;
    }
    canvas.text(at, &sheet.summary(), BODY, GREY);
}

fn draw_cell(canvas: &mut Canvas, (x, y): (usize, usize), hit: &Shown, picture: Option<&[u8]>) {
    outline(canvas, (x, y), CELL_WIDTH);
    let inner = (x + BORDER, y + BORDER);
    match picture {
        Some(rgb) => canvas.picture(inner, rgb, SIDE),
        None => missing(canvas, inner),
    }
    let mut at = (x, y + CELL_WIDTH + CAPTION_GAP);
    for line in text::wrap(&printable(title(hit)), BODY.letters(CELL_WIDTH), TITLE_LINES) {
        canvas.text(at, &line, BODY, INK);
        at.1 += BODY.line;
    }
    canvas.text(at, &score_line(hit), BODY, GREY);
}

/// A square picture at half its side, each pixel the mean of four.
fn halved(rgb: &[u8], side: usize) -> Vec<u8> {
    let half = side / 2;
    let mut small = Vec::with_capacity(half * half * 3);
    for (y, x) in (0..half).flat_map(|y| (0..half).map(move |x| (y, x))) {
        for channel in 0..3 {
            let at = |dy: usize, dx: usize| {
                u32::from(rgb[((2 * y + dy) * side + 2 * x + dx) * 3 + channel])
            };
            small.push(((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1) + 2) / 4) as u8);
        }
    }
    small
}

/// A thin square frame.
fn outline(canvas: &mut Canvas, at: (usize, usize), side: usize) {
    canvas.fill(at, (side, side), LINE);
    let inner = side - 2 * BORDER;
    canvas.fill((at.0 + BORDER, at.1 + BORDER), (inner, inner), WHITE);
}

/// The cell of a picture that is gone.
fn missing(canvas: &mut Canvas, (x, y): (usize, usize)) {
    canvas.fill((x, y), (SIDE, SIDE), EMPTY);
    let at = (x + (SIDE - BODY.width(NOT_FOUND)) / 2, y + (SIDE - BODY.line) / 2);
    canvas.text(at, NOT_FOUND, BODY, GREY);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::grid::tests::sheet;
    use crate::render::samples;
    use looksee::search::Answer;

    fn layout(hits: usize, asked: usize) -> Layout {
        let answer = samples::answer();
        let picture = vec![0; SIDE * SIDE * 3];
        let asked = vec![picture; asked];
        Layout::of(&Sheet { answer: &answer, side: SIDE, asked, found: vec![None; hits] })
    }

    #[test]
    fn nine_cells_fill_the_sheet_up_to_its_margins() {
        let layout = layout(9, 0);
        assert_eq!(layout.columns, 3);
        assert_eq!(layout.width, 2 * MARGIN + 3 * CELL_WIDTH + 2 * GAP);
        let (x, y) = layout.cell(8);
        assert_eq!(x + CELL_WIDTH + MARGIN, layout.width);
        assert_eq!(y + CELL_HEIGHT + MARGIN, layout.height);
    }

    #[test]
    fn a_picture_of_the_query_moves_the_text_to_its_right_and_the_grid_down() {
        let (without, with) = (layout(9, 0), layout(9, 1));
        assert_eq!((without.heading_x, without.heading_y), (MARGIN, MARGIN));
        assert!(with.heading_x > MARGIN + ASKED_SIDE && with.heading_y > MARGIN);
        assert!(with.grid_y > without.grid_y && with.width == without.width);
    }

    #[test]
    fn many_pictures_of_the_query_leave_half_of_the_width_to_its_words() {
        let layout = layout(1, 50);
        assert!(layout.heading_x <= layout.width / 2 + GAP);
    }

    #[test]
    fn no_hits_are_a_heading_alone() {
        let layout = layout(0, 0);
        assert_eq!((layout.width, layout.height), (MIN_WIDTH, layout.grid_y));
    }

    #[test]
    fn pictures_and_the_grey_of_a_missing_one_are_where_the_layout_says() {
        let answer = samples::answer();
        let sheet = sheet(&answer, SIDE);
        let layout = Layout::of(&sheet);
        let drawn = image::load_from_memory(&draw(&sheet).unwrap()).unwrap().to_rgb8();
        assert_eq!(drawn.dimensions(), (layout.width as u32, layout.height as u32));
        let corner = |number| {
            let (x, y) = layout.cell(number);
            *drawn.get_pixel((x + BORDER + 2) as u32, (y + BORDER + 2) as u32)
        };
        assert_eq!(corner(0), Rgb([200, 20, 40]));
        assert_eq!(corner(1), EMPTY);
        let asked = *drawn.get_pixel((MARGIN + 60) as u32, (MARGIN + 60) as u32);
        assert_eq!(asked, Rgb([200, 20, 40]));
    }

    #[test]
    fn the_same_answer_gives_the_same_bytes_and_another_query_others() {
        let answer = samples::answer();
        let other = Answer { query: "blue dress".to_owned(), ..samples::answer() };
        assert_eq!(draw(&sheet(&answer, SIDE)).unwrap(), draw(&sheet(&answer, SIDE)).unwrap());
        assert_ne!(draw(&sheet(&answer, SIDE)).unwrap(), draw(&sheet(&other, SIDE)).unwrap());
    }

    #[test]
    fn a_halved_picture_holds_the_mean_of_four_pixels() {
        let rgb = [0, 0, 0, 100, 100, 100, 100, 100, 100, 200, 200, 200];
        assert_eq!(halved(&rgb, 2), [100, 100, 100]);
    }
}
