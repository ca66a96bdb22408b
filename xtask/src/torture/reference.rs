//! What everything is compared with: made without any harm, and itself checked.
//!
//! Each state is made twice and in two ways (at once and as an update, whole and in two parts, in
//! one sitting and interrupted), and both must answer alike; `check` must find them right, and each
//! picture must find its own item first.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::answers::Answers;
use super::catalogue;
use super::folders::{self, Files};
use super::program::{End, Injury, Program, Ran};
use super::say;
use super::works::{self, Work, strings, text};
use crate::steps::Result;

/// Queries of words: they read the text tower alone.
const WORDS: &str = "red disc\nlarge green bar\nblack ring\n";
/// Queries by pictures and by items that are in every state.
const PICTURES: &str = "./pictures/red-disc-6.bmp\n./pictures/new-blue-bar-12.bmp\nid:blue-bar-6\n\
                        ./pictures/yellow-ring-9.bmp + 0.5:pink\n";

/// Which queries are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Words,
    Pictures,
}

impl Asked {
    /// The file of these queries, beside the catalogues.
    fn file(self) -> &'static str {
        match self {
            Self::Words => "words.txt",
            Self::Pictures => "pictures.txt",
        }
    }
}

/// What an index in a known state answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) words: Answers,
    pub(super) pictures: Answers,
}

impl Known {
    /// The answers to these queries.
    pub(super) fn to(&self, asked: Asked) -> &Answers {
        match asked {
            Asked::Words => &self.words,
            Asked::Pictures => &self.pictures,
        }
    }
}

/// The program, the catalogues, and what must come of them.
#[derive(Debug)]
pub(super) struct World {
    pub(super) program: Program,
    /// Where the catalogues are, and where every command runs.
    pub(super) catalogue: PathBuf,
    /// Index of the first catalogue.
    pub(super) first: Known,
    /// Index of the second catalogue.
    pub(super) second: Known,
    /// The same without the items that are removed.
    pub(super) removed: Known,
    /// Index of the first catalogue by another model.
    pub(super) other: Known,
    /// The model's files.
    pub(super) model: Files,
    /// Vectors of texts and of pictures by the model, as files of numpy.
    pub(super) embedded: [Vec<u8>; 2],
    took: Vec<Duration>,
    calls: [OnceLock<BTreeMap<String, u32>>; Work::ALL.len()],
}

impl World {
    /// Makes the reference below `folder`, which is empty.
    pub(super) fn make(program: Program, folder: &Path) -> Result<Self> {
        let catalogue = folder.join("catalogue");
        catalogue::write(&catalogue)?;
        let nothing = || Known { words: Answers::default(), pictures: Answers::default() };
        let mut world = Self {
            program,
            catalogue,
            first: nothing(),
            second: nothing(),
            removed: nothing(),
            other: nothing(),
            model: Files::new(),
            embedded: [Vec::new(), Vec::new()],
            took: vec![Duration::ZERO; Work::ALL.len()],
            calls: Default::default(),
        };
        world.write_queries()?;
        world.models()?;
        world.indices()?;
        world.own_pictures_come_first()?;
        Ok(world)
    }

    /// A folder of the reference.
    pub(super) fn pristine(&self, name: &str) -> PathBuf {
        self.catalogue.with_file_name(name)
    }

    /// How long a work takes unharmed.
    pub(super) fn took(&self, work: Work) -> Duration {
        self.took[work as usize]
    }

    /// How often a work makes each of the system calls at which it can be killed.
    pub(super) fn calls(&self, work: Work) -> Result<&BTreeMap<String, u32>> {
        let cell = &self.calls[work as usize];
        if cell.get().is_none() {
            // Two runs at the same time may both count; they count the same.
            let _ = cell.set(self.count_calls(work)?);
        }
        cell.get().ok_or_else(|| "no system calls were counted".to_owned())
    }

    fn write_queries(&self) -> Result<()> {
        let mut own = String::new();
        for (_, picture) in catalogue::in_first() {
            let _ = writeln!(own, "./pictures/{picture}");
        }
        for (name, queries) in
            [(Asked::Words.file(), WORDS), (Asked::Pictures.file(), PICTURES), ("own.txt", &own)]
        {
            let path = self.catalogue.join(name);
            std::fs::write(&path, queries).map_err(say("cannot write", &path))?;
        }
        let texts = self.catalogue.join("texts.txt");
        std::fs::write(&texts, "red disc\ngreen bar\n").map_err(say("cannot write", &texts))
    }

