//! The program `looksee`: the library on the command line.
//!
//! This file holds what happens once: the allocator, the parsing of arguments, and the way from a
//! result to an exit code. `args` is what the user typed, `commands` turns it into calls of the
//! library, `render` turns answers into text and pictures, `console` is the only place that writes
//! to standard error.

mod advice;
mod args;
mod commands;
mod console;
mod figures;
mod folders;
#[cfg(test)]
mod fuzz;
mod lines;
mod npy;
mod outcome;
mod output;
mod progress;
mod render;

use std::process::ExitCode;

use clap::Parser;

/// Decoding and training allocate from several threads at once; mimalloc keeps them apart.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => outcome::exit_code(commands::run(cli)),
        Err(usage) => outcome::usage(&usage),
    }
}
