//! What a turn of a program took, and the rows that all turns come to.

use super::super::answers::Answer;
use super::super::figures::Spread;
use super::cases::LOOKSEE;
use super::check::{Check, Figures};
use crate::steps::Result;

/// The passes of a convolution, as both programs name them.
pub(super) const PASSES: [&str; 3] = ["forward", "input-gradient", "weights-gradient"];

/// What is timed by itself: the whole work, a pass of all convolutions, or a pass of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub(super) pass: Option<&'static str>,
    /// The shape of a convolution; `None` for all together.
    pub(super) layer: Option<String>,
    /// How often the network has that layer.
    pub(super) times: usize,
    pub(super) gflop: f64,
}

/// One program in one round: a process that works several times.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    /// What each time took, for each part.
    pub(super) parts: Vec<(Part, Vec<f64>)>,
    pub(super) gemm_gflops: Option<f64>,
    pub(super) peak_mb: Option<f64>,
    pub(super) imports_mb: Option<f64>,
    pub(super) answer: Figures,
    /// The largest error of a convolution.
    pub(super) worst: Option<f64>,
}

impl Run {
    pub(super) fn read(answer: &Answer, who: &str) -> Result<Self> {
        let parts = if answer.number("layers").is_some() {
            convolutions(answer, who)?
        } else {
            let part =
                Part { times: 1, gflop: answer.number("gflop").unwrap_or(0.0), ..Part::default() };
            vec![(part, times(answer, "seconds.", who)?)]
        };
        Ok(Self {
            parts,
            gemm_gflops: answer.number("gemm_gflops"),
            peak_mb: answer.number("peak_mb"),
            imports_mb: answer.number("imports_mb"),
            answer: answer.below("answer.").map(|(name, value)| (name.to_owned(), value)).collect(),
            // Infinity is an answer too, and no right one.
            worst: answer.text("worst").map(|text| text.parse().unwrap_or(f64::INFINITY)),
        })
    }

    /// What that part took, each time.
    fn times(&self, part: &Part) -> Option<&[f64]> {
        let is_it = |other: &Part| other.pass == part.pass && other.layer == part.layer;
        self.parts.iter().find(|(other, _)| is_it(other)).map(|(_, times)| times.as_slice())
    }
}

/// NaN without times, which is no time of a [`Run`].
fn median(times: &[f64]) -> f64 {
    Spread::of(times.iter().copied()).map_or(f64::NAN, |spread| spread.median)
}

/// The seconds of that name, numbered from 1.
fn times(answer: &Answer, prefix: &str, who: &str) -> Result<Vec<f64>> {
    let time = |number: usize| answer.number(&format!("{prefix}{number}"));
    let times: Vec<f64> = (1..).map_while(time).collect();
    if times.is_empty() { Err(format!("{who} did not say `{prefix}1`")) } else { Ok(times) }
}

/// Every pass of all convolutions together, then of each.
fn convolutions(answer: &Answer, who: &str) -> Result<Vec<(Part, Vec<f64>)>> {
    let count = answer.needed("layers", who)? as usize;
    let mut layers = Vec::new();
    for number in 0..count {
        let place = format!("layer.{number}");
        let name = answer.text(&format!("{place}.name"));
        let name = name.ok_or_else(|| format!("{who} did not say `{place}.name`"))?;
        let count = answer.needed(&format!("{place}.times"), who)? as usize;
        let gflop = answer.needed(&format!("{place}.gflop"), who)?;
        for pass in PASSES {
            // The pictures' gradient is nobody's.
            let Ok(seconds) = times(answer, &format!("{place}.{pass}."), who) else { continue };
            let layer = Some(name.to_owned());
            layers.push((Part { pass: Some(pass), layer, times: count, gflop }, seconds));
        }
    }
    let totals = PASSES.map(|pass| {
        let of_pass = || layers.iter().filter(move |(part, _)| part.pass == Some(pass));
        let gflop = of_pass().map(|(part, _)| part.times as f64 * part.gflop).sum();
        let seconds = of_pass().map(|(part, times)| part.times as f64 * median(times)).sum();
        (Part { pass: Some(pass), layer: None, times: 1, gflop }, vec![seconds])
    });
    Ok(totals.into_iter().chain(layers).collect())
}

