//! `looksee map`: pictures and texts, or any vectors, on a plane.
//!
//! `subject` is what is drawn, from an index or a numpy file; `figures` are the numbers beside the
//! picture; `onto` puts new points on an earlier map. This file lays out and writes.

mod figures;
mod onto;
mod subject;

use std::path::Path;
use std::time::{Duration, Instant};

use looksee::index::Gone;
use looksee::map::optimise::Phase;
use looksee::map::{Map, Method, Settings, Start, lay_out};
use looksee::units::Stop;
use looksee::{Error, ErrorKind, Result, files};
use serde_json::{Value, json};

use crate::args::{MapArgs, MapRecipe};
use crate::console::Console;
use crate::figures::{count, duration};
use crate::outcome::{Outcome, Status};
use crate::render::map::{self as draw, Kind, Scene};
use crate::render::text;
use crate::{folders, npy, output};
use figures::Figures;
use subject::Subject;

/// Items of the article's map.
const ARTICLE_SAMPLE: usize = 10_000;

pub(crate) fn run(args: &MapArgs, console: &mut Console) -> Outcome {
    let ending = Ending::of(&args.output)?;
    output::expect_place_for(&args.output)?;
    if ending == Ending::Html {
        draw::expect_page(&args.output)?;
    }
    let subject = Subject::of(args, sample(args), console.seed)?;
    if subject.points.is_empty() {
        let place = args.index.as_ref().or(args.vectors.as_ref());
        let nothing = Error::invalid("there is nothing in it to draw");
        return Err(nothing.at_file(place.unwrap_or(&args.output)).into());
    }
    let begun = Instant::now();
    let map = lay(args, &subject, console)?;
    let spent = begun.elapsed();
    let figures = Figures::of(&subject, &map, console.seed);
    write(ending, &args.output, &subject, &map, &figures, console)?;
    if console.json {
        output::document(&report(&args.output, &map, &figures, spent.as_secs_f64()))?;
    } else {
        output::line(&format!(
            "{} in {}, after {}\n\n{}",
            text::one_line(&subject.describe()),
            text::visible(&args.output.to_string_lossy()),
            short(spent),
            figures.table()
        ))?;
    }
    if map.stopped {
        let message = format!(
            "interrupted after {}; the map as it was by then is in {}",
            count(map.iterations, "iteration"),
            args.output.display()
        );
        return Err(Error::new(ErrorKind::Interrupted, message).into());
    }
    Ok(Status::Done)
}

fn sample(args: &MapArgs) -> Option<usize> {
    let article = (args.recipe == MapRecipe::Article).then_some(ARTICLE_SAMPLE);
    args.sample.map(usize::from).or(article)
}

/// `0.3 s`, and whole seconds from ten on.
fn short(time: Duration) -> String {
    if time.as_secs() < 10 { format!("{:.1} s", time.as_secs_f64()) } else { duration(time) }
}

/// The kinds of file that a map is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Html,
    Png,
    Svg,
    Json,
    Npy,
}

impl Ending {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("html" | "htm") => Ok(Self::Html),
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            Some("json") => Ok(Self::Json),
            Some("npy") => Ok(Self::Npy),
            _ => {
                let message = "a map is an .html, .png, .svg, .json or .npy file";
                Err(Error::invalid(message).at_file(path))
            }
        }
    }
}

fn lay(args: &MapArgs, subject: &Subject, console: &mut Console) -> Result<Map> {
    let old = args.onto.as_deref().map(|file| onto::read(file, subject)).transpose()?;
    let settings = settings(args, console);
    let map = console.watch(|stop, listener| match &old {
        Some(old) => old.extend(subject, stop),
        None => lay_out(&subject.rows, subject.dim, &settings, stop, listener),
    });
    // A row that cannot be laid out is one of this file.
    map.map_err(|e| match &args.vectors {
        Some(vectors) if e.kind() == ErrorKind::Invalid => e.at_file(vectors),
        _ => e,
    })
}

fn settings(args: &MapArgs, console: &Console) -> Settings {
    let article = args.recipe == MapRecipe::Article;
    let start = if article { Start::Random } else { Start::Pca };
    let mut phases = Phase::usual();
    if let Some(last) = phases.last_mut() {
        last.iterations = args.iterations;
    }
    Settings {
        perplexity: args.perplexity,
        method: args.method.into(),
        search: args.neighbours,
        start: args.init.map_or(start, Start::from),
        phases,
        seed: console.seed,
    }
}

