//! Whether an answer is right.

use std::collections::BTreeMap;
use std::path::Path;

use super::cases::Case;
use super::rows::Run;
use crate::steps::Result;

const FILE: &str = "xtask/peers/work_answers.tsv";

/// A share of the number itself; sums in f32 in another order differ by a tenth of it.
const BOUND: f64 = 1e-3;
/// For the slope, a share of the gradient's length.
const SLOPE_BOUND: f64 = 5e-3;
/// For a value of a unit vector.
const VALUE_BOUND: f64 = 1e-4;
/// For a value of a convolution, a share of the sum of its terms' sizes.
const CONVOLUTION_BOUND: f64 = 1e-5;

/// The figures of an answer by their names.
pub(super) type Figures = BTreeMap<String, f64>;

/// What is known about an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Check {
    Right,
    Wrong(String),
    /// There is nothing to compare with.
    Unknown,
}

/// The right answers that are kept, by work, network and size.
#[derive(Debug)]
pub(super) struct Recorded(BTreeMap<String, Figures>);

impl Recorded {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        let text = std::fs::read_to_string(&path);
        Self::parse(&text.map_err(|e| format!("cannot read {}: {e}", path.display()))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut all: BTreeMap<String, Figures> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split('\t').collect();
            let &[work, network, size, name, value] = words.as_slice() else {
                return Err(format!("{FILE}: five columns were expected in `{line}`"));
            };
            let value = value.parse().map_err(|_| format!("{FILE}: no number in `{line}`"))?;
            let figures = all.entry(key(work, network, size)).or_default();
            figures.insert(name.to_owned(), value);
        }
        Ok(Self(all))
    }

    pub(super) fn of(&self, case: &Case) -> Option<Figures> {
        self.0.get(&key(case.kind.name(), case.network, &case.size())).cloned()
    }
}

fn key(work: &str, network: &str, size: &str) -> String {
    format!("{work} {network} {size}")
}

/// What the first of the others came to.
pub(super) fn answer_of_a_peer(peers: &[&[Run]]) -> Option<Figures> {
    let answers = peers.iter().filter_map(|runs| Some(&runs.first()?.answer));
    answers.into_iter().find(|answer| !answer.is_empty()).cloned()
}

/// The verdict on all runs of one program.
pub(super) fn check(runs: &[Run], expected: Option<&Figures>) -> Check {
    let mut verdict = Check::Unknown;
    for run in runs {
        let problem = match (run.worst, expected) {
            (Some(worst), _) => convolution_problem(worst),
            (None, Some(expected)) => problem(&run.answer, expected),
            (None, None) => continue,
        };
        match problem {
            Some(problem) => return Check::Wrong(problem),
            None => verdict = Check::Right,
        }
    }
    verdict
}

fn convolution_problem(worst: f64) -> Option<String> {
    let is_right = worst <= CONVOLUTION_BOUND;
    (!is_right).then(|| {
        format!("a value is {worst:.1e} of the sizes of its terms away from their exact sum")
    })
}

fn problem(answer: &Figures, expected: &Figures) -> Option<String> {
    let length = expected.get("gradient").copied().unwrap_or(1.0);
    expected.iter().find_map(|(name, &right)| {
        let Some(&found) = answer.get(name) else { return Some(format!("it has no {name}")) };
        let bound = match name.as_str() {
            "slope" => SLOPE_BOUND * length,
            _ if name.contains('.') => VALUE_BOUND,
            _ => BOUND * right.abs(),
        };
        let is_right = (found - right).abs() <= bound;
        (!is_right).then(|| format!("{name} is {found:.6} where {right:.6} is right"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::cases::Kind;
    use super::*;

    const TEXT: &str = "# a remark\ntrain\tresnet50\t32x64\tloss\t4.0\n\
                        train\tresnet50\t32x64\tgradient\t30\ntrain\tresnet50\t32x64\tslope\t50.0\n";

    fn expected() -> Figures {
        let case = Kind::Train.cases()[0];
        Recorded::parse(TEXT).unwrap().of(&case).unwrap()
    }

    fn run(figures: &[(&str, f64)]) -> Run {
        let answer = figures.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        Run { answer, ..Run::default() }
    }

    #[test]
    fn every_figure_must_be_within_its_bound() {
        let verdict = |figures: &[_]| check(&[run(figures)], Some(&expected()));
        let right = [("loss", 4.003), ("gradient", 30.02), ("slope", 50.1), ("loss_after", 3.0)];
        assert_eq!(verdict(&right), Check::Right);
        assert_eq!(
            verdict(&[("loss", 4.005), ("gradient", 30.0), ("slope", 50.0)]),
            Check::Wrong("loss is 4.005000 where 4.000000 is right".to_owned())
        );
        assert_eq!(
            verdict(&[("loss", 4.0), ("gradient", 30.0)]),
            Check::Wrong("it has no slope".to_owned())
        );
        assert!(matches!(
            verdict(&[("loss", f64::NAN), ("gradient", 30.0), ("slope", 50.0)]),
            Check::Wrong(_)
        ));
    }

    #[test]
    fn one_wrong_run_is_enough_and_nothing_is_right_unseen() {
        let right = run(&[("loss", 4.0), ("gradient", 30.0), ("slope", 50.0)]);
        let wrong = run(&[("loss", 4.0), ("gradient", 30.0), ("slope", -50.0)]);
        assert!(matches!(check(&[right.clone(), wrong], Some(&expected())), Check::Wrong(_)));
        assert_eq!(check(&[right], None), Check::Unknown);
        assert_eq!(check(&[], Some(&expected())), Check::Unknown);
    }

    #[test]
    fn a_convolution_is_judged_by_its_worst_value() {
        let verdict = |worst| check(&[Run { worst: Some(worst), ..Run::default() }], None);
        assert_eq!(verdict(1e-7), Check::Right);
        assert!(matches!(verdict(1e-3), Check::Wrong(_)));
        assert!(matches!(verdict(f64::INFINITY), Check::Wrong(_)));
    }

    #[test]
    fn every_standard_case_has_a_right_answer() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let recorded = Recorded::read(&root).unwrap();
        for kind in [Kind::Train, Kind::Embed, Kind::Gru] {
            for case in kind.cases() {
                assert!(recorded.of(&case).is_some_and(|figures| figures.len() >= 4), "{case}");
            }
        }
    }
}
