//! Figures of one contender at one size, put together from its runs and the judge's verdict.

use super::answers::Answer;
use crate::steps::Result;

/// The stages of making a map, as they are named in reports.
pub(super) const STAGES: [&str; 4] = ["neighbours", "affinities", "init", "optimise"];

/// How far a reported divergence may be from the judge's: a share of it, and never less than
/// [`LEAST_BOUND`]. Programs leave out far pairs or take their sum from a grid.
const BOUND: f64 = 0.02;
const LEAST_BOUND: f64 = 0.01;

/// The middle of some numbers, and their ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// `None` without numbers.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        let half = numbers.len() / 2;
        let median = if numbers.len() % 2 == 1 {
            numbers[half]
        } else {
            f64::midpoint(numbers[half - 1], numbers[half])
        };
        Some(Self { median, least, most })
    }

    /// The ratio of the medians; the ends are those of the ratios within a round.
    pub(super) fn of_ratio(numbers: &[f64], to: &[f64]) -> Option<Self> {
        let rounds = Self::of(numbers.iter().zip(to).map(|(number, to)| number / to))?;
        let (numbers, to) = (Self::of(numbers.iter().copied())?, Self::of(to.iter().copied())?);
        Some(Self { median: numbers.median / to.median, ..rounds })
    }
}

/// What one run took.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) wall_s: f64,
    pub(super) cpu_s: f64,
    pub(super) peak_mb: f64,
    /// Of the peak, what was there before the work began; only some contenders tell.
    pub(super) imports_mb: Option<f64>,
    /// In the order of [`STAGES`].
    pub(super) stages_s: [Option<f64>; STAGES.len()],
    /// The divergence that the program itself reports.
    pub(super) own_kl: Option<f64>,
}

impl Run {
    pub(super) fn read(answer: &Answer, who: &str) -> Result<Self> {
        Ok(Self {
            wall_s: answer.needed("wall_s", who)?,
            cpu_s: answer.needed("cpu_s", who)?,
            peak_mb: answer.needed("peak_mb", who)?,
            imports_mb: answer.number("imports_mb"),
            stages_s: STAGES.map(|stage| answer.number(&format!("seconds.{stage}"))),
            own_kl: answer.number("kl"),
        })
    }
}

/// How good a layout is; the words are explained in `xtask/peers/map_judge.py`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quality {
    pub(super) kl: f64,
    pub(super) kl_error: f64,
    pub(super) knn15: f64,
    pub(super) trust15: f64,
    /// Of how many rows `kl` and `knn15` are.
    pub(super) judged: usize,
}

impl Quality {
    /// The judge's verdict on a layout of so many points, or what is wrong with the layout.
    pub(super) fn read(verdict: &Answer, points: usize) -> Result<Self> {
        let number = |name| verdict.needed(name, "the judge");
        let (rows, columns) = (number("rows")?, number("columns")?);
        if (rows, columns) != (points as f64, 2.0) {
            return Err(format!("the layout has {rows} x {columns} numbers, not {points} x 2"));
        }
        if number("finite")? < 1.0 {
            return Err("the layout has numbers that are not finite".to_owned());
        }
        Ok(Self {
            kl: number("kl")?,
            kl_error: number("kl_error")?,
            knn15: number("knn15")?,
            trust15: number("trust15")?,
            judged: number("judged")? as usize,
        })
    }

    /// Whether a program's own divergence is the judge's, as far as both are exact.
    pub(super) fn agrees_with(&self, own_kl: f64) -> bool {
        let bound = (BOUND * self.kl).max(LEAST_BOUND) + 3.0 * self.kl_error;
        (own_kl - self.kl).abs() <= bound
    }
}

/// One line of the result.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) program: &'static str,
    pub(super) points: usize,
    pub(super) runs: usize,
    pub(super) wall_s: Spread,
    /// How many times as long as looksee it took; the spread is that of the rounds.
    pub(super) times_looksee: Option<Spread>,
    pub(super) stages_s: [Option<f64>; STAGES.len()],
    pub(super) cpu_s: f64,
    pub(super) peak_mb: f64,
    pub(super) imports_mb: Option<f64>,
    pub(super) own_kl: Option<f64>,
    pub(super) quality: Option<Quality>,
    /// What is wrong with the answer; `None` when it was checked and is right.
    pub(super) problem: Option<String>,
}

