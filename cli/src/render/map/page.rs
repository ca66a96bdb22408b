//! The map as a page to walk about in, which opens from the disk.
//!
//! Small maps are one file. When the small pictures and the data together would make it unwieldy,
//! they go into a folder beside it, `map_files` for `map.html`. Files in that folder are named
//! after their content and the page is put in place last: at no moment does a page lie there whose
//! files are not those it was made with. What no page names any more is removed after that.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use html_escape::{encode_double_quoted_attribute, encode_text};
use looksee::files::{self, Beginning, Blob, Cut, FileKind};
use looksee::images::{self, Frame, Limits};
use looksee::units::{Event, Listener, Stop};
use looksee::{Error, Result};

use super::thumbs::{Open, Sheets};
use super::{Fact, Scene, chart, data, paths};
use crate::render::text;

/// Bytes of pictures and data that one file holds; beyond, they get files of their own.
const ONE_FILE: usize = 16 << 20;

mod script;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Pictures that could not be read; they are dots.
    pub(crate) missing: usize,
    /// Files in the folder beside the page; 0 when it is one file.
    pub(crate) side_files: usize,
    /// Of all files together.
    pub(crate) bytes: u64,
}

/// Writes the page to `path`, and what does not fit into it into a folder beside it.
pub(crate) fn write(
    path: &Path,
    scene: &Scene,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Written> {
    let folder = side_folder(path)?;
    let mut laid = Laid::default();
    let outcome = write_files(path, &folder, &mut laid, scene, stop, listener);
    if outcome.is_err() && !laid.names.is_empty() {
        // The others belong to the page that is still there.
        for name in &laid.new {
            files::remove_own(&folder.join(name), beginning(name), Cut::Nowhere);
        }
        remove_if_empty(&folder);
    }
    outcome
}

/// Parts that were laid beside the page.
#[derive(Default)]
struct Laid {
    names: Vec<String>,
    /// Those that were not there before.
    new: Vec<String>,
}

/// Refuses a page whose folder would be somebody else's: before the work, not after it.
pub(crate) fn expect_place(path: &Path) -> Result<()> {
    expect_own(&side_folder(path)?)
}

/// An error unless the folder is not there yet, empty, or one that holds parts of a page.
fn expect_own(folder: &Path) -> Result<()> {
    let what = match files::kind(folder)? {
        FileKind::Absent => return Ok(()),
        FileKind::Folder if is_own(folder)? => return Ok(()),
        FileKind::Folder => "this folder holds other files",
        FileKind::Link => "this is a symbolic link",
        FileKind::File | FileKind::Special => "this is a file",
    };
    let message = format!(
        "{what}, and the parts of the page go into a folder of this name; name the page otherwise"
    );
    Err(Error::invalid(message).at_file(folder))
}

/// Files that a desktop puts into folders of its own accord.
const OF_THE_SYSTEM: [&str; 3] = [".DS_Store", ".directory", "Thumbs.db"];

fn is_own(folder: &Path) -> Result<bool> {
    let cannot = |e| Error::io("cannot list the folder", e).at_file(folder);
    let mut empty = true;
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let known = |name: &str| is_ours(name).then(|| beginning(name));
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if is_ours(name) || files::is_left_over(&entry.path(), known) {
            return Ok(true);
        }
        empty &= OF_THE_SYSTEM.contains(&name);
    }
    Ok(empty)
}

