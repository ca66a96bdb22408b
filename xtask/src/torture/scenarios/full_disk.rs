//! Disks without room: writers stop with a sentence and go on later, readers are not disturbed.

use std::path::Path;

use super::super::disk::Disk;
use super::super::folders;
use super::super::program::Injury;
use super::super::reference::Asked;
use super::super::run::Run;
use super::super::works::Work;
use super::kill;
use crate::steps::Result;

/// Room for whatever a work writes.
const DISK_BYTES: u64 = 400 << 20;

/// A work runs out of room anywhere; with room again the same command leads to the end.
pub(super) fn write(run: &mut Run<'_>) -> Result<()> {
    let work = *run.chance.pick(&Work::ALL);
    match Disk::mount(run.out(), DISK_BYTES)? {
        Some(disk) => keeping(run, |run| on_a_disk(run, work, &disk)),
        None if run.world.program.strace => with_calls_that_fail(run, work),
        None => {
            run.note("neither a disk can be mounted nor calls be failed here");
            Ok(())
        }
    }
}

/// An intact index on a disk without a free byte answers as ever.
pub(super) fn read(run: &mut Run<'_>) -> Result<()> {
    let Some(disk) = Disk::mount(run.out(), DISK_BYTES)? else { return Ok(()) };
    let index = disk.folder.join("index");
    folders::copy(&run.world.pristine("index-second"), &index)?;
    let free = *run.chance.pick(&[0, 0, 4096, 16384, 40960]);
    disk.fill(free)?;
    let expected = &run.world.second;
    run.expect_index(&index, expected).map_err(|what| format!("{free} bytes free: {what}"))
}

fn on_a_disk(run: &mut Run<'_>, work: Work, disk: &Disk) -> Result<()> {
    let out = disk.folder.join("out");
    // The command's folder is below the disk, so that leaving it empty leaves it absent.
    run.start(work, &out)?;
    let free = room(run, work)?;
    disk.fill(free)?;
    run.note(&format!("{work:?} with {free} bytes free"));
    let words = work.words(run.world, &out);
    run.end(&words)?;
    old_index_answers(run, work, &out)?;
    disk.empty()?;
    again(run, work, &out).map_err(|what| format!("{work:?} after {free} bytes free: {what}"))
}

/// Between nothing and a little more than the work needs, often near one of the ends.
fn room(run: &mut Run<'_>, work: Work) -> Result<u64> {
    let start = match work.start(run.world) {
        Some(start) => folders::size(&start)?,
        None => 0,
    };
    let result = folders::size(&work.result(run.world))?;
    let need = result.saturating_sub(start) + (64 << 10);
    let share = run.chance.share();
    Ok(match run.chance.below(4) {
        0 => (share * f64::from(128 << 10)) as u64,
        1 => need.saturating_sub((share * f64::from(128 << 10)) as u64),
        _ => (share * 1.1 * need as f64) as u64,
    })
}

/// Calls that write fail from some moment on, where no disk can be mounted. What the command says
/// is lost with them, so that only the way it ends is judged.
fn with_calls_that_fail(run: &mut Run<'_>, work: Work) -> Result<()> {
    let out = run.out();
    run.start(work, &out)?;
    let calls = run.world.calls(work)?;
    let count = |name| calls.get(name).copied().unwrap_or(0);
    let writes = count("write").max(count("pwrite64")) as usize;
    let count = 1 + run.chance.below(writes.max(1)) as u32;
    let words = work.words(run.world, &out);
    let ran = run.injured(&words, &Injury::FullFrom { count })?;
    if ran.is_killed() || ran.end().is_err_and(|what| !what.contains("no single sentence")) {
        return Err(format!("{work:?} with a full disk: {}", ran.describe()));
    }
    again(run, work, &out).map_err(|what| format!("{work:?} after call {count} failed: {what}"))
}

/// While the disk is full, an index that was there answers item by item as before or after.
fn old_index_answers(run: &mut Run<'_>, work: Work, out: &Path) -> Result<()> {
    let (Some(before), after) = work.states(run.world) else { return Ok(()) };
    let answers = run.ask(out, Asked::Words)?;
    let answers = answers.map_err(|what| format!("on the full disk, search is refused: {what}"))?;
    answers
        .within(&[&before.words, &after.words])
        .map_err(|what| format!("on the full disk: {what}"))
}

fn again(run: &mut Run<'_>, work: Work, out: &Path) -> Result<()> {
    if work.learns() {
        kill::go_on(run, out)?;
        return run.expect_model(out);
    }
    let words = work.words(run.world, out);
    run.succeed(&words)?;
    let expected = work.states(run.world).1;
    run.expect_index(out, expected)
}

/// Copies what is on the disk into the run's folder when something is wrong, before it is gone.
fn keeping(run: &mut Run<'_>, what: impl FnOnce(&mut Run<'_>) -> Result<()>) -> Result<()> {
    let result = what(run);
    if result.is_err() {
        let (from, to) = (run.out().join("out"), run.folder.join("disk"));
        folders::copy(&from, &to).or_else(|error| {
            run.note(&error);
            Ok::<(), String>(())
        })?;
    }
    result
}
