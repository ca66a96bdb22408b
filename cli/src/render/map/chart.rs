//! Distances of partners against distances of random pairs, as two hills over one axis.

use std::fmt::Write;

use super::{Histogram, PICTURE, hex};
use crate::render::canvas::{BODY, Canvas, GREY, Ink};
use image::Rgb;

/// The hill of the random pairs, behind.
const RANDOM: Rgb<u8> = Rgb([0x9a, 0x9a, 0xa4]);
const MATCHED: Rgb<u8> = PICTURE;

/// Where a chart stands, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    /// Of the hills; the words of the axis stand below.
    pub(super) height: f32,
}

/// Everything in shares of the chart: x from the first edge to the last, heights of the highest bar.
#[derive(Debug, PartialEq)]
struct Hills {
    random: Vec<Bar>,
    matched: Vec<Bar>,
    random_mean: f32,
    matched_mean: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    left: f32,
    right: f32,
    height: f32,
}

/// `None` for a histogram that has nothing to show or does not fit together.
fn hills(histogram: &Histogram) -> Option<Hills> {
    let (first, last) = (*histogram.edges.first()?, *histogram.edges.last()?);
    let bins = histogram.edges.len() - 1;
    let fits = histogram.matched.len() == bins && histogram.random.len() == bins;
    let (matched, random) = (shares(&histogram.matched)?, shares(&histogram.random)?);
    let width = last - first;
    if !fits || !width.is_finite() || width <= 0.0 {
        return None;
    }
    let highest = matched.iter().chain(&random).copied().fold(0.0, f32::max);
    let part = |edge: f32| ((edge - first) / width).clamp(0.0, 1.0);
    let bars = |shares: &[f32]| -> Vec<Bar> {
        let edges = histogram.edges.windows(2);
        edges
            .zip(shares)
            .map(|(edge, share)| Bar {
                left: part(edge[0]),
                right: part(edge[1]),
                height: share / highest,
            })
            .collect()
    };
    Some(Hills {
        random: bars(&random),
        matched: bars(&matched),
        random_mean: part(histogram.random_mean),
        matched_mean: part(histogram.matched_mean),
    })
}

fn shares(counts: &[u64]) -> Option<Vec<f32>> {
    let sum: u64 = counts.iter().sum();
    (sum > 0).then(|| counts.iter().map(|&count| count as f32 / sum as f32).collect())
}

/// `partners 0.50` and `random pairs 1.25`, each with its colour.
fn captions(histogram: &Histogram) -> [(String, Rgb<u8>); 2] {
    [
        (format!("partners, mean {:.2}", histogram.matched_mean), MATCHED),
        (format!("random pairs, mean {:.2}", histogram.random_mean), RANDOM),
    ]
}

/// The chart as elements of an SVG; empty when there is nothing to show. The classes let a page
/// give it other colours.
pub(super) fn svg(histogram: &Histogram, place: Place) -> String {
    let Some(hills) = hills(histogram) else { return String::new() };
    let mut out = String::from("<g class=\"chart\" font-size=\"14\" fill=\"#787880\">\n");
    let (random, matched) = (hex(RANDOM), hex(MATCHED));
    for (class, colour, bars) in
        [("random", &random, &hills.random), ("matched", &matched, &hills.matched)]
    {
        let outline = outline(bars, place);
        let _ = writeln!(
            out,
            "<path class=\"{class}\" d=\"{outline}\" fill=\"{colour}\" fill-opacity=\".55\"/>"
        );
    }
    let base = place.y + place.height;
    for (class, colour, mean) in [
        ("random-mean", &random, hills.random_mean),
        ("matched-mean", &matched, hills.matched_mean),
    ] {
        let (x, top) = (place.x + mean * place.width, place.y);
        let _ = writeln!(
            out,
            "<path class=\"{class}\" d=\"M{x:.1} {top:.1}V{base:.1}\" stroke=\"{colour}\" \
             stroke-dasharray=\"3 3\"/>"
        );
    }
    let (left, right) = (place.x, place.x + place.width);
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{left:.1} {base:.1}H{right:.1}\" stroke=\"#787880\"/>"
    );
    let ends = [histogram.edges.first(), histogram.edges.last()].map(|edge| edge.unwrap_or(&0.0));
    let below = base + 17.0;
    let _ = writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{below:.1}\">{:.1}</text>\n\
         <text x=\"{right:.1}\" y=\"{below:.1}\" text-anchor=\"end\">{:.1}</text>\n\
         <text x=\"{:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">distance</text>",
        ends[0],
        ends[1],
        f32::midpoint(left, right)
    );
    for (line, (text, colour)) in captions(histogram).into_iter().enumerate() {
        let (class, y) = (["matched", "random"][line], base + 38.0 + 19.0 * line as f32);
        let square = y - 10.0;
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{square:.1}\" width=\"10\" height=\"10\" \
             fill=\"{}\"/><text x=\"{:.1}\" y=\"{y:.1}\">{text}</text>",
            hex(colour),
            left + 16.0
        );
    }
    out.push_str("</g>\n");
    out
}

