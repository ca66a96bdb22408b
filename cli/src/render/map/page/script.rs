//! The script of the page: a file a subject, put together when this program is built, so that the
//! page needs nothing beside it.
//!
//! The files share one scope. Those of [`PURE`] compute from what they are given and touch neither
//! the page nor each other's state; `page/tests/` tests them, and `cargo xtask test` runs that where
//! node is installed. The others draw and listen.

/// What every script begins with, and how the page calls it.
const HEAD: &str = "\
'use strict';
/* The map's page. `looksee.part` is called once for each part of the data, `looksee.start` when
   all of them have come. Texts of the catalogue reach the page as `textContent` only.

   Two canvases lie above each other. The lower one has links and dots, drawn by WebGL; where that
   is missing they are drawn on the upper one. The upper one has what needs pictures or letters.
   It is 2-D because a page from the disk may show pictures that lie beside it, but must not hand
   them to WebGL. All places are shares of the map's side, 0 to 1. */
const looksee = (() => {
";

const TAIL: &str = "\
return { part, start };
})();
";

/// A file below `page/` with its text.
type Source = (&'static str, &'static str);

/// A file of this folder.
macro_rules! source {
    ($name:literal) => {
        ($name, include_str!($name))
    };
}

/// What computes.
const PURE: [Source; 8] = [
    source!("bytes.js"),
    source!("points.js"),
    source!("colours.js"),
    source!("sizes.js"),
    source!("room.js"),
    source!("flight.js"),
    source!("words.js"),
    source!("address.js"),
];

/// What draws and listens, in the order in which it is read by the browser.
const PAGE: [Source; 16] = [
    source!("told.js"),
    source!("place.js"),
    source!("view.js"),
    source!("chosen.js"),
    source!("gl.js"),
    source!("plain.js"),
    source!("density.js"),
    source!("thumbs.js"),
    source!("labels.js"),
    source!("frame.js"),
    source!("card.js"),
    source!("hands.js"),
    source!("search.js"),
    source!("panel.js"),
    source!("remember.js"),
    source!("start.js"),
];

/// The whole script.
pub(super) fn whole() -> String {
    let mut script = HEAD.to_owned();
    for (name, text) in PURE.iter().chain(&PAGE) {
        script.extend(["\n// ---- ", name, " ----\n", text]);
    }
    script + TAIL
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn names(folder: &str) -> BTreeSet<String> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/map/page").join(folder);
        let names = std::fs::read_dir(page).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| Path::new(name).extension().is_some_and(|it| it == "js")).collect()
    }

    #[test]
    fn every_file_is_in_the_script_and_every_pure_one_has_its_test() {
        let used = PURE.iter().chain(&PAGE).map(|(name, _)| (*name).to_owned());
        assert_eq!(used.collect::<BTreeSet<_>>(), names(""));
        let tested = PURE.iter().map(|(name, _)| name.replace(".js", ".test.js"));
        let mut tests = names("tests");
        assert!(tests.remove("load.js"));
        assert_eq!(tested.collect::<BTreeSet<_>>(), tests);
    }

    #[test]
    fn what_computes_touches_no_page() {
        for (name, text) in PURE {
            for word in ["document", "window", "byId", "location", "history", "requestAnimation"] {
                assert!(!text.contains(word), "{name} speaks of {word}");
            }
        }
    }
}