impl Row {
    /// Puts together the runs of one contender. `looksee` are the runs that were made in turn with
    /// them. `None` without runs.
    pub(super) fn new(
        program: &'static str,
        points: usize,
        runs: &[Run],
        looksee: &[Run],
        quality: Result<Quality>,
    ) -> Option<Self> {
        let median = |of: &dyn Fn(&Run) -> Option<f64>| {
            Spread::of(runs.iter().filter_map(of)).map(|spread| spread.median)
        };
        let wall_s = Spread::of(runs.iter().map(|run| run.wall_s))?;
        let (quality, problem) = match quality {
            Ok(quality) => (Some(quality), None),
            Err(problem) => (None, Some(problem)),
        };
        Some(Self {
            program,
            points,
            runs: runs.len(),
            wall_s,
            times_looksee: times(runs, looksee),
            stages_s: std::array::from_fn(|stage| median(&|run| run.stages_s[stage])),
            cpu_s: median(&|run| Some(run.cpu_s))?,
            peak_mb: median(&|run| Some(run.peak_mb))?,
            imports_mb: median(&|run| run.imports_mb),
            own_kl: runs.last().and_then(|run| run.own_kl),
            quality,
            problem,
        })
    }

    /// Adds that the program's own divergence is missing or is not the judge's, if so.
    pub(super) fn with_own_kl_checked(mut self) -> Self {
        if let Some(quality) = &self.quality {
            let problem = match self.own_kl {
                None => Some("it reports no divergence".to_owned()),
                Some(own) if quality.agrees_with(own) => None,
                Some(own) => Some(format!(
                    "it reports a divergence of {own:.4}, the judge finds {:.4}",
                    quality.kl
                )),
            };
            self.problem = self.problem.or(problem);
        }
        self
    }

    pub(super) fn is_ok(&self) -> bool {
        self.problem.is_none()
    }
}

fn times(runs: &[Run], looksee: &[Run]) -> Option<Spread> {
    let wall_s = |runs: &[Run]| runs.iter().map(|run| run.wall_s).collect::<Vec<_>>();
    Spread::of_ratio(&wall_s(runs), &wall_s(looksee))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn run(wall_s: f64) -> Run {
        Run {
            wall_s,
            cpu_s: 2.0 * wall_s,
            peak_mb: 40.0,
            imports_mb: None,
            stages_s: [Some(wall_s / 2.0), None, None, None],
            own_kl: Some(1.5),
        }
    }

    pub(in super::super) const QUALITY: Quality =
        Quality { kl: 1.5, kl_error: 0.0, knn15: 0.62, trust15: 0.92, judged: 2000 };

    #[test]
    fn the_middle_of_an_even_number_of_runs_lies_between_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
        let spread = Spread::of([7.0, 1.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.0, least: 1.0, most: 7.0 });
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_ends_are_of_rounds() {
        let row = Row::new(
            "other",
            2000,
            &[run(20.0), run(40.0), run(30.0)],
            &[run(2.0), run(1.0), run(3.0)],
            Ok(QUALITY),
        );
        let times = row.unwrap().times_looksee.unwrap();
        assert_eq!(times, Spread { median: 15.0, least: 10.0, most: 40.0 });
    }

    #[test]
    fn a_divergence_that_is_not_the_judges_is_a_problem() {
        let row = |own_kl| {
            let run = Run { own_kl, ..run(1.0) };
            Row::new("looksee", 2000, &[run], &[], Ok(QUALITY)).unwrap().with_own_kl_checked()
        };
        assert!(row(Some(1.529)).is_ok());
        assert_eq!(
            row(Some(1.54)).problem.unwrap(),
            "it reports a divergence of 1.5400, the judge finds 1.5000"
        );
        assert_eq!(row(None).problem.unwrap(), "it reports no divergence");
    }

    #[test]
    fn a_divergence_of_a_sample_may_be_further_away() {
        let sampled = Quality { kl_error: 0.02, ..QUALITY };
        assert!(sampled.agrees_with(1.58) && !QUALITY.agrees_with(1.58));
    }

    #[test]
    fn layouts_that_are_no_layouts_are_refused() {
        let read = |text: &str| Quality::read(&Answer::new(text), 2000);
        assert_eq!(
            read("rows\t1999\ncolumns\t2\nfinite\t1").unwrap_err(),
            "the layout has 1999 x 2 numbers, not 2000 x 2"
        );
        assert_eq!(
            read("rows\t2000\ncolumns\t2\nfinite\t0").unwrap_err(),
            "the layout has numbers that are not finite"
        );
        let verdict = "rows\t2000\ncolumns\t2\nfinite\t1\nkl\t1.5\nkl_error\t0.0\nknn15\t0.62\n\
                       trust15\t0.92\njudged\t2000\n";
        assert_eq!(read(verdict), Ok(QUALITY));
    }

    #[test]
    fn a_run_is_read_from_an_answer() {
        let text = "wall_s\t1.0\ncpu_s\t2.0\npeak_mb\t40\nkl\t1.5\nseconds.neighbours\t0.5\n";
        assert_eq!(Run::read(&Answer::new(text), "it"), Ok(run(1.0)));
        assert_eq!(Run::read(&Answer::default(), "it").unwrap_err(), "it did not say `wall_s`");
    }
}