/// The upper edge of all bars and back along the axis.
fn outline(bars: &[Bar], place: Place) -> String {
    let base = place.y + place.height;
    let x = |part: f32| place.x + part * place.width;
    let mut path = format!("M{:.1} {base:.1}", x(0.0));
    for bar in bars {
        let _ = write!(path, "V{:.1}H{:.1}", base - bar.height * place.height, x(bar.right));
    }
    let _ = write!(path, "V{base:.1}Z");
    path
}

/// The chart on pixels; nothing when there is nothing to show.
pub(super) fn draw(canvas: &mut Canvas, histogram: &Histogram, place: Place) {
    let Some(hills) = hills(histogram) else { return };
    let base = (place.y + place.height) as usize;
    let x = |part: f32| (place.x + part * place.width) as usize;
    for (bars, colour) in [(&hills.random, RANDOM), (&hills.matched, MATCHED)] {
        for bar in bars {
            let height = (bar.height * place.height) as usize;
            let (left, right) = (x(bar.left), x(bar.right));
            let size = (right - left, height);
            canvas.tint((left, base - height), size, Ink { colour, cover: 140 });
        }
    }
    for (mean, colour) in [(hills.random_mean, RANDOM), (hills.matched_mean, MATCHED)] {
        for dash in (place.y as usize..base).step_by(6) {
            canvas.fill((x(mean), dash), (1, 3), colour);
        }
    }
    let width = place.width as usize;
    let left = x(0.0);
    canvas.fill((left, base), (width, 1), GREY);
    let ends = [histogram.edges.first(), histogram.edges.last()];
    let [first, last] = ends.map(|edge| format!("{:.1}", edge.unwrap_or(&0.0)));
    canvas.text((left, base + 4), &first, BODY, GREY);
    canvas.text((left + width - BODY.width(&last), base + 4), &last, BODY, GREY);
    canvas.text((left + (width - BODY.width("distance")) / 2, base + 4), "distance", BODY, GREY);
    for (line, (text, colour)) in captions(histogram).into_iter().enumerate() {
        let y = base + 28 + BODY.line * line;
        canvas.fill((left, y + 3), (10, 10), colour);
        canvas.text((left + 16, y), &text, BODY, GREY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::map::samples;

    const PLACE: Place = Place { x: 10.0, y: 20.0, width: 100.0, height: 50.0 };

    #[test]
    fn each_hill_is_drawn_as_shares_of_its_own_sum_on_one_scale() {
        let hills = hills(&samples::histogram()).unwrap();
        let heights = |bars: &[Bar]| -> Vec<f32> { bars.iter().map(|bar| bar.height).collect() };
        assert_eq!(heights(&hills.matched), [1.0, 0.5, 0.1 / 0.6, 0.0]);
        assert_eq!(heights(&hills.random), [0.0, 0.2 / 0.6, 1.0, 0.2 / 0.6]);
        assert_eq!((hills.matched_mean, hills.random_mean), (0.25, 0.625));
        assert_eq!((hills.matched[1].left, hills.matched[1].right), (0.25, 0.5));
    }

    #[test]
    fn a_histogram_of_nothing_or_of_unequal_lists_is_not_drawn() {
        let good = samples::histogram();
        let empty = Histogram { matched: vec![0; 4], ..good.clone() };
        let short = Histogram { random: vec![1; 3], ..good.clone() };
        let flat = Histogram { edges: vec![1.0; 5], ..good.clone() };
        let bare = Histogram { edges: Vec::new(), ..good.clone() };
        for bad in [empty, short, flat, bare] {
            assert_eq!(svg(&bad, PLACE), "");
        }
        assert!(svg(&good, PLACE).contains("partners, mean 0.50"));
    }

    #[test]
    fn the_outline_goes_over_the_bars_and_back_along_the_axis() {
        let hills = hills(&samples::histogram()).unwrap();
        let path = outline(&hills.matched, PLACE);
        assert!(path.starts_with("M10.0 70.0V20.0H35.0V45.0H60.0"), "{path}");
        assert!(path.ends_with("V70.0H110.0V70.0Z"), "{path}");
    }

    #[test]
    fn a_mean_outside_of_the_edges_stays_in_the_chart() {
        let far = Histogram { random_mean: 9.0, ..samples::histogram() };
        assert!(svg(&far, PLACE).contains("M110.0 20.0V70.0"));
        draw(&mut Canvas::new(120, 150), &far, PLACE);
    }
}
