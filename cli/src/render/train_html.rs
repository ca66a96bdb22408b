//! What a training run came to as one self-contained page: figures, curves, what is found and what is
//! mixed up. No script, nothing to load; light or dark as the reader's system is.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use html_escape::{encode_double_quoted_attribute, encode_text};
use looksee::files::Blob;
use looksee::metrics::{AnswerMeans, Answers, Summary};
use looksee::short::Short;
use looksee::train::{
    Confusion, Figures, FoundPicture, Grid, InTheWay, Picture, Ran, Report, Verdict,
};
use looksee::{ItemId, Result, files};
use rayon::prelude::*;

use super::grid::{NOT_FOUND, open, square};
use super::grid_html::data_uri;
use super::text;
use crate::advice;
use crate::figures::{count, percent, thousands};

mod curves;

/// Pixels of a picture's side.
const SIDE: usize = 128;

const STYLE: &str = include_str!("train_html/page.css");

/// Writes the page into `path`; `model` is the folder of the model, as it was named.
pub(crate) fn write(path: &Path, model: &Path, report: &Report) -> Result<()> {
    let pictures = Pictures::of(report, &|picture| open(picture, square(SIDE)))?;
    let page = page(&model.to_string_lossy(), report, &pictures);
    files::replace_bytes(path, page.as_bytes())
}

/// Each picture of a report once, as the source of an `img`; those that cannot be opened any more are
/// missing.
struct Pictures(HashMap<ItemId, String>);

impl Pictures {
    fn of(report: &Report, open: &(dyn Fn(&Blob) -> Option<Vec<u8>> + Sync)) -> Result<Self> {
        let mut shown: HashMap<&ItemId, &Blob> = HashMap::new();
        let grids = report.usual_queries.iter().chain(&report.own_queries);
        let found = grids.flat_map(|grid| &grid.found).map(|found| &found.picture);
        let confused = report.confusions.iter();
        let confused = confused.flat_map(|one| std::iter::once(&one.own).chain(&one.before));
        let in_the_way = report.in_the_way.iter().map(|one| &one.picture);
        for picture in found.chain(confused).chain(in_the_way) {
            shown.insert(&picture.id, &picture.image);
        }
        let source = |(id, place): (&ItemId, &Blob)| {
            open(place).map(|rgb| Ok((id.clone(), data_uri(&rgb, SIDE)?)))
        };
        let sources: Result<HashMap<ItemId, String>> =
            shown.into_par_iter().filter_map(source).collect();
        Ok(Self(sources?))
    }

    fn img(&self, picture: &Picture) -> String {
        let title = text::one_line(&picture.title);
        let id = text::one_line(picture.id.as_str());
        match self.0.get(&picture.id) {
            Some(source) => format!(
                "<img src=\"{source}\" width=\"{SIDE}\" height=\"{SIDE}\" alt=\"{}\" title=\"{}\" \
                 loading=\"lazy\">",
                encode_double_quoted_attribute(&title),
                encode_double_quoted_attribute(&format!("{title} ({id})")),
            ),
            None => format!("<div class=\"missing\">{NOT_FOUND}</div>"),
        }
    }

    fn figure(&self, class: &str, picture: &Picture, caption: &str) -> String {
        let (img, caption) = (self.img(picture), text::one_line(caption));
        let caption = encode_text(&caption);
        format!("<figure{class}>{img}<figcaption dir=\"auto\">{caption}</figcaption></figure>\n")
    }
}