fn write_files(
    path: &Path,
    folder: &Path,
    laid: &mut Laid,
    scene: &Scene,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Written> {
    let mut bytes = 0;
    let mut put = |file: &Part| {
        if laid.names.is_empty() {
            expect_own(folder)?;
            files::make_own_folder(folder)?;
        }
        let name = file.name();
        if files::kind(&folder.join(&name))? == FileKind::Absent {
            laid.new.push(name.clone());
        }
        files::replace_bytes(&folder.join(&name), &file.bytes)?;
        bytes += file.bytes.len() as u64;
        laid.names.push(name);
        Ok(())
    };
    let place = Place { page: path, folder, one_file: ONE_FILE };
    let assembled = assemble(scene, place, &open, &mut put, stop, listener)?;
    files::replace_bytes(path, assembled.html.as_bytes())?;
    remove_others(folder, &laid.names);
    Ok(Written {
        missing: assembled.missing,
        side_files: laid.names.len(),
        bytes: bytes + assembled.html.len() as u64,
    })
}

/// `map_files` for `map.html`.
fn side_folder(path: &Path) -> Result<PathBuf> {
    let Some(stem) = path.file_stem() else {
        return Err(Error::invalid("a page needs a file name, such as map.html").at_file(path));
    };
    let mut name = stem.to_owned();
    name.push("_files");
    Ok(path.with_file_name(name))
}

fn open(picture: &Blob, frame: Frame) -> Option<Vec<u8>> {
    images::load(picture, frame, Limits::default()).ok().map(|framed| framed.rgb)
}

/// Removes what earlier pages have left in the folder, and the folder when nothing remains. Only
/// files that are named as ours and begin so are touched. That one cannot be removed harms nobody.
fn remove_others(folder: &Path, names: &[String]) {
    if files::kind(folder).ok() != Some(FileKind::Folder) {
        return;
    }
    files::tidy(folder, |name| is_ours(name).then(|| beginning(name)));
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_ours(name) && !names.iter().any(|kept| kept == name) {
            files::remove_own(&entry.path(), beginning(name), Cut::Nowhere);
        }
    }
    remove_if_empty(folder);
}

/// Refused by the system unless it is empty; a link is no folder to it.
fn remove_if_empty(folder: &Path) {
    let _ = std::fs::remove_dir(folder);
}

/// How a part of this name begins.
fn beginning(name: &str) -> Beginning {
    (0, if name.starts_with("sheet") { b"\xff\xd8\xff" } else { data::BEGINNING.as_bytes() })
}

/// A part of the page that can lie in it or beside it.
struct Part {
    kind: Kind,
    number: usize,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sheet,
    Script,
}

impl Part {
    /// `sheet-003-1f00c2d3a4b5.jpg`: after its content.
    fn name(&self) -> String {
        let fingerprint = files::fingerprint([self.bytes.as_slice()]);
        let (word, ending) = match self.kind {
            Kind::Sheet => ("sheet", "jpg"),
            Kind::Script => ("data", "js"),
        };
        format!("{word}-{:03}-{fingerprint}.{ending}", self.number)
    }
}

fn is_ours(name: &str) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let mut parts = stem.split('-');
    let word = parts.next();
    let number =
        parts.next().is_some_and(|n| n.len() >= 3 && n.bytes().all(|b| b.is_ascii_digit()));
    let hash =
        parts.next().is_some_and(|h| h.len() == 12 && h.bytes().all(|b| b.is_ascii_hexdigit()));
    let known = matches!((word, ending), (Some("sheet"), "jpg") | (Some("data"), "js"));
    known && number && hash && parts.next().is_none()
}

/// Where the page will lie.
#[derive(Clone, Copy)]
struct Place<'a> {
    page: &'a Path,
    folder: &'a Path,
    /// Bytes up to which everything goes into the page.
    one_file: usize,
}

/// The page, and how many pictures are missing from it.
#[derive(Debug)]
struct Assembled {
    html: String,
    missing: usize,
}

/// Writes a part beside the page.
type Put<'a> = &'a mut dyn FnMut(&Part) -> Result<()>;

/// Makes the page; what shall lie beside it is handed to `put` as soon as it is made, so that no
/// more than [`Place::one_file`] and one part are held.
fn assemble(
    scene: &Scene,
    place: Place<'_>,
    open: Open<'_>,
    put: Put<'_>,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Assembled> {
    let page_folder = paths::absolute(place.page).parent().map(Path::to_owned).unwrap_or_default();
    let mut parts = Parts { limit: place.one_file, bytes: 0, kept: Vec::new(), beside: None, put };
    let sheets = Sheets::of(scene);
    let mut missing = Vec::new();
    for number in 0..sheets.count() {
        stop.check()?;
        let sheet = sheets.draw(number, scene, open)?;
        missing.extend(sheet.missing);
        parts.add(Part { kind: Kind::Sheet, number, bytes: sheet.jpeg })?;
        let (done, total) = (sheets.end(number), sheets.order.len());
        listener(Event::Progress { what: "shrinking", done, total });
    }
    let points = data::points(scene, &sheets, &missing, &page_folder)?;
    parts.add(Part { kind: Kind::Script, number: 0, bytes: points.into_bytes() })?;
    for (number, texts) in data::texts(scene, &page_folder).enumerate() {
        stop.check()?;
        parts.add(Part { kind: Kind::Script, number: number + 1, bytes: texts?.into_bytes() })?;
    }
    let scripts = scripts(&parts, place.folder)?;
    Ok(Assembled { html: html(scene, &scripts), missing: missing.len() })
}

