//! `looksee search`: queries to answers, one or a file of them.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use looksee::filter::Filter;
use looksee::images::{Decoded, Limits};
use looksee::index::Gone;
use looksee::search::{
    Allowed, Argument, Choice, Content, Parsed, Part, PictureFiles, Query, References, Searcher,
    starts_like_path,
};
use looksee::{Error, Result};

use crate::args::{SearchArgs, SearchFormat};
use crate::console::Console;
use crate::lines::Lines;
use crate::outcome::{Outcome, Status};
use crate::render::csv::Formulas;
use crate::render::{Format, grid};
use crate::{folders, output};

/// Queries of a file that are embedded and searched together.
const BATCH: usize = 256;

pub(crate) fn run(args: &SearchArgs, console: &mut Console) -> Outcome {
    let plan = Plan::of(args, console)?;
    let choice = choice(args)?;
    let index = folders::index_at(&args.index, args.root.as_deref())?;
    let gone = Gone::of(&index);
    let searcher = Searcher::of_index(index)?;
    let format = plan.format.resolve(&searcher)?;
    let mut search = Search { format, searcher, choice, pictures: Pictures::default(), gone };
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
            None => Input::One(query(&args.query, &args.images)?),
        };
        Ok(Self {
            format: wanted_format(args, console.json)?,
            grid: args.print.grid.as_deref().map(grid_file).transpose()?,
            input,
        })
    }
}

/// The query that was typed, with the pictures of `--image` added to it.
fn query(words: &[String], images: &[PathBuf]) -> Result<Parsed> {
    let mut parsed = if words.is_empty() && !images.is_empty() {
        Parsed { query: Query { parts: Vec::new() }, remarks: Vec::new() }
    } else if words == ["-"] {
        let standard_input = Argument::Part(Content::StandardInput);
        Query::from_arguments([standard_input], Allowed::LOCAL)?
    } else {
        Query::from_arguments(words.iter().map(|word| argument(word)), Allowed::LOCAL)?
    };
    let parts = images.iter().map(|path| Part { weight: 1.0, content: picture(path) });
    parsed.query.parts.extend(parts);
    Ok(parsed)
}

/// A path that names a file is that file, whatever signs and spaces are in it.
fn argument(word: &str) -> Argument {
    if starts_like_path(word) && Path::new(word).is_file() {
        Argument::Part(Content::File(word.into()))
    } else {
        Argument::Text(word.to_owned())
    }
}

fn picture(path: &Path) -> Content {
    if path.as_os_str() == "-" { Content::StandardInput } else { Content::File(path.to_path_buf()) }
}

/// Files of this machine and the picture on standard input, which is read once.
#[derive(Debug, Default)]
struct Pictures {
    standard_input: OnceLock<Vec<u8>>,
}

impl References for Pictures {
    fn allowed(&self) -> Allowed {
        PictureFiles.allowed()
    }

    fn bytes(&self, content: &Content) -> Result<Cow<'_, [u8]>> {
        match content {
            Content::StandardInput => self.standard_input().map(Cow::Borrowed),
            other => PictureFiles.bytes(other),
        }
    }
}

