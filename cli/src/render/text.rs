//! Strangers' texts made fit to be shown: nothing in them commands, hides or reorders, and they are
//! cut or wrapped to a width.
//!
//! A title, an id, a field's name or a file's name may hold an escape sequence that rewrites the
//! screen, a line break that forges a line, or a sign that turns the reading direction round, so
//! that `gpj.exe` reads as `exe.jpg`. Everything that may meet a terminal therefore goes through
//! [`Sieve`], and standard output goes through it once more where it is a terminal
//! (`output::stdout`). What becomes of a sign:
//!
//! - control characters (C0, DEL, C1: escape sequences begin with one) and Unicode's line and
//!   paragraph separators: a space;
//! - signs that turn the direction, and invisible ones that carry hidden texts: `\u{fffd}`, so that
//!   one sees that something stood there;
//! - the soft hyphen, the zero-width space and the byte-order mark, which shops' texts are full of
//!   and which show nothing anyway: nothing;
//! - joiners, variation selectors and the tags of a flag: they stay where scripts and emoji need
//!   them, after a visible sign beyond ASCII, and are hidden signs elsewhere.

/// Stands for a sign that is not shown.
const HIDDEN: char = '\u{fffd}';

/// Makes signs harmless one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sieve {
    /// The last sign that stayed.
    before: Option<char>,
    /// Within the tags that spell the name of a flag.
    in_flag: bool,
}

impl Sieve {
    /// What is shown for the next sign of a text; `None` for nothing.
    pub(crate) fn pass(&mut self, letter: char) -> Option<char> {
        let shown = self.shown(letter);
        self.in_flag = letter == FLAG || (self.in_flag && is_tag(letter));
        self.before = shown.or(self.before);
        shown
    }

    fn shown(self, letter: char) -> Option<char> {
        match kind(letter) {
            Kind::Plain => Some(letter),
            Kind::Breaks => Some(' '),
            Kind::Empty => None,
            Kind::Joins if self.before.is_some_and(takes_joiner) => Some(letter),
            Kind::Tag if self.in_flag => Some(letter),
            Kind::Hides | Kind::Joins | Kind::Tag => Some(HIDDEN),
        }
    }
}

/// A black flag, which the tags after it turn into that of a region.
const FLAG: char = '\u{1f3f4}';

/// What a sign can do to whoever looks at a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Commands a terminal or ends a line.
    Breaks,
    /// Shows nothing, and texts that people wrote have it.
    Empty,
    /// Turns the direction, or is invisible.
    Hides,
    /// Belongs to the sign before it.
    Joins,
    /// Belongs to a flag.
    Tag,
}

fn kind(letter: char) -> Kind {
    match letter {
        _ if letter.is_control() => Kind::Breaks,
        _ if is_tag(letter) => Kind::Tag,
        '\u{2028}' | '\u{2029}' => Kind::Breaks,
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => Kind::Empty,
        '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
            Kind::Joins
        }
        _ if turns(letter) || is_invisible(letter) => Kind::Hides,
        _ => Kind::Plain,
    }
}

/// Arabic letter mark; marks, embeddings, overrides and isolates of direction.
fn turns(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Invisible signs without use in a title: fillers, operators, retired format signs, annotations,
/// unassigned ones that are to be ignored.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2061}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn is_tag(letter: char) -> bool {
    matches!(letter, '\u{e0020}'..='\u{e007f}')
}

/// Whether a joiner or a selector after this sign is more than a hidden one. Keycaps are digits
/// with a selector.
fn takes_joiner(before: char) -> bool {
    let letter = !before.is_ascii() && before != HIDDEN;
    let keycap = before.is_ascii_digit() || matches!(before, '#' | '*');
    let selector = matches!(before, '\u{200c}' | '\u{200d}' | '\u{e0100}'..='\u{e01ef}');
    (letter || keycap) && !selector
}

/// Whether a sign may stand in JSON as it is. The others are written as escapes, which every
/// reader turns back into them.
pub(crate) fn is_plain(letter: char) -> bool {
    matches!(kind(letter), Kind::Plain | Kind::Joins)
}

/// The text on one line, with nothing in it that commands, hides or reorders.
pub(crate) fn visible(text: &str) -> String {
    let mut sieve = Sieve::default();
    text.chars().filter_map(|letter| sieve.pass(letter)).collect()
}