    fn models(&mut self) -> Result<()> {
        self.done(Work::Train, &self.pristine("model"))?;
        self.model = folders::model(&self.pristine("model"))?;
        self.plain(&works::train(&self.pristine("other-model"), 1))?;
        self.interrupted()?;
        let resumed = self.pristine("resumed");
        folders::copy(&self.pristine("interrupted"), &resumed)?;
        self.done(Work::Resume, &resumed)?;
        if folders::model(&resumed)? != self.model {
            return Err(
                "the reference differs: a run that was resumed gave another model".to_owned()
            );
        }
        let file = self.pristine("embedded.npy");
        let commands = embedding(&self.pristine("model"), &text(&file));
        for (slot, words) in commands.iter().enumerate() {
            self.plain(words)?;
            self.embedded[slot] = std::fs::read(&file).map_err(say("cannot read", &file))?;
        }
        Ok(())
    }

    /// A run that Ctrl-C ended in its middle, with a checkpoint.
    fn interrupted(&mut self) -> Result<()> {
        let folder = self.pristine("interrupted");
        for share in [0.6, 0.75, 0.45, 0.85, 0.3] {
            let _ = std::fs::remove_dir_all(&folder);
            let after = Injury::Interrupt(self.took(Work::Train).mul_f64(share));
            let ran = self.run(&works::train(&folder, 0), &after)?;
            if ran.is_interrupted() && folder.join("model.toml").exists() {
                return Ok(());
            }
        }
        Err("no run could be interrupted in its middle".to_owned())
    }

    fn indices(&mut self) -> Result<()> {
        self.first = self.state(Work::Index, "index-first")?;
        self.second = self.state(Work::Update, "index-second")?;
        self.removed = self.state(Work::Remove, "index-removed")?;
        let compact = self.state(Work::Compact, "index-compact")?;
        same("a compacted index", &compact, &self.removed)?;
        for part in ["1", "2"] {
            let out = self.pristine(&format!("part-{part}"));
            let mut words = works::index("second.jsonl", Some(&self.pristine("model")), &out);
            words.push(format!("--shard={part}/2"));
            self.plain(&words)?;
        }
        let merged = self.state(Work::Merge, "index-merged")?;
        same("two parts that were merged", &merged, &self.second)?;
        let model = self.pristine("model");
        let whole = self.indexed("second.jsonl", &model, "index-whole")?;
        same("an index that was made at once", &whole, &self.second)?;
        self.other = self.indexed("first.jsonl", &self.pristine("other-model"), "index-other")?;
        self.with_log()?;
        if self.other == self.first || self.first == self.second || self.second == self.removed {
            return Err("the reference cannot tell its states apart".to_owned());
        }
        Ok(())
    }

    /// An index that was killed while SQLite's log still held an update, where that can be timed:
    /// at the removal of the log. Without it that one start of `damage-index` is left out.
    fn with_log(&self) -> Result<()> {
        let folder = self.pristine("index-with-log");
        for count in 1..=if self.program.strace { 3 } else { 0 } {
            folders::copy(&self.pristine("index-first"), &folder)?;
            let kill = Injury::KillAt { call: "unlink".to_owned(), count };
            self.run(&Work::Update.words(self, &folder), &kill)?;
            let log = std::fs::metadata(folder.join("index.sqlite-wal"));
            if log.is_ok_and(|about| about.len() > 0) {
                return Ok(());
            }
            std::fs::remove_dir_all(&folder).map_err(say("cannot remove", &folder))?;
        }
        Ok(())
    }

    /// Makes a state by its work and asks it everything.
    fn state(&mut self, work: Work, name: &str) -> Result<Known> {
        let out = self.pristine(name);
        if let Some(start) = work.start(self) {
            folders::copy(&start, &out)?;
        }
        self.done(work, &out)?;
        self.known(&out)
    }

    fn indexed(&self, catalogue: &str, model: &Path, name: &str) -> Result<Known> {
        let out = self.pristine(name);
        self.plain(&works::index(catalogue, Some(model), &out))?;
        self.known(&out)
    }

    /// What an index answers that `check` finds right.
    fn known(&self, index: &Path) -> Result<Known> {
        self.plain(&strings(&["check", &text(index)]))?;
        let ask = |asked| Answers::read(&self.plain(&search(index, asked))?.stdout);
        let known = Known { words: ask(Asked::Words)?, pictures: ask(Asked::Pictures)? };
        if known.words.len() < 3 * 40 {
            return Err(format!("only {} answers from {}", known.words.len(), index.display()));
        }
        Ok(known)
    }

