//! Which pictures the catalogue holds, and its files.
//!
//! [`build`] decides everything in memory; [`write()`] only writes. The order is that of Unicode,
//! chance is a hash of the thing's name: the same packages give the same bytes.

use std::collections::HashSet;
use std::io::{Cursor, Write};
use std::path::Path;

use emojis::{Emoji, Group};
use image::{ImageFormat, RgbaImage};
use serde_json::{Map, Value};
use twemoji_assets::png::PngTwemojiAsset;

use crate::captions::{Caption, slug};
use crate::colour;

/// Percentage of the things that the demo learns from.
const TRAINING_PERCENT: u64 = 85;

/// One picture with everything that is written about it.
#[derive(Debug)]
pub(crate) struct Entry {
    id: String,
    title: String,
    description: Option<String>,
    category: &'static str,
    colour: Option<String>,
    /// The base name: decides the file, so that all colours of a thing stand together.
    thing: String,
    recoloured: bool,
    png: Vec<u8>,
}

/// All pictures, and how many were left out.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub(crate) entries: Vec<Entry>,
    recoloured_things: usize,
    without_picture: usize,
    same_picture: usize,
}

impl Catalogue {
    /// What was written, for a person.
    pub(crate) fn summary(&self) -> String {
        let recoloured = self.entries.iter().filter(|entry| entry.recoloured).count();
        let training = self.entries.iter().filter(|entry| is_for_training(&entry.thing)).count();
        format!(
            "{} pictures: {} emoji, and {} things in other colours ({} pictures)\n\
             {} to train on, {} held out\n\
             left out: {} emoji without a picture, {} with the picture of another",
            self.entries.len(),
            self.entries.len() - recoloured,
            self.recoloured_things,
            recoloured,
            training,
            self.entries.len() - training,
            self.without_picture,
            self.same_picture,
        )
    }
}

/// An emoji with its decoded picture.
struct Original {
    emoji: &'static Emoji,
    caption: Caption,
    picture: RgbaImage,
    png: &'static [u8],
}

/// Gathers the emoji without skin tones and recolours the objects that have one hue.
pub(crate) fn build() -> image::ImageResult<Catalogue> {
    let mut catalogue = Catalogue::default();
    let originals = originals(&mut catalogue)?;
    let mut titles: HashSet<String> =
        originals.iter().map(|original| original.emoji.name().to_lowercase()).collect();
    let mut ids = HashSet::new();
    let mut recoloured = HashSet::new();
    for original in &originals {
        catalogue.entries.push(original.entry(&mut ids));
        if !is_object(original.emoji.group()) {
            continue;
        }
        let Some(hue) = colour::one_hue(&original.picture) else { continue };
        // Books are there in four colours already: one of them is enough to make the rest.
        if !recoloured.insert(original.caption.thing()) {
            continue;
        }
        let before = catalogue.entries.len();
        for (name, target) in colour::COLOURS {
            let Some(title) = original.caption.in_colour(name) else { continue };
            if titles.insert(title.to_lowercase()) {
                let picture = colour::recolour(&original.picture, hue, target);
                catalogue.entries.push(original.variant(title, name, &picture, &mut ids)?);
            }
        }
        let variants = catalogue.entries.len() - before;
        catalogue.recoloured_things += usize::from(variants > 0);
    }
    Ok(catalogue)
}

fn originals(catalogue: &mut Catalogue) -> image::ImageResult<Vec<Original>> {
    let mut seen = HashSet::new();
    let mut originals = Vec::new();
    for emoji in emojis::iter() {
        let Some(png) = png_of(emoji) else {
            catalogue.without_picture += 1;
            continue;
        };
        let picture = image::load_from_memory_with_format(png, ImageFormat::Png)?.to_rgba8();
        if seen.insert(picture.as_raw().clone()) {
            originals.push(Original { emoji, caption: Caption::of(emoji.name()), picture, png });
        } else {
            catalogue.same_picture += 1;
        }
    }
    Ok(originals)
}

/// The picture, looked up with and without the mark that asks for the emoji's coloured form.
fn png_of(emoji: &Emoji) -> Option<&'static [u8]> {
    let found = PngTwemojiAsset::from_emoji(emoji.as_str())
        .or_else(|| PngTwemojiAsset::from_emoji(&emoji.as_str().replace('\u{fe0f}', "")));
    found.map(|asset| asset.data.0)
}

impl Original {
    fn entry(&self, ids: &mut HashSet<String>) -> Entry {
        let title = self.emoji.name().to_owned();
        Entry {
            id: free_id(slug(&title), ids),
            description: description(self.other_names(), &title),
            title,
            category: category(self.emoji.group()),
            colour: self.caption.colour.clone(),
            thing: self.caption.thing(),
            recoloured: false,
            png: self.png.to_vec(),
        }
    }

    /// The short names that chat programs use: `dog2` and `red_car` as "dog" and "red car".
    fn other_names(&self) -> impl Iterator<Item = String> {
        self.emoji.shortcodes().map(|code| {
            let plain = code.trim_end_matches(|c: char| c.is_ascii_digit());
            let numbered = plain.ends_with(|c: char| c.is_alphabetic());
            if numbered { plain } else { code }.replace('_', " ")
        })
    }

