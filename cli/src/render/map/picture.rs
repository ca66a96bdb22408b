//! The still picture of a map: where everything stands, for the PNG and the SVG alike.
//!
//! A square with the points, below it one line that says what is seen, the legend, and the
//! histogram in the corner. Dots become smaller and paler as they become more, so that a thousand
//! points are seen as points and a million as a landscape.

use image::Rgb;

use super::chart::Place;
use super::{Kind, LINK, OTHER, PALETTE, Point, Scene, category_colour};
use crate::figures;
use crate::render::canvas::{BODY, HEADING, printable};
use crate::render::text;

pub(super) const WIDTH: usize = 1600;
const MARGIN: usize = 40;
/// Side of the square in which the points lie.
const SIDE: usize = WIDTH - 2 * MARGIN;
/// Pixels from a mark in the legend to its word.
pub(super) const MARK: usize = 20;
const GAP: usize = 28;
const CHART: Place =
    Place { x: (WIDTH - MARGIN - 400) as f32, y: (WIDTH + 8) as f32, width: 400.0, height: 150.0 };
/// Letters of a value in the legend.
const VALUE_LETTERS: usize = 32;

/// The picture, planned.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) height: usize,
    pub(super) caption: String,
    /// Upper left corner of the caption.
    pub(super) caption_at: (usize, usize),
    pub(super) legend: Vec<Entry>,
    pub(super) chart: Option<Place>,
    /// Of a dot, in pixels.
    pub(super) radius: f32,
    /// How much of a dot is seen, 0 to 1.
    pub(super) opacity: f32,
    pub(super) link_opacity: f32,
}

/// A word of the legend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) text: String,
    pub(super) mark: Mark,
    /// Upper left corner of the mark.
    pub(super) at: (usize, usize),
}

/// What stands before a word of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Dot(Rgb<u8>),
    Line,
    /// Nothing: the field's name.
    None,
}

impl Picture {
    pub(super) fn of(scene: &Scene) -> Self {
        let chart = scene.histogram.as_ref().map(|_| CHART);
        let right = if chart.is_some() { CHART.x as usize - 2 * GAP } else { WIDTH - MARGIN };
        let caption = text::one_line(&printable(&scene.title));
        let caption = text::cut(&caption, HEADING.letters(right - MARGIN));
        let caption_at = (MARGIN, WIDTH + 4);
        let legend = flow(words(scene), right, caption_at.1 + HEADING.line + 8);
        let bottom = legend.iter().map(|entry| entry.at.1 + BODY.line).max().unwrap_or(WIDTH);
        let chart_bottom = chart.map_or(0, |place| (place.y + place.height) as usize + 66);
        Self {
            height: bottom.max(chart_bottom) + MARGIN,
            caption,
            caption_at,
            legend,
            chart,
            radius: (2.6 * (20_000.0 / scene.points.len().max(1) as f32).sqrt()).clamp(0.7, 4.5),
            opacity: between(scene.points.len(), (20_000, 0.85), (1_000_000, 0.3)),
            link_opacity: between(scene.links.len(), (1_000, 0.75), (100_000, 0.12)),
        }
    }
}

/// Where a point lies in the picture, given its place in the square.
pub(super) fn pixel((x, y): (f32, f32)) -> (f32, f32) {
    (MARGIN as f32 + x * SIDE as f32, MARGIN as f32 + y * SIDE as f32)
}

/// A value that falls from `many` to `most` with the logarithm of a count.
fn between(count: usize, few: (usize, f32), most: (usize, f32)) -> f32 {
    let log = |count: usize| (count.max(1) as f32).ln();
    let part = ((log(count) - log(few.0)) / (log(most.0) - log(few.0))).clamp(0.0, 1.0);
    few.1 + part * (most.1 - few.1)
}

