use std::time::{Duration, Instant};

use super::*;

const TITLES: [&str; 6] = [
    "Women's Red Dress Size 42",
    "Men's Red T-Shirt, 100% Cotton",
    "Blue Dress with Lace 👗",
    "红色连衣裙 Dress",
    "Robe d'été café",
    "Undressed wooden stool",
];

const ALL_RULES: [Rules; 3] = [
    Rules::Words { min_count: 1 },
    Rules::Pieces { size: 200 },
    Rules::WordsAndGrams { min_count: 1, buckets: 500 },
];

#[test]
fn the_same_texts_in_any_order_give_the_same_vocabulary() {
    let mut rng = fastrand::Rng::with_seed(1);
    for rules in ALL_RULES {
        let expected = Vocabulary::learn(TITLES, &rules);
        for _ in 0..10 {
            let mut titles = TITLES;
            rng.shuffle(&mut titles);
            assert_eq!(Vocabulary::learn(titles, &rules), expected);
        }
    }
}

#[test]
fn words_are_numbered_by_frequency_and_rare_ones_are_unknown() {
    let texts = ["b b b a", "a c", "c a d"];
    let vocabulary = Vocabulary::learn(texts, &Rules::Words { min_count: 2 });
    assert_eq!(vocabulary.len(), 5);
    assert_eq!(vocabulary.encode("A b, c d"), [2, 3, UNKNOWN, 4, UNKNOWN]);
}

#[test]
fn no_token_of_a_training_text_is_padding_or_unknown() {
    for rules in ALL_RULES {
        let vocabulary = Vocabulary::learn(TITLES, &rules);
        for title in TITLES {
            let ids = vocabulary.encode(title);
            assert!(ids.iter().all(|&id| id >= FIRST && (id as usize) < vocabulary.len()));
        }
    }
}

#[test]
fn pieces_keep_the_parts_of_a_word_that_was_never_seen() {
    let vocabulary = Vocabulary::learn(TITLES, &Rules::Pieces { size: 400 });
    let [dress, dresses] = ["dress", "dresses"].map(|word| vocabulary.encode(word));
    assert_eq!(dress.len(), 1);
    assert_eq!(dresses[0], dress[0]);
    assert!(!dresses.contains(&UNKNOWN));
}

#[test]
fn digits_and_punctuation_are_single_tokens() {
    let vocabulary = Vocabulary::learn(["42 42 4242 -- --"; 5], &Rules::Pieces { size: 400 });
    assert_eq!(vocabulary.encode("42--").len(), 4);
}

#[test]
fn a_text_without_tokens_is_one_unknown_token() {
    for rules in ALL_RULES {
        let vocabulary = Vocabulary::learn(TITLES, &rules);
        assert_eq!(vocabulary.encode(" \n"), [UNKNOWN]);
        let empty = Vocabulary::learn([], &rules);
        assert_eq!(empty.len(), 2);
        assert!(empty.encode("red dress").iter().all(|&id| id == UNKNOWN));
    }
}

#[test]
fn a_batch_is_padded_to_its_longest_text_and_cut() {
    let vocabulary = Vocabulary::learn(["a b c d"], &Rules::Words { min_count: 1 });
    let batch = vocabulary.batch(&["a", "a b c", "", "a b c d a"], 4);
    assert_eq!(batch.len, 4);
    assert_eq!(batch.lengths, [1, 3, 1, 4]);
    assert_eq!(batch.ids, [2, 0, 0, 0, 2, 3, 4, 0, UNKNOWN, 0, 0, 0, 2, 3, 4, 5]);
}

#[test]
fn a_batch_of_nothing_and_a_length_of_zero_are_sound() {
    let vocabulary = Vocabulary::learn(TITLES, &ALL_RULES[1]);
    let none = vocabulary.batch::<&str>(&[], 70);
    assert_eq!((none.len, none.ids.len(), none.lengths.len()), (1, 0, 0));
    assert_eq!(vocabulary.batch(&["red dress"], 0).lengths, [1]);
}

