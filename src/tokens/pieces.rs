//! Byte-pair encoding over characters: learning pieces and cutting words into them.
//!
//! A word starts as its characters. Learning joins the pair of neighbours that is most frequent in
//! all words, again and again, until there are enough pieces; encoding replays the joins in the
//! order in which they were learned. The first piece of a word is marked with `▁`, so that `▁dress`
//! is the stem of "dresses" and still not the middle of "undressed".
//!
//! Learning by the book counts all pairs again after each join. Here
//!
//! 1. counts are kept and only the words that hold the joined pair are visited,
//! 2. the most frequent pair comes from a heap whose entries may be out of date: one that is gets
//!    its true count and goes back,
//!
//! which learns 40,000 titles in a fraction of a second. Pairs equally frequent are taken in the
//! order of their texts, so the order of the input does not matter.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::rc::Rc;

use super::{FIRST, UNKNOWN};
use crate::files;

/// Marks the piece that begins a word.
const START: char = '▁';
/// A pair seen once teaches nothing.
const LEAST_COUNT: u64 = 2;

/// Two neighbouring pieces by their place in the list of pieces.
type Pair = (u32, u32);

/// Pieces, the joins that lead to them, and which words were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    texts: Vec<String>,
    joins: Vec<Pair>,
    /// Hashes of the words of the training texts, ascending: a few bytes a word, and one word in
    /// tens of thousands is wrongly believed to have been seen.
    seen: Vec<u32>,
    places: HashMap<String, u32>,
    steps: HashMap<Pair, Step>,
}

/// When a pair is joined, and the place of the piece it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    rank: u32,
    result: u32,
}

impl Step {
    const NEVER: Self = Self { rank: u32::MAX, result: u32::MAX };
}

/// Stands for a character without a piece; no step begins or ends with it.
const STRANGER: u32 = u32::MAX;

impl Pieces {
    /// Learns at most `size` tokens (padding and unknown included), or as many as there are
    /// characters if those are more.
    pub(super) fn learn(counts: &HashMap<String, u64>, size: usize) -> Self {
        let mut lesson = Lesson::new(counts);
        while lesson.pieces.len() + (FIRST as usize) < size
            && let Some(pair) = lesson.most_frequent()
        {
            lesson.join(pair);
        }
        let seen: BTreeSet<u32> = counts.keys().map(|word| hash(word)).collect();
        Self::index(
            lesson.pieces.iter().map(|piece| String::from(&**piece)).collect(),
            lesson.joins,
            seen.into_iter().collect(),
        )
    }

    /// From stored parts; the sentence says which rule they break.
    pub(super) fn new(
        pieces: Vec<String>,
        joins: Vec<Pair>,
        seen: Vec<u32>,
    ) -> Result<Self, String> {
        let count = pieces.len();
        if let Some((left, right)) =
            joins.iter().find(|(left, right)| *left.max(right) as usize >= count)
        {
            return Err(format!("a join names pieces {left} and {right} of {count}"));
        }
        if !seen.is_sorted() {
            return Err("the hashes of seen words are not in ascending order".to_owned());
        }
        let joins_count = joins.len();
        let made = Self::index(pieces, joins, seen);
        if made.places.len() != count {
            return Err("a piece occurs twice".to_owned());
        }
        if made.steps.len() != joins_count {
            return Err("a join occurs twice".to_owned());
        }
        if made.steps.values().any(|step| step.result == STRANGER) {
            return Err("a join leads to a piece that is not there".to_owned());
        }
        Ok(made)
    }

    fn index(texts: Vec<String>, joins: Vec<Pair>, seen: Vec<u32>) -> Self {
        let places: HashMap<String, u32> = texts.iter().cloned().zip(0..).collect();
        let result = |(left, right): Pair| {
            let text = [texts[left as usize].as_str(), &texts[right as usize]].concat();
            places.get(&text).copied().unwrap_or(STRANGER)
        };
        let steps = joins
            .iter()
            .zip(0..)
            .map(|(&pair, rank)| (pair, Step { rank, result: result(pair) }))
            .collect();
        Self { texts, joins, seen, places, steps }
    }

    pub(super) fn pieces(&self) -> &[String] {
        &self.texts
    }

    pub(super) fn joins(&self) -> &[Pair] {
        &self.joins
    }

    pub(super) fn seen(&self) -> &[u32] {
        &self.seen
    }

    /// Tokens, padding and unknown included.
    pub(super) fn len(&self) -> usize {
        self.texts.len() + FIRST as usize
    }

    /// Whether the word was in the training texts.
    pub(super) fn has_seen(&self, word: &str) -> bool {
        self.seen.binary_search(&hash(word)).is_ok()
    }

    /// The token numbers of one word.
    pub(super) fn encode(&self, word: &str) -> Vec<u32> {
        let mut places = self.characters(word);
        let mut steps: Vec<Step> =
            places.windows(2).map(|pair| self.step(pair[0], pair[1])).collect();
        while let Some((at, step)) = steps.iter().copied().enumerate().min_by_key(|(_, s)| s.rank)
            && step != Step::NEVER
        {
            places[at] = step.result;
            places.remove(at + 1);
            steps.remove(at);
            if at > 0 {
                steps[at - 1] = self.step(places[at - 1], places[at]);
            }
            if at < steps.len() {
                steps[at] = self.step(places[at], places[at + 1]);
            }
        }
        places
            .iter()
            .map(|&place| if place == STRANGER { UNKNOWN } else { place + FIRST })
            .collect()
    }

