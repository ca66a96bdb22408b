//! Cuts a text into words, the units that both kinds of vocabulary count.
//!
//! The text is folded first (Unicode NFKC and lower case), so that full-width letters, ligatures
//! and accents written in two ways come out alike. Then:
//!
//! - letters with the marks on them run together to a word; one longer than [`LONGEST`] characters
//!   is cut, so that a text without blanks cannot make later steps slow;
//! - every digit, punctuation character, symbol and emoji is a word of its own;
//! - so is every CJK ideograph, as those languages write no blanks;
//! - blanks and control characters part words; joiners and variation selectors vanish, which takes
//!   an emoji sequence apart into the emoji that it is made of.
//!
//! Words are handed out one at a time from one buffer: a long text that is cut at 70 tokens is
//! never folded to its end.

use std::iter::Peekable;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word before it is cut.
const LONGEST: usize = 64;

/// The words of one text.
pub(super) struct Words<'a> {
    characters: Peekable<Box<dyn Iterator<Item = char> + 'a>>,
    word: String,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let characters: Box<dyn Iterator<Item = char> + 'a> = if text.is_ascii() {
            Box::new(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())))
        } else {
            Box::new(text.nfkc().flat_map(char::to_lowercase).filter(|&c| !is_invisible(c)))
        };
        Self { characters: characters.peekable(), word: String::new() }
    }

    /// The next word; it lives until the one after it is asked for.
    pub(super) fn next(&mut self) -> Option<&str> {
        while self.characters.next_if(|&c| parts_words(c)).is_some() {}
        let first = self.characters.next()?;
        self.word.clear();
        self.word.push(first);
        let joins = if is_letter(first) { is_letter } else { is_combining_mark };
        let mut length = 1;
        while length < LONGEST
            && let Some(c) = self.characters.next_if(|&c| joins(c) || is_combining_mark(c))
        {
            self.word.push(c);
            length += 1;
        }
        Some(&self.word)
    }
}

/// Whether a word is a punctuation character.
pub(super) fn is_punctuation(word: &str) -> bool {
    let mut characters = word.chars();
    let Some(c) = characters.next() else { return false };
    let plain = c.is_ascii_punctuation()
        || matches!(c, '\u{A1}'..='\u{BF}' | '\u{2010}'..='\u{205E}' | '\u{3001}'..='\u{3030}');
    plain && characters.next().is_none()
}

fn parts_words(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !is_ideograph(c)
}

fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFD}' | '\u{3005}' | '\u{3007}')
}

/// Joiners, variation selectors, soft hyphens, direction and byte-order marks, tags of flags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E01EF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Words::of(text);
        std::iter::from_fn(|| words.next().map(str::to_owned)).collect()
    }

    #[test]
    fn letters_run_together_and_all_else_stands_alone() {
        assert_eq!(
            words("Women's T-Shirt,  XL\t100%"),
            ["women", "'", "s", "t", "-", "shirt", ",", "xl", "1", "0", "0", "%"]
        );
        assert_eq!(words("size42in"), ["size", "4", "2", "in"]);
    }

    #[test]
    fn a_text_of_blanks_has_no_words() {
        for text in ["", " \t\r\n\0", "\u{3000}\u{200B}\u{FEFF}"] {
            assert_eq!(words(text), [""; 0]);
        }
    }

    #[test]
    fn ways_to_write_the_same_word_come_out_alike() {
        let expected = words("café fine 2");
        for same in ["CAFE\u{301} ﬁne ２", "ＣＡＦÉ fi\u{AD}ne ②"] {
            assert_eq!(words(same), expected, "{same}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["İstanbul ẞ ǅ Ⅻ", "ΣΊΣΥΦΟΣ", "한국어 옷", "ｱｲｳ ㎏"] {
            let once = words(text);
            assert_eq!(words(&once.join(" ")), once);
        }
    }

    #[test]
    fn ideographs_stand_alone_and_other_scripts_run_together() {
        assert_eq!(words("红色连衣裙"), ["红", "色", "连", "衣", "裙"]);
        assert_eq!(words("赤いドレス"), ["赤", "いドレス"]);
        assert_eq!(words("빨간 드레스"), ["빨간", "드레스"]);
        assert_eq!(words("लाल पोशाक"), ["लाल", "पोशाक"]);
    }

    #[test]
    fn emoji_are_words_and_sequences_are_taken_apart() {
        assert_eq!(words("dress👗👠"), ["dress", "👗", "👠"]);
        assert_eq!(words("👩\u{200D}👧 ❤\u{FE0F}"), ["👩", "👧", "❤"]);
        assert_eq!(words("👍🏽"), ["👍", "🏽"]);
    }

    #[test]
    fn marks_stay_with_the_character_before_them() {
        assert_eq!(words("x\u{332}y"), ["x\u{332}y"]);
        assert_eq!(words("1\u{20E3}2"), ["1\u{20E3}", "2"]);
        assert_eq!(words(" \u{301}a"), ["\u{301}", "a"]);
    }

    #[test]
    fn a_word_without_end_is_cut() {
        let lengths: Vec<_> = words(&"x".repeat(150)).iter().map(String::len).collect();
        assert_eq!(lengths, [64, 64, 22]);
        let marks = "\u{301}".repeat(10_000);
        assert!(words(&marks).iter().all(|word| word.chars().count() <= LONGEST));
    }

    #[test]
    fn only_single_punctuation_characters_are_punctuation() {
        assert!(["!", "\"", "…", "。", "¿"].iter().all(|word| is_punctuation(word)));
        assert!(!["a", "7", "👗", "红", ""].iter().any(|word| is_punctuation(word)));
    }
}
