//! A map drawn: pictures and texts as points in the plane, the closer the more alike.
//!
//! A [`Scene`] holds everything that can be drawn, already named, counted and formatted; the
//! renderers know nothing of indices, vectors or models. [`png()`] and [`svg()`] give the picture
//! of the article, [`write_page`] a page to walk about in that opens from the disk without a
//! server. In all of them x runs to the right and y down, one unit is as long in both directions,
//! and the same scene gives the same bytes.

mod chart;
mod data;
mod ground;
mod page;
mod paths;
mod picture;
mod png;
mod svg;
mod thumbs;

use image::Rgb;
use looksee::files::Blob;

pub(crate) use page::{expect_place as expect_page, write as write_page};
pub(crate) use png::png;
pub(crate) use svg::svg;

/// All that is drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// `shop: 10,000 pictures and 10,000 texts`.
    pub(crate) title: String,
    /// Figures beside the picture.
    pub(crate) facts: Vec<Fact>,
    pub(crate) points: Vec<Point>,
    /// Partners between which a line is drawn, as places in `points`.
    pub(crate) links: Vec<[u32; 2]>,
    pub(crate) items: Vec<Item>,
    /// By what the points are coloured; by their [`Kind`] without it.
    pub(crate) legend: Option<Legend>,
    pub(crate) histogram: Option<Histogram>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) name: String,
    /// As it is shown: `0.93`, `12.4 %`.
    pub(crate) value: String,
    /// What it says, in one line.
    pub(crate) meaning: String,
}

/// One dot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) kind: Kind,
    /// Its place in [`Scene::items`].
    pub(crate) item: u32,
}

/// What a dot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Picture,
    Text,
    /// A row of a file of vectors.
    Vector,
}

/// What a dot tells when it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: String,
    /// Empty when it has none; then the id is shown.
    pub(crate) title: String,
    pub(crate) image: Option<Blob>,
    /// Its place in [`Legend::values`].
    pub(crate) category: Option<u32>,
}

/// A field by which points are coloured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Legend {
    pub(crate) field: String,
    /// Its values, the most frequent first; those beyond the [`PALETTE`] are grey.
    pub(crate) values: Vec<String>,
}

/// How far apart partners lie, against how far apart any picture and text do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    /// Bounds of the bins: one more than there are bins, ascending.
    pub(crate) edges: Vec<f32>,
    /// Partners in each bin.
    pub(crate) matched: Vec<u64>,
    /// Random pairs in each bin; each list is drawn as shares of its own sum.
    pub(crate) random: Vec<u64>,
    pub(crate) matched_mean: f32,
    pub(crate) random_mean: f32,
}

/// Colours that people with any kind of colour vision can tell apart, after Paul Tol, the most
/// distinct first.
pub(crate) const PALETTE: [Rgb<u8>; 12] = [
    Rgb([0x00, 0x77, 0xbb]),
    Rgb([0xee, 0x77, 0x33]),
    Rgb([0x00, 0x99, 0x88]),
    Rgb([0xcc, 0x33, 0x11]),
    Rgb([0x33, 0xbb, 0xee]),
    Rgb([0xdd, 0xaa, 0x33]),
    Rgb([0xaa, 0x44, 0x99]),
    Rgb([0x11, 0x77, 0x33]),
    Rgb([0xee, 0x99, 0xaa]),
    Rgb([0x44, 0x33, 0x99]),
    Rgb([0x99, 0x99, 0x33]),
    Rgb([0x88, 0x22, 0x55]),
];

/// Points without a category, or of one beyond the palette.
const OTHER: Rgb<u8> = Rgb([0xa0, 0xa0, 0xa8]);
const PICTURE: Rgb<u8> = Rgb([0xd6, 0x2f, 0x2b]);
const TEXT: Rgb<u8> = Rgb([0x23, 0x5f, 0xd1]);
const VECTOR: Rgb<u8> = Rgb([0x3f, 0x6f, 0xa8]);
const LINK: Rgb<u8> = Rgb([0x2f, 0xa3, 0x4f]);

