//! The program as users run it: each test in a folder of its own.

mod audit;
mod bad_input;
mod errors;
mod help;
mod index;
mod map;
mod shop;
mod train_again;
mod util;
mod way;
