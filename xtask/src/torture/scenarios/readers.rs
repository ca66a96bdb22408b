//! Searches while an index is changed: each item is answered as in one of the states, and the
//! items that no change touches are always there.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::answers::Answers;
use super::super::program::{End, Injury};
use super::super::reference::{self, Asked, World};
use super::super::run::Run;
use super::super::say;
use super::super::works::{self, Work};
use crate::steps::Result;

/// Words of a refusal that asks to try again.
const BUSY: [&str; 4] = ["busy", "locked", "again", "another looksee"];

/// Update, remove, compact, and back to the first catalogue, with a search always under way.
pub(super) fn beside_writers(run: &mut Run<'_>) -> Result<()> {
    let out = run.out();
    run.start(Work::Update, &out)?;
    let (world, scratch) = (run.world, run.folder.join("reader"));
    std::fs::create_dir_all(&scratch).map_err(say("cannot make a folder", &scratch))?;
    let asked = *run.chance.pick(&[Asked::Words, Asked::Pictures]);
    let ended = AtomicBool::new(false);
    let (written, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| searches(world, &out, &scratch, asked, &ended));
        let written = write(run, &out);
        ended.store(true, Ordering::Relaxed);
        (written, reader.join())
    });
    written?;
    let (searches, refused) = read.map_err(|_| "the reader's thread panicked".to_owned())??;
    run.note(&format!("{searches} searches meanwhile, {refused} of them told to try again"));
    run.tally.refused += refused;
    let expected = &run.world.first;
    run.expect_index(&out, expected)
}

fn write(run: &mut Run<'_>, out: &Path) -> Result<()> {
    for work in [Work::Update, Work::Remove, Work::Compact] {
        let words = work.words(run.world, out);
        run.succeed(&words)?;
    }
    run.succeed(&works::index("first.jsonl", None, out))
}

/// Searches until the end; how many, and how many were told to try again.
fn searches(
    world: &World,
    index: &Path,
    scratch: &Path,
    asked: Asked,
    ended: &AtomicBool,
) -> Result<(u64, u64)> {
    let states = [&world.first, &world.second, &world.removed].map(|known| known.to(asked));
    let always = states[0].common(states[1]).common(states[2]);
    let (mut searches, mut refused) = (0, 0);
    while !ended.load(Ordering::Relaxed) {
        let words = reference::search(index, asked);
        let ran = world.program.run(&world.catalogue, scratch, &words, &Injury::None)?;
        searches += 1;
        match ran.end().map_err(|what| format!("a search beside writers: {what}"))? {
            End::Done => is_of_a_state(&Answers::read(&ran.stdout)?, &states, &always)?,
            End::Refused(sentence) if BUSY.iter().any(|word| sentence.contains(word)) => {
                refused += 1;
            }
            End::Refused(sentence) => return Err(format!("a search beside writers: {sentence}")),
        }
    }
    Ok((searches, refused))
}

fn is_of_a_state(found: &Answers, states: &[&Answers], always: &Answers) -> Result<()> {
    let judged = found.within(states).and_then(|()| found.holds(always));
    judged.map_err(|what| format!("a torn answer beside writers: {what}"))
}
