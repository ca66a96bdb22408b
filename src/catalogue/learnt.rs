//! What a model has learnt from, remembered in a few kilobytes, so that measuring it on the same
//! items can be noticed.
//!
//! Of all names only those with the smallest checksums are kept (a bottom-k sketch; Cohen and Kaplan,
//! 2007). Which names of another catalogue have so small a checksum is known exactly, and each of
//! these is in the sketch or was not learnt from: a small catalogue is compared name by name, of a
//! large one a fair sample is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::Item;
use crate::files::Blob;
use crate::units::ItemId;

/// Names that are kept; 12 KB of text.
const KEPT: usize = 1024;
/// Hex digits of a checksum, of which 48 bits are kept.
const DIGITS: usize = 12;

/// The items that a model has learnt from, by the names that decide on which side of a split they
/// are: their groups, or their own names with the sizes of their pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnt {
    /// Different names.
    pub names: usize,
    /// The smallest checksums, 12 hex digits each, ascending; all of them where there are at most
    /// 1024.
    pub sketch: String,
}

/// How much of a catalogue a model has learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Names that could be compared.
    pub compared: usize,
    /// Those of them that were learnt from.
    pub known: usize,
}

impl Learnt {
    /// The entry of a model's [`data`](crate::encoder::Card::data) that holds it.
    pub const ENTRY: &'static str = "learnt";

    /// Remembers these items. Looks up the sizes of their pictures and opens none.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let name = |item: &Item| checksum(&item.id, item.group.as_deref(), &item.image);
        let names: BTreeSet<u64> = items.into_iter().map(name).collect();
        let kept: Vec<String> =
            names.iter().take(KEPT).map(|name| format!("{name:0DIGITS$x}")).collect();
        Self { names: names.len(), sketch: kept.concat() }
    }

    /// How many of these items, by name, group and picture, were learnt from.
    pub fn overlap<'a>(
        &self,
        items: impl IntoIterator<Item = (&'a ItemId, Option<&'a str>, &'a Blob)>,
    ) -> Overlap {
        let kept = self.kept();
        let border = match kept.last() {
            _ if self.names <= kept.len() => u64::MAX,
            Some(&largest) => largest,
            None => return Overlap { compared: 0, known: 0 },
        };
        let names = items.into_iter().map(|(id, group, image)| checksum(id, group, image));
        let compared: BTreeSet<u64> = names.filter(|name| *name <= border).collect();
        let known = compared.intersection(&kept).count();
        Overlap { compared: compared.len(), known }
    }

    /// The checksums of the sketch; what is none is left out, it may be a stranger's.
    fn kept(&self) -> BTreeSet<u64> {
        let digits = self.sketch.as_bytes().chunks_exact(DIGITS);
        let digits = digits.filter_map(|digits| std::str::from_utf8(digits).ok());
        digits.filter_map(|digits| u64::from_str_radix(digits, 16).ok()).collect()
    }
}

/// 48 bits of the name by which an item is known again.
fn checksum(id: &ItemId, group: Option<&str>, image: &Blob) -> u64 {
    let name = match group {
        Some(group) => format!("group {group}"),
        // Cameras give the same names to other pictures.
        None => format!("item {} {id}", image.stamp().map_or(0, |stamp| stamp.size)),
    };
    xxh3_64(name.as_bytes()) >> 16
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catalogue::Place;

    fn item(id: &str, group: Option<&str>) -> Item {
        Item {
            id: ItemId::from(id),
            image: id.into(),
            texts: Vec::new(),
            fields: serde_json::Map::new(),
            group: group.map(Into::into),
            place: Place { file: Path::new("a.csv").into(), line: None },
        }
    }

    fn items(numbers: std::ops::Range<usize>) -> Vec<Item> {
        numbers.map(|n| item(&format!("i{n}"), None)).collect()
    }

    fn overlap(learnt: &Learnt, items: &[Item]) -> Overlap {
        learnt.overlap(items.iter().map(|i| (&i.id, i.group.as_deref(), &i.image)))
    }

    #[test]
    fn a_small_catalogue_is_compared_name_by_name() {
        let learnt = Learnt::of(&items(0..100));
        assert_eq!(learnt.names, 100);
        assert_eq!(overlap(&learnt, &items(90..120)), Overlap { compared: 30, known: 10 });
        assert_eq!(overlap(&learnt, &items(200..220)).known, 0);
    }

    #[test]
    fn of_a_large_one_a_fair_sample_is_compared() {
        let learnt = Learnt::of(&items(0..20_000));
        assert_eq!(learnt.sketch.len(), 1024 * 12);
        let all = overlap(&learnt, &items(0..2000));
        assert!((60..150).contains(&all.compared) && all.known == all.compared, "{all:?}");
        let half = overlap(&learnt, &items(18_000..22_000));
        let share = half.known as f64 / half.compared as f64;
        assert!((0.35..0.65).contains(&share), "{half:?}");
        assert_eq!(overlap(&learnt, &items(30_000..32_000)).known, 0);
    }

    #[test]
    fn another_picture_of_a_learnt_group_is_known_and_another_file_of_that_name_is_not() {
        let learnt = Learnt::of(&[item("a", Some("shoe"))]);
        assert_eq!(overlap(&learnt, &[item("b", Some("shoe"))]).known, 1);
        assert_eq!(overlap(&learnt, &[item("a", None)]).known, 0);
        let folder = tempfile::tempdir().unwrap();
        let camera = |content: &str| {
            let path = folder.path().join("IMG_0001.jpg");
            std::fs::write(&path, content).unwrap();
            let image = path.into();
            Item { image, ..item("IMG_0001.jpg", None) }
        };
        let learnt = Learnt::of(&[camera("one")]);
        assert_eq!(overlap(&learnt, &[camera("two")]).known, 1);
        assert_eq!(overlap(&learnt, &[camera("longer")]).known, 0);
    }

    #[test]
    fn a_sketch_of_nonsense_knows_nothing() {
        let nonsense = Learnt { names: 5, sketch: "zz".repeat(60) };
        assert_eq!(overlap(&nonsense, &items(0..9)).compared, 0);
    }
}