/// The parts that looksee's runs have.
pub(super) fn parts(runs: &[Run]) -> Vec<Part> {
    let first = runs.first().map_or(&[][..], |run| &run.parts);
    first.iter().map(|(part, _)| part.clone()).collect()
}

/// One line of the result.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) program: &'static str,
    pub(super) part: Part,
    pub(super) runs: usize,
    /// The median of the rounds, of each its median.
    pub(super) seconds: Spread,
    /// Of each round all times.
    rounds: Vec<Vec<f64>>,
    /// How many times as long as looksee it took.
    pub(super) times_looksee: Option<Spread>,
    /// Looksee's rate beside that of the fastest of the others; greater is faster.
    pub(super) ratio: Option<(&'static str, Spread)>,
    /// Rate as a share of plain matrix products in the same process.
    pub(super) share_of_peak: Option<f64>,
    pub(super) peak_mb: Option<f64>,
    pub(super) imports_mb: Option<f64>,
    pub(super) check: Check,
}

impl Row {
    /// Puts together the turns of one program; `None` without any, or if it has no such part.
    pub(super) fn new(
        program: &'static str,
        part: &Part,
        runs: &[Run],
        looksee: &[Run],
        check: Check,
    ) -> Option<Self> {
        let rounds = |runs: &[Run]| -> Vec<Vec<f64>> {
            runs.iter().filter_map(|run| run.times(part)).map(<[f64]>::to_vec).collect()
        };
        let (rounds, of_looksee) = (rounds(runs), rounds(looksee));
        let shares = runs
            .iter()
            .filter_map(|run| Some(part.gflop / median(run.times(part)?) / run.gemm_gflops?));
        let of_all = |value: fn(&Run) -> Option<f64>| {
            Spread::of(runs.iter().filter_map(value)).map(|spread| spread.median)
        };
        Some(Self {
            program,
            part: part.clone(),
            runs: rounds.len(),
            seconds: Spread::of(rounds.iter().map(|times| median(times)))?,
            times_looksee: ratio(&rounds, &of_looksee),
            ratio: None,
            share_of_peak: Spread::of(shares).map(|spread| spread.median),
            peak_mb: of_all(|run| run.peak_mb),
            imports_mb: of_all(|run| run.imports_mb),
            check,
            rounds,
        })
    }

    pub(super) fn gflops(&self) -> f64 {
        self.part.gflop / self.seconds.median
    }
}

/// How many times as long one program took as another that worked in turn with it: the median of
/// the ratios of all neighbouring times; the ends are those of the rounds' medians.
fn ratio(rounds: &[Vec<f64>], to: &[Vec<f64>]) -> Option<Spread> {
    let ratios: Vec<Vec<f64>> = rounds
        .iter()
        .zip(to)
        .map(|(times, to)| times.iter().zip(to).map(|(time, to)| time / to).collect())
        .collect();
    let rounds = Spread::of(ratios.iter().map(|ratios| median(ratios)))?;
    Some(Spread { median: median(&ratios.concat()), ..rounds })
}