/// The order in which points are drawn: mixed, so that no kind lies above all others, and the same
/// each time.
pub(super) fn mixed(points: &[Point]) -> impl Iterator<Item = &Point> {
    let count = points.len();
    // Steps of a length that has no divisor in common with the count reach each place once; some
    // length between two thirds of the count and the count is one, as the count less one is.
    let from = count / 3 * 2 + 1;
    let step = (from..from.max(count)).find(|step| gcd(*step, count) == 1).unwrap_or(1);
    (0..count).map(move |number| &points[number * step % count])
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn words(scene: &Scene) -> Vec<(String, Mark)> {
    let mut words = match &scene.legend {
        None => kinds(scene),
        Some(legend) => {
            let field = text::cut(&text::one_line(&printable(&legend.field)), VALUE_LETTERS);
            let values = legend.values.iter().take(PALETTE.len()).enumerate();
            let mut words = vec![(format!("{field}:"), Mark::None)];
            words.extend(values.map(|(place, value)| {
                let value = text::cut(&text::one_line(&printable(value)), VALUE_LETTERS);
                (value, Mark::Dot(category_colour(Some(place as u32))))
            }));
            if scene.points.iter().any(|point| scene.colour(point) == OTHER) {
                words.push(("other".to_owned(), Mark::Dot(OTHER)));
            }
            words
        }
    };
    if !scene.links.is_empty() {
        words.push((figures::count(scene.links.len(), "link"), Mark::Line));
    }
    words
}

fn kinds(scene: &Scene) -> Vec<(String, Mark)> {
    let word = |(kind, count): (Kind, usize)| {
        let name = figures::count(count, kind.plural().trim_end_matches('s'));
        (name, Mark::Dot(kind.colour()))
    };
    scene.kinds().into_iter().map(word).collect()
}

/// Words one after the other, in as many lines as they need.
fn flow(words: Vec<(String, Mark)>, right: usize, top: usize) -> Vec<Entry> {
    let (mut x, mut y) = (MARGIN, top);
    let mut entries = Vec::with_capacity(words.len());
    for (text, mark) in words {
        let indent = if mark == Mark::None { 0 } else { MARK };
        let width = indent + BODY.width(&text);
        if x + width > right && x > MARGIN {
            (x, y) = (MARGIN, y + BODY.line + 6);
        }
        entries.push(Entry { text, mark, at: (x, y) });
        x += width + GAP;
    }
    entries
}

/// The colour of the links.
pub(super) const LINKS: Rgb<u8> = LINK;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::map::samples;

    #[test]
    fn the_legend_names_the_kinds_and_the_links() {
        let picture = Picture::of(&samples::scene());
        let words: Vec<_> = picture.legend.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(words, ["2 pictures", "2 texts", "2 links"]);
        assert_eq!(picture.caption, "shop: 2 pictures and 2 texts");
    }

    #[test]
    fn a_long_legend_goes_over_lines_and_ends_with_other() {
        let mut scene = samples::coloured();
        if let Some(legend) = &mut scene.legend {
            legend.values = (0..14).map(|number| format!("a long value {number}")).collect();
        }
        let picture = Picture::of(&scene);
        let words: Vec<_> = picture.legend.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(
            (words[0], words[1], words[12]),
            ("colour:", "a long value 0", "a long value 11")
        );
        assert_eq!(words[13..], ["other", "2 links"]);
        let last = &picture.legend[14];
        assert!(last.at.1 > picture.legend[0].at.1);
        assert!(picture.height >= last.at.1 + BODY.line + MARGIN);
        for entry in &picture.legend {
            assert!(entry.at.0 + MARK + BODY.width(&entry.text) <= WIDTH - MARGIN, "{entry:?}");
        }
    }

    #[test]
    fn the_chart_has_its_corner_to_itself() {
        let mut scene = samples::coloured();
        scene.histogram = Some(samples::histogram());
        scene.title = "x".repeat(500);
        let picture = Picture::of(&scene);
        let chart = picture.chart.unwrap();
        for entry in &picture.legend {
            assert!(((entry.at.0 + MARK + BODY.width(&entry.text)) as f32) < chart.x);
        }
        assert!(((MARGIN + HEADING.width(&picture.caption)) as f32) < chart.x);
        assert!(picture.height as f32 > chart.y + chart.height);
    }

    #[test]
    fn more_points_are_smaller_and_paler() {
        let scene = |count: usize| Scene {
            points: vec![samples::scene().points[0]; count],
            ..samples::scene()
        };
        let (few, many) = (Picture::of(&scene(100)), Picture::of(&scene(200_000)));
        assert!(few.radius > 2.0 * many.radius && few.opacity > many.opacity);
    }

    #[test]
    fn each_point_is_drawn_once_and_kinds_take_turns() {
        for count in [0, 1, 2, 3, 4, 6, 12, 1000] {
            let points: Vec<_> =
                (0..count).map(|item| Point { x: 0.0, y: 0.0, kind: Kind::Text, item }).collect();
            let mut items: Vec<_> = mixed(&points).map(|point| point.item).collect();
            if count == 1000 {
                let first_half = items[..100].iter().filter(|item| **item < 500).count();
                assert!((30..70).contains(&first_half), "{first_half}");
            }
            items.sort_unstable();
            assert_eq!(items, (0..count).collect::<Vec<_>>());
        }
    }
}
