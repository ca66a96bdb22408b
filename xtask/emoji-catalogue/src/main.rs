//! Writes the catalogue that the demo trains on: emoji with their names, and recoloured copies
//! whose captions are exact ("green bucket").
//!
//! `cargo xtask demo` calls it; the pictures come from the package `twemoji-assets`, so nothing is
//! fetched while it runs and nothing of them is part of the program that users get. Two files are
//! written, `train.jsonl` and `held-out.jsonl`: every colour of one thing stands in the same file,
//! so that no held-out picture is a trained one in another colour.

mod captions;
mod catalogue;
mod colour;

use std::path::Path;
use std::process::ExitCode;

const ATTRIBUTION: &str = "\
The emoji graphics are from Twemoji (https://github.com/jdecked/twemoji).
Copyright 2020 Twitter, Inc and other contributors.
Licensed under CC-BY 4.0: https://creativecommons.org/licenses/by/4.0/
Changes: the pictures in images/recoloured were given another colour; those in images are as they
were.
Names and groups are from the Unicode CLDR (Unicode License v3), through the package emojis.
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        eprintln!("usage: emoji-catalogue FOLDER");
        return ExitCode::from(2);
    };
    match run(Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("emoji-catalogue: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let catalogue = catalogue::build()?;
    catalogue::write(&catalogue, folder)?;
    fs_err::write(folder.join("ATTRIBUTION.txt"), ATTRIBUTION)?;
    println!("{}", catalogue.summary());
    print!("{ATTRIBUTION}");
    Ok(())
}
