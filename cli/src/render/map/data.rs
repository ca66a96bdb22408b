//! What the page knows, as scripts: each is one call with one JSON document.
//!
//! A page that was opened from the disk may load scripts and pictures that lie beside it, but not
//! read files. So all that it knows comes to it as calls of `looksee.part`, in the page itself or
//! in files of their own, which hold the same text. Columns of numbers are little-endian bytes in
//! base64; columns of texts are lines of one string, because a million small strings take a
//! browser longer to read than one long one.

use std::path::Path;

use data_encoding::BASE64;
use looksee::{Error, Result};
use serde::Serialize;

use super::ground::Ground;
use super::thumbs::{ACROSS, Sheets};
use super::{Item, Kind, LINK, Legend, OTHER, PALETTE, Point, Scene, hex, paths};
use crate::render::text;

/// Above this many points their places have 32 bits instead of 16: someone will zoom in further.
const FINE: usize = 100_000;
/// Letters of a title that are kept.
const TITLE_LETTERS: usize = 400;
/// Items of one script.
const ITEMS_A_PART: usize = 50_000;
/// The place of an item that has no picture on the sheets, and of one without a category.
const NOWHERE: u32 = u32::MAX;
const NO_CATEGORY: u16 = u16::MAX;

/// All but the texts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Points {
    count: usize,
    bits: u32,
    /// x and y of each point, shares of the ground in 16 or 32 bits.
    positions: String,
    /// 0 picture, 1 text, 2 vector; a byte a point.
    kinds: String,
    /// The item of each point, or nothing where it is the point's own number.
    items_of: Option<String>,
    links: String,
    /// Sixteen bits an item, all set for none.
    categories: Option<String>,
    legend: Option<Names>,
    palette: Vec<String>,
    kind_colours: Vec<String>,
    other_colour: String,
    link_colour: String,
    items: usize,
    thumbs: Option<Thumbs>,
    /// Beginning of the address of each picture.
    root: String,
}

#[derive(Serialize)]
struct Names {
    field: String,
    values: Vec<String>,
}

#[derive(Serialize)]
struct Thumbs {
    side: usize,
    across: usize,
    /// For each item its place, counted through all sheets.
    places: String,
}

/// The texts of some items.
#[derive(Serialize)]
struct Texts {
    first: usize,
    ids: String,
    titles: String,
    /// Empty for an item without a picture.
    images: String,
}

/// The script with the points; `missing` are items whose picture is on no sheet after all.
pub(super) fn points(
    scene: &Scene,
    sheets: &Sheets,
    missing: &[u32],
    folder: &Path,
) -> Result<String> {
    let count = scene.points.len();
    let bits = if count > FINE { 32 } else { 16 };
    let own = scene.points.iter().enumerate().all(|(place, point)| point.item as usize == place);
    let kinds: Vec<u8> = scene.points.iter().map(|point| kind_number(point.kind)).collect();
    script(&Points {
        count,
        bits,
        positions: BASE64.encode(&positions(&scene.points, bits)),
        kinds: BASE64.encode(&kinds),
        items_of: (!own).then(|| BASE64.encode(&words(scene.points.iter().map(|p| p.item)))),
        links: BASE64.encode(&words(scene.links.iter().flatten().copied())),
        categories: scene.legend.as_ref().map(|_| BASE64.encode(&categories(&scene.items))),
        legend: scene.legend.as_ref().map(names),
        palette: PALETTE.map(hex).to_vec(),
        kind_colours: Kind::ALL.map(|kind| hex(kind.colour())).to_vec(),
        other_colour: hex(OTHER),
        link_colour: hex(LINK),
        items: scene.items.len(),
        thumbs: (sheets.count() > 0).then(|| Thumbs {
            side: sheets.side,
            across: ACROSS,
            places: BASE64.encode(&words(places(scene.items.len(), sheets, missing).into_iter())),
        }),
        root: paths::common_root(&scene.items, folder),
    })
}

fn names(legend: &Legend) -> Names {
    Names {
        field: text::one_line(&legend.field),
        values: legend.values.iter().map(|value| text::one_line(value)).collect(),
    }
}

/// The scripts with the texts, made one at a time.
pub(super) fn texts<'a>(
    scene: &'a Scene,
    folder: &'a Path,
) -> impl Iterator<Item = Result<String>> + 'a {
    let root = paths::common_root(&scene.items, folder).len();
    scene.items.chunks(ITEMS_A_PART).enumerate().map(move |(part, items)| {
        let image = |item: &Item| {
            item.image.as_ref().map(|it| paths::href(it.path(), folder).split_off(root))
        };
        script(&Texts {
            first: part * ITEMS_A_PART,
            ids: lines(items.iter().map(|item| text::one_line(&item.id))),
            titles: lines(items.iter().map(title)),
            images: lines(items.iter().map(|item| image(item).unwrap_or_default())),
        })
    })
}

/// The script with the addresses of the sheets.
pub(super) fn sheets(addresses: &[String]) -> Result<String> {
    #[derive(Serialize)]
    struct Addresses<'a> {
        sheets: &'a [String],
    }
    script(&Addresses { sheets: addresses })
}

/// How each script begins.
pub(super) const BEGINNING: &str = "looksee.part(";

