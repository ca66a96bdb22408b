//! What is shown: the hits of a query with everything a reader wants of them.

use serde::{Deserialize, Serialize};

use crate::files::Blob;
use crate::filter::Fields;
use crate::index::{Hit, Record};
use crate::units::ItemId;

/// The answer to one query. Its JSON has the names of these fields.
///
/// ```
/// use looksee::search::Answer;
///
/// let json = r#"{"query": "red", "total": 0, "confident": false, "took_ms": 0.4, "hits": []}"#;
/// let answer: Answer = serde_json::from_str(json).unwrap();
/// assert_eq!(answer.confident, Some(false));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The query as it was understood.
    pub query: String,
    /// Items that were searched: all that pass the filter.
    pub total: usize,
    /// Whether the best hit rather matches than not; unknown for pictures.
    pub confident: Option<bool>,
    /// Embedding and search, in milliseconds; in a batch the query's share.
    pub took_ms: f64,
    /// The best first.
    pub hits: Vec<Shown>,
}

/// One hit of an [`Answer`].
///
/// ```
/// # let answer = looksee::search::Answer {
/// #     query: String::new(), total: 0, confident: None, took_ms: 0.0, hits: Vec::new(),
/// # };
/// for hit in &answer.hits {
///     println!("{}. {} (cosine {:.2}) {}", hit.rank, hit.id, hit.score, hit.image);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// From 1, counted over all answers, those that an offset passes over included.
    pub rank: usize,
    /// The item's name.
    pub id: ItemId,
    /// Its picture's place.
    pub image: Blob,
    /// Cosine, greater is closer.
    pub score: f32,
    /// Euclidean distance of the unit vectors, less is closer.
    pub distance: f32,
    /// Chance that the hit matches, 0 to 1; unknown for pictures.
    pub probability: Option<f32>,
    /// Its first text.
    pub title: Option<String>,
    /// Its other fields.
    pub fields: Fields,
    /// Items that show the same picture, where duplicates are hidden.
    pub duplicates: Vec<ItemId>,
}

impl Shown {
    pub(super) fn new(
        rank: usize,
        hit: &Hit,
        record: Record,
        probability: Option<f32>,
        others: Vec<Hit>,
    ) -> Self {
        Self {
            rank,
            id: record.id,
            image: record.image,
            score: hit.score,
            distance: distance(hit.score),
            probability,
            title: record.texts.into_iter().next(),
            fields: record.fields,
            duplicates: others.into_iter().map(|other| other.item.id).collect(),
        }
    }
}

/// The Euclidean distance of two unit vectors with this cosine.
fn distance(cosine: f32) -> f32 {
    (2.0 - 2.0 * cosine).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_follows_the_cosine_and_is_never_not_a_number() {
        for (cosine, expected) in [(1.0, 0.0), (1.000_000_1, 0.0), (0.5, 1.0), (-1.0, 2.0)] {
            assert!((distance(cosine) - expected).abs() < 1e-6, "{cosine}");
        }
    }
}
