//! The library as another program uses it: by its public names alone.

mod shop;
mod way;
