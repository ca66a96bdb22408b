//! The program as users run it: each test in a folder of its own.

mod audit;
mod bad_input;
mod errors;
mod formats;
mod help;
mod hostile_input;
mod hostile_output;
mod index;
mod index_damage;
mod map;
mod measure;
mod moved;
mod pretrained;
mod report;
mod shop;
mod train_again;
mod util;
mod way;
