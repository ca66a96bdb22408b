//! What is done to looksee. Each scenario runs a few commands in a folder of its own, and ends with
//! a sentence when something is not as it must be.

mod damage;
mod foreign;
mod full_disk;
mod kill;
mod readers;

use super::run::Run;
use super::works::Work;
use crate::steps::Result;

/// One kind of run.
#[derive(Debug)]
pub(super) struct Scenario {
    /// As it is printed, and asked for with `--only`.
    pub(super) name: &'static str,
    /// How often it is drawn, beside the others.
    weight: usize,
    pub(super) run: fn(&mut Run<'_>) -> Result<()>,
}

const fn scenario(
    name: &'static str,
    weight: usize,
    run: fn(&mut Run<'_>) -> Result<()>,
) -> Scenario {
    Scenario { name, weight, run }
}

/// All of them.
pub(super) static ALL: [Scenario; 16] = [
    scenario("kill-index", 3, |run| kill::index(run, Work::Index)),
    scenario("kill-update", 3, |run| kill::index(run, Work::Update)),
    scenario("kill-remove", 2, |run| kill::index(run, Work::Remove)),
    scenario("kill-compact", 2, |run| kill::index(run, Work::Compact)),
    scenario("kill-merge", 2, |run| kill::index(run, Work::Merge)),
    scenario("kill-train", 2, |run| kill::train(run, Work::Train)),
    scenario("kill-resume", 2, |run| kill::train(run, Work::Resume)),
    scenario("other-model", 1, kill::then_another_model),
    scenario("full-disk", 3, full_disk::write),
    scenario("full-disk-read", 1, full_disk::read),
    scenario("damage-index", 5, damage::index),
    scenario("damage-copied", 2, damage::copied),
    scenario("damage-model", 2, damage::model),
    scenario("damage-run", 2, damage::interrupted),
    scenario("readers", 2, readers::beside_writers),
    scenario("foreign", 5, foreign::files),
];

/// The scenario with this name.
pub(super) fn named(name: &str) -> Result<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        format!("torture: there is no scenario `{name}`; there are: {}", names.join(", "))
    })
}

/// The scenario of a run: by weight among `only`, or among all when that is empty.
pub(super) fn drawn(only: &[&'static Scenario], number: u64) -> &'static Scenario {
    let all: Vec<&'static Scenario> = ALL.iter().collect();
    let among = if only.is_empty() { &all } else { only };
    let places: Vec<usize> = (0..among.len()).flat_map(|at| vec![at; among[at].weight]).collect();
    // A step that has no divisor in common with the length meets every place once in a round.
    let (half, length) = (places.len() / 2, places.len());
    let step = (half..half + length).find(|step| divisor(*step, length) == 1).unwrap_or(1);
    among[places[(number as usize).wrapping_mul(step) % places.len()]]
}

fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_meets_every_scenario_as_often_as_it_weighs() {
        let all: usize = ALL.iter().map(|scenario| scenario.weight).sum();
        for scenario in &ALL {
            let drawn = (0..all as u64).filter(|n| drawn(&[], *n).name == scenario.name).count();
            assert_eq!(drawn, scenario.weight, "{}", scenario.name);
        }
        let only = [named("readers").unwrap()];
        assert_eq!(drawn(&only, 17).name, "readers");
    }
}