fn page(name: &str, report: &Report, pictures: &Pictures) -> String {
    let name = text::one_line(name);
    let name = encode_text(&name);
    let mut page = Report::BEGINNING.to_owned();
    let _ = write!(
        page,
        "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <title>Training of {name} - looksee</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <main>\n"
    );
    header(&mut page, &name, &report.run, report.verdict.as_ref());
    figures(&mut page, &report.figures);
    if let Some(short) = &report.short {
        answers(&mut page, short);
    }
    curves::draw(&mut page, report);
    let known = "Queries that shops for clothes are asked, as far as the model knows the words. The \
                 nine nearest of the pictures that were put aside, nearest first.";
    grids(&mut page, "usual", "What is found", known, &report.usual_queries, pictures);
    let own = "Values of the catalogue's fields, or pieces of its titles: \u{2713} is right, \u{2717} is \
               not by what the catalogue says.";
    grids(&mut page, "own", "Questions of the catalogue's own", own, &report.own_queries, pictures);
    confusions(&mut page, &report.confusions, pictures);
    in_the_way(&mut page, &report.in_the_way, pictures);
    settings(&mut page, &report.run);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn header(page: &mut String, name: &str, run: &Ran, verdict: Option<&Verdict>) {
    let _ = write!(
        page,
        "<header>\n<h1>Training of {name}</h1>\n<p>{} to learn from, {} put aside; {} in {}. All that \
         is shown here is about pairs that were put aside.</p>\n",
        count(run.training_pairs, "pair"),
        thousands(run.validation_pairs),
        count(run.steps as usize, "step"),
        minutes(run.minutes),
    );
    if let Some(Verdict { sentence, fact }) = verdict {
        let advised = advice::advised(sentence, Some(fact));
        let _ = writeln!(page, "<p class=\"verdict\">{}.</p>", with_flags(&capital(&advised)));
    }
    page.push_str("</header>\n");
}

/// `3.2 minutes`, `2.5 hours`.
fn minutes(minutes: f64) -> String {
    if minutes < 90.0 {
        format!("{minutes:.1} minutes")
    } else {
        format!("{:.1} hours", minutes / 60.0)
    }
}

/// A sentence whose flags are set as code, so that none is broken between two lines.
fn with_flags(sentence: &str) -> String {
    let word = |word: &str| {
        let flag = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '-');
        let word = encode_text(word).into_owned();
        if !flag.starts_with("--") {
            return word;
        }
        let flag = encode_text(flag);
        word.replacen(flag.as_ref(), &format!("<code>{flag}</code>"), 1)
    };
    sentence.split(' ').map(word).collect::<Vec<String>>().join(" ")
}

/// With a capital, as sentences of a page begin.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn figures(page: &mut String, figures: &Figures) {
    let queries = figures.trained.queries;
    let _ = write!(
        page,
        "<section id=\"figures\">\n<h2>How good it is</h2>\n<p>How often a title finds its own picture \
         among {} first, among the first 5 and among the first 10:</p>\n<div class=\"scroll\"><table>\n\
         <tr><th></th><th>R@1</th><th>R@5</th><th>R@10</th><th>median rank</th></tr>\n",
        thousands(queries)
    );
    let rows = [
        ("this model", " class=\"own\"", Some(&figures.trained)),
        ("on pairs that it learned from", "", figures.learnt.as_ref()),
        ("a linear baseline", "", figures.linear.as_ref()),
        ("untrained", "", figures.untrained.as_ref()),
        ("chance", "", figures.chance.as_ref()),
    ];
    for (name, class, summary) in rows {
        row(page, name, class, summary);
    }
    page.push_str("</table></div>\n");
    page.push_str(
        "<p>The other way, how a picture finds its title, and others of its label where there are \
         labels:</p>\n<div class=\"scroll\"><table>\n<tr><th></th><th>R@1</th><th>R@5</th><th>R@10</th>\
         <th>median rank</th></tr>\n",
    );
    row(page, "its title", "", Some(&figures.image_to_text));
    row(page, "others of its label", "", figures.image_to_image.as_ref());
    page.push_str("</table></div>\n</section>\n");
}

fn row(page: &mut String, name: &str, class: &str, summary: Option<&Summary>) {
    let Some(Summary { r1, r5, r10, median_rank, .. }) = summary else { return };
    let [r1, r5, r10] = [r1, r5, r10].map(|share| percent(*share));
    let _ = writeln!(
        page,
        "<tr{class}><td>{name}</td><td>{r1}</td><td>{r5}</td><td>{r10}</td><td>{median_rank:.0}</td></tr>"
    );
}

