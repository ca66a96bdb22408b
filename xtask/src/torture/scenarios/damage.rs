//! Files that are hurt: every answer is an error or the right one, `check` says what is wrong, what
//! it says to do helps, and no command makes damage look right.

use std::path::{Path, PathBuf};

use super::super::folders::{self, Harm};
use super::super::program::{End, Injury, Ran};
use super::super::reference::{Asked, Known};
use super::super::run::Run;
use super::super::works::{self, Work, strings, text};
use crate::steps::Result;

/// What a refusal may tell a person to do when the folder itself cannot be mended.
const ELSEWHERE: [&str; 5] = ["new folder", "another folder", "elsewhere", "move ", "remove "];

/// Any file of an index.
pub(super) fn index(run: &mut Run<'_>) -> Result<()> {
    let world = run.world;
    let (first, second) = (&world.first, &world.second);
    let starts: [(&str, &[&Known], &str, &Known); 4] = [
        ("index-first", &[first], "first.jsonl", first),
        ("index-second", &[second], "second.jsonl", second),
        ("index-removed", &[&world.removed], "second.jsonl", second),
        // A log that SQLite has not yet taken in; what breaks off in it was never committed.
        ("index-with-log", &[first, second], "second.jsonl", second),
    ];
    let there = starts.iter().filter(|start| world.pristine(start.0).is_dir());
    let there: Vec<_> = there.collect();
    let &(name, states, catalogue, mended) = *run.chance.pick(&there);
    let out = run.out();
    folders::copy(&world.pristine(name), &out)?;
    let Some(file) = hurt(run, &out)? else { return Ok(()) };
    judge(run, &out, states).map_err(|what| format!("{file}: {what}"))?;
    mend(run, &out, catalogue, mended).map_err(|what| format!("{file}: mending: {what}"))
}

/// An index whose rows are copied by another command: the copy is right or called damaged.
pub(super) fn copied(run: &mut Run<'_>) -> Result<()> {
    let out = run.out();
    let work = *run.chance.pick(&[Work::Remove, Work::Compact, Work::Merge]);
    let (words, hurt_in) = if work == Work::Merge {
        let (part, other) = (run.folder.join("part"), text(&run.world.pristine("part-2")));
        folders::copy(&run.world.pristine("part-1"), &part)?;
        (strings(&["merge", "-q", &text(&part), &other, "-o", &text(&out)]), part)
    } else {
        run.start(work, &out)?;
        (work.words(run.world, &out), out.clone())
    };
    let Some(file) = hurt(run, &hurt_in)? else { return Ok(()) };
    let (before, after) = work.states(run.world);
    let ended = run.end(&words)?;
    if ended == End::Done || before.is_some() {
        let states: Vec<&Known> = before.into_iter().chain([after]).collect();
        judge(run, &out, &states).map_err(|what| format!("{file}, then {work:?}: {what}"))?;
    }
    Ok(())
}

/// Any file of a model.
pub(super) fn model(run: &mut Run<'_>) -> Result<()> {
    let out = run.out();
    folders::copy(&run.world.pristine("model"), &out)?;
    let Some(file) = hurt(run, &out)? else { return Ok(()) };
    vectors_are_right(run, &out).map_err(|what| format!("{file}: {what}"))?;
    run.end(&strings(&["info", &text(&out)]))?;
    let index = run.folder.join("index");
    if run.end(&works::index("first.jsonl", Some(&out), &index))? == End::Done {
        let expected = &run.world.first;
        run.expect_index(&index, expected).map_err(|what| format!("{file}: {what}"))?;
    }
    Ok(())
}

/// Any file of a run that was interrupted: it goes on to the right model or says why not.
pub(super) fn interrupted(run: &mut Run<'_>) -> Result<()> {
    let out = run.out();
    run.start(Work::Resume, &out)?;
    let Some(file) = hurt(run, &out)? else { return Ok(()) };
    let words = Work::Resume.words(run.world, &out);
    let ran = run.injured(&words, &Injury::None)?;
    match ran.end().map_err(|what| format!("{file}: --resume: {what}"))? {
        End::Done => whole_or_told(run, &out, &ran).map_err(|what| format!("{file}: {what}")),
        End::Refused(sentence) if can_be_done_without(&file) => {
            Err(format!("{file} can be made again, but --resume is refused: {sentence}"))
        }
        End::Refused(_) => {
            run.tally.refused += 1;
            Ok(())
        }
    }
}

