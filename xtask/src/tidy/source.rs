//! Rust source with everything blanked that is not code: comments, strings, characters, and on
//! request the items under `#[cfg(test)]`.
//!
//! Blanked bytes become spaces, line ends stay, so that a place in the result is a place in the
//! file.

/// `text` without comments, strings and character literals.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            blank(&mut out[at..end]);
            at = end;
        } else {
            at += 1;
        }
    }
    text_of(&out)
}

/// [`code`] without the items that are compiled only for tests.
pub(crate) fn code_without_tests(text: &str) -> String {
    let code = code(text);
    let mut out = code.clone().into_bytes();
    for (start, end) in test_items(&code) {
        blank(&mut out[start..end]);
    }
    text_of(&out)
}

/// The string literals of `text` outside of tests, quotes included, each with its place.
pub(crate) fn strings_without_tests(text: &str) -> Vec<(usize, &str)> {
    let tests = test_items(&code(text));
    let is_test = |at: usize| tests.iter().any(|(start, end)| (*start..*end).contains(&at));
    let mut strings = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = literal_end(text.as_bytes(), at).max(at + 1);
        let is_string = text.as_bytes()[at] != b'/' && end > at + 1;
        if is_string && !is_test(at) {
            strings.extend(text.get(at..end).map(|string| (at, string)));
        }
        at = end;
    }
    strings
}

/// The names of the modules that are compiled only for tests and stand in files of their own.
pub(crate) fn test_modules(text: &str) -> Vec<String> {
    let code = code(text);
    let items = test_items(&code).into_iter().map(|(start, end)| &code[start..end]);
    let declarations = items.filter(|item| item.ends_with(';'));
    let names = declarations.filter_map(|item| {
        let mut words = words(item).map(|(_, word)| word).skip_while(|word| *word != "mod");
        words.nth(1)
    });
    names.map(str::to_owned).collect()
}

/// Start and end of each item under `#[cfg(test)]`, its attribute included.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        let Some(length) = code[start..].find(']') else { continue };
        let condition = &code[start..start + length];
        if words(condition).any(|(_, word)| word == "test") && !condition.contains("not(") {
            items.push((start, item_end(code.as_bytes(), start + length + 1)));
        }
    }
    items
}

/// The words (identifiers) of `text`, each with its place.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_word)?;
        let end = text[start..].find(|c| !is_word(c)).map_or(text.len(), |length| start + length);
        at = end;
        Some((start, &text[start..end]))
    })
}

/// The line (from 1) of a place.
pub(crate) fn line_of(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count() + 1
}

/// The end of the comment or literal that starts at `at`; `at` if none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + find(rest, b"\n").unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment_length(rest),
        [b'"', ..] => at + quoted_length(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !in_word => at + raw_string_length(rest).unwrap_or(0),
        [b'b', b'r', b'"' | b'#', ..] if !in_word => {
            at + raw_string_length(&rest[1..]).map_or(0, |length| length + 1)
        }
        [b'\'', ..] if is_character(rest) => at + quoted_length(rest, b'\''),
        _ => at,
    }
}

/// Whether a `'` starts a character and not a lifetime.
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(&first) if first < 128 => rest.get(2) == Some(&b'\''),
        Some(_) => true,
        None => false,
    }
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r#"..."#`; `None` for a raw identifier such as `r#type`.
fn raw_string_length(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    let start = 1 + hashes;
    (rest.get(start) == Some(&b'"')).then_some(())?;
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let length = find(&rest[start + 1..], &close)
        .map_or(rest.len(), |length| start + 1 + length + close.len());
    Some(length.min(rest.len()))
}

fn block_comment_length(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The end of the item after an attribute: its closing brace or its semicolon.
fn item_end(code: &[u8], from: usize) -> usize {
    let mut depth = 0;
    for (number, byte) in code[from..].iter().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return from + number;
        }
        if depth == 0 && (*byte == b'}' || *byte == b';') {
            return from + number + 1;
        }
    }
    code.len()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// Only whole literals were blanked, so that what is left is text.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        let text =
            "a // b \"c\"\n/* d /* e */ f */ g \"h \\\" i\" 'j' r#\"k \" l\"# b'm' n::<'o>(é)\n";
        let code = code(text);
        let left: Vec<_> = words(&code).map(|(_, word)| word).collect();
        assert_eq!(left, ["a", "g", "b", "n", "o", "é"]);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.matches('\n').count(), 2);
    }

    #[test]
    fn a_quote_character_does_not_open_a_string() {
        let code = code("if c == '\"' || c == '\\'' || c == '“' { x() } // \"");
        assert!(code.contains("x()"), "{code}");
    }

    #[test]
    fn only_test_items_are_taken_out() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c(); } }\nfn d() {}\n\
                    #[cfg(test)]\nuse e::f;\n#[cfg(not(test))]\nfn g() {}\n#[cfg(unix)]\nfn h() {}";
        let code = code_without_tests(text);
        let left: Vec<_> =
            words(&code).map(|(_, word)| word).filter(|word| word.len() == 1).collect();
        assert_eq!(left, ["a", "d", "g", "h"]);
    }

    #[test]
    fn modules_of_tests_are_known_by_name() {
        let text = "#[cfg(test)]\nmod testing;\n#[cfg(test)]\nmod tests { mod a; }\nmod b;";
        assert_eq!(test_modules(text), ["testing"]);
    }

    #[test]
    fn places_are_told_as_lines() {
        assert_eq!(line_of("a\nb\nc", 0), 1);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