    fn step(&self, left: u32, right: u32) -> Step {
        self.steps.get(&(left, right)).copied().unwrap_or(Step::NEVER)
    }

    /// A word's characters as pieces. One that was only seen in the other position, as a beginning
    /// or within words, is still known by that.
    fn characters(&self, word: &str) -> Vec<u32> {
        let mut text = String::new();
        let mut place = |character: char, begins: bool| {
            text.clear();
            if begins {
                text.push(START);
            }
            text.push(character);
            self.places.get(&text).copied()
        };
        word.chars()
            .enumerate()
            .map(|(at, c)| place(c, at == 0).or_else(|| place(c, at != 0)).unwrap_or(STRANGER))
            .collect()
    }
}

fn hash(word: &str) -> u32 {
    files::checksum(word.as_bytes()) as u32
}

/// A pair and its count when it was put on the heap: most frequent first, then by text.
type Candidate = (u64, Reverse<(Rc<str>, Rc<str>)>, Pair);

/// The state of learning.
struct Lesson {
    words: Vec<Word>,
    pieces: Vec<Rc<str>>,
    places: HashMap<Rc<str>, u32>,
    joins: Vec<Pair>,
    counts: HashMap<Pair, u64>,
    /// Words in which a pair stands or once stood.
    holders: HashMap<Pair, Vec<u32>>,
    heap: BinaryHeap<Candidate>,
}

/// A word as the pieces it is made of so far.
struct Word {
    pieces: Vec<u32>,
    count: u64,
}

impl Lesson {
    fn new(counts: &HashMap<String, u64>) -> Self {
        let characters: BTreeSet<String> =
            counts.keys().flat_map(|word| marked_characters(word)).collect();
        let mut lesson = Self {
            words: Vec::new(),
            pieces: Vec::new(),
            places: HashMap::new(),
            joins: Vec::new(),
            counts: HashMap::new(),
            holders: HashMap::new(),
            heap: BinaryHeap::new(),
        };
        for text in characters {
            lesson.place(&text);
        }
        for (word, &count) in counts {
            let pieces = marked_characters(word).map(|text| lesson.place(&text)).collect();
            lesson.words.push(Word { pieces, count });
        }
        lesson.count_all();
        lesson
    }

    /// The place of the piece with this text, which is added if it is new.
    fn place(&mut self, text: &str) -> u32 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let (text, place) = (Rc::from(text), self.pieces.len() as u32);
        self.pieces.push(Rc::clone(&text));
        self.places.insert(text, place);
        place
    }

    fn count_all(&mut self) {
        for (number, word) in self.words.iter().enumerate() {
            for pair in pairs(&word.pieces) {
                *self.counts.entry(pair).or_default() += word.count;
                self.holders.entry(pair).or_default().push(number as u32);
            }
        }
        self.heap = self.counts.keys().map(|&pair| self.candidate(pair)).collect();
    }

    fn candidate(&self, pair: Pair) -> Candidate {
        let text = |place: u32| Rc::clone(&self.pieces[place as usize]);
        (self.count(pair), Reverse((text(pair.0), text(pair.1))), pair)
    }

    fn count(&self, pair: Pair) -> u64 {
        self.counts.get(&pair).copied().unwrap_or(0)
    }

    /// The pair to be joined next, if one is frequent enough.
    fn most_frequent(&mut self) -> Option<Pair> {
        while let Some((count, _, pair)) = self.heap.pop() {
            let now = self.count(pair);
            if now == count && now >= LEAST_COUNT {
                return Some(pair);
            }
            // A count that has risen was put on the heap again; one that has fallen was not.
            if now < count && now >= LEAST_COUNT {
                self.heap.push(self.candidate(pair));
            }
        }
        None
    }

    fn join(&mut self, pair: Pair) {
        let text = [&*self.pieces[pair.0 as usize], &*self.pieces[pair.1 as usize]].concat();
        let result = self.place(&text);
        self.joins.push(pair);
        let mut holders = self.holders.remove(&pair).unwrap_or_default();
        holders.sort_unstable();
        holders.dedup();
        let mut risen = BTreeSet::new();
        for number in holders {
            self.join_in_word(number, pair, result, &mut risen);
        }
        for pair in risen {
            let candidate = self.candidate(pair);
            self.heap.push(candidate);
        }
    }

    fn join_in_word(&mut self, number: u32, pair: Pair, result: u32, risen: &mut BTreeSet<Pair>) {
        let word = &mut self.words[number as usize];
        for old in pairs(&word.pieces) {
            if let Some(count) = self.counts.get_mut(&old) {
                *count -= word.count;
            }
        }
        replace(&mut word.pieces, pair, result);
        for new in pairs(&word.pieces) {
            *self.counts.entry(new).or_default() += word.count;
            if new.0 == result || new.1 == result {
                self.holders.entry(new).or_default().push(number);
                risen.insert(new);
            }
        }
    }
}