/// After a run that went on, its model is the reference's. One that was told that the best model so
/// far is damaged has another, which must be whole; one that was told nothing and left the damage
/// in place is found out by whoever loads the model.
fn whole_or_told(run: &mut Run<'_>, model: &Path, ran: &Ran) -> Result<()> {
    if run.expect_model(model).is_ok() {
        return Ok(());
    }
    if ran.stderr.contains("looksee: warning: ") {
        let whole = !run.embed(model)?.contains(&None);
        return if whole { Ok(()) } else { Err("the model in its place is damaged".to_owned()) };
    }
    let refused = vectors_are_right(run, model)?;
    if refused { Ok(()) } else { Err("--resume ended well with another model".to_owned()) }
}

fn can_be_done_without(file: &str) -> bool {
    file.contains("cache-") || file.contains("log.jsonl") || file.contains("skipped.jsonl")
}

/// Hurts one file by chance; its name and what was done, `None` when there was nothing to hurt.
fn hurt(run: &mut Run<'_>, folder: &Path) -> Result<Option<String>> {
    let files = folders::list(folder)?;
    let path: &PathBuf = run.chance.pick(&files);
    let harm = folders::hurt(path, &mut run.chance)?;
    if harm == Harm::None {
        return Ok(None);
    }
    let name = path.strip_prefix(folder).unwrap_or(path).display();
    let what = format!("{name} ({harm:?})");
    run.note(&format!("HURT {what}"));
    Ok(Some(what))
}

/// Every answer is a refusal or one of the states; where `check` says right, nothing is refused.
fn judge(run: &mut Run<'_>, index: &Path, states: &[&Known]) -> Result<()> {
    let mut refused = None;
    for asked in [Asked::Words, Asked::Pictures] {
        match run.ask(index, asked)? {
            Ok(answers) => {
                let wrong = |known: &&Known| answers.compare(known.to(asked)).err();
                let wrong: Option<Vec<String>> = states.iter().map(wrong).collect();
                if let Some(what) = wrong.and_then(|all| all.into_iter().next()) {
                    return Err(format!("search {asked:?} gives a wrong answer: {what}"));
                }
            }
            Err(sentence) => refused = Some(sentence),
        }
    }
    run.end(&strings(&["info", &text(index)]))?;
    match (run.check(index)?, refused) {
        (None, Some(sentence)) => Err(format!("check says right, but search: {sentence}")),
        _ => Ok(()),
    }
}

/// Does what `check` says: `index` with the catalogue, with the model when it asks for it, in
/// another folder when it says so.
fn mend(run: &mut Run<'_>, out: &Path, catalogue: &str, expected: &Known) -> Result<()> {
    let model = run.world.pristine("model");
    let mut last = String::new();
    for model in [None, Some(model.as_path())] {
        let mut words = works::index(catalogue, model, out);
        if run.chance.once_in(2) {
            words.push("--verify".to_owned());
        }
        match run.end(&words)? {
            End::Done => return run.expect_index(out, expected),
            End::Refused(sentence) => last = sentence,
        }
    }
    if !ELSEWHERE.iter().any(|word| last.contains(word)) {
        return Err(format!("index is refused and names no way out: {last}"));
    }
    let new = run.folder.join("new");
    run.succeed(&works::index(catalogue, Some(&model), &new))?;
    run.expect_index(&new, expected)
}

/// Vectors that a model gives are the reference's; whether it refused to give some.
fn vectors_are_right(run: &mut Run<'_>, model: &Path) -> Result<bool> {
    let found = run.embed(model)?;
    let sides = ["texts", "pictures"].iter().zip(found.iter().zip(&run.world.embedded));
    for (side, (found, expected)) in sides {
        if found.as_ref().is_some_and(|found| found != expected) {
            return Err(format!("embed gives wrong vectors of {side}"));
        }
    }
    Ok(found.contains(&None))
}
