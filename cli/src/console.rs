//! Standard error, Ctrl-C and the settings that all commands share.

use std::io::{self, IsTerminal, Stderr, Write};
use std::time::Instant;

use looksee::units::{Listener, Seed, Stop};
use looksee::{Error, ErrorKind, Result};

use crate::args::Global;
use crate::outcome::INTERRUPTED;
use crate::progress::{Progress, Style};

/// What Ctrl-C does the first time; the second time always ends the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Asks the run to stop at its next safe point.
    AskFirst,
    /// Ends the program: there is nothing that a safe point would keep.
    AtOnce,
}

/// The user at the other end of standard error.
#[derive(Debug)]
pub(crate) struct Console {
    /// Print JSON.
    pub(crate) json: bool,
    /// Where all chance of the run comes from.
    pub(crate) seed: Seed,
    verbose: bool,
    stop: Stop,
    progress: Progress<Stderr>,
}

impl Console {
    /// Applies the settings that hold for the whole process: threads, Ctrl-C.
    pub(crate) fn open(global: &Global, interrupt: Interrupt) -> Result<Self> {
        set_threads(global.threads.map_or(0, usize::from))?;
        let stop = Stop::default();
        listen_for_interrupts(stop.clone(), interrupt)?;
        Ok(Self {
            json: global.json,
            seed: Seed(global.seed),
            verbose: global.verbose,
            stop,
            progress: Progress::new(io::stderr(), style(global.quiet)),
        })
    }

    /// Runs long work of the library: hands it the stop flag and shows what it tells.
    pub(crate) fn watch<T>(
        &mut self,
        work: impl FnOnce(&Stop, Listener<'_>) -> Result<T>,
    ) -> Result<T> {
        let progress = &mut self.progress;
        let result = work(&self.stop, &mut |event| progress.hear(&event, Instant::now()));
        progress.finish();
        result
    }

    /// One line for the user; not shown with `--quiet`.
    pub(crate) fn note(&mut self, text: &str) {
        self.progress.note(text);
    }

    /// Something that will probably surprise the user, with what to try.
    pub(crate) fn warn(&mut self, text: &str) {
        self.progress.warn(text);
    }

    /// One line that only `--verbose` shows.
    pub(crate) fn detail(&mut self, text: &str) {
        if self.verbose {
            self.progress.note(text);
        }
    }
}

fn style(quiet: bool) -> Style {
    match (quiet, io::stderr().is_terminal()) {
        (true, _) => Style::Silent,
        (false, true) => Style::Terminal,
        (false, false) => Style::Lines,
    }
}

fn set_threads(number: usize) -> Result<()> {
    if number == 0 {
        return Ok(());
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(number)
        .build_global()
        .map_err(|e| Error::new(ErrorKind::Io, "cannot start the threads").with_source(e))
}

fn listen_for_interrupts(stop: Stop, interrupt: Interrupt) -> Result<()> {
    ctrlc::set_handler(move || {
        if interrupt == Interrupt::AtOnce || stop.asked() {
            std::process::exit(i32::from(INTERRUPTED));
        }
        stop.ask();
        let _ = writeln!(
            io::stderr(),
            "\nlooksee: stopping at the next safe point; press Ctrl-C again to end at once"
        );
    })
    .map_err(|e| Error::new(ErrorKind::Io, "cannot listen for Ctrl-C").with_source(e))
}
