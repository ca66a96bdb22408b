//! Rows of cells, set in columns that are as wide as their widest cell.

use std::io::{self, Write};

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Writes rows with two spaces between columns and none at the end of a line.
pub(crate) fn write(out: &mut impl Write, sides: &[Side], rows: &[Vec<String>]) -> io::Result<()> {
    let widths: Vec<usize> = (0..sides.len()).map(|column| width(rows, column)).collect();
    for row in rows {
        let mut line = String::new();
        for ((cell, side), width) in row.iter().zip(sides).zip(&widths) {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            line.extend(match side {
                Side::Left => [cell.as_str(), &padding, "  "],
                Side::Right => [padding.as_str(), cell, "  "],
            });
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    rows.iter()
        .filter_map(|row| row.get(column))
        .map(|cell| cell.chars().count())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_words_left() {
        let rows =
            [["1", "é", "x"], ["10", "long", "y"]].map(|row| row.map(str::to_owned).to_vec());
        let mut out = Vec::new();
        write(&mut out, &[Side::Right, Side::Left, Side::Left], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), " 1  é     x\n10  long  y\n");
    }
}
