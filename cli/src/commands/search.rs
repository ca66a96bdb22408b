//! `looksee search`: queries to answers, one or a file of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use looksee::filter::Filter;
use looksee::index::{Gone, Index};
use looksee::{Error, Result};

use crate::answer::{Answer, Asked, Choice, Finder, expect_calibrated};
use crate::args::{SearchArgs, SearchFormat};
use crate::console::Console;
use crate::lines::Lines;
use crate::outcome::{Outcome, Status};
use crate::query::parse::{self, Parsed};
use crate::query::vectors::Reference;
use crate::query::{Content, Query};
use crate::render::csv::Formulas;
use crate::render::{Format, grid};
use crate::{folders, output};

/// Queries of a file that are embedded and searched together.
const BATCH: usize = 256;

pub(crate) fn run(args: &SearchArgs, console: &mut Console) -> Outcome {
    let plan = Plan::of(args, console)?;
    let choice = choice(args)?;
    let index = folders::index_at(&args.index, args.root.as_deref())?;
    let total = index.count(choice.filter.as_ref())?;
    let model = folders::model_of(&index)?;
    let finder = Finder { index: &index, encoder: &model, choice: &choice, total };
    let reference = Reference::new(&model, &index);
    let search = Search { format: plan.format.resolve(&index)?, finder, reference };
    match plan.input {
        Input::One(parsed) => search.one(parsed, plan.grid, console),
        Input::Many(file) => search.many(&file, console),
    }
}

/// What was typed, understood and checked before anything is loaded.
struct Plan {
    input: Input,
    format: Wanted,
    grid: Option<(PathBuf, grid::Kind)>,
}

enum Input {
    One(Parsed),
    Many(PathBuf),
}

impl Plan {
    fn of(args: &SearchArgs, console: &Console) -> Result<Self> {
        let input = match &args.queries {
            Some(file) => Input::Many(file.clone()),
            None => Input::One(parse::arguments(&args.query, &args.images, &is_file)?),
        };
        Ok(Self {
            format: wanted_format(args, console.json)?,
            grid: args.print.grid.as_deref().map(grid_file).transpose()?,
            input,
        })
    }
}

fn grid_file(path: &Path) -> Result<(PathBuf, grid::Kind)> {
    let kind = grid::Kind::of(path)?;
    output::expect_place_for(path)?;
    Ok((path.to_path_buf(), kind))
}

/// A format before the index is open.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Known(Format),
    /// Its columns depend on the index.
    Csv(Formulas),
}

impl Wanted {
    fn resolve(self, index: &Index) -> Result<Format> {
        match self {
            Self::Known(format) => Ok(format),
            Self::Csv(formulas) => Ok(Format::Csv(index.field_names()?, formulas)),
        }
    }
}

fn wanted_format(args: &SearchArgs, json: bool) -> Result<Wanted> {
    super::expect_csv(args.print.raw, args.print.format == Some(SearchFormat::Csv))?;
    let json_form = if args.queries.is_some() { Format::JsonDocuments } else { Format::Json };
    let format = match (args.print.format, args.print.null, json) {
        (None | Some(SearchFormat::Table), false, false) => Format::Table,
        (None | Some(SearchFormat::Paths), true, false) => Format::Paths(0),
        (Some(SearchFormat::Paths), false, false) => Format::Paths(b'\n'),
        (None | Some(SearchFormat::Json), false, true)
        | (Some(SearchFormat::Json), false, false) => json_form,
        (Some(SearchFormat::Jsonl), false, _) => Format::JsonHits,
        (Some(SearchFormat::Csv), false, false) => {
            return Ok(Wanted::Csv(Formulas::of(args.print.raw)));
        }
        _ => return Err(Error::invalid("--format, --json and -0 ask for different formats")),
    };
    Ok(Wanted::Known(format))
}

fn choice(args: &SearchArgs) -> Result<Choice> {
    Ok(Choice {
        top: args.choice.top.get(),
        offset: args.choice.offset,
        filter: args.choice.condition.as_deref().map(Filter::parse).transpose()?,
        hide_duplicates: args.choice.hide_duplicates,
        diverse: args.choice.diverse,
        min_probability: args.choice.min_probability,
    })
}

/// A search with everything loaded.
struct Search<'a> {
    format: Format,
    finder: Finder<'a>,
    reference: Reference<'a>,
}

