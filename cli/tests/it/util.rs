//! A folder of its own and the built program in it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary folder in which the program runs; gone when dropped.
pub(crate) struct Folder(tempfile::TempDir);

/// What a run left: exit code and both streams as text.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the folders it lies in.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program, to be run in this folder.
    pub(crate) fn program<I: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_looksee"));
        command.current_dir(self.path()).args(words).env_remove("COLUMNS");
        command
    }

    /// Runs the program with these arguments and nothing on standard input.
    pub(crate) fn run<I: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = I>) -> Ran {
        Ran::of(self.program(words).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs the program with this on standard input.
    pub(crate) fn run_with_input(&self, words: &[&str], input: &[u8]) -> Ran {
        let mut command = self.program(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The program may end without reading all of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::of(child.wait_with_output().unwrap())
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts that the run failed with 2 and said this among other things.
    #[track_caller]
    pub(crate) fn failed_with_part(&self, part: &str) {
        assert!(self.stderr.contains(part), "\"{part}\" is not in: {}", self.stderr);
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""));
    }

    /// Asserts that the run failed with 2 and said exactly this, in one line.
    #[track_caller]
    pub(crate) fn failed_with(&self, sentence: &str) {
        assert_eq!(self.stderr, format!("looksee: {sentence}\n"));
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""));
    }
}
