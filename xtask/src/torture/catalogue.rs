//! A made-up catalogue: small shapes on white, no two alike, as bitmaps that need no library.

use std::fmt::Write;
use std::path::Path;

use super::say;
use crate::steps::Result;

/// Width and height of every picture: the model's own, so that nothing is scaled.
pub(super) const SIDE_PX: usize = 32;
const COLOURS: [(&str, [u8; 3]); 6] = [
    ("red", [220, 40, 40]),
    ("green", [40, 170, 60]),
    ("blue", [40, 70, 220]),
    ("yellow", [240, 210, 40]),
    ("black", [20, 20, 20]),
    ("pink", [250, 150, 190]),
];
const SHAPES: [&str; 4] = ["disc", "square", "bar", "ring"];
/// Sizes of a shape in the first catalogue, and one more that only the second has.
const SIZES: [usize; 3] = [6, 9, 12];

/// Items that the second catalogue no longer has.
const GONE: usize = 6;
/// Those after them, which have another title in the second catalogue.
const RENAMED: usize = 6;
/// Those after them, which have another picture there.
const REPAINTED: usize = 6;

/// An item as its row says it.
struct Item {
    id: String,
    title: String,
    colour: &'static str,
    size: usize,
    picture: String,
}

/// Writes `pictures/`, `first.jsonl` and `second.jsonl` (some items gone, renamed, repainted, new).
pub(super) fn write(folder: &Path) -> Result<()> {
    let pictures = folder.join("pictures");
    std::fs::create_dir_all(&pictures).map_err(say("cannot make a folder", &pictures))?;
    let first = items(&SIZES[..2]);
    paint(&pictures, "", &SIZES)?;
    paint(&pictures, "new-", &SIZES)?;
    let rows = |items: &[Item]| items.iter().map(row).collect::<String>();
    put(&folder.join("first.jsonl"), rows(&first).as_bytes())?;
    put(&folder.join("second.jsonl"), rows(&changed(first)).as_bytes())
}

/// The names of items in the second catalogue that `remove` takes out.
pub(super) fn to_remove() -> Vec<String> {
    items(&SIZES[..2])[GONE + RENAMED..].iter().step_by(5).map(|item| item.id.clone()).collect()
}

/// Names in both catalogues, in the order of the rows, each with its picture in the first.
pub(super) fn in_first() -> Vec<(String, String)> {
    items(&SIZES[..2]).into_iter().map(|item| (item.id, item.picture)).collect()
}

fn items(sizes: &[usize]) -> Vec<Item> {
    let mut items = Vec::new();
    for (colour, _) in COLOURS {
        for shape in SHAPES {
            for &size in sizes {
                let id = format!("{colour}-{shape}-{size}");
                let title = format!("{colour} {shape}");
                items.push(Item { picture: format!("{id}.bmp"), id, title, colour, size });
            }
        }
    }
    items
}

/// The first catalogue's items as the second has them.
fn changed(first: Vec<Item>) -> Vec<Item> {
    let mut second: Vec<Item> = first.into_iter().skip(GONE).collect();
    for item in &mut second[..RENAMED] {
        item.title = format!("large {}", item.title);
    }
    for item in &mut second[RENAMED..RENAMED + REPAINTED] {
        item.picture = format!("new-{}", item.picture);
    }
    second.extend(items(&SIZES[2..]));
    second
}

fn row(item: &Item) -> String {
    let Item { id, title, colour, size, picture } = item;
    let mut row = String::new();
    let _ = writeln!(
        row,
        r#"{{"image": "pictures/{picture}", "id": "{id}", "title": "{title}", "color": "{colour}", "size": {size}, "group": "{id}"}}"#
    );
    row
}

/// Paints every shape under `before` and its item's name; another `before` is another place.
fn paint(pictures: &Path, before: &str, sizes: &[usize]) -> Result<()> {
    let shift = if before.is_empty() { 0.0 } else { 3.0 };
    for (number, item) in items(sizes).iter().enumerate() {
        let shape = SHAPES[(number / sizes.len()) % SHAPES.len()];
        let rgb = COLOURS.iter().find(|(name, _)| *name == item.colour).map_or([0; 3], |c| c.1);
        let bitmap = bitmap(|x, y| {
            let x = x as f64 - 15.5 + shift;
            if inside(shape, x, y as f64 - 15.5, item.size as f64) { rgb } else { [255; 3] }
        });
        put(&pictures.join(format!("{before}{}", item.picture)), &bitmap)?;
    }
    Ok(())
}

fn inside(shape: &str, x: f64, y: f64, radius: f64) -> bool {
    let distance = x.hypot(y);
    match shape {
        "disc" => distance < radius,
        "square" => x.abs() < radius && y.abs() < radius,
        "bar" => x.abs() < radius && y.abs() < radius / 3.0,
        _ => distance < radius && distance > radius * 0.6,
    }
}

/// A bitmap of 24 bits a pixel; rows stand from the bottom up and need no padding at this width.
fn bitmap(colour: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let size = 54 + SIDE_PX * SIDE_PX * 3;
    let mut bytes = b"BM".to_vec();
    let mut number = |number: usize| bytes.extend((number as u32).to_le_bytes());
    for value in [size, 0, 54, 40, SIDE_PX, SIDE_PX, 1 | (24 << 16), 0, 0, 0, 0, 0, 0] {
        number(value);
    }
    for y in (0..SIDE_PX).rev() {
        for x in 0..SIDE_PX {
            let [red, green, blue] = colour(x, y);
            bytes.extend([blue, green, red]);
        }
    }
    bytes
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(say("cannot write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_the_length_that_it_says() {
        let bytes = bitmap(|x, _| [x as u8, 0, 0]);
        assert_eq!(bytes.len(), 54 + SIDE_PX * SIDE_PX * 3);
        assert_eq!(bytes[2..6], (bytes.len() as u32).to_le_bytes());
        assert_eq!(bytes[54..60], [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_second_catalogue_drops_renames_repaints_and_adds() {
        let (first, second) = (items(&SIZES[..2]), changed(items(&SIZES[..2])));
        let in_second = |id: &str| second.iter().find(|item| item.id == id);
        let gone = first.iter().filter(|item| in_second(&item.id).is_none()).count();
        let same = |f: fn(&Item) -> &String| {
            let same =
                first.iter().filter(|item| in_second(&item.id).is_some_and(|i| f(i) == f(item)));
            same.count()
        };
        assert_eq!((gone, same(|item| &item.title)), (GONE, 48 - GONE - RENAMED));
        assert_eq!(same(|item| &item.picture), 48 - GONE - REPAINTED);
        assert_eq!(second.len(), 48 - GONE + 24);
    }

    #[test]
    fn what_is_removed_is_in_the_second_catalogue() {
        let second = changed(items(&SIZES[..2]));
        let removed = to_remove();
        assert!(removed.len() > 3);
        assert!(removed.iter().all(|id| second.iter().any(|item| &item.id == id)));
    }
}
