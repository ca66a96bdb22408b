//! The still picture as a PNG.

use looksee::Result;

use super::Scene;
use super::chart;
use super::ground::Ground;
use super::picture::{LINKS, MARK, Mark, Picture, WIDTH, mixed, pixel};
use crate::render::canvas::{BODY, Canvas, HEADING, INK, Ink};

/// The PNG's bytes.
pub(crate) fn png(scene: &Scene) -> Result<Vec<u8>> {
    let picture = Picture::of(scene);
    let mut canvas = Canvas::new(WIDTH, picture.height);
    draw_links(&mut canvas, scene, &picture);
    draw_points(&mut canvas, scene, &picture);
    draw_legend(&mut canvas, &picture);
    if let (Some(histogram), Some(place)) = (&scene.histogram, picture.chart) {
        chart::draw(&mut canvas, histogram, place);
    }
    canvas.png()
}

fn draw_links(canvas: &mut Canvas, scene: &Scene, picture: &Picture) {
    let ground = Ground::of(&scene.points);
    let ink = Ink { colour: LINKS, cover: cover(picture.link_opacity) };
    for link in &scene.links {
        let [from, to] = link.map(|end| pixel(ground.place(&scene.points[end as usize])));
        canvas.line(from, to, ink);
    }
}

fn draw_points(canvas: &mut Canvas, scene: &Scene, picture: &Picture) {
    let ground = Ground::of(&scene.points);
    let cover = cover(picture.opacity);
    for point in mixed(&scene.points) {
        let ink = Ink { colour: scene.colour(point), cover };
        canvas.dot(pixel(ground.place(point)), picture.radius, ink);
    }
}

fn draw_legend(canvas: &mut Canvas, picture: &Picture) {
    canvas.text(picture.caption_at, &picture.caption, HEADING, INK);
    for entry in &picture.legend {
        let (x, y) = entry.at;
        let middle = (x as f32 + 7.0, y as f32 + 8.5);
        let indent = match entry.mark {
            Mark::None => 0,
            Mark::Dot(colour) => {
                canvas.dot(middle, 6.0, Ink { colour, cover: 255 });
                MARK
            }
            Mark::Line => {
                canvas.fill((x, middle.1 as usize), (14, 2), LINKS);
                MARK
            }
        };
        canvas.text((x + indent, y), &entry.text, BODY, INK);
    }
}

/// A share as a byte; what is drawn at all is never nothing.
fn cover(opacity: f32) -> u8 {
    ((opacity * 255.0).round() as u8).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::map::{OTHER, PALETTE, PICTURE, TEXT, samples};
    use image::{Rgb, RgbImage};

    fn drawn(scene: &Scene) -> RgbImage {
        image::load_from_memory(&png(scene).unwrap()).unwrap().to_rgb8()
    }

    fn at(image: &RgbImage, place: (f32, f32)) -> Rgb<u8> {
        let (x, y) = pixel(place);
        *image.get_pixel(x as u32, y as u32)
    }

    fn close(a: Rgb<u8>, b: Rgb<u8>) -> bool {
        a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) < 40)
    }

    #[test]
    fn dots_lie_where_the_points_are_and_links_between_them() {
        let image = drawn(&samples::scene());
        assert!(close(at(&image, (0.0, 0.0)), PICTURE) && close(at(&image, (1.0, 1.0)), TEXT));
        let link = at(&image, (0.0, 0.5));
        // It runs between two columns of pixels, which share its ink.
        assert!(link.0[1] > link.0[0] + 25 && link.0[1] > link.0[2] + 25, "{link:?}");
        assert_eq!(at(&image, (0.5, 0.5)), Rgb([255, 255, 255]));
    }

    #[test]
    fn a_legend_gives_the_dots_their_colours() {
        let image = drawn(&samples::coloured());
        assert!(close(at(&image, (0.0, 0.0)), PALETTE[0]));
        assert!(close(at(&image, (1.0, 1.0)), OTHER));
    }

    #[test]
    fn the_same_scene_gives_the_same_bytes_and_another_others() {
        let scene = samples::scene();
        let other = Scene { histogram: Some(samples::histogram()), ..samples::scene() };
        assert_eq!(png(&scene).unwrap(), png(&scene).unwrap());
        assert_ne!(png(&scene).unwrap(), png(&other).unwrap());
    }

    #[test]
    fn a_scene_without_points_is_a_caption_on_white() {
        let empty = Scene { title: "nothing".to_owned(), ..Scene::default() };
        let image = drawn(&empty);
        assert_eq!(at(&image, (0.5, 0.5)), Rgb([255, 255, 255]));
    }
}