/// One call. JSON is an expression of the language; the signs by which a text could end the script
/// element, or a line of an old browser, are written as escapes.
fn script(part: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(part)
        .map_err(|e| Error::invalid("the map cannot be written as JSON").with_source(e))?;
    let mut out = String::with_capacity(json.len() + 20);
    out.push_str(BEGINNING);
    for letter in json.chars() {
        match letter {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out.push_str(");\n");
    Ok(out)
}

fn lines(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join("\n")
}

/// Empty where the id says the same.
fn title(item: &Item) -> String {
    if item.title == item.id {
        return String::new();
    }
    text::cut(&text::one_line(&item.title), TITLE_LETTERS)
}

fn positions(points: &[Point], bits: u32) -> Vec<u8> {
    let ground = Ground::of(points);
    let mut bytes = Vec::with_capacity(points.len() * bits as usize / 4);
    for point in points {
        let (x, y) = ground.place(point);
        for part in [x, y] {
            if bits == 16 {
                bytes.extend(((part * 65_535.0).round() as u16).to_le_bytes());
            } else {
                bytes.extend(((f64::from(part) * f64::from(u32::MAX)) as u32).to_le_bytes());
            }
        }
    }
    bytes
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Picture => 0,
        Kind::Text => 1,
        Kind::Vector => 2,
    }
}

fn categories(items: &[Item]) -> Vec<u8> {
    let number = |item: &Item| {
        item.category.and_then(|place| u16::try_from(place).ok()).unwrap_or(NO_CATEGORY)
    };
    items.iter().flat_map(|item| number(item).to_le_bytes()).collect()
}

fn places(items: usize, sheets: &Sheets, missing: &[u32]) -> Vec<u32> {
    let mut places = vec![NOWHERE; items];
    for (place, &item) in sheets.order.iter().enumerate() {
        places[item as usize] = place as u32;
    }
    for &item in missing {
        places[item as usize] = NOWHERE;
    }
    places
}

fn words(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    numbers.flat_map(u32::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::map::samples;
    use serde_json::Value;

    fn parsed(script: &str) -> Value {
        let json = script.strip_prefix("looksee.part(").unwrap().strip_suffix(");\n").unwrap();
        serde_json::from_str(json).unwrap()
    }

    fn points_of(scene: &Scene, missing: &[u32]) -> Value {
        parsed(&points(scene, &Sheets::of(scene), missing, Path::new("/page")).unwrap())
    }

    fn numbers(value: &Value) -> Vec<u32> {
        let bytes = BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap();
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    #[test]
    fn every_point_is_in_the_script_with_its_kind_item_and_links() {
        let data = points_of(&samples::scene(), &[]);
        assert_eq!((data["count"].as_u64(), data["bits"].as_u64()), (Some(4), Some(16)));
        let corners = BASE64.decode(data["positions"].as_str().unwrap().as_bytes()).unwrap();
        let corners: Vec<u16> =
            corners.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        assert_eq!(corners, [0, 0, 65_535, 0, 0, 65_535, 65_535, 65_535]);
        assert_eq!(data["kinds"], BASE64.encode(&[0, 0, 1, 1]));
        assert_eq!(numbers(&data["itemsOf"]), [0, 1, 0, 1]);
        assert_eq!(numbers(&data["links"]), [0, 2, 1, 3]);
        assert_eq!(data["root"], "file:///shop/");
    }

    #[test]
    fn many_points_have_finer_places() {
        let mut scene = samples::scene();
        scene.points.resize(FINE + 1, scene.points[3]);
        let data = points_of(&scene, &[]);
        assert_eq!(data["bits"], 32);
        assert_eq!(numbers(&data["positions"])[..4], [0, 0, u32::MAX, 0]);
        assert_eq!(numbers(&data["positions"]).len(), 2 * (FINE + 1));
    }

    #[test]
    fn a_missing_picture_has_no_place() {
        let data = points_of(&samples::scene(), &[0]);
        let places = numbers(&data["thumbs"]["places"]);
        assert_eq!(places[0], NOWHERE);
        assert!(places[1] < 2);
    }

    #[test]
    fn an_item_is_not_repeated_where_each_point_has_its_own() {
        let mut scene = samples::scene();
        scene.points.truncate(2);
        scene.links.clear();
        assert_eq!(points_of(&scene, &[])["itemsOf"], Value::Null);
    }

    #[test]
    fn categories_beyond_sixteen_bits_are_none() {
        let mut scene = samples::coloured();
        scene.items[0].category = Some(70_000);
        let data = points_of(&scene, &[]);
        let bytes = BASE64.decode(data["categories"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(bytes, [0xff, 0xff, 13, 0]);
        assert_eq!(data["legend"]["values"][13], "value 13");
    }

    #[test]
    fn a_strangers_text_can_be_neither_markup_nor_script() {
        let mut scene = samples::scene();
        scene.items[0].title = "</script><!--\u{2028}\"); alert(1); (\"\n\\".to_owned();
        let script = texts(&scene, Path::new("/page")).next().unwrap().unwrap();
        assert!(!script.contains(['<', '>', '\u{2028}']) && script.lines().count() == 1);
        let titles = parsed(&script)["titles"].as_str().unwrap().to_owned();
        assert_eq!(titles, "</script><!-- \"); alert(1); (\" \\\nblue shoe");
    }

    #[test]
    fn each_item_has_its_line_in_each_column() {
        let mut scene = samples::scene();
        scene.items[0].title = "a\nb".to_owned();
        scene.items[1] = Item { id: "x\ny".to_owned(), ..Item::default() };
        scene.items.resize(ITEMS_A_PART + 3, scene.items[1].clone());
        let parts: Vec<_> =
            texts(&scene, Path::new("/page")).map(|part| parsed(&part.unwrap())).collect();
        assert_eq!(parts.len(), 2);
        for (part, count) in parts.iter().zip([ITEMS_A_PART, 3]) {
            for column in ["ids", "titles", "images"] {
                assert_eq!(part[column].as_str().unwrap().split('\n').count(), count);
            }
        }
        assert_eq!(parts[1]["first"], ITEMS_A_PART);
        assert!(parts[0]["images"].as_str().unwrap().starts_with("B1.jpg\n\n"));
    }
}
