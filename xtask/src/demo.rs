//! `demo`: from nothing to a search in a folder of pictures, with exactly the commands that a user
//! types.
//!
//! The commands are a table ([`STEPS`]), run in order from the repository's root. The program is
//! put on the path first, so that what is printed can be copied.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::steps::{Result, Step, readable, target_folder};

/// What to do with what an earlier demo left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// Start from nothing.
    Remove,
    /// Use its catalogue and its model if they are whole.
    Keep,
}

struct DemoStep {
    /// A sentence for the reader.
    about: &'static str,
    /// As it is typed: words, and texts with spaces in quotation marks.
    command: &'static str,
    /// A file that is there once the step is done; with `--keep` the step is then left out.
    makes: Option<&'static str>,
}

/// How the demo's programs are built: in one go, so that they share what they have in common.
const BUILD: Step =
    Step::new(&["cargo", "build", "--release", "-p", "looksee-cli", "-p", "emoji-catalogue"]);

const STEPS: &[DemoStep] = &[
    DemoStep {
        about: "Make a catalogue: pictures of emoji, their names, and things in five colours",
        command: "emoji-catalogue demo/catalogue",
        makes: Some("demo/catalogue/ATTRIBUTION.txt"),
    },
    DemoStep {
        about: "Learn from the training part",
        command: "looksee train demo/catalogue/train.jsonl -o demo/model --minutes 4",
        makes: Some("demo/model/model.toml"),
    },
    DemoStep {
        about: "Measure on things that were held out in all their colours",
        command: "looksee eval demo/model demo/catalogue/held-out.jsonl --gallery all",
        makes: None,
    },
    DemoStep {
        about: "Index all pictures, those of the held-out things too",
        command: "looksee index demo/catalogue/train.jsonl demo/catalogue/held-out.jsonl \
                  -m demo/model -o demo/index",
        makes: None,
    },
    DemoStep {
        about: "Search by words",
        command: "looksee search demo/index 'green bucket' --grid demo/green-bucket.png",
        makes: None,
    },
    DemoStep {
        about: "",
        command: "looksee search demo/index 'red tent' --grid demo/red-tent.png",
        makes: None,
    },
    DemoStep {
        about: "Search by words, among the pictures whose fields pass a condition",
        command: r#"looksee search demo/index 'face with tears' --where 'category = "smileys and emotion"' --grid demo/tears.png"#,
        makes: None,
    },
    DemoStep {
        about: "Search by a picture",
        command: "looksee search demo/index ./demo/catalogue/images/five-o-clock.png --grid demo/like-a-clock.png",
        makes: None,
    },
    DemoStep {
        about: "And as a web page",
        command: "looksee search demo/index ./demo/catalogue/images/grinning-face-with-smiling-eyes.png --grid demo/like-a-face.html",
        makes: None,
    },
    DemoStep {
        about: "See the map: pictures and names, alike ones close together",
        command: "looksee map demo/index -o demo/map.html --color-by category",
        makes: None,
    },
    DemoStep {
        about: "And the rows whose picture and text disagree most; here, what the model has not learnt",
        command: "looksee audit demo/index --top 20 -o demo/audit.html",
        makes: None,
    },
];

const NEXT: &str = r#"
Look at demo/*.png and demo/like-a-face.html, then try your own words and pictures:

  looksee search demo/index "yellow fish"
  looksee search demo/index ./some-picture.jpg --grid /tmp/alike.png
  looksee search demo/index --help

and your own pictures:

  looksee train my-pictures/ -o my-model
  looksee index my-pictures/ -m my-model -o my-index
  looksee search my-index "what you look for"

The emoji graphics are from Twemoji, CC-BY 4.0: demo/catalogue/ATTRIBUTION.txt"#;

/// Builds the programs, then runs the table.
pub(crate) fn run(root: &Path, earlier: Earlier) -> Result<()> {
    let start = Instant::now();
    let demo = root.join("demo");
    if earlier == Earlier::Remove && demo.exists() {
        println!("$ rm -r demo");
        std::fs::remove_dir_all(&demo).map_err(|e| format!("cannot remove demo/: {e}"))?;
    }
    let mut times = vec![(BUILD.to_string(), BUILD.run(root)?)];
    let path = path_with(&release_folder(root)?)?;
    std::fs::create_dir_all(&demo).map_err(|e| format!("cannot make demo/: {e}"))?;
    for step in STEPS {
        if !step.about.is_empty() {
            println!("\n# {}", step.about);
        }
        if earlier == Earlier::Keep && step.makes.is_some_and(|file| root.join(file).exists()) {
            println!("(kept from the last run)");
            continue;
        }
        let words = words(step.command);
        let command = Step::new(&words);
        times.push((command.to_string(), command.run_on_path(root, &path)?));
    }
    print!("{}", table(&times, start.elapsed()));
    println!("{NEXT}");
    Ok(())
}

/// Where `cargo build --release` puts programs.
fn release_folder(root: &Path) -> Result<PathBuf> {
    let folder = target_folder()?.join("release");
    let shown = folder.strip_prefix(root).unwrap_or(&folder);
    println!("$ PATH=\"{}:$PATH\"", shown.display());
    Ok(folder)
}

/// The search path with `folder` in front.
fn path_with(folder: &Path) -> Result<OsString> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&old));
    std::env::join_paths(folders).map_err(|e| format!("cannot set PATH: {e}"))
}

/// The words of a command, without the quotation marks of either kind around them.
fn words(command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = first == '"' || first == '\'';
        let body = if quoted { &rest[1..] } else { rest };
        let end = |c: char| if quoted { c == first } else { c.is_whitespace() };
        let (word, after) = body.split_once(end).unwrap_or((body, ""));
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn row(time: Duration, what: &str) -> String {
    format!("  {:>12}  {what}\n", readable(time))
}

fn table(times: &[(String, Duration)], total: Duration) -> String {
    let mut out = String::from("\nTime:\n");
    for (command, time) in times {
        out += &row(*time, command);
    }
    out + &row(total, "in all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_apart_as_a_shell_does() {
        let command = r#"looksee search index 'green bucket' --where 'color = "red"' "x y""#;
        assert_eq!(
            words(command),
            ["looksee", "search", "index", "green bucket", "--where", r#"color = "red""#, "x y"]
        );
    }

    #[test]
    fn everything_the_demo_writes_is_below_its_folder() {
        for step in STEPS {
            let words = words(step.command);
            let outputs = words.windows(2).filter(|pair| matches!(pair[0], "-o" | "--grid"));
            let outputs: Vec<_> = outputs.map(|pair| pair[1]).chain(step.makes).collect();
            assert!(outputs.iter().all(|path| path.starts_with("demo/")), "{}", step.command);
        }
    }

    #[test]
    fn times_stand_in_one_column() {
        let times = [("a".to_owned(), Duration::from_millis(1500))];
        assert_eq!(
            table(&times, Duration::from_secs(61)),
            "\nTime:\n         1.5 s  a\n    1 min 01 s  in all\n"
        );
    }
}