/// The parts, kept for the page as long as they are small together.
struct Parts<'a> {
    limit: usize,
    bytes: usize,
    kept: Vec<Part>,
    /// Kinds and names of those that lie beside the page, once they do.
    beside: Option<Vec<(Kind, String)>>,
    put: Put<'a>,
}

impl Parts<'_> {
    fn add(&mut self, part: Part) -> Result<()> {
        self.bytes += part.bytes.len();
        self.kept.push(part);
        if self.bytes > self.limit {
            let beside = self.beside.get_or_insert_default();
            for part in self.kept.drain(..) {
                (self.put)(&part)?;
                beside.push((part.kind, part.name()));
            }
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        match &self.beside {
            Some(beside) => beside.iter().map(|(_, name)| name.clone()).collect(),
            None => self.kept.iter().map(Part::name).collect(),
        }
    }
}

/// A script of the page: its text, or the address of its file.
enum Script {
    Here(String),
    Beside(String),
}

/// The scripts of a page, and the word by which the browser knows that they are ours: it depends
/// on all that the page holds, so no text that the page holds can have foreseen it.
struct Scripts {
    list: Vec<Script>,
    nonce: String,
}

fn scripts(parts: &Parts<'_>, folder: &Path) -> Result<Scripts> {
    let folder = paths::encode_name(Path::new(folder.file_name().unwrap_or_default()));
    let mut sheets = Vec::new();
    let mut list = Vec::new();
    for (kind, name) in parts.beside.iter().flatten() {
        let address = format!("{folder}/{name}");
        match kind {
            Kind::Sheet => sheets.push(address),
            Kind::Script => list.push(Script::Beside(address)),
        }
    }
    for part in &parts.kept {
        match part.kind {
            Kind::Sheet => {
                sheets.push(format!("data:image/jpeg;base64,{}", BASE64.encode(&part.bytes)));
            }
            Kind::Script => {
                list.push(Script::Here(String::from_utf8_lossy(&part.bytes).into_owned()));
            }
        }
    }
    list.push(Script::Here(data::sheets(&sheets)?));
    let names = parts.names();
    let nonce = files::fingerprint(names.iter().map(String::as_bytes));
    Ok(Scripts { list, nonce })
}

fn html(scene: &Scene, scripts: &Scripts) -> String {
    let nonce = &scripts.nonce;
    let mut list = String::new();
    for script in &scripts.list {
        let _ = match script {
            Script::Here(text) => writeln!(list, "<script nonce=\"{nonce}\">{text}</script>"),
            Script::Beside(address) => {
                let address = encode_double_quoted_attribute(address);
                writeln!(list, "<script nonce=\"{nonce}\" src=\"{address}\"></script>")
            }
        };
    }
    let title = text::one_line(&scene.title);
    fill(
        HTML,
        &[
            ("nonce", nonce),
            ("title", &encode_text(&title)),
            ("style", STYLE),
            ("script", &script::whole()),
            ("facts", &facts(&scene.facts)),
            ("chart", &chart(scene)),
            ("data", &list),
        ],
    )
}

fn facts(facts: &[Fact]) -> String {
    let mut out = String::new();
    for fact in facts {
        let [name, value, meaning] =
            [&fact.name, &fact.value, &fact.meaning].map(|text| text::one_line(text));
        let _ = writeln!(
            out,
            "<div><dt>{}</dt><dd class=\"value\">{}</dd><dd class=\"meaning\">{}</dd></div>",
            encode_text(&name),
            encode_text(&value),
            encode_text(&meaning)
        );
    }
    out
}

fn chart(scene: &Scene) -> String {
    let place = chart::Place { x: 1.0, y: 4.0, width: 318.0, height: 96.0 };
    let chart = scene.histogram.as_ref().map(|histogram| chart::svg(histogram, place));
    match chart.as_deref() {
        None | Some("") => String::new(),
        Some(chart) => format!(
            "<figure><figcaption>Distance of partners and of random pairs</figcaption>\n\
             <svg viewBox=\"0 0 320 162\" role=\"img\" \
             aria-label=\"Histogram of distances\">\n{chart}</svg></figure>\n"
        ),
    }
}