/// How short questions are answered, and what is found worst.
fn answers(page: &mut String, short: &Short) {
    page.push_str(
        "<section id=\"short\">\n<h2>Short questions</h2>\n<p>How many of the first 9 pictures are \
         right; all of them cannot be where the catalogue has fewer. nDCG@10 is 100 % where right ones \
         come first, however few there are.</p>\n<div class=\"tables\">\n",
    );
    let kinds = short.kinds.iter().map(|of_kind| {
        let Answers { questions, p9, ndcg10, chance, .. } = &of_kind.answers;
        let shares = vec![*p9, chance.p9, *ndcg10];
        Weighed { name: of_kind.kind.to_string(), shares, questions: *questions }
    });
    weighed(page, "By what is asked for", &["right of 9", "by chance", "nDCG@10"], kinds.collect());
    let weak = |name: &str, questions: usize, AnswerMeans { p9, ndcg10, .. }: &AnswerMeans| {
        Weighed { name: name.to_owned(), shares: vec![*p9, *ndcg10], questions }
    };
    let fields = short.weakest.fields.iter();
    let fields: Vec<_> = fields.map(|f| weak(&f.field, f.questions, &f.means)).collect();
    let words = short.weakest.words.iter();
    let words: Vec<_> = words.map(|w| weak(&w.word, w.questions, &w.means)).collect();
    // Where each kind asks for one field, the kinds are the fields.
    let in_pairs = short.kinds.iter().any(|of_kind| of_kind.kind.fields().len() > 1);
    for (heading, weakest, is_news) in
        [("Weakest fields", fields, in_pairs), ("Weakest words", words, true)]
    {
        // Of one there is no weakest.
        if is_news && weakest.len() > 1 {
            weighed(page, heading, &["right of 9", "nDCG@10"], weakest);
        }
    }
    page.push_str("</div>\n</section>\n");
}

/// A row about answers.
struct Weighed {
    name: String,
    /// As many as there are columns for them.
    shares: Vec<f64>,
    questions: usize,
}

fn weighed(page: &mut String, heading: &str, columns: &[&str], rows: Vec<Weighed>) {
    let _ = write!(page, "<div class=\"scroll\">\n<h3>{heading}</h3>\n<table>\n<tr><th></th>");
    for column in columns {
        let _ = write!(page, "<th>{column}</th>");
    }
    page.push_str("<th>questions</th></tr>\n");
    for Weighed { name, shares, questions } in rows {
        let name = text::one_line(&name);
        let _ = write!(page, "<tr><td dir=\"auto\">{}</td>", encode_text(&name));
        for share in shares {
            let _ = write!(page, "<td>{}</td>", percent(share));
        }
        let _ = writeln!(page, "<td>{}</td></tr>", thousands(questions));
    }
    page.push_str("</table>\n</div>\n");
}

fn grids(
    page: &mut String,
    id: &str,
    heading: &str,
    about: &str,
    grids: &[Grid],
    pictures: &Pictures,
) {
    if grids.is_empty() {
        return;
    }
    let _ =
        writeln!(page, "<section id=\"{id}\">\n<h2>{heading}</h2>\n<p class=\"grey\">{about}</p>");
    for Grid { query, kind, right, found } in grids {
        let query = text::one_line(query);
        let _ = write!(page, "<h3><bdi>{}</bdi>", encode_text(&query));
        if let (Some(kind), Some(right)) = (kind, right) {
            let kind = text::one_line(&kind.to_string());
            let kind = encode_text(&kind);
            let is_right = found.iter().filter(|found| found.is_right == Some(true)).count();
            let _ = write!(
                page,
                " <span>({kind}; {is_right} of {} right, {} in all)</span>",
                found.len(),
                thousands(*right)
            );
        }
        page.push_str("</h3>\n<ol class=\"found\">\n");
        for FoundPicture { picture, is_right, .. } in found {
            let img = pictures.img(picture);
            let (class, mark) = match is_right {
                None => ("", ""),
                Some(true) => (" class=\"right\"", "<div class=\"mark\">\u{2713}</div>"),
                Some(false) => (" class=\"wrong\"", "<div class=\"mark\">\u{2717}</div>"),
            };
            let _ = writeln!(page, "<li{class}>{img}{mark}</li>");
        }
        page.push_str("</ol>\n");
    }
    page.push_str("</section>\n");
}