/// Tells looksee's row, of rows of one part, how it stands beside the fastest of the others.
pub(super) fn add_ratio(rows: &mut [Row]) {
    let others = rows.iter().filter(|row| row.program != LOOKSEE);
    let best = others.min_by(|a, b| a.seconds.median.total_cmp(&b.seconds.median));
    let Some((best, rounds)) = best.map(|row| (row.program, row.rounds.clone())) else { return };
    if let Some(looksee) = rows.iter_mut().find(|row| row.program == LOOKSEE) {
        looksee.ratio = ratio(&rounds, &looksee.rounds).map(|ratio| (best, ratio));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A round of three times, in the middle so many seconds.
    pub(in super::super) fn run(seconds: f64) -> Run {
        run_of([seconds, 2.0 * seconds, seconds / 2.0])
    }

    fn run_of([a, b, c]: [f64; 3]) -> Run {
        let text = format!(
            "seconds.1\t{a}\nseconds.2\t{b}\nseconds.3\t{c}\ngflop\t100\ngemm_gflops\t200\n\
             peak_mb\t600\nanswer.loss\t4\n"
        );
        Run::read(&Answer::new(&text), "it").unwrap()
    }

    pub(in super::super) fn rows() -> Vec<Row> {
        let (looksee, slow, fast) =
            ([run(1.0), run(2.0), run(1.5)], [3.0, 4.0, 3.0].map(run), [1.5, 4.0, 3.0].map(run));
        let part = &parts(&looksee)[0];
        let row = |name, runs: &[Run], check| Row::new(name, part, runs, &looksee, check).unwrap();
        let mut rows = vec![
            row("looksee", &looksee, Check::Right),
            row("slow", &slow, Check::Unknown),
            row("fast", &fast, Check::Wrong("loss is 3 where 4 is right".to_owned())),
        ];
        rows[1].imports_mb = Some(300.0);
        add_ratio(&mut rows);
        rows
    }

    #[test]
    fn a_round_counts_with_its_median_and_the_best_of_the_others_is_compared() {
        let rows = rows();
        assert_eq!(rows[0].seconds, Spread { median: 1.5, least: 1.0, most: 2.0 });
        // Both have a median of 3 s: the first of them is taken.
        let (name, ratio) = rows[0].ratio.unwrap();
        assert_eq!((name, ratio), ("slow", Spread { median: 2.0, least: 2.0, most: 3.0 }));
        assert_eq!(rows[2].times_looksee, Some(Spread { median: 2.0, least: 1.5, most: 2.0 }));
        // 100 GFLOP in 1, 2 and 1.5 s, beside 200 a second.
        assert!((rows[0].share_of_peak.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert!(rows[1].ratio.is_none());
    }

    #[test]
    fn a_ratio_is_that_of_times_side_by_side() {
        // The machine slows down to a half and to a third on the way; the other program needs twice
        // as long as looksee throughout, but for one time.
        let looksee = [run_of([1.0, 2.0, 3.0]), run_of([3.0, 2.0, 1.0])];
        let other = [run_of([2.0, 4.0, 6.0]), run_of([6.0, 1.0, 2.0])];
        let part = &parts(&looksee)[0];
        let row = Row::new("other", part, &other, &looksee, Check::Unknown).unwrap();
        let times = row.times_looksee.unwrap();
        assert_eq!(times, Spread { median: 2.0, least: 2.0, most: 2.0 });
        assert_eq!(row.seconds, Spread { median: 3.0, least: 2.0, most: 4.0 });
    }

    #[test]
    fn convolutions_are_added_up_as_often_as_the_network_has_them() {
        let text = "layers\t2\nlayer.0.name\tA\nlayer.0.times\t1\nlayer.0.gflop\t1\n\
                    layer.0.forward.1\t0.5\nlayer.0.weights-gradient.1\t1\n\
                    layer.1.name\tB\nlayer.1.times\t3\nlayer.1.gflop\t2\n\
                    layer.1.forward.1\t0.25\nlayer.1.input-gradient.1\t0.5\n\
                    layer.1.weights-gradient.1\t1\nworst\tinf\n";
        let run = Run::read(&Answer::new(text), "it").unwrap();
        assert_eq!(run.worst, Some(f64::INFINITY));
        let found = parts(std::slice::from_ref(&run));
        let totals: Vec<_> = found.iter().filter(|part| part.layer.is_none()).collect();
        assert_eq!(totals.iter().map(|part| part.gflop).collect::<Vec<_>>(), [7.0, 6.0, 7.0]);
        let seconds: Vec<_> = totals.iter().map(|part| median(run.times(part).unwrap())).collect();
        assert_eq!(seconds, [1.25, 1.5, 4.0]);
        assert_eq!(found.len(), 3 + 5);
    }

    #[test]
    fn a_program_without_times_is_named() {
        let error = Run::read(&Answer::new("gflop\t1\n"), "torch").unwrap_err();
        assert_eq!(error, "torch did not say `seconds.1`");
    }
}
