//! Whole words with character n-grams beside them (Bojanowski, Grave, Joulin and Mikolov, 2017).
//!
//! A word that is frequent enough has a number. Beside that every word has the n-grams of 3 to 5
//! characters of its text between `<` and `>`, each hashed into one of so many buckets, so that a
//! misspelling, a compound or a brand that was never seen still is something: the n-grams that it
//! shares with words that were. n-grams are of characters, so that they mean the same in every script.
//!
//! A difference from the paper: of a word that the training texts did not have, only n-grams that they
//! had count. The others would add whatever else has fallen into their buckets.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64;

use super::whole::WholeWords;
use super::words::{Cut, Words};
use super::{Grams, TokenBatch, UNKNOWN};

/// Characters of the shortest n-gram, the marks of a word's ends included.
const SHORTEST: usize = 3;
/// Characters of the longest n-gram.
const LONGEST: usize = 5;
/// Characters of an n-gram from which on it says something of a word: with three, half of all that
/// could be typed would count as known.
const TELLING: usize = 4;

/// Words, their numbers, and the buckets of their n-grams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WordsAndGrams {
    words: WholeWords,
    /// Words of the training texts that are too rare for a number, ascending.
    rare: Vec<String>,
    buckets: u32,
    seen: Seen,
}

/// Hashes of all n-grams of the training texts. Made from their words when it is first needed, which
/// a text of words that were all seen does not; so it says nothing of whether two vocabularies are
/// the same.
#[derive(Clone, Debug, Default)]
struct Seen(OnceLock<HashSet<u64>>);

impl PartialEq for Seen {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Seen {}

/// One n-gram of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gram {
    hash: u64,
    /// Number of its first character, counted from the mark before the word.
    first: usize,
    /// Characters.
    length: usize,
}

impl WordsAndGrams {
    /// Numbers words seen at least `min_count` times; n-grams share `buckets`, at least one.
    pub(super) fn learn(counts: HashMap<String, u64>, min_count: usize, buckets: usize) -> Self {
        let rare = counts.iter().filter(|(_, count)| **count < min_count as u64);
        let mut rare: Vec<String> = rare.map(|(word, _)| word.clone()).collect();
        rare.sort_unstable();
        let words = WholeWords::learn(counts, min_count);
        let buckets = u32::try_from(buckets).unwrap_or(u32::MAX).max(1);
        Self { words, rare, buckets, seen: Seen::default() }
    }

    /// From words in the order of their numbers, and those that have none. The error is the rule that
    /// is broken.
    pub(super) fn new(
        words: Vec<String>,
        rare: Vec<String>,
        buckets: u32,
    ) -> Result<Self, &'static str> {
        let words = WholeWords::new(words);
        if buckets == 0 {
            return Err("it has no bucket for n-grams");
        }
        if !rare.is_sorted_by(|a, b| a < b) {
            return Err("its rare words are not ascending");
        }
        if rare.iter().any(|word| word.is_empty() || words.number(word).is_some()) {
            return Err("a rare word is empty or has a number");
        }
        Ok(Self { words, rare, buckets, seen: Seen::default() })
    }

    /// The words in the order of their numbers.
    pub(super) fn words(&self) -> &[String] {
        self.words.words()
    }

    /// The words that were seen and have no number, ascending.
    pub(super) fn rare(&self) -> &[String] {
        &self.rare
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets as usize
    }

    /// Tokens, padding and unknown included.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    pub(super) fn number(&self, word: &str) -> Option<u32> {
        self.words.number(word)
    }

    /// Whether the model can make something of a word: it was seen, or at least half of its
    /// characters lie in n-grams of [`TELLING`] characters or more that were.
    pub(super) fn knows(&self, word: &str) -> bool {
        if self.was_seen(word) {
            return true;
        }
        let characters = word.chars().count();
        let mut known = vec![false; characters + 2];
        for gram in grams(word).filter(|gram| gram.length >= TELLING && self.has_gram(gram)) {
            known[gram.first..gram.first + gram.length].fill(true);
        }
        2 * known[1..=characters].iter().filter(|known| **known).count() >= characters
    }

    /// Encodes texts, each cut at `longest` words, and lists the n-grams of each word once.
    pub(super) fn batch<T: AsRef<str>>(&self, texts: &[T], longest: usize) -> TokenBatch {
        let mut lists = Lists::new();
        let mut rows: Vec<Vec<(u32, u32)>> = Vec::with_capacity(texts.len());
        for text in texts {
            let mut row = Vec::new();
            let mut words = Words::of(text.as_ref(), Cut::Numbers);
            while row.len() < longest
                && let Some(word) = words.next()
            {
                row.push(lists.token(self, word));
            }
            if row.is_empty() {
                row.push((UNKNOWN, 0));
            }
            rows.push(row);
        }
        let ids: Vec<Vec<u32>> =
            rows.iter().map(|row| row.iter().map(|at| at.0).collect()).collect();
        let mut batch = TokenBatch::padded(&ids);
        let mut of_tokens = vec![0; batch.ids.len()];
        for (to, row) in of_tokens.chunks_exact_mut(batch.len).zip(&rows) {
            to.iter_mut().zip(row).for_each(|(to, &(_, list))| *to = list);
        }
        batch.grams = Grams { lists: of_tokens, ..lists.grams };
        batch
    }

    /// The buckets of a word's n-grams, one for each.
    fn buckets_of(&self, word: &str) -> impl Iterator<Item = u32> {
        let seen = self.was_seen(word);
        grams(word)
            .filter(move |gram| seen || self.has_gram(gram))
            .map(|gram| (gram.hash % u64::from(self.buckets)) as u32)
    }

    fn was_seen(&self, word: &str) -> bool {
        let rare = || self.rare.binary_search_by(|other| other.as_str().cmp(word)).is_ok();
        self.words.number(word).is_some() || rare()
    }

    fn has_gram(&self, gram: &Gram) -> bool {
        let seen = self.seen.0.get_or_init(|| {
            let words = self.words.words().iter().chain(&self.rare);
            words.flat_map(|word| grams(word)).map(|gram| gram.hash).collect()
        });
        seen.contains(&gram.hash)
    }
}

