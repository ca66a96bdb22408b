//! Running looksee, hurting it on the way, and judging how it ended.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::say;
use crate::steps::{Result, Step};

/// A command that takes longer hangs: even under load each takes a few seconds.
const PATIENCE: Duration = Duration::from_mins(2);
/// Address space of a command in KiB (12 GiB): damage must not take the machine's memory.
const MEMORY_KIB: &str = "12582912";
/// What is read of an output.
const MOST_OUTPUT: usize = 4 << 20;

/// The program under torture and what is there to hurt it with.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) strace: bool,
}

/// What is done to a command while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Injury {
    None,
    /// SIGKILL after this time.
    Kill(Duration),
    /// Ctrl-C after this time.
    Interrupt(Duration),
    /// SIGKILL at the entry of this system call, the so-many-th time.
    KillAt {
        call: String,
        count: u32,
    },
    /// From the so-many-th on, everything that writes finds the disk full.
    FullFrom {
        count: u32,
    },
    /// Nothing; the calls are written into this file, to be counted.
    Watch(PathBuf),
}

/// Calls at which a command is killed, those that change what is on the disk and those between.
pub(super) const CALLS: &str = "rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,ftruncate,pwrite64,write,openat,mkdir";
/// Calls that a full disk fails.
const WRITING: &str = "write,pwrite64,writev,fsync,fdatasync,ftruncate";

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ran {
    status: ExitStatus,
    hung: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) took: Duration,
}

/// A clean end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Exit code 0, or 1 for nothing found.
    Done,
    /// Exit code 2 or 130 and one sentence.
    Refused(String),
}

impl Program {
    pub(super) fn new(path: PathBuf) -> Self {
        let strace = Step::new(&["strace", "--version"]).succeeds(Path::new("."));
        Self { path, strace }
    }

    /// Runs it in `folder`; what it prints goes through two files below `outputs`.
    pub(super) fn run(
        &self,
        folder: &Path,
        outputs: &Path,
        words: &[String],
        injury: &Injury,
    ) -> Result<Ran> {
        let (out, err) = (outputs.join("stdout"), outputs.join("stderr"));
        let file = |path: &Path| File::create(path).map_err(say("cannot write", path));
        let mut command = self.command(words, injury);
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(file(&out)?).stderr(file(&err)?).process_group(0);
        let start = Instant::now();
        let mut child =
            command.spawn().map_err(|e| format!("cannot run {}: {e}", self.path.display()))?;
        let (status, hung) = wait(&mut child, start, injury)?;
        let took = start.elapsed();
        Ok(Ran { status, hung, stdout: text(&out), stderr: text(&err), took })
    }

    fn command(&self, words: &[String], injury: &Injury) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {MEMORY_KIB}; exec \"$@\""), "sh"]);
        match injury {
            Injury::KillAt { call, count } => {
                let inject = format!("inject={call}:signal=KILL:when={count}");
                strace(&mut command, "/dev/null", call, Some(&inject));
            }
            Injury::FullFrom { count } => {
                let inject = format!("inject={WRITING}:error=ENOSPC:when={count}+");
                strace(&mut command, "/dev/null", WRITING, Some(&inject));
            }
            Injury::Watch(file) => strace(&mut command, &file.to_string_lossy(), CALLS, None),
            Injury::None | Injury::Kill(_) | Injury::Interrupt(_) => {}
        }
        command.arg(&self.path).args(words);
        command
    }
}

fn strace(command: &mut Command, file: &str, calls: &str, inject: Option<&str>) {
    command.args(["strace", "-f", "-o", file, "-e", &format!("trace={calls}")]);
    if let Some(inject) = inject {
        command.args(["-e", inject]);
    }
}

