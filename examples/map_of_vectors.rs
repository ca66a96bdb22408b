//! Lays vectors out on a plane, as a picture of their space: made-up ones here, three heaps of
//! points in sixteen dimensions.
//!
//! ```text
//! cargo run --release --example map_of_vectors > points.csv
//! ```

#![expect(clippy::print_stdout, reason = "a program, not the library: its lines are its answer")]

use looksee::map::{Map, Settings, lay_out};
use looksee::{Seed, Stop};

const DIM: usize = 16;

/// Points around three middles, one after the other: `[3·each, DIM]`.
pub(crate) fn heaps(each: usize) -> Vec<f32> {
    let mut chance = Seed(1).stream("heaps", 0);
    let values = (0..3 * each * DIM).map(|place| {
        let (heap, axis) = (place / (each * DIM), place % DIM);
        let middle = if axis == heap { 4.0 } else { 0.0 };
        middle + chance.f32()
    });
    values.collect()
}

/// The map of rows `[n, DIM]`.
pub(crate) fn run(rows: &[f32]) -> looksee::Result<Map> {
    let settings = Settings { perplexity: 20.0, ..Settings::default() };
    lay_out(rows, DIM, &settings, &Stop::default(), &mut |_| {})
}

fn main() -> looksee::Result<()> {
    println!("heap,x,y");
    let each = 100;
    let map = run(&heaps(each))?;
    for (place, [x, y]) in map.positions.into_iter().enumerate() {
        println!("{},{x:.4},{y:.4}", place / each);
    }
    Ok(())
}