    fn own_pictures_come_first(&self) -> Result<()> {
        let printed = self.plain(&search_for(&self.pristine("index-first"), "own.txt"))?.stdout;
        let answers = Answers::read(&printed)?;
        for (id, picture) in catalogue::in_first() {
            let query = format!("./pictures/{picture}");
            if answers.best(&query) != Some(&id) {
                let found = answers.best(&query);
                return Err(format!(
                    "{query} should find {id} first, not {}",
                    found.unwrap_or("nothing")
                ));
            }
        }
        Ok(())
    }

    /// Runs a work unharmed and keeps its time.
    fn done(&mut self, work: Work, out: &Path) -> Result<()> {
        let words = work.words(self, out);
        self.took[work as usize] = self.plain(&words)?.took;
        Ok(())
    }

    /// Runs a command that must succeed.
    fn plain(&self, words: &[String]) -> Result<Ran> {
        let ran = self.run(words, &Injury::None)?;
        match ran.end() {
            Ok(End::Done) => Ok(ran),
            Ok(End::Refused(what)) | Err(what) => {
                Err(format!("the reference cannot be made: looksee {}: {what}", words.join(" ")))
            }
        }
    }

    fn run(&self, words: &[String], injury: &Injury) -> Result<Ran> {
        self.program.run(&self.catalogue, &self.pristine(""), words, injury)
    }

    fn count_calls(&self, work: Work) -> Result<BTreeMap<String, u32>> {
        let scratch = self.pristine(&format!("count-{work:?}-{:?}", std::thread::current().id()));
        let _ = std::fs::remove_dir_all(&scratch);
        let out = scratch.join("out");
        std::fs::create_dir_all(&scratch).map_err(say("cannot make a folder", &scratch))?;
        if let Some(start) = work.start(self) {
            folders::copy(&start, &out)?;
        }
        let trace = scratch.join("trace");
        let watch = Injury::Watch(trace.clone());
        self.program.run(&self.catalogue, &scratch, &work.words(self, &out), &watch)?;
        let trace = std::fs::read(&trace).map_err(say("cannot read", &trace))?;
        let _ = std::fs::remove_dir_all(&scratch);
        Ok(counted(&String::from_utf8_lossy(&trace)))
    }
}

/// The command for a search.
pub(super) fn search(index: &Path, asked: Asked) -> Vec<String> {
    search_for(index, asked.file())
}

fn search_for(index: &Path, queries: &str) -> Vec<String> {
    let index = text(index);
    let words = ["search", "-q", "--threads", "1", &index, "--queries", queries];
    let mut words = strings(&words);
    words.extend(strings(&["--format", "jsonl", "-k", "1000"]));
    words
}

/// The commands that write the vectors of two texts and of two pictures to `file`.
pub(super) fn embedding(model: &Path, file: &str) -> [Vec<String>; 2] {
    let model = text(model);
    let texts = ["embed", "-q", &model, "--texts", "texts.txt", "-o", file];
    let picture = ["pictures/red-disc-6.bmp", "pictures/pink-ring-9.bmp"];
    let pictures = ["embed", "-q", &model, "-o", file, "--images", picture[0], picture[1]];
    [strings(&texts), strings(&pictures)]
}

fn same(what: &str, found: &Known, expected: &Known) -> Result<()> {
    let compare = |asked| found.to(asked).compare(expected.to(asked));
    compare(Asked::Words)
        .and_then(|()| compare(Asked::Pictures))
        .map_err(|difference| format!("the reference differs: {what}: {difference}"))
}

/// How often each call stands in a trace: `4711 rename("a", "b") = 0`, a line a call.
fn counted(trace: &str) -> BTreeMap<String, u32> {
    let mut calls = BTreeMap::new();
    for line in trace.lines() {
        let call = line.split_whitespace().nth(1).and_then(|word| word.split_once('('));
        if let Some((call, _)) = call {
            *calls.entry(call.to_owned()).or_insert(0) += 1;
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_from_a_trace() {
        let trace = "71 rename(\"a\", \"b\") = 0\n72 write(1, \"hi\", 2 <unfinished ...>\n\
                     72 <... write resumed>) = 2\n71 rename(\"c\", \"d\") = 0\n71 +++ exited with 0 +++\n";
        let expected = [("rename".to_owned(), 2), ("write".to_owned(), 1)];
        assert_eq!(counted(trace), BTreeMap::from(expected));
    }
}