fn confusions(page: &mut String, confusions: &[Confusion], pictures: &Pictures) {
    if confusions.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"confusions\">\n<h2>Hardest confusions</h2>\n<p class=\"grey\">Titles whose own \
         picture, framed, comes last of all; beside it what comes first instead.</p>\n\
         <ol class=\"confusions\">\n",
    );
    for Confusion { own, rank, before } in confusions {
        let title = text::one_line(&own.title);
        let place = format!("place {}", thousands(*rank));
        let _ = write!(
            page,
            "<li>\n<bdi>{}</bdi>\n<div class=\"row\">\n{}",
            encode_text(&title),
            pictures.figure(" class=\"own\"", own, &place)
        );
        for picture in before {
            page.push_str(&pictures.figure("", picture, &picture.title));
        }
        page.push_str("</div>\n</li>\n");
    }
    page.push_str("</ol>\n</section>\n");
}

fn in_the_way(page: &mut String, pictures_in_the_way: &[InTheWay], pictures: &Pictures) {
    if pictures_in_the_way.is_empty() {
        return;
    }
    page.push_str(
        "<section id=\"in-the-way\">\n<h2>Pictures that stand in the way</h2>\n<p class=\"grey\">First \
         for titles of others most often.</p>\n<ol class=\"in-the-way\">\n",
    );
    for InTheWay { picture, titles } in pictures_in_the_way {
        let caption = format!("first for {titles} others: {}", picture.title);
        let _ = writeln!(page, "<li>{}</li>", pictures.figure("", picture, &caption));
    }
    page.push_str("</ol>\n</section>\n");
}

