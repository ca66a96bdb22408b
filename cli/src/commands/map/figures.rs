//! The figures beside a map, each with a line that says what it tells.

use looksee::agreement::{self, Agreement};
use looksee::map::Map;
use looksee::units::Seed;
use serde::Serialize;

use super::Subject;
use crate::figures::{percent, thousands};
use crate::render::map::{Fact, Histogram};

/// Neighbours that are compared.
const NEIGHBOURS: usize = 15;

/// What is known of a map and of what it is drawn of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    /// How well pictures and their texts agree, where there are texts.
    #[serde(flatten)]
    agreement: Option<Agreement>,
    /// Share of the 15 nearest rows that are among the 15 nearest points.
    neighbours_kept: f64,
    #[serde(skip)]
    kl: f64,
    #[serde(skip)]
    recall: Option<f64>,
}

impl Figures {
    pub(super) fn of(subject: &Subject, map: &Map, seed: Seed) -> Self {
        let sides = subject.sides();
        Self {
            agreement: sides
                .and_then(|(pictures, texts)| agreement::measure(&pictures, &texts, seed)),
            neighbours_kept: agreement::neighbourhood_preservation(
                &subject.rows,
                subject.dim,
                &map.positions,
                NEIGHBOURS,
            ),
            kl: map.kl,
            recall: map.recall,
        }
    }

    pub(super) fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        // A map that was only added to has none.
        if self.kl.is_finite() {
            facts.push(fact(
                "KL divergence",
                number(self.kl),
                "how much of the neighbourhoods the plane cannot show; 0 is nothing",
            ));
        }
        facts.push(fact(
            "neighbours kept",
            percent(self.neighbours_kept),
            "share of the 15 nearest that are among the 15 nearest on the map",
        ));
        if let Some(recall) = self.recall {
            facts.push(fact(
                "neighbours found",
                percent(recall),
                "share of the true neighbours that the search in cells found",
            ));
        }
        let Some(agreement) = &self.agreement else { return facts };
        facts.extend([
            fact(
                "modality gap",
                number(agreement.modality_gap),
                "distance of the centre of all pictures from that of all texts, 0 to 2",
            ),
            fact(
                "mutual nearest",
                percent(agreement.mutual_nearest),
                "share of pictures and texts that are each other's nearest",
            ),
            fact(
                "alignment",
                number(agreement.alignment),
                "mean squared distance of a picture and its text, 0 to 4; smaller is better",
            ),
            fact(
                "uniformity",
                number(agreement.uniformity),
                "how evenly all vectors use the space, 0 to about -4; smaller is better",
            ),
            fact(
                "mean rank",
                format!("{:.1}", agreement.mean_rank),
                &format!(
                    "of a text's own picture among {}; chance is {}",
                    thousands(agreement.gallery),
                    thousands(agreement.gallery.div_ceil(2))
                ),
            ),
            fact(
                "matched distance",
                number(agreement.distances.matched_mean),
                "mean distance of a picture and its own text",
            ),
            fact(
                "random distance",
                number(agreement.distances.random_mean),
                "mean distance of a picture and another's text",
            ),
        ]);
        facts
    }

    /// What stands under a picture besides its title: `KL 1.42, mean rank 25.8 among 1,000`.
    pub(super) fn caption(&self) -> String {
        let rank = self.agreement.as_ref().map(|agreement| {
            let gallery = thousands(agreement.gallery);
            format!("mean rank {:.1} among {gallery}", agreement.mean_rank)
        });
        let kl = self.kl.is_finite().then(|| format!("KL {:.2}", self.kl));
        kl.into_iter().chain(rank).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn histogram(&self) -> Option<Histogram> {
        let distances = &self.agreement.as_ref()?.distances;
        Some(Histogram {
            edges: distances.edges.clone(),
            matched: distances.matched.clone(),
            random: distances.random.clone(),
            matched_mean: distances.matched_mean as f32,
            random_mean: distances.random_mean as f32,
        })
    }

    /// The facts as lines of name, value and meaning.
    pub(super) fn table(&self) -> String {
        let line = |fact: &Fact| format!("{:<17} {:>8}  {}", fact.name, fact.value, fact.meaning);
        self.facts().iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn fact(name: &str, value: String, meaning: &str) -> Fact {
    Fact { name: name.to_owned(), value, meaning: meaning.to_owned() }
}

fn number(value: f64) -> String {
    format!("{value:.3}")
}
