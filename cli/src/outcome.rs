//! How a command can end, and the exit code of each end: the one place that knows the numbers.

use std::io::{self, Write};
use std::process::ExitCode;

use looksee::{Error, ErrorKind};

use crate::advice;
use crate::render::text;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// What was asked for is done.
    Done,
    /// Nothing was found, or a bound that the user gave was not met.
    NothingFound,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error with a sentence for the user.
    Error(Error),
    /// Whoever read standard output has gone (`looksee ... | head`): no error.
    ClosedPipe,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Only writing to standard output gives a bare [`io::Error`] in this program.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::Error(Error::io("cannot write to standard output", error))
    }
}

/// What each command returns.
pub(crate) type Outcome = Result<Status, Failure>;

/// 0 done, 1 nothing found, 2 error, 130 interrupted; a failure is said in one line.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(Status::Done) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Ok(Status::NothingFound) => ExitCode::from(1),
        Err(Failure::Error(error)) => {
            say_error(&error);
            ExitCode::from(code_of(error.kind()))
        }
    }
}

/// Help and version go to standard output with 0, a wrong flag to standard error with 2.
pub(crate) fn usage(message: &clap::Error) -> ExitCode {
    let plain = message.to_string();
    let harmless = plain.lines().all(|line| text::visible(line) == line);
    // What was typed is quoted; the colours are worth less than what it might command.
    let _ =
        if harmless { message.print() } else { writeln!(io::stderr(), "{}", text::lines(&plain)) };
    ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2))
}

/// The exit code of a process that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

fn code_of(kind: ErrorKind) -> u8 {
    if kind == ErrorKind::Interrupted { INTERRUPTED } else { 2 }
}

fn say_error(error: &Error) {
    let sentence = text::visible(&advice::sentence(error));
    let _ = writeln!(io::stderr(), "looksee: {sentence}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(closed, Failure::ClosedPipe));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, Failure::Error(_)));
    }

    #[test]
    fn an_interrupted_run_ends_with_130_and_any_other_error_with_2() {
        assert_eq!(code_of(ErrorKind::Interrupted), 130);
        assert_eq!(code_of(ErrorKind::Mismatch), 2);
    }
}
