//! A training run as one self-contained page: its figures, its curves, what the model confuses and
//! what it answers. No script, nothing to load; light or dark as the reader's system is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use html_escape::{encode_double_quoted_attribute, encode_text};
use looksee::metrics::Summary;
use looksee::train::{Confusion, Figures, Grid, Hit, Picture, Report};
use looksee::{Result, files};
use rayon::prelude::*;
use serde_json::Value;

use super::grid_html::data_uri_of;
use super::text;
use crate::figures::{count, percent, thousands};

/// Points of a curve; of a longer run, neighbours become their mean.
const POINTS_MOST: usize = 300;
/// The units of a plot, which is stretched to the width of the page.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 200.0;
/// Colours; further curves have them again, dashed.
const COLOURS: usize = 6;

const STYLE: &str = "\
:root { color-scheme: light dark; --back: #fff; --ink: #1c1c20; --grey: #66666f; --line: #dadade;
  --right: #16794a; --wrong: #b3261e; --c0: #2563c9; --c1: #c2571a; --c2: #16794a; --c3: #8a3fbf;
  --c4: #b3266e; --c5: #6b6b1f; }
@media (prefers-color-scheme: dark) { :root { --back: #16161a; --ink: #ececf0; --grey: #a2a2ac;
  --line: #3a3a42; --right: #5fd19a; --wrong: #ff8a80; --c0: #7fb0ff; --c1: #ffa36b; --c2: #5fd19a;
  --c3: #cf9bff; --c4: #ff8ac2; --c5: #d6d66b; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem; background: var(--back); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 72rem; margin: 0 auto; }
h1 { margin: 0; font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin: 2.75rem 0 .75rem; font-size: 1.2rem; }
h3 { margin: 1.5rem 0 .4rem; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; max-width: 46rem; }
.grey, header p, h3 span, figcaption, .axis, th { color: var(--grey); font-weight: normal;
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0 1.25rem; }
th, td { text-align: right; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
.charts { display: grid; gap: 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; min-width: 0; }
.plot { display: grid; grid-template-columns: 3.6rem minmax(0, 1fr); gap: .2rem .5rem; }
.axis { font-size: .8rem; display: flex; justify-content: space-between; }
.axis.y { flex-direction: column; text-align: right; }
.axis.x { grid-column: 2; }
svg { display: block; width: 100%; height: 12rem; border: solid var(--line); border-width: 0 0 1px 1px; }
polyline { fill: none; stroke: var(--c); stroke-width: 2; vector-effect: non-scaling-stroke;
  stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 2 6; }
.legend { list-style: none; margin: .5rem 0 0 4.1rem; padding: 0; display: flex; flex-wrap: wrap;
  gap: .1rem 1rem; font-size: .85rem; }
.legend i { display: inline-block; width: 1.4rem; margin-right: .4rem; vertical-align: middle;
  border-top: 3px solid var(--c); }
.legend .dashed i { border-top-style: dotted; }
.confusions, .hits { list-style: none; margin: 0; padding: 0; display: grid; }
.confusions { gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.confusions > li { border-top: 1px solid var(--line); padding-top: .75rem; min-width: 0;
  overflow-wrap: anywhere; }
.both { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; margin-top: .5rem; }
.hits { gap: .5rem; grid-template-columns: repeat(9, minmax(0, 1fr)); }
img { display: block; width: 100%; height: auto; border: 1px solid var(--line); background: #fff; }
.hits .right img { outline: 3px solid var(--right); outline-offset: -1px; }
.mark { text-align: center; font-size: .85rem; }
.right .mark { color: var(--right); }
.wrong .mark { color: var(--wrong); }
figcaption { font-size: .8rem; overflow: hidden; display: -webkit-box; -webkit-line-clamp: 3;
  -webkit-box-orient: vertical; }
@media (max-width: 44rem) { body { padding: 1rem; } .hits { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  th, td { padding-right: .6rem; } .legend { margin-left: 0; } }
";

/// Writes the page on `report` beside the model in `folder`, whose `log.jsonl` has the curves.
pub(crate) fn write(folder: &Path, report: &Report) -> Result<()> {
    let log = files::read_text(&folder.join("log.jsonl"))?;
    let page = page(&folder.to_string_lossy(), report, &log)?;
    files::replace_bytes(&folder.join(Report::FILE), page.as_bytes())
}

fn page(name: &str, report: &Report, log: &str) -> Result<String> {
    let name = text::one_line(name);
    let name = encode_text(&name);
    let encode = |picture: &Picture| data_uri_of(&picture.rgb, picture.width_px, picture.height_px);
    let sources = report.pictures.par_iter().map(encode).collect::<Result<Vec<String>>>()?;
    let mut page = Report::BEGINNING.to_owned();
    let _ = write!(
        page,
        "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <title>Training of {name} - looksee</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <main>\n<header>\n<h1>Training of {name}</h1>\n<p>The model of step {}. All that is shown \
         comes from {} put aside, which the model never learned from.</p>\n</header>\n",
        thousands(report.step as usize),
        count(report.held_out, "pair"),
    );
    figures(&mut page, &report.figures);
    Curves::read(log).draw(&mut page);
    let pictures = Pictures { of: &report.pictures, sources: &sources };
    if !report.confusions.is_empty() {
        page.push_str(
            "<section id=\"confusions\">\n<h2>Hardest confusions</h2>\n<p class=\"grey\">Titles whose \
             own picture comes last among all that were put aside.</p>\n<ol class=\"confusions\">\n",
        );
        report.confusions.iter().for_each(|confusion| pictures.confusion(&mut page, confusion));
        page.push_str("</ol>\n</section>\n");
    }
    let (own, common): (Vec<&Grid>, Vec<&Grid>) =
        report.grids.iter().partition(|grid| grid.kind.is_some());
    let parts = [
        (
            "common",
            "Short queries",
            "What people type into a shop, as far as the model knows the words.",
            common,
        ),
        (
            "questions",
            "Questions of the catalogue's own",
            "Values of its fields or pieces of its titles; \u{2713} is right, \u{2717} is not.",
            own,
        ),
    ];
    for (id, heading, about, grids) in parts {
        if grids.is_empty() {
            continue;
        }
        let _ = writeln!(
            page,
            "<section id=\"{id}\">\n<h2>{heading}</h2>\n<p class=\"grey\">{about}</p>"
        );
        grids.iter().for_each(|grid| pictures.grid(&mut page, grid));
        page.push_str("</section>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(page)
}

fn figures(page: &mut String, figures: &Figures) {
    page.push_str("<section id=\"figures\">\n<h2>Figures</h2>\n");
    if figures.trained.is_none() {
        page.push_str("<p>No pairs were put aside to measure on.</p>\n</section>\n");
        return;
    }
    page.push_str(
        "<p>How often a title finds its own picture first, among the first 5, and among the first \
         10:</p>\n<div class=\"scroll\"><table>\n<tr><th></th><th>R@1</th><th>R@5</th><th>R@10</th>\
         <th>median rank</th></tr>\n",
    );
    let mut row = |name: &str, summary: Option<&Summary>| {
        if let Some(Summary { r1, r5, r10, median_rank, .. }) = summary {
            let [r1, r5, r10] = [r1, r5, r10].map(|share| percent(*share));
            let _ = writeln!(
                page,
                "<tr><td>{name}</td><td>{r1}</td><td>{r5}</td><td>{r10}</td><td>{median_rank:.0}</td></tr>"
            );
        }
    };
    row("trained", figures.trained.as_ref());
    row("untrained", figures.untrained.as_ref());
    row("chance", figures.chance.as_ref());
    page.push_str("</table></div>\n");
    if !figures.short.is_empty() {
        page.push_str(
            "<p>How many of the first 9 pictures are right, by what is asked for:</p>\n\
             <div class=\"scroll\"><table>\n<tr><th></th><th>trained</th><th>chance</th>\
             <th>questions</th></tr>\n",
        );
        for (kind, answers) in &figures.short {
            let _ = writeln!(
                page,
                "<tr><td dir=\"auto\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                encode_text(&text::one_line(kind)),
                percent(answers.p9),
                percent(answers.chance.p9),
                thousands(answers.questions)
            );
        }
        page.push_str("</table></div>\n");
    }
    page.push_str("</section>\n");
}

/// The curves of a run, points `(step, value)`.
#[derive(Debug, Default, PartialEq)]
struct Curves {
    loss: Vec<(f64, f64)>,
    recall: Vec<(f64, f64)>,
    precision: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Curves {
    /// Lines that are none, such as the last of a disk that was full, are passed over.
    fn read(log: &str) -> Self {
        let mut curves = Self::default();
        for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let Some(step) = line["step"].as_f64() else { continue };
            if let Some(loss) = line["loss"].as_f64() {
                curves.loss.push((step, loss));
            }
            let validation = &line["validation"];
            if let Some(recall) = validation["text_to_image"]["r10"].as_f64() {
                curves.recall.push((step, recall));
            }
            for (kind, answers) in validation["short"].as_object().into_iter().flatten() {
                if let Some(p9) = answers["p9"].as_f64() {
                    curves.precision.entry(kind.clone()).or_default().push((step, p9));
                }
            }
        }
        curves
    }

    fn draw(&self, page: &mut String) {
        let last = [&self.loss, &self.recall].into_iter().filter_map(|curve| curve.last());
        let last = last.map(|&(step, _)| step).fold(1.0, f64::max);
        page.push_str("<section id=\"curves\">\n<h2>Curves</h2>\n<div class=\"charts\">\n");
        let number = |value: f64| format!("{value:.2}");
        let share = |value: f64| format!("{:.0} %", 100.0 * value);
        chart(page, "Loss", &[("", &self.loss)], last, &number);
        let recall = "Titles that find their picture among the first 10";
        chart(page, recall, &[("", &self.recall)], last, &share);
        let kinds = self.precision.iter().map(|(kind, points)| (kind.as_str(), points.as_slice()));
        let kinds: Vec<_> = kinds.collect();
        chart(page, "Right ones among the first 9, by what is asked for", &kinds, last, &share);
        page.push_str("</div>\n</section>\n");
    }
}

/// One plot from step 0 to the last, and from 0 to the greatest value.
fn chart(
    page: &mut String,
    heading: &str,
    curves: &[(&str, &[(f64, f64)])],
    last: f64,
    label: &dyn Fn(f64) -> String,
) {
    let thinned: Vec<(&str, Vec<(f64, f64)>)> =
        curves.iter().map(|&(name, points)| (name, thin(points))).collect();
    let values = thinned.iter().flat_map(|(_, points)| points).map(|&(_, value)| value);
    let most = values.fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    let _ = write!(
        page,
        "<figure>\n<h3>{heading}</h3>\n<div class=\"plot\">\n<div class=\"axis y\"><span>{}</span>\
         <span>{}</span><span>{}</span></div>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{heading}\">\n",
        label(most),
        label(most / 2.0),
        label(0.0),
    );
    let colour = |number: usize| {
        let class = if number >= COLOURS { " class=\"dashed\"" } else { "" };
        format!("{class} style=\"--c: var(--c{})\"", number % COLOURS)
    };
    for (number, (_, points)) in thinned.iter().enumerate() {
        let _ = write!(page, "<polyline{} points=\"", colour(number));
        // A point alone is a line of no length, which has round ends.
        let alone = points.first().filter(|_| points.len() == 1);
        for (step, value) in points.iter().chain(alone) {
            let (x, y) = (step / last * WIDTH, (1.0 - value / most) * HEIGHT);
            let _ = write!(page, "{x:.1},{y:.1} ");
        }
        page.push_str("\"/>\n");
    }
    let _ = write!(
        page,
        "</svg>\n<div class=\"axis x\"><span>step 0</span><span>{}</span></div>\n</div>\n",
        thousands(last as usize)
    );
    if thinned.iter().any(|(name, _)| !name.is_empty()) {
        page.push_str("<ul class=\"legend\">\n");
        for (number, (name, points)) in thinned.iter().enumerate() {
            let value = points.last().map(|&(_, value)| label(value)).unwrap_or_default();
            let name = text::one_line(name);
            let _ = writeln!(
                page,
                "<li{}><i></i><bdi>{}</bdi> {value}</li>",
                colour(number),
                encode_text(&name)
            );
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</figure>\n");
}

/// At most [`POINTS_MOST`] points: means of neighbours.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let each = points.len().div_ceil(POINTS_MOST).max(1);
    let mean = |some: &[(f64, f64)]| {
        let (x, y) = some.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / some.len() as f64, y / some.len() as f64)
    };
    points.chunks(each).map(mean).collect()
}

/// The pictures of the report, and each as the source of an `img`.
struct Pictures<'a> {
    of: &'a [Picture],
    sources: &'a [String],
}

impl Pictures<'_> {
    fn img(&self, number: usize) -> String {
        let Picture { path, title, width_px, height_px, .. } = &self.of[number];
        let (path, title) = (text::one_line(path), text::one_line(title));
        format!(
            "<img src=\"{}\" width=\"{width_px}\" height=\"{height_px}\" alt=\"{}\" title=\"{}\" \
             loading=\"lazy\">",
            self.sources[number],
            encode_double_quoted_attribute(&title),
            encode_double_quoted_attribute(&format!("{title} ({path})")),
        )
    }

    fn confusion(&self, page: &mut String, confusion: &Confusion) {
        let Confusion { text, rank, own, first } = confusion;
        let (text, instead) = (text::one_line(text), text::one_line(&self.of[*first].title));
        let _ = writeln!(
            page,
            "<li>\n<div dir=\"auto\">{}</div>\n<div class=\"both\">\n<figure>{}<figcaption>its own \
             picture: place {}</figcaption></figure>\n<figure>{}<figcaption>first instead: \
             <bdi>{}</bdi></figcaption></figure>\n</div>\n</li>",
            encode_text(&text),
            self.img(*own),
            thousands(*rank),
            self.img(*first),
            encode_text(&instead),
        );
    }

    fn grid(&self, page: &mut String, Grid { query, kind, hits }: &Grid) {
        let query = text::one_line(query);
        let _ = write!(page, "<h3><bdi>{}</bdi>", encode_text(&query));
        if let Some(kind) = kind {
            let right = hits.iter().filter(|hit| hit.right == Some(true)).count();
            let kind = text::one_line(kind);
            let kind = encode_text(&kind);
            let _ = write!(page, " <span>({kind}; {right} of {} right)</span>", hits.len());
        }
        page.push_str("</h3>\n<ol class=\"hits\">\n");
        for &Hit { picture, right } in hits {
            let img = self.img(picture);
            let _ = match right {
                None => writeln!(page, "<li>{img}</li>"),
                Some(true) => {
                    writeln!(
                        page,
                        "<li class=\"right\">{img}<div class=\"mark\">\u{2713}</div></li>"
                    )
                }
                Some(false) => {
                    writeln!(
                        page,
                        "<li class=\"wrong\">{img}<div class=\"mark\">\u{2717}</div></li>"
                    )
                }
            };
        }
        page.push_str("</ol>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "{\"step\":1,\"loss\":2.0}\n{\"step\":2,\"loss\":1.0}\n\
        {\"step\":2,\"validation\":{\"text_to_image\":{\"r10\":0.5},\"short\":{\"<color>\":{\"p9\":0.25}}}}\n\
        {\"step\":3,\"lo";

    fn report() -> Report {
        let picture = |title: &str| Picture {
            path: "/shop/a.jpg".to_owned(),
            title: title.to_owned(),
            width_px: 4,
            height_px: 6,
            rgb: [200, 20, 40].repeat(24),
        };
        let hits =
            vec![Hit { picture: 0, right: Some(true) }, Hit { picture: 1, right: Some(false) }];
        Report {
            step: 1200,
            held_out: 2,
            figures: Figures::default(),
            confusions: vec![Confusion { text: "<script>".to_owned(), rank: 2, own: 0, first: 1 }],
            grids: vec![Grid { query: "red".to_owned(), kind: Some("<color>".to_owned()), hits }],
            pictures: vec![picture("a\"onload=\"x"), picture("<b>ring</b>")],
        }
    }

    #[test]
    fn strangers_texts_are_escaped_and_nothing_is_loaded() {
        let page = page("<model>", &report(), LOG).unwrap();
        assert!(page.starts_with(Report::BEGINNING) && page.contains("default-src 'none'"));
        assert!(!page.contains("http://") && !page.contains("https://"));
        for stranger in ["<script>", "<b>", "<color>", "<model>", "alt=\"a\"onload"] {
            assert!(!page.contains(stranger), "{stranger}");
        }
        assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 4);
        assert!(page.contains("1 of 2 right") && page.contains("its own picture: place 2"));
    }

    #[test]
    fn curves_are_the_logs_as_far_as_it_is_whole() {
        let curves = Curves::read(LOG);
        assert_eq!(curves.loss, [(1.0, 2.0), (2.0, 1.0)]);
        assert_eq!(curves.recall, [(2.0, 0.5)]);
        assert_eq!(curves.precision["<color>"], [(2.0, 0.25)]);
        let mut page = String::new();
        curves.draw(&mut page);
        // From half of the width and the top to the right and half of the height.
        assert!(page.contains("points=\"300.0,0.0 600.0,100.0 \""), "{page}");
        assert_eq!(page.matches("<polyline").count(), 3);
    }

    #[test]
    fn a_long_curve_becomes_the_means_of_its_neighbours() {
        let points: Vec<(f64, f64)> = (0..600).map(|n| (f64::from(n), f64::from(n % 2))).collect();
        let thinned = thin(&points);
        assert_eq!((thinned.len(), thinned[1]), (300, (2.5, 0.5)));
    }
}