fn write(
    ending: Ending,
    path: &Path,
    subject: &Subject,
    map: &Map,
    figures: &Figures,
    console: &mut Console,
) -> Result<()> {
    match ending {
        Ending::Npy => npy::write_rows(path, map.positions.as_flattened(), 2),
        Ending::Json => files::replace(path, |out| {
            let document = document(subject, map, figures);
            output::write_document(out, &document).map_err(|e| Error::io("cannot write the map", e))
        }),
        Ending::Png => files::replace_bytes(path, &draw::png(&drawing(subject, map, figures))?),
        Ending::Svg => {
            files::replace_bytes(path, draw::svg(&drawing(subject, map, figures)).as_bytes())
        }
        Ending::Html => {
            let scene = scene(subject, map, figures);
            let missing = write_page(path, &scene, map.stopped, console)?;
            tell_missing(missing, subject, console);
            Ok(())
        }
    }
}

/// Writes the page; the number of pictures that could not be opened.
fn write_page(path: &Path, scene: &Scene, stopped: bool, console: &mut Console) -> Result<usize> {
    let written = console.watch(|stop, listener| {
        // Who stopped the map wants to see it; a second Ctrl-C ends the program in any case.
        let fresh = Stop::default();
        draw::write_page(path, scene, if stopped { &fresh } else { stop }, listener)
    })?;
    Ok(written.missing)
}

/// Says which pictures are dots without a thumbnail, and why.
fn tell_missing(missing: usize, subject: &Subject, console: &mut Console) {
    let mut others = missing;
    if let Some(index) = subject.index.as_ref().filter(|_| missing > 0) {
        let mut gone = Gone::of(index);
        gone.look(subject.items.iter().filter_map(|item| item.image.as_ref()));
        folders::tell_gone(&gone, console);
        others = missing.saturating_sub(gone.count);
    }
    if others > 0 {
        console.warn(&format!(
            "{} cannot be opened and are dots without a thumbnail",
            count(others, "picture")
        ));
    }
}

/// The scene of a picture, which has no room for all figures.
fn drawing(subject: &Subject, map: &Map, figures: &Figures) -> Scene {
    let mut scene = scene(subject, map, figures);
    scene.title = format!("{}; {}", scene.title, figures.caption());
    scene
}

/// What is drawn, with the map's places. The plane's second direction goes up, on paper down.
fn scene(subject: &Subject, map: &Map, figures: &Figures) -> Scene {
    let points = subject.points.iter().zip(&map.positions);
    Scene {
        title: subject.describe(),
        facts: figures.facts(),
        points: points
            .map(|(point, &[x, y])| draw::Point { x, y: -y, kind: point.kind, item: point.item })
            .collect(),
        links: subject.links(&map.positions),
        items: subject.items.clone(),
        legend: subject.legend.clone(),
        histogram: figures.histogram(),
    }
}

/// What `-o map.json` holds.
fn document(subject: &Subject, map: &Map, figures: &Figures) -> Value {
    let points = subject.points.iter().zip(&map.positions).map(|(point, &[x, y])| {
        let id = &subject.items[point.item as usize].id;
        json!({"id": id, "kind": kind_name(point.kind), "x": x, "y": y})
    });
    json!({
        "points": points.collect::<Vec<_>>(),
        "kl": map.kl,
        "alignment": figures,
    })
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Picture => "image",
        Kind::Text => "text",
        Kind::Vector => "vector",
    }
}

/// What `--json` prints.
fn report(path: &Path, map: &Map, figures: &Figures, seconds: f64) -> Value {
    let method = match map.method {
        Method::Auto => "auto",
        Method::Exact => "exact",
        Method::BarnesHut => "barnes-hut",
        Method::Mesh => "fft",
    };
    json!({
        "file": path.to_string_lossy(),
        "points": map.positions.len(),
        "kl": map.kl,
        "iterations": map.iterations,
        "method": method,
        "perplexity": map.perplexity,
        "neighbour_recall": map.recall,
        "seconds": {
            "neighbours": map.times.neighbours.as_secs_f64(),
            "affinities": map.times.affinities.as_secs_f64(),
            "init": map.times.start.as_secs_f64(),
            "optimise": map.times.optimise.as_secs_f64(),
            "total": seconds,
        },
        "simd": looksee::map::simd_name(),
        "alignment": figures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_chooses_what_is_written() {
        assert_eq!(Ending::of(Path::new("a/map.HTML")).unwrap(), Ending::Html);
        assert_eq!(Ending::of(Path::new("y.npy")).unwrap(), Ending::Npy);
        let error = Ending::of(Path::new("map.gif")).unwrap_err().to_string();
        assert!(error.contains(".html, .png, .svg, .json or .npy"), "{error}");
    }
}
