//! What every target shares: seeds, time, a file that holds the input before it is tried, a watch
//! over inputs that take too long, and a list of what was found.
//!
//! The time a target takes is `LOOKSEE_FUZZ_SECONDS` (default: half a second), its chance comes
//! from `LOOKSEE_FUZZ_SEED`, and `LOOKSEE_FUZZ_ONLY` names the one target to run. Whatever was once
//! found stands in `testdata/cases/TARGET/` and is tried first, each time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::mutator::Mutator;

/// One input that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Different faults after which a target gives up.
const MOST_FOUND: usize = 10;
/// Longer inputs than this are not made.
const LONGEST: usize = 1 << 20;

/// What is mutated, and with what.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// Its name, that of its folder of cases too.
    pub(crate) name: &'a str,
    /// Name of the file that holds the input; readers look at the ending.
    pub(crate) file: &'a str,
    /// Good inputs to begin with.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Words of its language, which a mutation inserts.
    pub(crate) words: &'a [&'a str],
    /// Bytes at the beginning within which a mutation begins; the rest is values.
    pub(crate) head: usize,
}

impl Target<'_> {
    /// Tries inputs until the time is over; panics with all faults when there were any.
    ///
    /// `judge` is given the file and what is in it. It panics when something is wrong.
    pub(crate) fn run(self, mut judge: impl FnMut(&Path, &[u8])) {
        if std::env::var("LOOKSEE_FUZZ_ONLY").is_ok_and(|only| only != self.name) {
            return;
        }
        let folder = target_folder().join(self.name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(self.file);
        let watch = Watch::begin(file.clone());
        let mut faults = Faults::new(folder);
        let start = Instant::now();
        let mut tried = 0_u64;
        let mut attempt = |input: &[u8], faults: &mut Faults| {
            overwrite(&file, input);
            watch.start();
            let outcome = catch_unwind(AssertUnwindSafe(|| judge(&file, input)));
            watch.stop();
            tried += 1;
            if let Err(panic) = outcome {
                faults.add(&message(&*panic), input);
            }
        };
        let cases = cases(self.name);
        let time = Duration::from_secs_f64(seconds());
        for input in &cases {
            attempt(input, &mut faults);
        }
        for input in self.seeds.iter().take_while(|_| start.elapsed() < time) {
            attempt(input, &mut faults);
        }
        let pool: Vec<Vec<u8>> = cases.into_iter().chain(self.seeds).collect();
        let mut mutator = Mutator::new(number("LOOKSEE_FUZZ_SEED", 1), self.words, self.head);
        while start.elapsed() < time && faults.found.len() < MOST_FOUND {
            let mut input = mutator.mutated(&pool);
            input.truncate(LONGEST.max(pool.iter().map(Vec::len).max().unwrap_or(0)));
            attempt(&input, &mut faults);
        }
        println!(
            "fuzz {:<16} {tried:>9} inputs in {:.1} s",
            self.name,
            start.elapsed().as_secs_f64()
        );
        faults.end(self.name);
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn seconds() -> f64 {
    let seconds = std::env::var("LOOKSEE_FUZZ_SECONDS").ok().and_then(|value| value.parse().ok());
    seconds.filter(|seconds: &f64| (0.0..1e6).contains(seconds)).unwrap_or(0.5)
}

/// `fuzz/` in the target folder that this program was built into.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap_or(Path::new("target")).join("fuzz")
}

/// A folder of `testdata/`, from whichever package this was compiled in.
pub(crate) fn testdata(name: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let above = package.parent().unwrap_or(package);
    let root = if package.join("testdata").is_dir() { package } else { above };
    root.join("testdata").join(name)
}

/// The contents of all files of a folder, in the order of their names; none when it is not there.
pub(crate) fn contents(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// Puts `bytes` into the place of what is in a file. Unlike a file that is emptied first, which
/// some file systems write to the disk at once, it costs a copy.
pub(crate) fn overwrite(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(false).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

/// What was found once.
fn cases(target: &str) -> Vec<Vec<u8>> {
    contents(&testdata("cases").join(target))
}

/// The sentence of a panic.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// Faults by what they said; each with an input that is kept.
struct Faults {
    folder: PathBuf,
    found: BTreeMap<String, PathBuf>,
}

impl Faults {
    fn new(folder: PathBuf) -> Self {
        Self { folder, found: BTreeMap::new() }
    }

    /// Keeps the input of a fault of a new kind: numbers in what it said do not make one.
    fn add(&mut self, said: &str, input: &[u8]) {
        let kind: String =
            said.chars().take(100).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        if self.found.contains_key(&kind) {
            return;
        }
        let path = self.folder.join(format!("found-{}", self.found.len() + 1));
        std::fs::write(&path, input).unwrap();
        let said: String = said.chars().take(300).collect();
        println!("fuzz: {said}\n    with {}", path.display());
        self.found.insert(kind, path);
    }

    fn end(self, target: &str) {
        let paths: Vec<String> =
            self.found.values().map(|path| path.display().to_string()).collect();
        assert!(
            paths.is_empty(),
            "{target}: {} faults; their inputs: {}; mend them and put them into \
             testdata/cases/{target}/",
            paths.len(),
            paths.join(", ")
        );
    }
}

/// Ends the process when one input takes too long: a thread cannot be ended.
struct Watch {
    began: Instant,
    /// Milliseconds from `began` to the start of the current input; 0 between inputs.
    started: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Watch {
    fn begin(file: PathBuf) -> Self {
        let began = Instant::now();
        let (started, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (of_input, end) = (Arc::clone(&started), Arc::clone(&ended));
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                let at = of_input.load(Ordering::Relaxed);
                if at > 0 && began.elapsed().saturating_sub(Duration::from_millis(at)) > PATIENCE {
                    println!("fuzz: an input takes over {PATIENCE:?}: {}", file.display());
                    std::process::exit(101);
                }
            }
        });
        Self { began, started, ended }
    }

    fn start(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        self.started.store(now.max(1), Ordering::Relaxed);
    }

    fn stop(&self) {
        self.started.store(0, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
