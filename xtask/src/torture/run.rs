//! One run of a scenario: a folder of its own, chance of its own, and what it has found so far.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::answers::Answers;
use super::chance::Chance;
use super::folders;
use super::program::{End, Injury, Ran};
use super::reference::{self, Asked, Known, World};
use super::say;
use super::tally::Tally;
use super::works::{Work, strings, text};
use crate::steps::Result;

/// A run in progress.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) world: &'a World,
    /// Its own folder; kept when something is wrong.
    pub(super) folder: PathBuf,
    pub(super) chance: Chance,
    pub(super) tally: Tally,
    /// The commands and how they ended, for whoever looks into the folder.
    record: String,
}

impl<'a> Run<'a> {
    /// Begins in a new folder.
    pub(super) fn new(world: &'a World, folder: PathBuf, seed: u64) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(say("cannot make a folder", &folder))?;
        Ok(Self {
            world,
            folder,
            chance: Chance::new(seed),
            tally: Tally::default(),
            record: String::new(),
        })
    }

    /// The folder that commands write.
    pub(super) fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Writes down what happened.
    pub(super) fn note(&mut self, what: &str) {
        let _ = writeln!(self.record, "{what}");
    }

    /// Writes the record into the folder.
    pub(super) fn keep_record(&self, wrong: &str) {
        let text = format!("{}\nWRONG: {wrong}\n", self.record);
        // The sentence is on the screen as well.
        let _ = std::fs::write(self.folder.join("record.txt"), text);
    }

    /// Puts the state in place that a work begins with.
    pub(super) fn start(&mut self, work: Work, out: &Path) -> Result<()> {
        match work.start(self.world) {
            Some(start) => folders::copy(&start, out),
            None => Ok(()),
        }
    }

    /// Runs a command with an injury.
    pub(super) fn injured(&mut self, words: &[String], injury: &Injury) -> Result<Ran> {
        let ran = self.world.program.run(&self.world.catalogue, &self.folder, words, injury)?;
        let hurt = if *injury == Injury::None { String::new() } else { format!(" ({injury:?})") };
        let line = format!("looksee {}{hurt}\n    {}", words.join(" "), ran.describe());
        self.note(&line);
        Ok(ran)
    }

    /// Runs a command that must end cleanly.
    pub(super) fn end(&mut self, words: &[String]) -> Result<End> {
        let end = self.injured(words, &Injury::None)?.end();
        let end = end.map_err(|what| format!("looksee {}: {what}", words.join(" ")))?;
        if matches!(end, End::Refused(_)) {
            self.tally.refused += 1;
        }
        Ok(end)
    }

    /// Runs a command that must succeed.
    pub(super) fn succeed(&mut self, words: &[String]) -> Result<()> {
        match self.end(words)? {
            End::Done => Ok(()),
            End::Refused(sentence) => {
                Err(format!("looksee {}: should go on, but: {sentence}", words.join(" ")))
            }
        }
    }

    /// The answers of an index; the sentence when it refuses.
    pub(super) fn ask(&mut self, index: &Path, asked: Asked) -> Result<Result<Answers>> {
        let words = reference::search(index, asked);
        let ran = self.injured(&words, &Injury::None)?;
        match ran.end().map_err(|what| format!("search {asked:?}: {what}"))? {
            End::Done => Answers::read(&ran.stdout).map(Ok),
            End::Refused(sentence) => {
                self.tally.refused += 1;
                Ok(Err(sentence))
            }
        }
    }

    /// What `check` says of an index: nothing when it is right.
    pub(super) fn check(&mut self, index: &Path) -> Result<Option<String>> {
        match self.end(&strings(&["check", &text(index)]))? {
            End::Done => Ok(None),
            End::Refused(sentence) => Ok(Some(sentence)),
        }
    }

    /// An index must be right, answer as expected, and have nothing left over in it.
    pub(super) fn expect_index(&mut self, index: &Path, expected: &Known) -> Result<()> {
        if let Some(sentence) = self.check(index)? {
            return Err(format!("check: {sentence}"));
        }
        for asked in [Asked::Words, Asked::Pictures] {
            let answers = self.ask(index, asked)?;
            let answers = answers.map_err(|sentence| format!("search {asked:?}: {sentence}"))?;
            answers.compare(expected.to(asked)).map_err(|what| format!("wrong answer: {what}"))?;
        }
        nothing_left(index)?;
        self.tally.mended += 1;
        Ok(())
    }

    /// A model must be the reference's byte for byte, and have nothing left over beside it.
    pub(super) fn expect_model(&mut self, folder: &Path) -> Result<()> {
        let found = folders::model(folder)?;
        let expected = &self.world.model;
        if found.keys().ne(expected.keys()) {
            return Err(format!(
                "the model's files are {:?}, expected {:?}",
                found.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>()
            ));
        }
        if let Some((name, _)) =
            found.iter().find(|(name, bytes)| expected.get(*name) != Some(bytes))
        {
            return Err(format!("{} differs from the uninterrupted run's", name.display()));
        }
        nothing_left(folder)?;
        self.tally.mended += 1;
        Ok(())
    }

    /// The vectors that a model gives; `None` for each side that it refuses.
    pub(super) fn embed(&mut self, model: &Path) -> Result<[Option<Vec<u8>>; 2]> {
        let file = self.folder.join("embedded.npy");
        let mut vectors = [None, None];
        for (side, words) in reference::embedding(model, &text(&file)).iter().enumerate() {
            let _ = std::fs::remove_file(&file);
            if self.end(words)? == End::Done {
                vectors[side] = Some(std::fs::read(&file).map_err(say("cannot read", &file))?);
            }
        }
        Ok(vectors)
    }
}

fn nothing_left(folder: &Path) -> Result<()> {
    match folders::left_overs(folder)?.first() {
        Some(path) => Err(format!("left over and never removed: {}", path.display())),
        None => Ok(()),
    }
}