impl Kind {
    const ALL: [Self; 3] = [Self::Picture, Self::Text, Self::Vector];

    /// What many of them are called.
    fn plural(self) -> &'static str {
        match self {
            Self::Picture => "pictures",
            Self::Text => "texts",
            Self::Vector => "vectors",
        }
    }

    fn colour(self) -> Rgb<u8> {
        match self {
            Self::Picture => PICTURE,
            Self::Text => TEXT,
            Self::Vector => VECTOR,
        }
    }
}

impl Scene {
    /// The colour of a point: its category's where there is a legend, else its kind's.
    fn colour(&self, point: &Point) -> Rgb<u8> {
        match &self.legend {
            Some(_) => category_colour(self.items[point.item as usize].category),
            None => point.kind.colour(),
        }
    }

    /// The kinds that occur, with how many points each has.
    fn kinds(&self) -> Vec<(Kind, usize)> {
        let count = |kind| self.points.iter().filter(|point| point.kind == kind).count();
        Kind::ALL.map(|kind| (kind, count(kind))).into_iter().filter(|(_, n)| *n > 0).collect()
    }
}

fn category_colour(category: Option<u32>) -> Rgb<u8> {
    category.and_then(|place| PALETTE.get(place as usize)).copied().unwrap_or(OTHER)
}

/// `#0077bb`.
fn hex(colour: Rgb<u8>) -> String {
    let [red, green, blue] = colour.0;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// Two items, each a picture linked with its text: four points on the corners of a square.
    pub(in crate::render) fn scene() -> Scene {
        let point = |x, y, kind, item| Point { x, y, kind, item };
        let item = |id: &str, title: &str| Item {
            id: id.to_owned(),
            title: title.to_owned(),
            image: Some(format!("/shop/{id}.jpg").into()),
            category: None,
        };
        Scene {
            title: "shop: 2 pictures and 2 texts".to_owned(),
            facts: vec![Fact {
                name: "Alignment".to_owned(),
                value: "0.93".to_owned(),
                meaning: "Share of pictures closer to their text than to others.".to_owned(),
            }],
            points: vec![
                point(-1.0, -1.0, Kind::Picture, 0),
                point(1.0, -1.0, Kind::Picture, 1),
                point(-1.0, 1.0, Kind::Text, 0),
                point(1.0, 1.0, Kind::Text, 1),
            ],
            links: vec![[0, 2], [1, 3]],
            items: vec![item("B1", "red dress"), item("B2", "blue shoe")],
            legend: None,
            histogram: None,
        }
    }

    /// The same with a category each, the second grey.
    pub(in crate::render) fn coloured() -> Scene {
        let mut scene = scene();
        scene.legend = Some(Legend {
            field: "colour".to_owned(),
            values: (0..14).map(|number| format!("value {number}")).collect(),
        });
        scene.items[0].category = Some(0);
        scene.items[1].category = Some(13);
        scene
    }

    pub(in crate::render) fn histogram() -> Histogram {
        Histogram {
            edges: vec![0.0, 0.5, 1.0, 1.5, 2.0],
            matched: vec![6, 3, 1, 0],
            random: vec![0, 200, 600, 200],
            matched_mean: 0.5,
            random_mean: 1.25,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_the_colour_of_its_kind_until_there_is_a_legend() {
        let (plain, coloured) = (samples::scene(), samples::coloured());
        let colours = |scene: &Scene| -> Vec<_> {
            scene.points.iter().map(|point| scene.colour(point)).collect()
        };
        assert_eq!(colours(&plain), [PICTURE, PICTURE, TEXT, TEXT]);
        assert_eq!(colours(&coloured), [PALETTE[0], OTHER, PALETTE[0], OTHER]);
    }

    #[test]
    fn only_kinds_that_occur_are_named() {
        let kinds = samples::scene().kinds();
        assert_eq!(kinds, [(Kind::Picture, 2), (Kind::Text, 2)]);
    }
}
