//! What the user typed: the flags of every command, as clap reads them.
//!
//! These types know names, shapes and bounds of flags and nothing of the library's work;
//! `commands` turns them into library calls. Texts here are the program's help.

mod audit;
mod catalogue;
mod embed;
mod eval;
mod index;
mod map;
mod search;
mod split;
mod train;
mod values;

use std::num::NonZeroUsize;

use clap::{Args, Parser, Subcommand};

pub(crate) use audit::{AuditArgs, AuditFormat};
pub(crate) use catalogue::{CatalogueArgs, FormatArgs};
pub(crate) use embed::EmbedArgs;
pub(crate) use eval::{AskArg, EvalArgs, ReportFormat};
pub(crate) use index::{CheckArgs, CompactArgs, IndexArgs, InfoArgs, MergeArgs, RemoveArgs};
pub(crate) use map::{MapArgs, MapRecipe};
pub(crate) use search::{SearchArgs, SearchFormat};
pub(crate) use split::SplitArgs;
pub(crate) use train::{TrainArgs, UrlsArgs};

const EXAMPLES: &str = "\
Examples:
  looksee train catalogue.jsonl -o model           learn from pictures and their texts
  looksee index catalogue.jsonl -m model -o shop   make the pictures searchable
  looksee search shop red dress                    find pictures by words
  looksee search shop ./photo.jpg                  find pictures by a picture";

/// Search pictures by words or by another picture, with a model learnt from your own catalogue
#[derive(Debug, Parser)]
#[command(name = "looksee", version, before_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Flags that all commands share.
#[derive(Args, Debug)]
#[command(next_help_heading = "General")]
pub(crate) struct Global {
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Use so many threads [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = values::threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Where all chance comes from: same seed, machine and threads give the same result, but for
    /// train --minutes, whose number of steps is measured
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Say more on standard error: what was understood, what was skipped and why
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Show no progress and no notes; warnings and errors stay
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// The commands, in the order in which one meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Learn a model from a catalogue of pictures and texts
    Train(Box<TrainArgs>),
    /// Put a part of a catalogue aside, to measure models on
    #[command(long_about = split::ABOUT)]
    Split(Box<SplitArgs>),
    /// Measure how well a model finds what belongs together
    #[command(long_about = eval::ABOUT)]
    Eval(Box<EvalArgs>),
    /// Write the vectors of pictures or texts to a numpy file
    #[command(long_about = embed::ABOUT)]
    Embed(EmbedArgs),
    /// Make an index of a catalogue, or bring one up to date
    #[command(long_about = index::ABOUT)]
    Index(Box<IndexArgs>),
    /// Find pictures by words, by pictures, or by both
    #[command(long_about = search::ABOUT)]
    Search(Box<SearchArgs>),
    /// Draw pictures and texts on a plane, alike ones close together
    #[command(long_about = map::ABOUT)]
    Map(Box<MapArgs>),
    /// List the rows of a catalogue whose picture and text disagree
    #[command(long_about = audit::ABOUT)]
    Audit(AuditArgs),
    /// Take items out of an index
    Remove(RemoveArgs),
    /// Rewrite an index so that removed items take up no space
    Compact(CompactArgs),
    /// Put indices of the same model together into one
    Merge(MergeArgs),
    /// Compare every checksum and count of an index
    Check(CheckArgs),
    /// Describe a model or an index
    Info(InfoArgs),
    /// List the pictures that a catalogue names by URL, for a downloader
    #[command(long_about = train::URLS_ABOUT)]
    Urls(Box<UrlsArgs>),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_have_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples_that_it_accepts() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<_> = help.lines().filter(|l| l.starts_with("  looksee ")).collect();
            assert!((1..=4).contains(&examples.len()), "{}: {help}", command.get_name());
            for example in examples {
                let words = words_of_shell(example);
                assert!(Cli::try_parse_from(&words).is_ok(), "{example}");
                assert_eq!(words[1], command.get_name());
            }
        }
    }

    /// The arguments of an example line; knows quotes and where a redirection begins.
    fn words_of_shell(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = None;
        for letter in line.trim().chars() {
            match quote {
                Some(open) if letter == open => quote = None,
                None if letter == '"' || letter == '\'' => quote = Some(letter),
                None if letter == ' ' => words.push(String::new()),
                _ => words.last_mut().unwrap().push(letter),
            }
        }
        words.retain(|word| !word.is_empty());
        words.into_iter().take_while(|word| word != "<" && word != ">").collect()
    }
}