/// The characters of a word, the first with its mark.
fn marked_characters(word: &str) -> impl Iterator<Item = String> {
    word.chars()
        .enumerate()
        .map(|(at, c)| if at == 0 { String::from_iter([START, c]) } else { String::from(c) })
}

fn pairs(pieces: &[u32]) -> impl Iterator<Item = Pair> {
    pieces.windows(2).map(|pair| (pair[0], pair[1]))
}

/// Puts `result` for each `pair`, from left to right.
fn replace(pieces: &mut Vec<u32>, pair: Pair, result: u32) {
    let mut kept: Vec<u32> = Vec::with_capacity(pieces.len());
    let mut rest = pieces.as_slice();
    while let [first, after @ ..] = rest {
        if let [second, after @ ..] = after
            && (*first, *second) == pair
        {
            kept.push(result);
            rest = after;
        } else {
            kept.push(*first);
            rest = after;
        }
    }
    *pieces = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(words: &[(&str, u64)]) -> HashMap<String, u64> {
        words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
    }

    fn texts(pieces: &Pieces, word: &str) -> Vec<String> {
        let text = |id: u32| match id.checked_sub(FIRST) {
            Some(place) => pieces.texts[place as usize].clone(),
            None => "?".to_owned(),
        };
        pieces.encode(word).into_iter().map(text).collect()
    }

    /// Learning by the book: all pairs are counted again after each join.
    fn learn_slowly(counts: &HashMap<String, u64>, size: usize) -> Vec<String> {
        let mut words: Vec<(Vec<String>, u64)> =
            counts.iter().map(|(w, c)| (marked_characters(w).collect(), *c)).collect();
        let characters: BTreeSet<String> = words.iter().flat_map(|(w, _)| w.clone()).collect();
        let mut pieces = Vec::from_iter(characters);
        while pieces.len() + (FIRST as usize) < size {
            let mut pairs: HashMap<(String, String), u64> = HashMap::new();
            for (word, count) in &words {
                for pair in word.windows(2) {
                    *pairs.entry((pair[0].clone(), pair[1].clone())).or_default() += count;
                }
            }
            let best = pairs.into_iter().max_by_key(|(pair, n)| (*n, Reverse(pair.clone())));
            let Some(((left, right), LEAST_COUNT..)) = best else { break };
            for (word, _) in &mut words {
                let mut at = 0;
                while at + 1 < word.len() {
                    if word[at] == left && word[at + 1] == right {
                        word[at] = format!("{left}{right}");
                        word.remove(at + 1);
                    }
                    at += 1;
                }
            }
            if !pieces.contains(&format!("{left}{right}")) {
                pieces.push(format!("{left}{right}"));
            }
        }
        pieces
    }

    #[test]
    fn pieces_worked_by_hand() {
        // "▁d r e s s" 5 times, "u n d r e s s" 3 times: "re", "res", "ress" lead (8 each, taken
        // in the order of their texts), then "▁d"+"ress" 5.
        let pieces = Pieces::learn(&counts(&[("dress", 5), ("undress", 3)]), 14);
        assert_eq!(pieces.texts[..7], ["d", "e", "n", "r", "s", "▁d", "▁u"]);
        assert_eq!(pieces.texts[7..], ["es", "ess", "ress", "▁dress", "dress"]);
        assert_eq!(texts(&pieces, "dress"), ["▁dress"]);
        assert_eq!(texts(&pieces, "dresses"), ["▁dress", "es"]);
        assert_eq!(texts(&pieces, "undress"), ["▁u", "n", "dress"]);
    }

    #[test]
    fn learning_in_steps_is_learning_by_the_book() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..20 {
            let word = |rng: &mut fastrand::Rng| {
                let length = rng.usize(1..9);
                (0..length).map(|_| rng.choice(['a', 'b', 'c', 'é']).unwrap()).collect::<String>()
            };
            let counts: HashMap<String, u64> =
                (0..60).map(|_| (word(&mut rng), rng.u64(1..9))).collect();
            assert_eq!(Pieces::learn(&counts, 90).texts, learn_slowly(&counts, 90));
        }
    }

    #[test]
    fn every_seen_character_is_known_in_every_position() {
        let pieces = Pieces::learn(&counts(&[("xa", 1), ("b", 1)]), 0);
        for word in ["axb", "bax", "xxxx"] {
            assert!(!pieces.encode(word).contains(&UNKNOWN), "{word}");
        }
        assert_eq!(texts(&pieces, "aqb"), ["a", "?", "▁b"]);
    }

    #[test]
    fn the_size_is_kept_and_learning_ends_with_the_pairs() {
        let words = counts(&[("dress", 5), ("shirt", 4), ("shoes", 3)]);
        assert_eq!(Pieces::learn(&words, 16).len(), 16);
        let all = Pieces::learn(&words, 10_000);
        assert!(all.len() < 40);
        assert_eq!(texts(&all, "shirt"), ["▁shirt"]);
    }
}