#[test]
fn a_batch_encodes_as_each_text_alone() {
    let vocabulary = Vocabulary::learn(TITLES, &Rules::Pieces { size: 60 });
    let batch = vocabulary.batch(&TITLES, 1000);
    for (row, title) in TITLES.iter().enumerate() {
        let ids = &batch.ids[row * batch.len..][..batch.lengths[row] as usize];
        assert_eq!(ids, vocabulary.encode(title));
    }
}

#[test]
fn words_never_seen_are_named_once_and_punctuation_is_not() {
    // Of n-grams, tests of their own.
    for rules in &ALL_RULES[..2] {
        let vocabulary = Vocabulary::learn(TITLES, rules);
        let unknown = vocabulary.unknown_words("Xyzzy! red, xyzzy ÉTÉ dresses 👠 ~");
        assert_eq!(unknown, ["xyzzy", "dresses", "👠"]);
    }
}

#[test]
fn forty_thousand_titles_are_learned_in_seconds() {
    let mut rng = fastrand::Rng::with_seed(2);
    let syllables = ["ka", "lo", "mi", "ren", "sta", "ver", "o", "dis", "ple", "u"];
    let mut word = || (0..rng.usize(1..6)).map(|_| syllables[rng.usize(..10)]).collect::<String>();
    let words: Vec<String> = (0..20_000).map(|_| word()).collect();
    let titles: Vec<String> = (0..40_000)
        .map(|_| {
            (0..10).map(|_| words[rng.usize(..words.len())].as_str()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let start = Instant::now();
    let texts = titles.iter().map(String::as_str);
    let vocabulary = Vocabulary::learn(texts, &Rules::Pieces { size: 4000 });
    assert_eq!(vocabulary.len(), 4000);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_text_of_a_million_characters_is_encoded_at_once() {
    let vocabulary = Vocabulary::learn(TITLES, &Rules::Pieces { size: 200 });
    let mut rng = fastrand::Rng::with_seed(3);
    let letters =
        (0..1_000_000).map(|_| char::from(b"redstiol"[rng.usize(..8)])).collect::<String>();
    for text in ["dress".repeat(200_000), letters, "é".repeat(500_000), "\u{301}".repeat(500_000)]
    {
        let start = Instant::now();
        assert!(vocabulary.encode(&text).len() >= text.len() / 128);
        assert_eq!(vocabulary.batch(&[&text], 70).len, 70);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[test]
fn titles_of_other_scripts_have_no_unknown_token_and_come_back_the_same() {
    let titles = [
        "Wasserdichte Damen-Regenjacke, Größe 42",
        "レディース 花柄ワンピース 半袖",
        "قَمِيص رجالي أزرق",
        "เสื้อเชิ้ตสีแดง",
        "👗👠 neu",
    ];
    for rules in ALL_RULES {
        let vocabulary = Vocabulary::learn(titles, &rules);
        for title in titles {
            let ids = vocabulary.encode(title);
            assert!(!ids.contains(&UNKNOWN), "{title}");
            assert_eq!(vocabulary.unknown_words(title), [""; 0]);
            // As other keyboards and programs write it.
            let decomposed: String =
                unicode_normalization::UnicodeNormalization::nfd(title).collect();
            // Only words and n-grams take the two letters for the one that a capital ß is written with.
            let again = match rules {
                Rules::WordsAndGrams { .. } => decomposed.to_uppercase(),
                _ => decomposed,
            };
            assert_eq!(vocabulary.encode(&again), ids, "{title}");
        }
        assert_eq!(vocabulary.encode("ﾚﾃﾞｨｰｽ ４２"), vocabulary.encode("レディース 42"));
    }
}

#[test]
fn a_title_without_vowel_signs_is_the_same_words_beside_n_grams() {
    let vocabulary = Vocabulary::learn(["قَمِيص أزرق", "Straße"], &ALL_RULES[2]);
    assert_eq!(vocabulary.encode("قميـــص"), vocabulary.encode("قَمِيص"));
    assert_eq!(vocabulary.encode("STRASSE"), vocabulary.encode("straße"));
}