/// The n-grams of a batch while it is made.
struct Lists {
    grams: Grams,
    /// Number and list of the words that were met.
    known: HashMap<String, (u32, u32)>,
}

impl Lists {
    fn new() -> Self {
        let grams = Grams { starts: vec![0, 0], ..Grams::default() };
        Self { grams, known: HashMap::new() }
    }

    /// The number of a word and that of its list.
    fn token(&mut self, vocabulary: &WordsAndGrams, word: &str) -> (u32, u32) {
        if let Some(&token) = self.known.get(word) {
            return token;
        }
        let Grams { starts, buckets, .. } = &mut self.grams;
        buckets.extend(vocabulary.buckets_of(word));
        let list = starts.len() as u32 - 1;
        starts.push(buckets.len() as u32);
        let token = (vocabulary.number(word).unwrap_or(UNKNOWN), list);
        self.known.insert(word.to_owned(), token);
        token
    }
}

/// The n-grams of a word, shorter ones first where they begin together.
fn grams(word: &str) -> impl Iterator<Item = Gram> + use<> {
    let marked = format!("<{word}>");
    let mut places: Vec<usize> = marked.char_indices().map(|(at, _)| at).collect();
    places.push(marked.len());
    let last = places.len() - 1;
    let spans = (0..last).flat_map(move |first| {
        (SHORTEST..=LONGEST)
            .map(move |length| (first, length))
            .filter(move |(first, length)| first + length <= last)
    });
    spans.map(move |(first, length)| Gram {
        hash: xxh3_64(&marked.as_bytes()[places[first]..places[first + length]]),
        first,
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::super::words::Cut;
    use super::super::{FIRST, Rules, Vocabulary};
    use super::*;

    const TITLES: [&str; 6] = [
        "Red tshirt size 42",
        "Blue tshirt size 42",
        "Red dress",
        "Regenjacke für Damen",
        "花柄ワンピース",
        "قميص أزرق",
    ];

    fn learned(min_count: usize) -> WordsAndGrams {
        let counts = super::super::word_counts(TITLES, Cut::Numbers);
        WordsAndGrams::learn(counts, min_count, 20_000)
    }

    fn texts(word: &str) -> Vec<String> {
        let marked: Vec<char> = format!("<{word}>").chars().collect();
        grams(word)
            .map(|gram| marked[gram.first..gram.first + gram.length].iter().collect())
            .collect()
    }

    #[test]
    fn n_grams_worked_by_hand() {
        assert_eq!(
            texts("shoe"),
            ["<sh", "<sho", "<shoe", "sho", "shoe", "shoe>", "hoe", "hoe>", "oe>"]
        );
        assert_eq!(texts("xl"), ["<xl", "<xl>", "xl>"]);
        assert_eq!(texts("👗"), ["<👗>"]);
        assert_eq!(texts("größe").len(), texts("grose").len());
        assert_eq!(texts("ワンピ"), ["<ワン", "<ワンピ", "<ワンピ>", "ワンピ", "ワンピ>", "ンピ>"]);
    }

    #[test]
    fn frequent_words_have_numbers_and_every_word_has_n_grams() {
        let vocabulary = learned(2);
        assert_eq!(vocabulary.words(), ["42", "red", "size", "tshirt"]);
        assert!(vocabulary.rare().iter().any(|word| word == "regenjacke"));
        let batch = vocabulary.batch(&["red dress size 42 red"], 10);
        assert_eq!(batch.ids, [FIRST + 1, UNKNOWN, FIRST + 2, FIRST, FIRST + 1]);
        let Grams { lists, starts, buckets } = batch.grams;
        assert_eq!(lists, [1, 2, 3, 4, 1]);
        assert_eq!(starts, [0, 0, 6, 18, 27, 30]);
        assert_eq!(buckets.len(), 30);
        assert!(buckets.iter().all(|bucket| *bucket < 20_000));
    }

    #[test]
    fn padding_and_a_text_without_words_have_no_n_grams() {
        let batch = learned(1).batch(&["red dress", " ", "red"], 10);
        assert_eq!(batch.grams.lists, [1, 2, 0, 0, 1, 0]);
        assert_eq!(batch.ids, [2 + 1, batch.ids[1], UNKNOWN, 0, 2 + 1, 0]);
        let none = learned(1).batch::<&str>(&[], 10);
        assert!(none.grams.lists.is_empty() && none.ids.is_empty());
    }

    #[test]
    fn a_text_is_cut_at_the_longest() {
        let batch = learned(1).batch(&["red dress size 42", "red"], 2);
        assert_eq!((batch.len, batch.lengths.as_slice()), (2, [2, 1].as_slice()));
        assert_eq!(batch.grams.starts.len(), 4);
    }

    #[test]
    fn of_a_word_that_was_never_seen_only_n_grams_that_were_count() {
        let vocabulary = learned(1);
        let of = |word: &str| vocabulary.buckets_of(word).collect::<HashSet<u32>>();
        let (right, wrong) = (of("tshirt"), of("tshrit"));
        // "<ts", "tsh", "<tsh"; and "it>" of no word.
        assert_eq!(wrong.len(), 3);
        assert!(wrong.is_subset(&right));
        assert!(of("xyzzy").is_empty());
        assert_eq!(right.len(), texts("tshirt").len());
    }

    #[test]
    fn parts_of_compounds_and_of_words_without_blanks_are_shared() {
        let vocabulary = learned(1);
        let of = |word: &str| vocabulary.buckets_of(word).collect::<HashSet<u32>>();
        for (seen, new) in
            [("regenjacke", "winterjacke"), ("ワンピース", "ミニワンピース"), ("قميص", "القميص")]
        {
            assert!(of(seen).intersection(&of(new)).count() >= 3, "{new}");
        }
    }

    #[test]
    fn words_that_share_nothing_with_the_training_texts_are_named() {
        let rules = Rules::WordsAndGrams { min_count: 2, buckets: 100 };
        let vocabulary = Vocabulary::learn(TITLES, &rules);
        let unknown = vocabulary
            .unknown_words("Xyzzy! tshrit Tshirts, dress regenjacken 👠 skyscraper 43 xyzzy");
        assert_eq!(unknown, ["xyzzy", "👠", "skyscraper", "43"]);
        assert_eq!(vocabulary.unknown_words("ワンピースの قميصي"), [""; 0]);
    }

    #[test]
    fn what_is_asked_of_a_vocabulary_does_not_change_it() {
        let (asked, fresh) = (learned(2), learned(2));
        assert!(asked.knows("tshrit"));
        assert_eq!(asked, fresh);
    }

    #[test]
    fn a_bucket_depends_on_the_text_alone() {
        // In files for ever: another hash would be another vocabulary.
        let vocabulary = WordsAndGrams::new(vec!["xl".to_owned()], Vec::new(), 1000).unwrap();
        assert_eq!(vocabulary.buckets_of("xl").collect::<Vec<_>>(), [334, 837, 14]);
    }
}