/// [`visible`], with one space for each run of white space.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// [`visible`] for each line of a text of ours that has several.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// At most `width` characters, the last three of them dots when something was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(3)).collect();
    let dots: String = "...".chars().take(width).collect();
    format!("{}{dots}", kept.trim_end())
}

/// At most `lines` lines of `width` characters, cut between words; the last one ends with dots
/// when something was left out.
pub(crate) fn wrap(text: &str, width: usize, lines: usize) -> Vec<String> {
    let text = one_line(text);
    let mut rest = text.as_str();
    let mut wrapped = Vec::new();
    while !rest.is_empty() && wrapped.len() < lines {
        if wrapped.len() + 1 == lines {
            wrapped.push(cut(rest, width));
            break;
        }
        let (line, after) = rest.split_at(line_end(rest, width));
        wrapped.push(line.trim_end().to_owned());
        rest = after.trim_start();
    }
    wrapped
}

/// The byte at which a line of `width` characters ends: after a word where one ends in time.
fn line_end(text: &str, width: usize) -> usize {
    let Some((limit, _)) = text.char_indices().nth(width.max(1)) else { return text.len() };
    if text[limit..].starts_with(' ') {
        return limit;
    }
    text[..limit].rfind(' ').unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(visible("a\x1b[31m\nb  c"), "a [31m b  c");
        assert_eq!(one_line("a\x1b[31m\nb\t c\u{9b}"), "a [31m b c");
        assert_eq!(visible("a\u{2028}b\u{2029}c\u{85}d\x7fe"), "a b c d e");
        assert_eq!(lines("a\x1bb\r\n\tc\n"), "a b\n c");
    }

    #[test]
    fn signs_that_turn_the_direction_are_seen_and_turn_nothing() {
        for sign in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert_eq!(visible(&format!("{sign}gpj.exe")), "\u{fffd}gpj.exe");
        }
        assert_eq!(visible("\u{61c}a\u{200e}b\u{200f}"), "\u{fffd}a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn hidden_texts_are_seen() {
        let hidden: String =
            "evil".chars().filter_map(|c| char::from_u32(0xe0000 + c as u32)).collect();
        assert_eq!(visible(&format!("hat{hidden}")), format!("hat{}", "\u{fffd}".repeat(4)));
        assert_eq!(visible("a\u{e0101}\u{e0102}b"), "a\u{fffd}\u{fffd}b");
        assert_eq!(visible("\u{845b}\u{e0101}\u{e0102}"), "\u{845b}\u{e0101}\u{fffd}");
        assert_eq!(visible("re\u{ad}d\u{200b} \u{feff}hat"), "red hat");
    }

    #[test]
    fn scripts_and_emoji_keep_what_they_need() {
        for text in [
            "\u{1f469}\u{200d}\u{1f52c}",        // a woman scientist
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}", // a heart on fire
            "1\u{fe0f}\u{20e3}",                 // a keycap
            "\u{646}\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}", // Persian
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", // England
            "sch\u{f6}n \u{65e5}\u{672c} \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn no_sign_after_any_other_commands_hides_or_reorders() {
        let harmless = |c| matches!(kind(c), Kind::Plain | Kind::Joins | Kind::Tag);
        for before in ['x', '\u{e9}', FLAG, HIDDEN, '\u{200d}'] {
            let mut after = Sieve::default();
            after.pass(before);
            for letter in '\0'..=char::MAX {
                let shown = { after }.pass(letter);
                assert!(shown.is_none_or(harmless), "{before} {letter:?}");
            }
        }
    }

    #[test]
    fn a_cut_text_ends_with_dots_and_keeps_to_its_width() {
        assert_eq!(cut("summer", 6), "summer");
        assert_eq!(cut("summer dress", 10), "summer...");
        assert_eq!(cut("äöüß", 2), "..");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("red summer dress", 10, 3), ["red summer", "dress"]);
        assert_eq!(wrap("red summer dress", 9, 2), ["red", "summer..."]);
    }

    #[test]
    fn a_word_longer_than_the_line_is_broken() {
        assert_eq!(wrap("abcdefgh", 3, 3), ["abc", "def", "gh"]);
    }

    #[test]
    fn nothing_gives_no_line() {
        assert_eq!(wrap(" \n ", 10, 2), [""; 0]);
    }
}