/// The template with each `{{name}}` replaced, in one pass: what was put in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(values.iter().map(|(_, v)| v.len()).sum::<usize>() + 4096);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, v)| v));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::thumbs::tests::{painted, pictures};
    use super::*;
    use crate::render::map::samples;
    use std::cell::RefCell;

    /// The page, the names of what was put beside it, and how many pictures are missing.
    fn assembled(scene: &Scene, one_file: usize) -> (String, Vec<String>, usize) {
        let mut names = Vec::new();
        let mut put = |part: &Part| {
            names.push(part.name());
            Ok(())
        };
        let place = Place {
            page: Path::new("/shop/a map.html"),
            folder: Path::new("/shop/a map_files"),
            one_file,
        };
        let made =
            assemble(scene, place, &painted, &mut put, &Stop::default(), &mut |_| {}).unwrap();
        (made.html, names, made.missing)
    }

    #[test]
    fn a_small_map_is_one_file_that_loads_nothing() {
        let (html, beside, _) = assembled(&pictures(300), ONE_FILE);
        assert_eq!(beside, [""; 0]);
        assert_eq!(html.matches("data:image/jpeg;base64,").count(), 2);
        assert!(!html.contains(" src=\"") && !html.contains("<link"));
        for address in ["http://", "https://"] {
            let allowed = html.matches("http://www.w3.org/").count();
            let found = html.matches(address).count();
            assert_eq!(found, if address == "http://" { allowed } else { 0 });
        }
    }

    #[test]
    fn a_large_map_has_its_parts_beside_it_and_names_each_of_them() {
        let (html, beside, _) = assembled(&pictures(300), 1000);
        assert_eq!(beside.len(), 4);
        for name in &beside {
            assert!(is_ours(name) && html.contains(&format!("a%20map_files/{name}")), "{name}");
        }
        assert_eq!(html.matches(" src=\"a%20map_files/data-").count(), 2);
        assert!(!html.contains("data:image/jpeg"));
    }

    #[test]
    fn parts_made_before_the_limit_was_reached_are_not_lost() {
        let (_, all, _) = assembled(&pictures(300), 0);
        let (_, late, _) = assembled(&pictures(300), 5000);
        assert_eq!(all, late);
    }

    #[test]
    fn the_same_scene_gives_the_same_page_and_another_others() {
        let (scene, other) = (pictures(20), pictures(21));
        assert_eq!(assembled(&scene, ONE_FILE).0, assembled(&scene, ONE_FILE).0);
        assert_ne!(assembled(&scene, 0).1[0], assembled(&other, 0).1[0]);
    }

    #[test]
    fn pictures_that_cannot_be_read_are_counted() {
        let (html, _, missing) = assembled(&samples::scene(), ONE_FILE);
        assert_eq!(missing, 2);
        assert!(html.contains("looksee.part("));
    }

    #[test]
    fn strangers_texts_are_escaped() {
        let mut scene = samples::scene();
        let evil = "</title></script><script>alert(1)</script>{{data}}";
        scene.title = evil.to_owned();
        scene.facts[0].meaning = evil.to_owned();
        scene.items[0] = crate::render::map::Item {
            id: evil.to_owned(),
            title: format!("{evil}."),
            ..scene.items[0].clone()
        };
        let (html, ..) = assembled(&scene, ONE_FILE);
        assert!(!html.contains("alert(1)</script>") && !html.contains("<script>"));
        let (plain, ..) = assembled(&samples::scene(), ONE_FILE);
        for tag in ["<script nonce=", "</script>", "<"] {
            assert_eq!(html.matches(tag).count(), plain.matches(tag).count(), "{tag}");
        }
        assert!(html.contains("<title>&lt;/title&gt;&lt;/script&gt;&lt;script&gt;"));
    }

    #[test]
    fn only_scripts_with_the_pages_own_word_may_run() {
        let (html, ..) = assembled(&samples::scene(), ONE_FILE);
        let (_, policy) = html.split_once("Content-Security-Policy\" content=\"").unwrap();
        let (policy, _) = policy.split_once('"').unwrap();
        let nonce = policy.split_once("script-src 'nonce-").unwrap().1.split_once('\'').unwrap().0;
        assert_eq!(nonce.len(), 12);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        assert!(
            html.matches("<script").count()
                == html.matches(&format!("<script nonce=\"{nonce}\"")).count()
        );
    }

    #[test]
    fn the_facts_and_the_chart_stand_on_the_page() {
        let scene = Scene { histogram: Some(samples::histogram()), ..samples::scene() };
        let (html, ..) = assembled(&scene, ONE_FILE);
        assert!(html.contains("<dt>Alignment</dt><dd class=\"value\">0.93</dd>"));
        assert!(html.contains("class=\"chart\"") && html.contains("partners, mean 0.50"));
        assert!(!assembled(&samples::scene(), ONE_FILE).0.contains("<figure>"));
    }

    #[test]
    fn a_template_is_filled_in_one_pass() {
        let filled = fill("a{{x}}b{{y}}c{{z}}", &[("x", "{{y}}"), ("y", "2")]);
        assert_eq!(filled, "a{{y}}b2c");
    }

    #[test]
    fn every_place_of_the_template_is_filled() {
        let (html, ..) = assembled(&samples::scene(), ONE_FILE);
        assert!(!html.contains("{{") && !html.contains("}}"));
    }

    #[test]
    fn only_names_that_we_give_are_ours() {
        for name in ["sheet-000-0123456789ab.jpg", "data-1234-0123456789ab.js"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["sheet-000-0123456789ab.js", "data-001.js", "notes.txt", "data-1-x.js", "a"] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn parts_lie_beside_the_page_before_it_names_them_and_old_ones_go_after() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("map.html");
        let beside = folder.path().join("map_files");
        let listed = || -> Vec<String> {
            let mut names: Vec<_> = std::fs::read_dir(&beside)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let mut large = pictures(10);
        large.items[0].title = "x".to_owned();
        large.items[1].id = "y".repeat(ONE_FILE + 1);
        let written = write(&page, &large, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((written.missing, written.side_files), (10, 3));
        let first = listed();
        assert_eq!(first.len(), 3);
        std::fs::write(beside.join("notes.txt"), "mine").unwrap();
        large.items[0].title = "z".to_owned();
        write(&page, &large, &Stop::default(), &mut |_| {}).unwrap();
        let second = listed();
        assert_eq!(second.len(), 4);
        let changed = second.iter().filter(|name| !first.contains(name)).count();
        assert_eq!(changed, 2, "the texts and the notes");
        let small = write(&page, &pictures(2), &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((small.side_files, listed()), (0, vec!["notes.txt".to_owned()]));
    }

    /// A scene that does not fit into one file.
    fn large() -> Scene {
        let mut large = pictures(10);
        large.items[1].id = "y".repeat(ONE_FILE + 1);
        large
    }

    fn write_large(page: &Path) -> Result<Written> {
        write(page, &large(), &Stop::default(), &mut |_| {})
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (page, beside) = (folder.path().join("map.html"), folder.path().join("map_files"));
        std::fs::create_dir(&beside).unwrap();
        std::fs::write(beside.join("diary.txt"), "mine").unwrap();
        let error = write_large(&page).unwrap_err().to_string();
        assert!(error.contains("holds other files"), "{error}");
        assert!(expect_place(&page).is_err());
        assert_eq!(std::fs::read_dir(&beside).unwrap().count(), 1);
        assert!(!page.exists());
    }

    #[test]
    fn a_file_that_only_has_the_name_of_a_part_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (page, beside) = (folder.path().join("map.html"), folder.path().join("map_files"));
        write_large(&page).unwrap();
        let theirs = beside.join("data-999-0123456789ab.js");
        std::fs::write(&theirs, "alert(1)").unwrap();
        let left = beside.join(".data-999-0123456789ab.js.17.tmp");
        std::fs::write(&left, "looksee.pa").unwrap();
        write(&page, &pictures(2), &Stop::default(), &mut |_| {}).unwrap();
        assert!(theirs.exists() && !left.exists());
        assert_eq!(std::fs::read_dir(&beside).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (page, beside) = (folder.path().join("map.html"), folder.path().join("map_files"));
        write_large(&page).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&beside, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &beside).unwrap();
        let error = write_large(&page).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        write(&page, &pictures(2), &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 3);
    }

    #[test]
    fn a_run_that_is_stopped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("map.html");
        let stop = Stop::default();
        let mut large = pictures(300);
        large.items[0].id = "y".repeat(ONE_FILE + 1);
        let events = RefCell::new(Vec::new());
        let error = write(&page, &large, &stop, &mut |event| {
            if let Event::Progress { done, total, .. } = event {
                events.borrow_mut().push((done, total));
                if done == total {
                    stop.ask();
                }
            }
        });
        assert_eq!(error.unwrap_err().kind(), looksee::ErrorKind::Interrupted);
        assert_eq!(*events.borrow(), [(256, 300), (300, 300)]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
