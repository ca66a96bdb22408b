//! The program as users run it: each test in a folder of its own.

mod errors;
mod help;
mod index;
mod util;