impl Pictures {
    fn standard_input(&self) -> Result<&[u8]> {
        if let Some(bytes) = self.standard_input.get() {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(Limits::default().file_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("cannot read the picture on standard input", e))?;
        Ok(self.standard_input.get_or_init(|| bytes))
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
    fn resolve(self, searcher: &Searcher) -> Result<Format> {
        match self {
            Self::Known(format) => Ok(format),
            Self::Csv(formulas) => Ok(Format::Csv(searcher.collection().field_names()?, formulas)),
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
struct Search {
    format: Format,
    searcher: Searcher,
    choice: Choice,
    pictures: Pictures,
    /// Pictures of hits that are not where the index says.
    gone: Gone,
}

impl Search {
    fn one(
        &mut self,
        parsed: Parsed,
        grid: Option<(PathBuf, grid::Kind)>,
        console: &mut Console,
    ) -> Outcome {
        self.comment(&parsed, console);
        let query = parsed.query;
        let answer = self.searcher.answer(&query, &self.choice, &self.pictures)?;
        if let Some((path, kind)) = grid {
            grid::write(&path, kind, &answer, &self.pictures_of(&query)?)?;
            console.note(&format!("grid in {}", path.display()));
        }
        self.gone.look(answer.hits.iter().map(|hit| &hit.image));
        folders::tell_gone(&self.gone, console);
        if answer.confident == Some(false) && !answer.hits.is_empty() {
            console.note("no hit is likely to match: none reaches a chance of 50 %");
        }
        let mut out = output::stdout();
        self.format.begin(&mut out)?;
        self.format.write(&mut out, &answer)?;
        out.flush()?;
        Ok(if answer.hits.is_empty() { Status::NothingFound } else { Status::Done })
    }

    fn many(&mut self, file: &Path, console: &mut Console) -> Outcome {
        let mut out = output::stdout();
        self.format.begin(&mut out)?;
        let mut found = false;
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
            for answer in self.searcher.answers(&queries, &self.choice, &self.pictures)? {
                found |= !answer.hits.is_empty();
                self.gone.look(answer.hits.iter().map(|hit| &hit.image));
                self.format.write(&mut out, &answer)?;
            }
            out.flush()?;
        }
        folders::tell_gone(&self.gone, console);
        Ok(if found { Status::Done } else { Status::NothingFound })
    }

    /// How the query was read, and which of its words mean nothing to the model.
    fn comment(&self, parsed: &Parsed, console: &mut Console) {
        for remark in &parsed.remarks {
            console.note(remark);
        }
        let unknown = self.searcher.unknown_words(&parsed.query);
        if !unknown.is_empty() {
            console.warn(&about_unknown_words(&unknown));
        }
        console.detail(&format!("query: {}", parsed.query));
    }

    /// The query's pictures for the heading of a grid; an item's picture may be gone by now.
    fn pictures_of(&self, query: &Query) -> Result<Vec<Decoded>> {
        let mut pictures = Vec::new();
        for part in query.parts.iter().filter(|part| !matches!(part.content, Content::Words(_))) {
            match self.searcher.picture(&part.content, &self.pictures) {
                Err(_) if matches!(part.content, Content::Item(_)) => {}
                picture => pictures.push(picture?),
            }
        }
        Ok(pictures)
    }
}

fn about_unknown_words(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("the model has never seen {}; try another word", words.join(", "))
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
                let parsed = Query::from_arguments([argument(line.trim())], Allowed::LOCAL);
                batch.push(parsed.map_err(|e| self.0.place(e))?);
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

    fn understood(words: &[&str], images: &[&str]) -> Result<Vec<Content>> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let images: Vec<PathBuf> = images.iter().map(PathBuf::from).collect();
        let parts = query(&words, &images)?.query.parts;
        Ok(parts.into_iter().map(|part| part.content).collect())
    }

    #[test]
    fn a_file_whose_name_holds_a_sign_is_that_file_if_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a - b.jpg");
        let text = path.to_str().unwrap();
        assert_eq!(understood(&[text], &[]).unwrap().len(), 2);
        std::fs::write(&path, "").unwrap();
        assert_eq!(understood(&[text], &[]).unwrap(), [Content::File(path.clone())]);
    }

    #[test]
    fn a_lone_dash_is_the_picture_on_standard_input() {
        assert_eq!(understood(&["-"], &[]).unwrap(), [Content::StandardInput]);
    }

    #[test]
    fn pictures_of_the_flag_come_after_the_words() {
        let contents = understood(&["blue"], &["shoe.jpg", "-"]).unwrap();
        assert_eq!(contents[1..], [Content::File("shoe.jpg".into()), Content::StandardInput]);
        assert_eq!(understood(&[], &["shoe.jpg"]).unwrap().len(), 1);
        assert!(understood(&["blue", "-"], &["shoe.jpg"]).is_err(), "the sign has no part");
        assert!(understood(&[], &[]).is_err());
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