impl Search<'_> {
    fn one(
        &self,
        parsed: Parsed,
        grid: Option<(PathBuf, grid::Kind)>,
        console: &mut Console,
    ) -> Outcome {
        self.comment(&parsed, console);
        let query = parsed.query;
        let Some(answer) = self.answers(std::slice::from_ref(&query))?.pop() else {
            return Ok(Status::NothingFound);
        };
        if let Some((path, kind)) = grid {
            grid::write(&path, kind, &answer, &self.pictures_of(&query)?)?;
            console.note(&format!("grid in {}", path.display()));
        }
        let mut gone = Gone::default();
        gone.look(self.finder.index, answer.hits.iter().map(|hit| &hit.image));
        folders::tell_gone(&gone, self.finder.index, console);
        if answer.confident == Some(false) && !answer.hits.is_empty() {
            console.note("no hit is likely to match: none reaches a chance of 50 %");
        }
        let mut out = output::stdout();
        self.format.begin(&mut out)?;
        self.format.write(&mut out, &answer)?;
        out.flush()?;
        Ok(if answer.hits.is_empty() { Status::NothingFound } else { Status::Done })
    }

    fn many(&self, file: &Path, console: &mut Console) -> Outcome {
        let mut out = output::stdout();
        self.format.begin(&mut out)?;
        let (mut found, mut gone) = (false, Gone::default());
        let mut lines = QueryLines(Lines::open(file)?);
        loop {
            let batch = lines.next_batch(BATCH)?;
            if batch.is_empty() {
                break;
            }
            for parsed in &batch {
                self.comment(parsed, console);
            }
            let queries: Vec<Query> = batch.into_iter().map(|parsed| parsed.query).collect();
            for answer in self.answers(&queries)? {
                found |= !answer.hits.is_empty();
                gone.look(self.finder.index, answer.hits.iter().map(|hit| &hit.image));
                self.format.write(&mut out, &answer)?;
            }
            out.flush()?;
        }
        folders::tell_gone(&gone, self.finder.index, console);
        Ok(if found { Status::Done } else { Status::NothingFound })
    }

    /// The answers to queries, with each one's share of the time.
    fn answers(&self, queries: &[Query]) -> Result<Vec<Answer>> {
        let asked: Vec<Asked> = queries.iter().map(asked).collect();
        asked.iter().try_for_each(|asked| expect_calibrated(self.finder.choice, asked))?;
        let started = Instant::now();
        let vectors = self.reference.vectors(queries)?;
        let mut answers = self.finder.answers(&asked, &vectors)?;
        let took_ms = started.elapsed().as_secs_f64() * 1000.0 / queries.len().max(1) as f64;
        for answer in &mut answers {
            answer.took_ms = (took_ms * 1000.0).round() / 1000.0;
        }
        Ok(answers)
    }

    /// How the query was read, and which of its words mean nothing to the model.
    fn comment(&self, parsed: &Parsed, console: &mut Console) {
        for remark in &parsed.remarks {
            console.note(remark);
        }
        for words in parsed.query.words() {
            let unknown = self.reference.encoder.unknown_words(words);
            if !unknown.is_empty() {
                console.warn(&about_unknown_words(&unknown));
            }
        }
        console.detail(&format!("query: {}", parsed.query));
    }

    /// The query's pictures for the heading of a grid; an item's picture may be gone by now.
    fn pictures_of(&self, query: &Query) -> Result<Vec<looksee::images::Decoded>> {
        let mut pictures = Vec::new();
        for part in query.parts.iter().filter(|part| !matches!(part.content, Content::Words(_))) {
            match self.reference.picture(&part.content) {
                Err(_) if matches!(part.content, Content::Item(_)) => {}
                picture => pictures.push(picture?),
            }
        }
        Ok(pictures)
    }
}

fn asked(query: &Query) -> Asked {
    Asked { query: query.to_string(), words_only: query.is_words_only() }
}

fn about_unknown_words(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("the model has never seen {}; try another word", words.join(", "))
}

fn is_file(path: &str) -> bool {
    Path::new(path).is_file()
}

/// The queries of a file, one a line; empty lines are passed over.
struct QueryLines(Lines);

impl QueryLines {
    fn next_batch(&mut self, most: usize) -> Result<Vec<Parsed>> {
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some(line) = self.0.next().transpose()?
        {
            if !line.trim().is_empty() {
                batch.push(parse::line(&line, &is_file).map_err(|e| self.0.place(e))?);
            }
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn format(flags: &[&str]) -> Result<Wanted> {
        let words = ["looksee", "search", "shop", "red"].iter().chain(flags);
        let cli = Cli::try_parse_from(words).unwrap();
        match cli.command {
            Command::Search(args) => wanted_format(&args, cli.global.json),
            _ => unreachable!("search was asked for"),
        }
    }

    #[test]
    fn json_is_asked_for_by_either_flag_and_paths_by_a_zero() {
        assert_eq!(format(&[]).unwrap(), Wanted::Known(Format::Table));
        assert_eq!(format(&["--json"]).unwrap(), Wanted::Known(Format::Json));
        assert_eq!(format(&["--format", "json"]).unwrap(), Wanted::Known(Format::Json));
        assert_eq!(
            format(&["--json", "--format", "jsonl"]).unwrap(),
            Wanted::Known(Format::JsonHits)
        );
        assert_eq!(format(&["-0"]).unwrap(), Wanted::Known(Format::Paths(0)));
        assert_eq!(format(&["--format", "csv"]).unwrap(), Wanted::Csv(Formulas::Quoted));
        assert_eq!(format(&["--format", "csv", "--raw"]).unwrap(), Wanted::Csv(Formulas::Raw));
    }

    #[test]
    fn contradicting_formats_are_refused() {
        for flags in [
            &["--json", "--format", "csv"][..],
            &["-0", "--json"],
            &["-0", "--format", "csv"],
            &["--raw"],
        ] {
            assert!(format(flags).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn queries_of_a_file_come_in_batches_and_an_error_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries");
        std::fs::write(&path, "red\n\nblue - green\nblue -\n").unwrap();
        let mut lines = QueryLines(Lines::open(&path).unwrap());
        let batch = lines.next_batch(2).unwrap();
        let queries: Vec<_> = batch.iter().map(|parsed| parsed.query.to_string()).collect();
        assert_eq!(queries, ["red", "blue - green"]);
        assert_eq!(lines.next_batch(2).unwrap_err().line(), Some(4));
    }
}
