//! The library as another program uses it: by its public names alone.

mod examples;
mod shop;
mod way;
