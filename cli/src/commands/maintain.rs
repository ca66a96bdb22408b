//! `looksee remove`, `compact`, `merge` and `check`: an index without its catalogue.

use std::path::{Path, PathBuf};

use looksee::encoder::{Encoder, Model};
use looksee::index::{Check, Collection, Index, Remedy, Sink, Writer};
use looksee::units::ItemId;
use looksee::{Error, ErrorKind, Result};
use serde_json::json;

use crate::args::{CheckArgs, CompactArgs, MergeArgs, RemoveArgs};
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::render::text;
use crate::{figures, folders, lines, output};

pub(crate) fn remove(args: &RemoveArgs, console: &mut Console) -> Outcome {
    let ids = ids(&args.ids)?;
    folders::expect_index(&args.index)?;
    let mut writer = Writer::open_existing(&args.index)?;
    for id in &ids {
        if writer.known(id)?.is_none() {
            console.warn(&format!("no item {:?} in the index", id.as_str()));
        }
    }
    let removed = writer.remove(&ids)?;
    writer.commit()?;
    if console.json {
        output::document(&json!({"removed": removed}))?;
    } else {
        output::line(&format!("{} removed", figures::count(removed, "item")))?;
    }
    Ok(if removed > 0 { Status::Done } else { Status::NothingFound })
}

/// The names that were typed, or those on standard input.
fn ids(typed: &[String]) -> Result<Vec<ItemId>> {
    if typed != ["-"] {
        return Ok(typed.iter().map(|id| ItemId::from(id.as_str())).collect());
    }
    let mut ids = lines::all(Path::new("-"))?;
    ids.retain(|line| !line.is_empty());
    Ok(ids.iter().map(|id| id.as_str().into()).collect())
}

pub(crate) fn compact(args: &CompactArgs, console: &mut Console) -> Outcome {
    folders::expect_index(&args.index)?;
    let mut writer = Writer::open_existing(&args.index)?;
    let (before, _) = folders::index(&args.index)?.size()?;
    writer.compact()?;
    drop(writer);
    let (after, _) = folders::index(&args.index)?.size()?;
    if console.json {
        output::document(&json!({"bytes_before": before, "bytes": after}))?;
    } else {
        output::line(&format!("{} before, {} now", figures::bytes(before), figures::bytes(after)))?;
    }
    Ok(Status::Done)
}

pub(crate) fn merge(args: &MergeArgs, console: &mut Console) -> Outcome {
    let parts = args.parts.iter().map(|part| folders::index(part)).collect::<Result<Vec<_>>>()?;
    let Some(first) = parts.first() else { return Ok(Status::NothingFound) };
    expect_one_model(&parts)?;
    let model = looksee::search::model_of(first)?;
    let mut writer = Writer::open(&args.output, first.space(), &model)?;
    let taken = match merge_into(&mut writer, &parts, &args.parts, console) {
        Ok(taken) => taken,
        Err(error) => {
            writer.discard_if_empty(&model);
            return Err(error.into());
        }
    };
    let held = folders::index(&args.output)?.len();
    if console.json {
        let index = args.output.to_string_lossy();
        output::document(&json!({"index": index, "taken": taken, "items": held}))?;
    } else {
        let (taken, held) = (figures::thousands(taken), figures::count(held, "item"));
        output::line(&format!("{taken} taken over, {} holds {held}", args.output.display()))?;
    }
    Ok(Status::Done)
}

/// Takes over all parts; the number of their items.
fn merge_into(
    writer: &mut Writer,
    parts: &[Index],
    names: &[PathBuf],
    console: &mut Console,
) -> Result<usize> {
    let mut taken = 0;
    for (part, name) in parts.iter().zip(names) {
        let items = writer.merge(part).map_err(|e| e.at_file(name))?;
        console.note(&format!("{}: {}", name.display(), figures::count(items, "item")));
        taken += items;
    }
    writer.commit()?;
    Ok(taken)
}

/// Refuses parts of different models before anything is written.
fn expect_one_model(parts: &[Index]) -> Result<()> {
    let Some(first) = parts.first() else { return Ok(()) };
    match parts.iter().find(|part| part.space() != first.space()) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "made by model {}, but {} by model {}; parts that are merged need one model",
                other.space(),
                first.folder().display(),
                first.space()
            ),
        )
        .at_file(other.folder())),
    }
}

pub(crate) fn check(args: &CheckArgs, console: &mut Console) -> Outcome {
    folders::expect_index(&args.index)?;
    let mut check = Check::of(&args.index)?;
    check_model(&args.index, &mut check);
    if console.json {
        output::document(&check)?;
    } else {
        output::line(&described(&check))?;
    }
    if check.problems.is_empty() {
        return Ok(Status::Done);
    }
    Err(Error::new(ErrorKind::Corrupt, advice(check.remedy)).at_file(&args.index).into())
}

/// Compares the model inside an index with what was written, and with the index.
fn check_model(folder: &Path, check: &mut Check) {
    let inside = folder.join("model");
    if !inside.is_dir() {
        return;
    }
    let verified = Model::load(&inside).and_then(|model| model.verify().map(|()| model));
    match verified {
        Err(error) => {
            check.add(format!("the model inside: {}", error.whole()), Remedy::UpdateWithModel)
        }
        Ok(model) if model.fingerprint() != check.model => {
            let problem = format!(
                "the index was made by model {} but the model inside it is {}",
                check.model,
                model.fingerprint()
            );
            check.add(problem, Remedy::UpdateWithModel);
        }
        Ok(_) => {}
    }
}

/// What a person can do.
fn advice(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::None | Remedy::Update => {
            "the index is damaged; run `looksee index CATALOGUE -o INDEX` with its catalogue: it \
             embeds again what was lost"
        }
        Remedy::UpdateWithModel => {
            "the index is damaged; run `looksee index CATALOGUE -m MODEL -o INDEX` with its \
             catalogue and the model that made it: it puts the model inside again"
        }
        Remedy::NewFolder => {
            "the index's database is damaged beyond mending; make it anew in a new folder with \
             `looksee index CATALOGUE -m MODEL -o NEW`, or put a copy in its place"
        }
    }
}

fn described(check: &Check) -> String {
    let items = figures::count(check.items, "item");
    let segments = figures::count(check.segments, "segment");
    if check.problems.is_empty() {
        return format!("{items} in {segments}: every checksum and count is right");
    }
    let problems = figures::count(check.problems.len(), "problem");
    let list: Vec<_> = check.problems.iter().map(|problem| text::one_line(problem)).collect();
    format!("{items} in {segments}, {problems}:\n  {}", list.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_lists_each_problem_on_its_own_line() {
        let mut check = Check { items: 2, segments: 1, ..Check::default() };
        assert_eq!(described(&check), "2 items in 1 segment: every checksum and count is right");
        check.problems = vec!["a is short".to_owned(), "b\x1b[2J\nis long".to_owned()];
        assert_eq!(
            described(&check),
            "2 items in 1 segment, 2 problems:\n  a is short\n  b [2J is long"
        );
    }
}
