//! A sheet as one self-contained HTML file: pictures as data URIs, no script, nothing to load.

use std::fmt::Write;
use std::io::Cursor;

use data_encoding::BASE64;
use html_escape::{encode_double_quoted_attribute, encode_text};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use looksee::{Error, ErrorKind, Result};

use super::grid::{NOT_FOUND, Sheet, score_line, title};
use super::text;
use looksee::search::Shown;

/// Of 100; above this, pictures of this size grow without looking better.
const QUALITY: u8 = 88;

const STYLE: &str = "\
:root { color-scheme: light; --ink: #1c1c20; --grey: #6f6f78; --line: #dadade; }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem; background: #fff; color: var(--ink);
  font: 15px/1.4 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: calc(var(--columns) * 22rem); min-width: min(100%, 18rem); margin: 0 auto; }
header { display: flex; gap: 1.25rem; align-items: center; margin-bottom: 1.75rem; }
header img { width: 8rem; flex: none; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
header p, .score { margin: 0; color: var(--grey); font-variant-numeric: tabular-nums; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.75rem;
  grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); }
img, .missing { display: block; width: 100%; aspect-ratio: 1; border: 1px solid var(--line); }
.missing { display: grid; place-items: center; background: #e8e8eb; color: var(--grey); }
.title { margin: .6rem 0 .1rem; overflow: hidden; display: -webkit-box; -webkit-line-clamp: 2;
  -webkit-box-orient: vertical; overflow-wrap: anywhere; }
@media (max-width: 44rem) { ol { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; }
  body { padding: 1rem; } }
";

/// The page.
pub(super) fn page(sheet: &Sheet<'_>) -> Result<String> {
    let query = text::one_line(&sheet.answer.query);
    let query = encode_text(&query);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <title>{query} - looksee</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <main style=\"--columns: {}\">\n<header>\n",
        sheet.columns().max(1)
    );
    for picture in &sheet.asked {
        let source = data_uri(picture, sheet.side)?;
        let _ = writeln!(page, "<img src=\"{source}\" alt=\"picture of the query\">");
    }
    let summary = sheet.summary();
    let _ = writeln!(
        page,
        "<div>\n<h1 dir=\"auto\">{query}</h1>\n<p>{summary}</p>\n</div>\n</header>\n<ol>"
    );
    for (hit, picture) in sheet.answer.hits.iter().zip(&sheet.found) {
        page.push_str(&cell(hit, picture.as_deref(), sheet.side)?);
    }
    page.push_str("</ol>\n</main>\n</body>\n</html>\n");
    Ok(page)
}

fn cell(hit: &Shown, picture: Option<&[u8]>, side: usize) -> Result<String> {
    let title = text::one_line(title(hit));
    let id = text::one_line(hit.id.as_str());
    let mut cell = format!("<li title=\"{}\">\n", encode_double_quoted_attribute(&id));
    match picture {
        Some(rgb) => {
            let (source, alt) = (data_uri(rgb, side)?, encode_double_quoted_attribute(&title));
            let _ = writeln!(cell, "<img src=\"{source}\" alt=\"{alt}\" loading=\"lazy\">");
        }
        None => {
            let _ = writeln!(cell, "<div class=\"missing\">{NOT_FOUND}</div>");
        }
    }
    let (title, score) = (encode_text(&title), score_line(hit));
    let _ = writeln!(
        cell,
        "<p class=\"title\" dir=\"auto\">{title}</p>\n<p class=\"score\">{score}</p>\n</li>"
    );
    Ok(cell)
}

/// A picture `[side, side, 3]` as the source of an `img`.
pub(super) fn data_uri(rgb: &[u8], side: usize) -> Result<String> {
    data_uri_of(rgb, side, side)
}

/// A picture `[height, width, 3]` as the source of an `img`.
pub(super) fn data_uri_of(rgb: &[u8], width: usize, height: usize) -> Result<String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut Cursor::new(&mut bytes), QUALITY)
        .encode(rgb, width as u32, height as u32, ExtendedColorType::Rgb8)
        .map_err(|e| Error::new(ErrorKind::Io, "cannot encode a picture").with_source(e))?;
    Ok(format!("data:image/jpeg;base64,{}", BASE64.encode(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::grid::tests::sheet;
    use crate::render::samples;
    use looksee::search::Answer;

    #[test]
    fn strangers_texts_are_escaped() {
        let mut answer = Answer { query: "<script>".to_owned(), ..samples::answer() };
        answer.hits[0].title = Some("a\"onload=\"x".to_owned());
        let page = page(&sheet(&answer, 16)).unwrap();
        assert!(
            !page.contains("<script>") && page.contains("<h1 dir=\"auto\">&lt;script&gt;</h1>")
        );
        assert!(page.contains("alt=\"a&quot;onload=&quot;x\""), "{page}");
        assert!(page.contains("&lt;only&gt;"));
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let answer = samples::answer();
        let page = page(&sheet(&answer, 16)).unwrap();
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<link"));
        assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 2);
    }

    #[test]
    fn a_picture_that_is_gone_keeps_its_cell() {
        let answer = samples::answer();
        let page = page(&sheet(&answer, 16)).unwrap();
        assert_eq!(page.matches("<li ").count(), 2);
        assert_eq!(page.matches("picture not found").count(), 1);
    }
}
