//! Cuts a text into words, the units that all kinds of vocabulary count.
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
//! [`Cut::Numbers`] differs in two ways, which the older vocabularies must not learn: a number is one
//! word (`42`, `1200`), and letters that the same word is written with and without are folded as well:
//! German ß is ss, the Arabic tatweel and vowel signs and the Hebrew points vanish.
//!
//! Words are handed out one at a time from one buffer: a long text that is cut at 70 tokens is
//! never folded to its end.

use std::iter::Peekable;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word before it is cut.
const LONGEST: usize = 64;

/// What is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Every digit is.
    Digits,
    /// A number is, and letters are folded further.
    Numbers,
}

/// The words of one text.
pub(super) struct Words<'a> {
    characters: Peekable<Box<dyn Iterator<Item = char> + 'a>>,
    cut: Cut,
    word: String,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str, cut: Cut) -> Self {
        let characters: Box<dyn Iterator<Item = char> + 'a> = if text.is_ascii() {
            Box::new(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())))
        } else {
            let folded = text.nfkc().flat_map(char::to_lowercase).filter(|&c| !is_invisible(c));
            match cut {
                Cut::Digits => Box::new(folded),
                Cut::Numbers => Box::new(folded.filter(|&c| !may_be_left_out(c)).flat_map(spelt)),
            }
        };
        Self { characters: characters.peekable(), cut, word: String::new() }
    }

    /// The next word; it lives until the one after it is asked for.
    pub(super) fn next(&mut self) -> Option<&str> {
        while self.characters.next_if(|&c| parts_words(c)).is_some() {}
        let first = self.characters.next()?;
        self.word.clear();
        self.word.push(first);
        let joins = match self.cut {
            _ if is_letter(first) => is_letter,
            Cut::Numbers if is_digit(first) => is_digit,
            _ => is_combining_mark,
        };
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

fn is_digit(c: char) -> bool {
    c.is_numeric() && !is_ideograph(c)
}

/// Signs that the same word is written with and without: the Arabic tatweel and vowel signs, the
/// Hebrew points.
fn may_be_left_out(c: char) -> bool {
    matches!(c,
        '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}'
        | '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}' | '\u{5C2}' | '\u{5C4}' | '\u{5C5}' | '\u{5C7}')
}

/// A letter as it is spelt where it is missing on the keyboard.
fn spelt(c: char) -> impl Iterator<Item = char> {
    let letters = if c == 'ß' { ['s', 's'] } else { [c, '\0'] };
    letters.into_iter().filter(|&letter| letter != '\0')
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
        cut(text, Cut::Digits)
    }

    fn with_numbers(text: &str) -> Vec<String> {
        cut(text, Cut::Numbers)
    }

    fn cut(text: &str, cut: Cut) -> Vec<String> {
        let mut words = Words::of(text, cut);
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
    fn numbers_are_whole_where_they_are_asked_for() {
        assert_eq!(
            with_numbers("Size 42, 180x180cm"),
            ["size", "42", ",", "180", "x", "180", "cm"]
        );
        assert_eq!(with_numbers("1,200.5 ４２ ٤٢"), ["1", ",", "200", ".", "5", "42", "٤٢"]);
        assert_eq!(with_numbers("三〇 B06"), ["三", "〇", "b", "06"]);
        assert!(with_numbers(&"7".repeat(150)).iter().all(|number| number.len() <= LONGEST));
    }

    #[test]
    fn words_written_with_and_without_a_sign_come_out_alike_beside_numbers() {
        for (one, other) in [
            ("Straße GROẞ", "strasse gross"),
            ("قَمِيصٌ أَحْمَر", "قميص أحمر"),
            ("قمـــيص", "قميص"),
            ("שָׁלוֹם", "שלום"),
            ("ﾜﾝﾋﾟｰｽ", "ワンピース"),
            ("ＤＲＥＳＳ", "dress"),
        ] {
            assert_eq!(with_numbers(one), with_numbers(other), "{one}");
        }
        // What tells words apart stays.
        assert_ne!(with_numbers("schön"), with_numbers("schon"));
        assert_ne!(with_numbers("ドレス"), with_numbers("トレス"));
    }

    #[test]
    fn titles_of_other_scripts_are_cut_as_their_readers_would() {
        for (title, expected) in [
            ("Damen-Regenjacke, wasserdicht", vec!["damen", "-", "regenjacke", ",", "wasserdicht"]),
            ("レディース 花柄ワンピース", vec!["レディース", "花", "柄", "ワンピース"]),
            ("قميص رجالي أزرق", vec!["قميص", "رجالي", "أزرق"]),
            ("เสื้อเชิ้ตสีแดง", vec!["เสื้อเชิ้ตสีแดง"]),
            ("👗 rot", vec!["👗", "rot"]),
        ] {
            for kind in [Cut::Digits, Cut::Numbers] {
                assert_eq!(cut(title, kind), expected.clone(), "{title}");
            }
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
            for cut_so in [Cut::Digits, Cut::Numbers] {
                let once = cut(text, cut_so);
                assert_eq!(cut(&once.join(" "), cut_so), once);
            }
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
