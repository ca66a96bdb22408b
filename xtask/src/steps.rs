//! Commands as values: printed as a person would type them, run, timed.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The error of a task: the sentence that is printed.
pub(crate) type Result<T, E = String> = std::result::Result<T, E>;

/// One command, its first word the program. Variables are set for it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step<'a> {
    pub(crate) variables: &'a [(&'a str, &'a str)],
    pub(crate) words: &'a [&'a str],
}

impl<'a> Step<'a> {
    /// A command without variables of its own.
    pub(crate) const fn new(words: &'a [&'a str]) -> Self {
        Self { variables: &[], words }
    }

    /// Prints and runs the command in `folder`; the time it took, or a sentence when it failed.
    pub(crate) fn run(&self, folder: &Path) -> Result<Duration> {
        self.timed(&mut self.command(folder))
    }

    /// [`Step::run`] with another search path for programs, which is not printed.
    pub(crate) fn run_on_path(&self, folder: &Path, path: &OsStr) -> Result<Duration> {
        self.timed(self.command(folder).env("PATH", path))
    }

    /// Whether the command is there and succeeds; its output is not shown.
    pub(crate) fn succeeds(&self, folder: &Path) -> bool {
        let status = self.command(folder).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Runs the command in `folder` and gives back what it prints on standard output. The command
    /// itself and what it says on standard error are shown on standard error.
    pub(crate) fn answer(&self, folder: &Path) -> Result<String> {
        eprintln!("$ {self}");
        let output = self.command(folder).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("cannot run `{}`: {error}", self.words[0]))?;
        if !output.status.success() {
            return Err(format!("`{self}` failed ({})", output.status));
        }
        String::from_utf8(output.stdout).map_err(|_| format!("`{self}` did not print text"))
    }

    fn timed(&self, command: &mut Command) -> Result<Duration> {
        println!("$ {self}");
        let start = Instant::now();
        let status = command.status();
        let status = status.map_err(|error| format!("cannot run `{}`: {error}", self.words[0]))?;
        if status.success() {
            Ok(start.elapsed())
        } else {
            Err(format!("`{self}` failed ({status})"))
        }
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(program(self.words[0]));
        command.args(&self.words[1..]).envs(self.variables.iter().copied()).current_dir(folder);
        command
    }
}

/// The cargo that runs us is the one to call, not another one on the path.
fn program(name: &str) -> OsString {
    let cargo = if name == "cargo" { std::env::var_os("CARGO") } else { None };
    cargo.unwrap_or_else(|| name.into())
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// A word as the shell wants it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else if word.contains(['"', '$', '`', '\\', '!']) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        format!("\"{word}\"")
    }
}

/// Where cargo puts what it builds: above the folder that we were built into.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let exe = std::env::current_exe().map_err(|e| format!("cannot find the target folder: {e}"))?;
    let target = exe.parent().and_then(Path::parent).ok_or("cannot find the target folder")?;
    Ok(target.to_path_buf())
}

/// Minutes, also parts of one.
pub(crate) fn minutes(word: &str) -> Result<Duration> {
    let minutes = word.parse::<f64>().ok().filter(|minutes| (0.0..=10_000.0).contains(minutes));
    let minutes = minutes
        .ok_or_else(|| format!("--minutes takes a number such as 0.5 or 30; found `{word}`"))?;
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

/// `4 min 02 s`, `12.3 s`.
pub(crate) fn readable(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        let seconds = seconds.round() as u64;
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_printed_as_a_person_types_it() {
        let step = Step {
            variables: &[("RUSTDOCFLAGS", "-D warnings")],
            words: &["looksee", "search", "green bucket", "--where", r#"color = "red""#],
        };
        assert_eq!(
            step.to_string(),
            r#"RUSTDOCFLAGS="-D warnings" looksee search "green bucket" --where 'color = "red"'"#
        );
    }

    #[test]
    fn a_step_that_fails_says_which_command_it_was() {
        let error = Step::new(&["cargo", "no-such-command"]).run(Path::new(".")).unwrap_err();
        assert!(error.starts_with("`cargo no-such-command` failed"), "{error}");
        let error = Step::new(&["no-such-program"]).run(Path::new(".")).unwrap_err();
        assert!(error.starts_with("cannot run `no-such-program`"), "{error}");
    }

    #[test]
    fn an_answer_is_what_the_command_prints() {
        let words = ["cargo", "--version"];
        let answer = Step::new(&words).answer(Path::new(".")).unwrap();
        assert!(answer.starts_with("cargo "), "{answer}");
        let error = Step::new(&["cargo", "no-such-command"]).answer(Path::new(".")).unwrap_err();
        assert!(error.starts_with("`cargo no-such-command` failed"), "{error}");
    }

    #[test]
    fn minutes_are_taken_in_parts_and_within_a_week() {
        assert_eq!(minutes("0.5"), Ok(Duration::from_secs(30)));
        for wrong in ["-1", "1e300", "NaN", "soon"] {
            assert!(minutes(wrong).unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn times_are_read_in_minutes_and_seconds() {
        assert_eq!(readable(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(readable(Duration::from_millis(59_990)), "1 min 00 s");
        assert_eq!(readable(Duration::from_secs(242)), "4 min 02 s");
    }
}