/// What makes the run again.
fn settings(page: &mut String, run: &Ran) {
    let [width, height] = run.picture_px;
    let tuned = match run.tuned_from {
        Some(first) => format!(", the network itself tuned from {} on", thousands(first as usize)),
        None => String::new(),
    };
    let entries = [
        ("catalogue", run.catalogue.join(", ")),
        ("recipe", run.recipe.clone()),
        ("network", format!("{}: {}", run.network, run.engine.name())),
        ("pictures", format!("{width} x {height} pixels")),
        ("vectors", format!("{} values", thousands(run.dim))),
        ("vocabulary", count(run.tokens, "token")),
        ("steps", format!("{}{tuned}", thousands(run.steps as usize))),
        ("kept", format!("the model of step {}", thousands(run.best_step as usize))),
        ("seed", run.seed.to_string()),
    ];
    page.push_str("<section id=\"run\">\n<h2>The run</h2>\n<dl>\n");
    for (name, value) in entries {
        let value = text::one_line(&value);
        let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", encode_text(&value));
    }
    page.push_str("</dl>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use looksee::Fact;
    use looksee::metrics::{AnswerIntervals, Intervals};
    use looksee::questions::Kind;
    use looksee::short::{OfKind, WeakField, WeakWord, Weakest};
    use looksee::train::{Curves, Engine, StepPoint, ValidationPoint};

    use super::*;

    fn summary(r10: f64) -> Summary {
        let around = [r10 - 0.01, r10 + 0.01];
        let ci95 = Intervals { r1: around, r5: around, r10: around, mrr: around };
        let [r1, r5, mrr] = [r10 / 4.0, r10 / 2.0, r10 / 3.0];
        Summary { queries: 1200, r1, r5, r10, mrr, median_rank: 20.0, mean_rank: 61.25, ci95 }
    }

    fn picture(id: &str, title: &str) -> Picture {
        Picture { id: ItemId::from(id), image: Blob::whole(Path::new(id)), title: title.to_owned() }
    }

    /// A run of two steps, tuned from the second on; of its three pictures `gone` is not there.
    pub(super) fn report() -> Report {
        let step = |step, loss| StepPoint { step, loss, active: 0.5, learning_rate: 0.0005 };
        let found = |id: &str, is_right| FoundPicture {
            picture: picture(id, "a\"onload=\"x"),
            score: 0.5,
            is_right,
        };
        let validation = ValidationPoint {
            step: 2,
            score: Some(0.4),
            r10: 0.5,
            training_r10: Some(0.8),
            p9: Some(0.25),
        };
        Report {
            run: Ran {
                recipe: "default".to_owned(),
                network: "resnet18",
                engine: Engine::Tuned,
                picture_px: [64, 48],
                dim: 128,
                catalogue: vec!["<shop>.jsonl".to_owned()],
                training_pairs: 9000,
                validation_pairs: 1200,
                tokens: 77,
                steps: 2,
                tuned_from: Some(1),
                best_step: 2,
                minutes: 3.25,
                seed: 7,
            },
            figures: Figures {
                trained: summary(0.5),
                learnt: Some(summary(0.8)),
                linear: Some(summary(0.3)),
                untrained: Some(summary(0.02)),
                chance: Some(summary(0.01)),
                image_to_text: summary(0.4),
                image_to_image: None,
            },
            verdict: Some(Verdict {
                sentence: "this is an engine; a longer run would help most".to_owned(),
                fact: Fact::StillRising,
            }),
            curves: Curves {
                steps: vec![step(1, 2.0), step(2, 1.0)],
                validations: vec![validation],
            },
            short: None,
            confusions: vec![Confusion {
                own: picture("one", "<script>"),
                rank: 1100,
                before: vec![picture("two", "<b>ring</b>"), picture("gone", "gone")],
            }],
            in_the_way: vec![InTheWay { picture: picture("two", "<i>ring"), titles: 17 }],
            usual_queries: vec![Grid {
                query: "<red>".to_owned(),
                kind: None,
                right: None,
                found: vec![found("one", None)],
            }],
            own_queries: vec![Grid {
                query: "blue".to_owned(),
                kind: Some(Kind::Field("<color>".to_owned())),
                right: Some(30),
                found: vec![found("one", Some(true)), found("two", Some(false))],
            }],
        }
    }

    fn written(report: &Report) -> String {
        let open = |place: &Blob| {
            (place.path() != Path::new("gone")).then(|| [200, 20, 40].repeat(SIDE * SIDE))
        };
        page("<model>", report, &Pictures::of(report, &open).unwrap())
    }

    #[test]
    fn strangers_texts_are_escaped_and_nothing_is_loaded() {
        let page = written(&report());
        assert!(page.starts_with(Report::BEGINNING) && page.contains("default-src 'none'"));
        assert!(!page.contains("http://") && !page.contains("https://"));
        for stranger in
            ["<script", "<b>", "<i>ring", "<red>", "<model>", "<shop>", "alt=\"a\"onload"]
        {
            assert!(!page.contains(stranger), "{stranger}");
        }
    }

    #[test]
    fn the_figures_stand_beside_what_they_mean_nothing_without() {
        let page = written(&report());
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("<tr")).collect();
        assert_eq!(
            rows[1],
            "<tr class=\"own\"><td>this model</td><td>12.5 %</td><td>25.0 %</td><td>50.0 %</td>\
             <td>20</td></tr>"
        );
        let names = ["learned from", "linear", "untrained", "chance"];
        for (row, name) in rows[2..6].iter().zip(names) {
            assert!(row.contains(name), "{row}");
        }
        let verdict = "This is an engine; a longer run would help most; give it more \
                       <code>--minutes</code> or <code>--epochs</code>.</p>";
        assert!(page.contains(verdict), "{page}");
        assert!(
            page.contains("9,000 pairs to learn from, 1,200 put aside; 2 steps in 3.2 minutes")
        );
    }

    #[test]
    fn no_flag_is_broken_between_lines_and_its_punctuation_stays_outside() {
        let page = with_flags("more (--minutes) or --epochs; a - b, <x>");
        let expected = "more (<code>--minutes</code>) or <code>--epochs</code>; a - b, &lt;x&gt;";
        assert_eq!(page, expected);
    }

    #[test]
    fn short_questions_have_chance_and_what_is_weakest_with_what_it_is_sorted_by() {
        let means = |p9: f64, ndcg10: f64| AnswerMeans { p9, map: 0.5, ndcg10 };
        let around = [0.2, 0.4];
        let all = Answers {
            questions: 40,
            p9: 0.3,
            map: 0.5,
            ndcg10: 0.9,
            chance: means(0.05, 0.1),
            ci95: AnswerIntervals { p9: around, map: around, ndcg10: around },
        };
        let kind = Kind::Field("<color>".to_owned());
        let word = |word: &str, p9, ndcg10| WeakWord {
            field: Some("<color>".to_owned()),
            word: word.to_owned(),
            questions: 1,
            means: means(p9, ndcg10),
        };
        let field = |field: &str| WeakField {
            field: field.to_owned(),
            questions: 3,
            means: means(0.2, 0.2),
        };
        let short = Short {
            kinds: vec![OfKind { kind, answers: all.clone() }],
            all,
            weakest: Weakest {
                fields: vec![field("kind"), field("<color>")],
                words: vec![word("<b>", 0.7, 0.3), word("hat", 0.3, 0.6)],
            },
            asked: Vec::new(),
        };
        let page = written(&Report { short: Some(short.clone()), ..report() });
        let section = page.split("<section id=\"short\">").nth(1).unwrap();
        let rows: Vec<&str> =
            section.lines().filter(|line| line.starts_with("<tr><td dir")).collect();
        let expected = [
            "&lt;color&gt;</td><td>30.0 %</td><td>5.0 %</td><td>90.0 %</td><td>40</td></tr>",
            "&lt;b&gt;</td><td>70.0 %</td><td>30.0 %</td><td>1</td></tr>",
            "hat</td><td>30.0 %</td><td>60.0 %</td><td>1</td></tr>",
        ];
        for (row, expected) in rows.iter().zip(expected) {
            assert_eq!(row.strip_prefix("<tr><td dir=\"auto\">"), Some(expected));
        }
        assert!(rows.len() == 3 && !section.contains("Weakest fields"));
        let mut in_pairs = short;
        in_pairs.kinds[0].kind = Kind::Pair("<color>".to_owned(), "kind".to_owned());
        let page = written(&Report { short: Some(in_pairs), ..report() });
        assert!(page.contains("<h3>Weakest fields</h3>"));
    }

    #[test]
    fn each_picture_has_its_place_and_one_that_is_gone_says_so() {
        let page = written(&report());
        // One usual query, two of the catalogue's own, two of a confusion, one in the way.
        assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 6);
        assert_eq!(page.matches(NOT_FOUND).count(), 1);
        assert!(
            page.contains("(&lt;color&gt;; 1 of 2 right, 30 in all)")
                && page.contains("place 1,100")
        );
        assert_eq!(page.matches("<li class=\"right\">").count(), 1);
        assert_eq!(page.matches("<li class=\"wrong\">").count(), 1);
        assert!(page.contains("first for 17 others"));
    }

    #[test]
    fn parts_without_anything_to_show_are_left_out() {
        let bare = Report {
            confusions: Vec::new(),
            in_the_way: Vec::new(),
            usual_queries: Vec::new(),
            own_queries: Vec::new(),
            ..report()
        };
        let page = written(&bare);
        assert!(!page.contains("<img") && !page.contains("<ol"), "{page}");
        assert!(page.contains("<section id=\"figures\">") && page.contains("<section id=\"run\">"));
    }
}
