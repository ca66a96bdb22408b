//! Who is measured, and how each is called.

use crate::steps::Result;

/// A program that lays out vectors.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    kind: Kind,
    /// Above this it is left out: it would take hours, and its figure would tell nothing new.
    most_points: usize,
}

#[derive(Debug)]
enum Kind {
    /// The program of this repository.
    Looksee,
    /// A name of `xtask/peers/map_peer.py`.
    Script,
    /// The crate in `xtask/peers/bhtsne`, with its own words for the method and the learning rate.
    Bhtsne { method: &'static str, rate: &'static str },
}

pub(super) const LOOKSEE: Contender =
    Contender { name: "looksee", kind: Kind::Looksee, most_points: usize::MAX };

pub(super) const PEERS: [Contender; 8] = [
    script("opentsne-fft-annoy", usize::MAX),
    script("opentsne-fft-exact", 100_000),
    script("opentsne-barnes-hut", 100_000),
    script("scikit-learn", 20_000),
    script("umap-learn", usize::MAX),
    bhtsne("bhtsne-barnes-hut", "barnes-hut", "default"),
    bhtsne("bhtsne-fft", "fft", "default"),
    bhtsne("bhtsne-fft-rate", "fft", "third"),
];

const fn script(name: &'static str, most_points: usize) -> Contender {
    Contender { name, kind: Kind::Script, most_points }
}

const fn bhtsne(name: &'static str, method: &'static str, rate: &'static str) -> Contender {
    Contender { name, kind: Kind::Bhtsne { method, rate }, most_points: 100_000 }
}

/// Where the programs are that contenders are made of.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) looksee: String,
    pub(super) bhtsne: String,
    /// An interpreter that has what the scripts import.
    pub(super) python: String,
    /// The folder of the scripts.
    pub(super) scripts: String,
}

/// What is laid out, where the layout goes, and under which conditions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'a> {
    pub(super) vectors: &'a str,
    pub(super) layout: &'a str,
    pub(super) threads: usize,
}

/// The peer of that name.
pub(super) fn named(name: &str) -> Result<&'static Contender> {
    let known = || PEERS.iter().map(|peer| peer.name).collect::<Vec<_>>().join(", ");
    let found = PEERS.iter().find(|peer| peer.name == name);
    found.ok_or_else(|| {
        format!("bench: `{name}` is no program to compare with; there are: {}", known())
    })
}

impl Contender {
    pub(super) fn takes(&self, points: usize) -> bool {
        points <= self.most_points
    }

    /// Whether it is measured by a script that needs the other programs' packages.
    pub(super) fn is_script(&self) -> bool {
        matches!(self.kind, Kind::Script)
    }

    pub(super) fn is_bhtsne(&self) -> bool {
        matches!(self.kind, Kind::Bhtsne { .. })
    }

    /// The words of the command that lays out the vectors and prints one JSON document.
    pub(super) fn command(&self, programs: &Programs, work: Work<'_>) -> Vec<String> {
        let Work { vectors, layout, threads } = work;
        let threads = threads.to_string();
        let words: &[&str] = match self.kind {
            Kind::Looksee => &[
                &programs.looksee,
                "map",
                "--vectors",
                vectors,
                "-o",
                layout,
                "--json",
                "--seed",
                "0",
                "--perplexity",
                "30",
                "--threads",
                &threads,
            ],
            Kind::Script => {
                let script = format!("{}/map_peer.py", programs.scripts);
                let words =
                    [&programs.python, &script, self.name, vectors, layout, "--threads", &threads];
                return words.map(str::to_owned).into();
            }
            Kind::Bhtsne { method, rate } => {
                &[&programs.bhtsne, method, vectors, layout, "--threads", &threads, "--rate", rate]
            }
        };
        words.iter().copied().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(contender: &Contender) -> String {
        let programs = Programs {
            looksee: "looksee".to_owned(),
            bhtsne: "bhtsne-peer".to_owned(),
            python: "python".to_owned(),
            scripts: "peers".to_owned(),
        };
        let work = Work { vectors: "X.npy", layout: "Y.npy", threads: 2 };
        contender.command(&programs, work).join(" ")
    }

    #[test]
    fn each_contender_is_called_in_its_own_way() {
        assert_eq!(
            command(&LOOKSEE),
            "looksee map --vectors X.npy -o Y.npy --json --seed 0 --perplexity 30 --threads 2"
        );
        assert_eq!(
            command(named("umap-learn").unwrap()),
            "python peers/map_peer.py umap-learn X.npy Y.npy --threads 2"
        );
        assert_eq!(
            command(named("bhtsne-fft-rate").unwrap()),
            "bhtsne-peer fft X.npy Y.npy --threads 2 --rate third"
        );
    }

    #[test]
    fn every_script_that_is_named_is_one_that_the_scripts_know() {
        let scripts = include_str!("../../peers/map_peer.py");
        for peer in PEERS.iter().filter(|peer| peer.is_script()) {
            assert!(scripts.contains(&format!("    \"{}\": ", peer.name)), "{}", peer.name);
        }
    }

    #[test]
    fn slow_programs_are_left_out_where_they_would_take_hours() {
        assert!(LOOKSEE.takes(1_000_000));
        let slow = named("scikit-learn").unwrap();
        assert!(slow.takes(20_000) && !slow.takes(100_000));
    }
}
