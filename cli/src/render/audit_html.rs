//! Rows that are probably wrong as one self-contained page: each with its picture, and beside it
//! the picture that its text fits. No script, nothing to load.

use std::fmt::Write;
use std::path::Path;

use html_escape::{encode_double_quoted_attribute, encode_text};
use looksee::audit::{Finding, Kind, Report};
use looksee::{Result, files};
use rayon::prelude::*;

use super::audit::{heading, of_kind};
use super::grid::{NOT_FOUND, open, square};
use super::grid_html::data_uri;
use super::text;
use crate::figures;

/// Pixels of a picture's side.
const SIDE: usize = 160;

const STYLE: &str = "\
:root { color-scheme: light; --ink: #1c1c20; --grey: #6f6f78; --line: #dadade; }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem; background: #fff; color: var(--ink);
  font: 15px/1.4 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 84rem; margin: 0 auto; }
h1 { margin: 0; font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 1rem; font-size: 1.15rem; }
header p, .figures, .reason { margin: .2rem 0; color: var(--grey); font-variant-numeric: tabular-nums; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(24rem, 1fr)); }
li { border-top: 1px solid var(--line); padding-top: .75rem; overflow-wrap: anywhere; }
.pictures { display: flex; gap: .75rem; }
figure { margin: 0; flex: 0 1 10rem; }
figcaption { color: var(--grey); font-size: .8rem; overflow: hidden; display: -webkit-box;
  -webkit-line-clamp: 2; -webkit-box-orient: vertical; }
img, .missing { display: block; width: 100%; aspect-ratio: 1; border: 1px solid var(--line); }
.missing { display: grid; place-items: center; background: #e8e8eb; color: var(--grey); }
.title { margin: .5rem 0 0; font-weight: 600; }
@media (max-width: 30rem) { body { padding: 1rem; } ol { grid-template-columns: 1fr; } }
";

/// The pictures of a finding, `[side, side, 3]`; `None` for one that cannot be opened any more.
struct Pictures {
    own: Option<Vec<u8>>,
    better: Option<Vec<u8>>,
}

/// Writes the page into `path`; `name` is that of the index.
pub(crate) fn write(path: &Path, name: &str, report: &Report) -> Result<()> {
    let look = |finding: &Finding| Pictures {
        own: open(&finding.image, square(SIDE)),
        better: finding.better.as_ref().and_then(|better| open(&better.image, square(SIDE))),
    };
    let pictures: Vec<Pictures> = report.findings.par_iter().map(look).collect();
    files::replace_bytes(path, page(name, report, &pictures)?.as_bytes())
}

fn page(name: &str, report: &Report, pictures: &[Pictures]) -> Result<String> {
    let name = text::one_line(name);
    let name = encode_text(&name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <title>Audit of {name} - looksee</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <main>\n<header>\n<h1>Audit of {name}</h1>\n<p>{}, {} with picture and text</p>\n\
         </header>\n",
        figures::count(report.items, "item"),
        figures::thousands(report.compared),
    );
    for kind in Kind::ALL.into_iter().filter(|&kind| of_kind(report, kind).next().is_some()) {
        let _ = writeln!(page, "<h2>{}</h2>\n<ol>", encode_text(&heading(report, kind)));
        let all = report.findings.iter().zip(pictures);
        for (finding, pictures) in all.filter(|(finding, _)| finding.kind == kind) {
            page.push_str(&cell(finding, pictures)?);
        }
        page.push_str("</ol>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(page)
}

fn cell(finding: &Finding, pictures: &Pictures) -> Result<String> {
    let title = text::one_line(finding.title.as_deref().unwrap_or("(no text)"));
    let mut cell = "<li>\n<div class=\"pictures\">\n".to_owned();
    cell.push_str(&figure(pictures.own.as_deref(), &title, finding.id.as_str())?);
    if let Some(better) = &finding.better {
        let caption = format!("fits better: {}", better.id);
        let alt = better.title.as_deref().unwrap_or("");
        cell.push_str(&figure(pictures.better.as_deref(), alt, &caption)?);
    }
    let _ = write!(
        cell,
        "</div>\n<p class=\"title\" dir=\"auto\">{}</p>\n<p class=\"figures\">{}</p>\n\
         <p class=\"reason\">{}</p>\n</li>\n",
        encode_text(&title),
        figures_of(finding),
        encode_text(&text::one_line(&finding.reason)),
    );
    Ok(cell)
}

fn figure(picture: Option<&[u8]>, alt: &str, caption: &str) -> Result<String> {
    let (alt, caption) = (text::one_line(alt), text::one_line(caption));
    let shown = match picture {
        Some(rgb) => format!(
            "<img src=\"{}\" alt=\"{}\" loading=\"lazy\">",
            data_uri(rgb, SIDE)?,
            encode_double_quoted_attribute(&alt)
        ),
        None => format!("<div class=\"missing\">{NOT_FOUND}</div>"),
    };
    let caption = encode_text(&caption);
    Ok(format!("<figure>\n{shown}\n<figcaption dir=\"auto\">{caption}</figcaption>\n</figure>\n"))
}

/// `1 · score 0.750 · cosine -0.125, expected 0.500`, as far as known.
fn figures_of(finding: &Finding) -> String {
    let mut line = finding.rank.to_string();
    if let Some(score) = finding.score {
        let _ = write!(line, " · score {score:.3}");
    }
    if let (Some(cosine), Some(expected)) = (finding.cosine, finding.expected) {
        let _ = write!(line, " · cosine {cosine:.3}, expected {expected:.3}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::audit::tests::report;

    fn written() -> String {
        let red = [200, 20, 40].repeat(SIDE * SIDE);
        let pictures = [
            Pictures { own: Some(red.clone()), better: Some(red) },
            Pictures { own: None, better: None },
        ];
        page("<shop>", &report(), &pictures).unwrap()
    }

    #[test]
    fn strangers_texts_are_escaped_and_nothing_is_loaded() {
        let page = written();
        assert!(page.contains("A \"red\" &lt;b&gt;shoe&lt;/b&gt;"), "{page}");
        assert!(page.contains("<h1>Audit of &lt;shop&gt;</h1>"));
        assert!(page.contains("its text fits &lt;another&gt;"));
        assert!(page.contains("default-src 'none'") && !page.contains("http://"));
    }

    #[test]
    fn each_kind_has_a_section_and_a_picture_that_is_gone_keeps_its_place() {
        let page = written();
        assert_eq!((page.matches("<h2>").count(), page.matches("<li>").count()), (2, 2));
        assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 2);
        assert_eq!(page.matches("picture not found").count(), 1);
        assert!(page.contains("1 · score 0.750 · cosine -0.125, expected 0.500"));
    }
}
