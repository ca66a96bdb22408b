use super::*;
use crate::units::Seed;

/// Rows in clusters, some of them equal.
fn rows(count: usize, dim: usize) -> Vec<f32> {
    let mut chance = Seed(1).stream("rows", 0);
    let centres: Vec<f32> = (0..60 * dim).map(|_| chance.f32() * 3.0).collect();
    (0..count)
        .flat_map(|row| (0..dim).map(move |at| (row, at)))
        .map(|(row, at)| {
            let centre = centres[row % 60 * dim + at];
            if row % 7 == 0 { centre } else { centre + chance.f32() }
        })
        .collect()
}

fn squares_of(rows: &[f32], dim: usize, own: usize) -> Vec<f64> {
    let row = |at: usize| &rows[at * dim..][..dim];
    let square = |other: usize| -> f64 {
        row(own).iter().zip(row(other)).map(|(x, y)| f64::from(x - y).powi(2)).sum()
    };
    let mut all: Vec<f64> =
        (0..rows.len() / dim).filter(|&other| other != own).map(square).collect();
    all.sort_by(f64::total_cmp);
    all
}

#[test]
fn cells_leave_out_no_neighbour() {
    for (count, dim) in [(300, 5), (6000, 3), (9000, 20)] {
        let rows = rows(count, dim);
        let cells = Cells::gather(&rows, dim).unwrap();
        let found = cells.neighbours(20, Search::Exact, &Stop::default()).unwrap();
        for place in (0..count).step_by(count / 50) {
            let exact = squares_of(&rows, dim, cells.order()[place] as usize);
            let own = &found.squares[place * 20..][..20];
            for (found, exact) in own.iter().zip(exact) {
                assert!((f64::from(*found) - exact).abs() < 1e-4, "{count} {place}: {own:?}");
            }
        }
        assert!((cells.recall(&found, 100) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn more_cells_find_more_and_recall_tells_it() {
    let mut chance = Seed(2).stream("even", 0);
    let rows: Vec<f32> = (0..12_000 * 10).map(|_| chance.f32()).collect();
    let cells = Cells::gather(&rows, 10).unwrap();
    let recall = |search| {
        let found = cells.neighbours(15, search, &Stop::default()).unwrap();
        cells.recall(&found, 200)
    };
    let recalls = [1, 4, 16].map(|limit| recall(Search::Cells(limit)));
    assert!(recalls.is_sorted_by(|a, b| *a + 0.01 < *b), "{recalls:?}");
    assert!(recalls[0] > 0.1 && recalls[2] < 1.0, "{recalls:?}");
    assert!((recall(Search::Exact) - 1.0).abs() < 1e-9);
}

#[test]
fn the_order_has_every_row_once_and_is_undone() {
    let rows = rows(5000, 4);
    let cells = Cells::gather(&rows, 4).unwrap();
    let first: Vec<f32> = cells.order().iter().map(|&row| rows[row as usize * 4]).collect();
    let restored = cells.into_order().restore(&first);
    assert!(
        restored.iter().zip(rows.chunks(4)).all(|(found, row)| found.to_bits() == row[0].to_bits())
    );
}

#[test]
fn a_stop_ends_the_search() {
    let cells = Cells::gather(&rows(300, 4), 4).unwrap();
    let stop = Stop::default();
    stop.ask();
    assert!(cells.neighbours(5, Search::Exact, &stop).is_err());
}

#[test]
fn rows_that_are_not_whole_are_refused() {
    for dim in [0, 4] {
        let error = Cells::gather(&[0.0; 6], dim).unwrap_err().to_string();
        assert!(error.contains("6 values do not make rows"), "{error}");
    }
}