    fn variant(
        &self,
        title: String,
        colour: &str,
        picture: &RgbaImage,
        ids: &mut HashSet<String>,
    ) -> image::ImageResult<Entry> {
        let mut png = Vec::new();
        picture.write_to(&mut Cursor::new(&mut png), ImageFormat::Png)?;
        let others = self.other_names().filter_map(|name| Caption::of(&name).in_colour(colour));
        Ok(Entry {
            id: free_id(slug(&title), ids),
            description: description(others, &title),
            title,
            category: category(self.emoji.group()),
            colour: Some(colour.to_owned()),
            thing: self.caption.thing(),
            recoloured: true,
            png,
        })
    }
}

/// The first of `id`, `id-2`, `id-3` ... that is not in use.
fn free_id(id: String, ids: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{id}-{number}"));
    let free = std::iter::once(id.clone()).chain(numbered).find(|id| !ids.contains(id));
    let free = free.unwrap_or(id);
    ids.insert(free.clone());
    free
}

/// Other names as one text; `None` when they only repeat the title.
fn description(others: impl Iterator<Item = String>, title: &str) -> Option<String> {
    let mut seen = HashSet::from([slug(title)]);
    let new: Vec<String> = others.filter(|other| seen.insert(slug(other))).collect();
    (!new.is_empty()).then(|| new.join(", "))
}

/// Groups whose pictures keep their meaning in another colour.
fn is_object(group: Group) -> bool {
    matches!(
        group,
        Group::AnimalsAndNature
            | Group::FoodAndDrink
            | Group::TravelAndPlaces
            | Group::Activities
            | Group::Objects
    )
}

fn category(group: Group) -> &'static str {
    match group {
        Group::SmileysAndEmotion => "smileys and emotion",
        Group::PeopleAndBody => "people and body",
        Group::AnimalsAndNature => "animals and nature",
        Group::FoodAndDrink => "food and drink",
        Group::TravelAndPlaces => "travel and places",
        Group::Activities => "activities",
        Group::Objects => "objects",
        Group::Symbols => "symbols",
        Group::Flags => "flags",
    }
}

/// Whether the demo learns from this thing: a hash of its name decides, so that neither the order
/// nor the number of emoji changes the side.
fn is_for_training(thing: &str) -> bool {
    let fnv = thing.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (fnv >> 32) % 100 < TRAINING_PERCENT
}

/// Writes `images/`, `train.jsonl` and `held-out.jsonl`.
pub(crate) fn write(catalogue: &Catalogue, folder: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(folder.join("images/recoloured"))?;
    let mut train = Vec::new();
    let mut held_out = Vec::new();
    for entry in &catalogue.entries {
        fs_err::write(folder.join(entry.image()), &entry.png)?;
        let file = if is_for_training(&entry.thing) { &mut train } else { &mut held_out };
        writeln!(file, "{}", entry.row())?;
    }
    fs_err::write(folder.join("train.jsonl"), train)?;
    fs_err::write(folder.join("held-out.jsonl"), held_out)
}

impl Entry {
    /// The picture's file, relative to the catalogue.
    fn image(&self) -> String {
        let folder = if self.recoloured { "images/recoloured" } else { "images" };
        format!("{folder}/{}.png", self.id)
    }

    fn row(&self) -> Value {
        let mut row = Map::new();
        let mut put = |key: &str, value: &str| row.insert(key.to_owned(), value.into());
        put("image", &self.image());
        put("id", &self.id);
        put("title", &self.title);
        if let Some(description) = &self.description {
            put("description", description);
        }
        put("category", self.category);
        if let Some(colour) = &self.colour {
            put("color", colour);
        }
        put("thing", &self.thing);
        // Colours of one thing are each other's negatives, or no colour could be learnt: only
        // pictures of one caption are a group.
        put("group", &self.title.to_lowercase());
        Value::Object(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| build().unwrap());

    fn titled(title: &str) -> &'static Entry {
        CATALOGUE.entries.iter().find(|entry| entry.title == title).unwrap()
    }

    #[test]
    fn every_title_and_every_id_is_there_once() {
        let titles: HashSet<_> = CATALOGUE.entries.iter().map(|entry| &entry.title).collect();
        let ids: HashSet<_> = CATALOGUE.entries.iter().map(|entry| &entry.id).collect();
        assert_eq!(titles.len(), CATALOGUE.entries.len());
        assert_eq!(ids.len(), CATALOGUE.entries.len());
        assert!(CATALOGUE.entries.len() > 3_000, "{}", CATALOGUE.summary());
    }

    #[test]
    fn all_colours_of_a_thing_stand_in_one_file() {
        for (a, b) in [("red apple", "green apple"), ("blue book", "purple book")] {
            assert_eq!(is_for_training(&titled(a).thing), is_for_training(&titled(b).thing));
        }
    }

    #[test]
    fn no_caption_holds_two_colours_unless_unicode_says_so() {
        for entry in CATALOGUE.entries.iter().filter(|entry| entry.recoloured) {
            let colour = entry.colour.as_deref().unwrap();
            let renamed = Caption::of(&entry.title).in_colour(colour);
            assert_eq!(renamed.as_ref(), Some(&entry.title));
        }
    }

    #[test]
    fn about_one_thing_in_seven_is_held_out() {
        let things: HashSet<_> = CATALOGUE.entries.iter().map(|entry| &entry.thing).collect();
        let held_out = things.iter().filter(|thing| !is_for_training(thing)).count();
        let share = held_out as f64 / things.len() as f64;
        assert!((0.12..0.18).contains(&share), "{share}");
    }
}
