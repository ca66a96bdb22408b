//! Answers made by hand, for tests of what is printed.

use serde_json::json;

use looksee::search::{Answer, Shown};

/// Two hits of "red dress": one plain, one with everything that is awkward to print.
pub(crate) fn answer() -> Answer {
    Answer {
        query: "red dress".to_owned(),
        total: 70_000,
        confident: Some(true),
        took_ms: 4.5,
        hits: vec![
            hit(1, "B1", "/shop/1.jpg", "Red summer dress"),
            Shown {
                duplicates: vec!["B9".into(), "B8".into()],
                ..hit(2, "B,2", "/shop/b, 2.jpg", "The \"one\"\nand\x1b[31m <only>")
            },
        ],
    }
}

/// A hit with fields `color` and `price`.
pub(crate) fn hit(rank: usize, id: &str, image: &str, title: &str) -> Shown {
    let fields = json!({"color": "red", "price": 19.5, "sizes": ["S", "M"]});
    Shown {
        rank,
        id: id.into(),
        image: image.into(),
        score: 0.875,
        distance: 0.5,
        probability: Some(0.931),
        title: Some(title.to_owned()),
        fields: fields.as_object().cloned().unwrap_or_default(),
        duplicates: Vec::new(),
    }
}
