//! Means of rows of a table (an embedding bag), and their gradient.
//!
//! Many inputs share one list of rows, as the same word occurs many times in a batch: each mean is
//! taken once and copied, and on the way back the gradients of its copies are added first. A row of
//! the table then adds what the lists that it is in have for it. So no thread writes where another
//! one does, and the order of all sums depends on the lists alone.

use rayon::prelude::*;

use crate::cpu::simd::multiversion;

/// Rows a task: enough that sharing them out costs nothing beside the work.
const TASK_ROWS: usize = 64;

/// Which rows belong together, and which inputs share them.
#[derive(Clone, Copy, Debug)]
pub struct Bags<'a> {
    /// The list of each input.
    pub lists: &'a [u32],
    /// Where each list begins in `rows`, and where the last ends.
    pub starts: &'a [u32],
    /// Rows of the table, list after list; a row that occurs twice counts twice.
    pub rows: &'a [u32],
}

impl<'a> Bags<'a> {
    /// Number of lists.
    fn count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    fn list(&self, number: usize) -> &'a [u32] {
        &self.rows[self.starts[number] as usize..self.starts[number + 1] as usize]
    }
}

/// `out [inputs, width]`: the mean of the rows of `table [any, width]` in each input's list; zeros for
/// an empty one.
///
/// # Panics
/// When a number leads out of what it counts, or a length does not follow from the others.
pub fn forward(bags: &Bags<'_>, width: usize, table: &[f32], out: &mut [f32]) {
    assert_eq!(out.len(), bags.lists.len() * width, "values of {} means", bags.lists.len());
    let mut means = vec![0.0; bags.count() * width];
    let tasks = means.par_chunks_mut(width.max(1)).enumerate().with_min_len(TASK_ROWS);
    tasks.for_each(|(number, mean)| {
        let list = bags.list(number);
        add_rows(table, list, mean);
        scale_row(mean, 1.0 / list.len().max(1) as f32);
    });
    let tasks = out.par_chunks_mut(width.max(1)).zip(bags.lists).with_min_len(TASK_ROWS);
    tasks.for_each(|(out, &list)| out.copy_from_slice(row(&means, list, width)));
}

/// Adds the gradient of [`forward`] to `dtable [any, width]`; `dout [inputs, width]` is that of its
/// result.
///
/// # Panics
/// As [`forward`].
pub fn backward(bags: &Bags<'_>, width: usize, dout: &[f32], dtable: &mut [f32]) {
    assert_eq!(dout.len(), bags.lists.len() * width, "values of {} gradients", bags.lists.len());
    let inputs = Grouped::by(bags.count(), bags.lists.iter().copied().zip(0..));
    let mut means = vec![0.0; bags.count() * width];
    let tasks = means.par_chunks_mut(width.max(1)).enumerate().with_min_len(TASK_ROWS);
    tasks.for_each(|(number, mean)| {
        add_rows(dout, inputs.members(number), mean);
        scale_row(mean, 1.0 / bags.list(number).len().max(1) as f32);
    });
    let members = (0..bags.count())
        .flat_map(|number| bags.list(number).iter().map(move |&row| (row, number as u32)));
    let lists = Grouped::by(dtable.len() / width.max(1), members);
    let tasks = dtable.par_chunks_mut(width.max(1)).enumerate().with_min_len(TASK_ROWS);
    tasks.for_each(|(row, gradient)| add_rows(&means, lists.members(row), gradient));
}

fn row(table: &[f32], number: u32, width: usize) -> &[f32] {
    &table[number as usize * width..][..width]
}

/// Members by the group that they belong to, each group in the order in which they came.
struct Grouped {
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Grouped {
    /// Pairs of a group, below `count`, and a member (counting sort).
    fn by(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0u32; count + 1];
        let mut total = 0;
        for (group, _) in pairs.clone() {
            starts[group as usize + 1] += 1;
            total += 1;
        }
        for group in 0..count {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut members = vec![0; total];
        for (group, member) in pairs {
            let place = &mut next[group as usize];
            members[*place as usize] = member;
            *place += 1;
        }
        Self { starts, members }
    }

    fn members(&self, group: usize) -> &[u32] {
        &self.members[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}

multiversion! {
    /// `sum += table[row]` for each of `rows`; `sum` is as wide as a row.
    fn add_rows(table: &[f32], rows: &[u32], sum: &mut [f32]) {
        let width = sum.len();
        for &number in rows {
            let row = &table[number as usize * width..][..width];
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

multiversion! {
    fn scale_row(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{random, whole};

    /// Numbers below `below`.
    fn numbers(count: usize, seed: u64, below: usize) -> Vec<u32> {
        let scaled = |x: f32| (f64::midpoint(f64::from(x), 1.0) * below as f64) as u32;
        random(count, seed).into_iter().map(scaled).collect()
    }

    /// Lists of up to five rows, shared by more inputs than there are lists.
    fn made(seed: u64, count: usize, table: usize) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let mut starts = vec![0];
        for length in numbers(count, seed, 6) {
            starts.push(starts[starts.len() - 1] + length);
        }
        let rows = numbers(starts[count] as usize, seed + 1, table);
        (numbers(3 * count, seed + 2, count), starts, rows)
    }

    #[test]
    fn means_and_gradients_are_those_of_the_definition() {
        for (seed, count, table, width) in
            [(1, 1, 1, 1), (2, 5, 3, 7), (3, 200, 50, 33), (4, 90, 400, 16)]
        {
            let (lists, starts, rows) = made(seed, count, table);
            let bags = Bags { lists: &lists, starts: &starts, rows: &rows };
            let (values, dout) = (whole(table * width, 5), whole(lists.len() * width, 6));
            let mut out = vec![9.0; lists.len() * width];
            forward(&bags, width, &values, &mut out);
            let mut expected_gradient = vec![0.5; table * width];
            for (input, &list) in lists.iter().enumerate() {
                let list = bags.list(list as usize);
                for column in 0..width {
                    let at = |row: &u32| *row as usize * width + column;
                    let sum: f32 = list.iter().map(|row| values[at(row)]).sum();
                    let mean = sum / list.len().max(1) as f32;
                    assert!((out[input * width + column] - mean).abs() < 1e-5);
                    for row in list {
                        expected_gradient[at(row)] +=
                            dout[input * width + column] / list.len() as f32;
                    }
                }
            }
            let mut gradient = vec![0.5; table * width];
            backward(&bags, width, &dout, &mut gradient);
            for (found, expected) in gradient.iter().zip(&expected_gradient) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let (lists, starts, rows) = made(7, 500, 300);
        let bags = Bags { lists: &lists, starts: &starts, rows: &rows };
        let dout = random(lists.len() * 24, 8);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut gradient = vec![0.0; 300 * 24];
            pool.install(|| backward(&bags, 24, &dout, &mut gradient));
            gradient.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn no_inputs_and_no_lists_are_sound() {
        let bags = Bags { lists: &[], starts: &[0], rows: &[] };
        forward(&bags, 4, &[1.0; 8], &mut []);
        let mut gradient = [0.0; 8];
        backward(&bags, 4, &[], &mut gradient);
        assert!(gradient.iter().all(|value| value.to_bits() == 0));
    }

    #[test]
    #[should_panic(expected = "range")]
    fn a_row_beyond_the_table_is_not_read() {
        let bags = Bags { lists: &[0], starts: &[0, 1], rows: &[2] };
        forward(&bags, 4, &[1.0; 8], &mut [0.0; 4]);
    }
}