/// Waits for the end, with what is to happen meanwhile; whether it hung.
fn wait(child: &mut Child, start: Instant, injury: &Injury) -> Result<(ExitStatus, bool)> {
    let (mut signal, after) = match injury {
        Injury::Kill(after) => (Some("-KILL"), *after),
        Injury::Interrupt(after) => (Some("-INT"), *after),
        _ => (None, Duration::ZERO),
    };
    loop {
        if let Some(status) = child.try_wait().map_err(|e| format!("cannot wait: {e}"))? {
            return Ok((status, false));
        }
        if signal.is_some() && start.elapsed() >= after {
            send(signal.take().unwrap_or_default(), child);
        }
        if start.elapsed() > PATIENCE {
            send("-KILL", child);
            let status = child.wait().map_err(|e| format!("cannot wait: {e}"))?;
            return Ok((status, true));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a signal to the group that the child began, strace and the program alike.
fn send(signal: &str, child: &Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
}

/// The beginning of an output.
fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_OUTPUT)]).into_owned()
}

impl Ran {
    /// Whether it was killed.
    pub(super) fn is_killed(&self) -> bool {
        !self.hung && self.status.signal() == Some(9)
    }

    /// Whether Ctrl-C ended it.
    pub(super) fn is_interrupted(&self) -> bool {
        self.status.code() == Some(130)
    }

    /// How it ended, or what is wrong with that: a hang, a signal, a panic, no sentence.
    pub(super) fn end(&self) -> Result<End> {
        let said = shortened(self.stderr.trim());
        if self.hung {
            return Err(format!("it hung for {} s; it said: {said}", PATIENCE.as_secs()));
        }
        if self.stderr.contains("panicked at") {
            return Err(format!("it panicked: {said}"));
        }
        match self.status.code() {
            Some(0 | 1) => Ok(End::Done),
            Some(2 | 130) => Ok(End::Refused(self.sentence()?)),
            _ => Err(format!("it ended with {}; it said: {said}", self.status)),
        }
    }

    /// The one sentence of an error; warnings and notes may stand before it.
    fn sentence(&self) -> Result<String> {
        let lines = self.stderr.lines().filter(|line| !line.trim().is_empty());
        let errors: Vec<&str> =
            lines.filter_map(|line| line.strip_prefix("looksee: ")).filter(is_error).collect();
        match errors.as_slice() {
            [sentence] => Ok((*sentence).to_owned()),
            _ => Err(format!("no single sentence of an error: {}", shortened(&self.stderr))),
        }
    }

    /// For the record of a run.
    pub(super) fn describe(&self) -> String {
        let ms = self.took.as_millis();
        format!("{} after {ms} ms: {}", self.status, shortened(self.stderr.trim()))
    }
}

fn is_error(line: &&str) -> bool {
    !line.starts_with("warning: ") && !line.starts_with("note: ")
}

/// At most some 300 characters, the end left out.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell stands for looksee: its last word is what it does.
    fn ran(script: &str, injury: &Injury) -> Ran {
        let folder = std::env::temp_dir().join(format!("torture-program-{:p}", &raw const *injury));
        std::fs::create_dir_all(&folder).unwrap();
        let program = Program { path: PathBuf::from("sh"), strace: false };
        let words = ["-c".to_owned(), script.to_owned()];
        let ran = program.run(&folder, &folder, &words, injury).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        ran
    }

    #[test]
    fn only_a_clean_end_is_taken() {
        let end = |script: &str| ran(script, &Injury::None).end();
        assert_eq!(end("exit 0"), Ok(End::Done));
        let refused = "echo 'looksee: warning: slow' >&2; echo 'looksee: no disk' >&2; exit 2";
        assert_eq!(end(refused), Ok(End::Refused("no disk".to_owned())));
        assert!(end("exit 2").unwrap_err().contains("no single sentence"));
        assert!(end("echo 'looksee: a' >&2; echo 'looksee: b' >&2; exit 2").is_err());
        assert!(
            end("echo 'thread main panicked at x' >&2; exit 0").unwrap_err().contains("panicked")
        );
        assert!(end("kill -ABRT $$").unwrap_err().contains("signal"));
        assert!(end("exit 101").is_err());
    }

    #[test]
    fn a_kill_reaches_the_program() {
        let ran = ran("sleep 20", &Injury::Kill(Duration::from_millis(30)));
        assert!(ran.is_killed() && ran.took < Duration::from_secs(10), "{ran:?}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("é"), "é");
        assert_eq!(shortened(&"é".repeat(400)).chars().count(), 303);
    }
}
