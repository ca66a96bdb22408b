//! The still picture as an SVG: one path for all dots of a colour, lengths in tenths of a pixel.

use std::collections::BTreeMap;
use std::fmt::Write;

use html_escape::encode_text;

use super::chart;
use super::ground::Ground;
use super::picture::{LINKS, MARK, Mark, Picture, WIDTH, pixel};
use super::{Scene, hex};

/// Links of one path. Within a path lines do not add up where they cross, between paths they do:
/// a bundle is seen as one, and the file stays small.
const LINKS_A_PATH: usize = 16;

/// The SVG's text.
pub(crate) fn svg(scene: &Scene) -> String {
    let picture = Picture::of(scene);
    let height = picture.height;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" font-family=\"system-ui, sans-serif\">\n\
         <title>{}</title>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <g transform=\"scale(.1)\" fill=\"none\" stroke-linecap=\"round\">\n",
        encode_text(&picture.caption)
    );
    links(&mut out, scene, &picture);
    dots(&mut out, scene, &picture);
    out.push_str("</g>\n");
    legend(&mut out, &picture);
    if let (Some(histogram), Some(place)) = (&scene.histogram, picture.chart) {
        out.push_str(&chart::svg(histogram, place));
    }
    out.push_str("</svg>\n");
    out
}

fn links(out: &mut String, scene: &Scene, picture: &Picture) {
    let ground = Ground::of(&scene.points);
    let (colour, opacity) = (hex(LINKS), picture.link_opacity);
    let _ = writeln!(
        out,
        "<g stroke=\"{colour}\" stroke-width=\"10\" stroke-opacity=\"{opacity:.2}\">"
    );
    for some in scene.links.chunks(LINKS_A_PATH) {
        out.push_str("<path d=\"");
        for link in some {
            let [from, to] = link.map(|end| tenths(ground.place(&scene.points[end as usize])));
            let _ = write!(out, "M{} {}l{} {}", from.0, from.1, to.0 - from.0, to.1 - from.1);
        }
        out.push_str("\"/>\n");
    }
    out.push_str("</g>\n");
}

/// A line of no length with round ends is a dot.
fn dots(out: &mut String, scene: &Scene, picture: &Picture) {
    let ground = Ground::of(&scene.points);
    let mut paths: BTreeMap<[u8; 3], String> = BTreeMap::new();
    for point in &scene.points {
        let (x, y) = tenths(ground.place(point));
        let path = paths.entry(scene.colour(point).0).or_default();
        let _ = write!(path, "M{x} {y}h0");
    }
    let (width, opacity) = (picture.radius * 20.0, picture.opacity);
    for (colour, path) in paths.into_iter().rev() {
        let _ = writeln!(
            out,
            "<path stroke=\"{}\" stroke-width=\"{width:.0}\" stroke-opacity=\"{opacity:.2}\" \
             d=\"{path}\"/>",
            hex(image::Rgb(colour))
        );
    }
}

fn legend(out: &mut String, picture: &Picture) {
    let (x, y) = picture.caption_at;
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{}\" font-size=\"19\" font-weight=\"600\" fill=\"#1c1c20\">{}</text>",
        y + 18,
        encode_text(&picture.caption)
    );
    out.push_str("<g font-size=\"15\" fill=\"#1c1c20\">\n");
    for entry in &picture.legend {
        let (x, y) = entry.at;
        let indent = match entry.mark {
            Mark::None => 0,
            Mark::Dot(colour) => {
                let (x, y) = (x + 7, y + 8);
                let _ =
                    write!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"6\" fill=\"{}\"/>", hex(colour));
                MARK
            }
            Mark::Line => {
                let (y, colour) = (y + 7, hex(LINKS));
                let _ = write!(out, "<path d=\"M{x} {y}h14v2h-14z\" fill=\"{colour}\"/>");
                MARK
            }
        };
        let (x, y) = (x + indent, y + 13);
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\">{}</text>", encode_text(&entry.text));
    }
    out.push_str("</g>\n");
}

fn tenths(place: (f32, f32)) -> (i32, i32) {
    let (x, y) = pixel(place);
    ((x * 10.0).round() as i32, (y * 10.0).round() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::map::{PICTURE, TEXT, samples};

    #[test]
    fn each_point_is_a_dot_in_the_path_of_its_colour() {
        let svg = svg(&samples::scene());
        assert_eq!(svg.matches("h0").count(), 4);
        for (colour, dots) in [(PICTURE, "M400 400h0M15600 400h0"), (TEXT, "M400 15600h0")] {
            let start = svg.find(&format!("<path stroke=\"{}\"", hex(colour))).unwrap();
            let path = &svg[start..start + svg[start..].find("/>").unwrap()];
            assert!(path.contains(dots), "{path}");
        }
        assert!(svg.contains("M400 400l0 15200M15600 400l0 15200"), "{svg}");
    }

    #[test]
    fn strangers_texts_are_escaped() {
        let mut scene = samples::coloured();
        scene.title = "<script>&".to_owned();
        if let Some(legend) = &mut scene.legend {
            legend.field = "</g>".to_owned();
            legend.values[0] = "<b>\u{7}".to_owned();
        }
        let svg = svg(&scene);
        assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains('\u{7}'));
        assert!(svg.contains("&lt;script&gt;&amp;") && svg.contains("&lt;/g&gt;:"));
        assert_eq!(svg.matches("</g>").count(), svg.matches("<g ").count());
    }

    #[test]
    fn the_same_scene_gives_the_same_text() {
        let mut scene = samples::coloured();
        scene.histogram = Some(samples::histogram());
        assert_eq!(svg(&scene), svg(&scene));
        assert!(svg(&scene).contains("class=\"chart\""));
    }

    #[test]
    fn twenty_thousand_points_stay_below_half_a_megabyte() {
        let mut scene = samples::scene();
        scene.points = (0..20_000)
            .map(|n| super::super::Point {
                x: (n % 141) as f32,
                y: (n / 141) as f32,
                ..samples::scene().points[0]
            })
            .collect();
        assert!(svg(&scene).len() < 500_000);
    }
}
