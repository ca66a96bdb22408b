//! Strangers' texts made fit for a line: no control characters, cut or wrapped to a width.

/// The text with a space for each control character: a title or a file's name must not move the
/// cursor of a terminal, nor begin a new line.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// [`visible`], with one space for each run of white space.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
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
