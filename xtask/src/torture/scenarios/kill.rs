//! Commands that are killed at any moment, and run again.

use std::path::Path;
use std::time::Duration;

use super::super::program::{End, Injury};
use super::super::reference::Asked;
use super::super::run::Run;
use super::super::works::{self, Work};
use crate::steps::Result;

/// A work on an index is killed, once or twice; what is there answers from before or after it, and
/// the same command leads to the end.
pub(super) fn index(run: &mut Run<'_>, work: Work) -> Result<()> {
    let out = run.out();
    run.start(work, &out)?;
    for _ in 0..=usize::from(run.chance.once_in(4)) {
        kill(run, work)?;
        answers_are_of_a_state(run, work)?;
    }
    let words = work.words(run.world, &out);
    run.succeed(&words)?;
    let expected = work.states(run.world).1;
    run.expect_index(&out, expected)
}

/// Training is killed; a model that is there answers, and the plain command or `--resume` goes on
/// to the bytes of the run that was not killed.
pub(super) fn train(run: &mut Run<'_>, work: Work) -> Result<()> {
    let out = run.out();
    run.start(work, &out)?;
    for _ in 0..=usize::from(run.chance.once_in(4)) {
        kill(run, work)?;
        if out.join("model.toml").exists() {
            let embedded = run.embed(&out)?;
            if embedded.contains(&None) {
                return Err("the model that was there cannot be used after the kill".to_owned());
            }
        }
    }
    go_on(run, &out)?;
    run.expect_model(&out)
}

/// Goes on with a run that died: one of the two commands must.
pub(super) fn go_on(run: &mut Run<'_>, out: &Path) -> Result<()> {
    let mut ways = [Work::Train, Work::Resume];
    if run.chance.once_in(2) {
        ways.reverse();
    }
    let mut sentences = Vec::new();
    for way in ways {
        let words = way.words(run.world, out);
        match run.end(&words)? {
            End::Done => return Ok(()),
            End::Refused(sentence) => sentences.push(sentence),
        }
    }
    Err(format!("neither the plain command nor --resume goes on: {}", sentences.join(" / ")))
}

/// An index by one model dies before it is whole, and is made with another model.
pub(super) fn then_another_model(run: &mut Run<'_>) -> Result<()> {
    let out = run.out();
    kill(run, Work::Index)?;
    let other = run.world.pristine("other-model");
    let words = works::index("first.jsonl", Some(&other), &out);
    if run.end(&words)? == End::Done {
        let expected = &run.world.other;
        return run.expect_index(&out, expected);
    }
    // An index that had begun belongs to its first model, and goes on with it.
    let words = Work::Index.words(run.world, &out);
    run.succeed(&words)?;
    let expected = &run.world.first;
    run.expect_index(&out, expected)
}

/// Runs the work and kills it at a time or at a system call. It may end before that; then it must
/// have succeeded. Only training is begun once: where a run was, the plain command may refuse.
fn kill(run: &mut Run<'_>, work: Work) -> Result<()> {
    let again = work == Work::Train && run.out().exists();
    let injury = deadly(run, work)?;
    let words = work.words(run.world, &run.out());
    let ran = run.injured(&words, &injury)?;
    if ran.is_killed() {
        run.tally.killed += 1;
        return Ok(());
    }
    let end = ran.end().map_err(|what| format!("looksee {}: {what}", words.join(" ")))?;
    match end {
        End::Refused(sentence) if !again => Err(format!("{work:?} was refused: {sentence}")),
        _ => Ok(()),
    }
}

fn deadly(run: &mut Run<'_>, work: Work) -> Result<Injury> {
    if run.world.program.strace && !run.chance.once_in(3) {
        let calls: Vec<_> = run.world.calls(work)?.iter().collect();
        if !calls.is_empty() {
            let (call, count) = *run.chance.pick(&calls);
            let count = 1 + run.chance.below(*count as usize) as u32;
            return Ok(Injury::KillAt { call: call.clone(), count });
        }
    }
    let took = run.world.took(work).mul_f64(1.05 * run.chance.share());
    Ok(Injury::Kill(took.max(Duration::from_millis(1))))
}

/// What an index answers after a kill: item by item as before or after the work.
fn answers_are_of_a_state(run: &mut Run<'_>, work: Work) -> Result<()> {
    let out = run.out();
    let (before, after) = work.states(run.world);
    for asked in [Asked::Words, Asked::Pictures] {
        match (run.ask(&out, asked)?, before) {
            (Ok(answers), Some(before)) => {
                let (before, after) = (before.to(asked), after.to(asked));
                answers
                    .within(&[before, after])
                    .and_then(|()| answers.holds(&before.common(after)))
                    .map_err(|what| format!("after the kill: {what}"))?;
            }
            (Ok(answers), None) => answers
                .within(&[after.to(asked)])
                .map_err(|what| format!("after the kill: {what}"))?,
            (Err(sentence), Some(_)) => {
                return Err(format!("after the kill, search is refused: {sentence}"));
            }
            // A new index need not be there yet.
            (Err(_), None) => {}
        }
    }
    if before.is_some()
        && let Some(sentence) = run.check(&out)?
    {
        return Err(format!("after the kill, check: {sentence}"));
    }
    Ok(())
}
