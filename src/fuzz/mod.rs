//! What strangers may send, mutated: each reader gives a value or an error, never a panic, a hang
//! or more memory than the input deserves, and gives the same again when it is asked again.
//!
//! A short run of every target belongs to the ordinary tests; `cargo xtask fuzz --minutes N` is the
//! long one. It is written here and not with a fuzzing engine because those need another compiler
//! than the one this project is built with, and would not run where the tests run.

// Also compiled into the command line's tests, which fuzz its own readers with it.
#[expect(clippy::print_stdout, reason = "what a test prints is for whoever runs it by hand")]
pub(crate) mod driver;
mod mutator;

mod folders;
mod pictures;
mod rows;
mod texts;
mod weights;

/// A pool of one text.
fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
