//! From arguments, or a line of a file, to a [`Query`].
//!
//! A `+` or `-` that stands alone begins a new part; a path or `id:` is a part of its own; words
//! that stand beside each other are one text. An argument that the shell was given in quotes may
//! hold a whole query (`"red dress - sleeves"`), but a path may hold spaces and even ` - `: an
//! argument that names an existing file is that file, whatever is in it.

use std::path::{Path, PathBuf};

use looksee::{Error, Result};

use super::{Content, Part, Query};

/// Beside a part of this weight the others are nothing, and sums stay finite.
const MOST_WEIGHT: f32 = 1e6;

/// A query and what should be said about how it was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) query: Query,
    /// Sentences such as `"without sleeves" is understood as "- sleeves"`.
    pub(crate) remarks: Vec<String>,
}

/// Understands the arguments after the index, with the pictures of `--image` added to them.
/// `is_file` says whether a path names a file.
pub(crate) fn arguments(
    words: &[String],
    pictures: &[PathBuf],
    is_file: &dyn Fn(&str) -> bool,
) -> Result<Parsed> {
    let mut reader = Reader::new(is_file);
    if words == ["-"] {
        reader.part(1.0, Content::StandardInput);
    } else {
        for word in words {
            reader.argument(word)?;
        }
    }
    reader.end_of_words()?;
    for path in pictures {
        reader.part(1.0, picture(path));
    }
    reader.finish()
}

/// Understands one line of a `--queries` file.
pub(crate) fn line(text: &str, is_file: &dyn Fn(&str) -> bool) -> Result<Parsed> {
    let mut reader = Reader::new(is_file);
    reader.argument(text.trim())?;
    reader.end_of_words()?;
    reader.finish()
}

fn picture(path: &Path) -> Content {
    if path.as_os_str() == "-" {
        Content::StandardInput
    } else {
        Content::Picture(path.to_path_buf())
    }
}

/// What has been read so far.
struct Reader<'a> {
    is_file: &'a dyn Fn(&str) -> bool,
    parts: Vec<Part>,
    remarks: Vec<String>,
    /// A `+` (1) or `-` (-1) that waits for its part.
    sign: Option<f32>,
    /// The last part is words and further words belong to it.
    in_words: bool,
}

impl<'a> Reader<'a> {
    fn new(is_file: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_file, parts: Vec::new(), remarks: Vec::new(), sign: None, in_words: false }
    }

    fn argument(&mut self, text: &str) -> Result<()> {
        if starts_like_path(text) && (self.is_file)(text) {
            return self.term(text);
        }
        for (number, term) in split_at_signs(text).into_iter().enumerate() {
            if number > 0 || term.signed {
                self.take_sign(term.sign)?;
            }
            if !term.text.is_empty() {
                self.term(term.text)?;
            }
        }
        Ok(())
    }

    fn take_sign(&mut self, sign: f32) -> Result<()> {
        if self.sign.is_some() {
            return Err(Error::invalid("two of + and - stand beside each other in the query"));
        }
        self.sign = Some(sign);
        self.in_words = false;
        Ok(())
    }

    /// A piece without signs: an optional weight, then a path, an item, or words.
    fn term(&mut self, text: &str) -> Result<()> {
        let (weight, rest) = split_weight(text);
        if weight == Some(0.0) {
            return Err(Error::invalid(format!("the weight of {text:?} is 0; leave the part out")));
        }
        if weight.is_some_and(|weight| weight > MOST_WEIGHT) {
            let sentence = format!("the weight of {text:?} is too large; at most {MOST_WEIGHT}");
            return Err(Error::invalid(sentence));
        }
        if starts_like_path(rest) {
            self.part(weight.unwrap_or(1.0), Content::Picture(rest.into()));
        } else if let Some(id) = rest.strip_prefix("id:").filter(|id| !id.is_empty()) {
            self.part(weight.unwrap_or(1.0), Content::Item(id.into()));
        } else {
            self.words(weight, rest);
        }
        Ok(())
    }

    fn part(&mut self, weight: f32, content: Content) {
        let sign = self.sign.take().unwrap_or(1.0);
        self.parts.push(Part { weight: sign * weight, content });
        self.in_words = false;
    }

    fn words(&mut self, weight: Option<f32>, text: &str) {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.remark_on_glued_signs(&text);
        let follows = self.in_words && self.sign.is_none() && weight.is_none();
        if follows && let Some(Part { content: Content::Words(words), .. }) = self.parts.last_mut()
        {
            words.push(' ');
            words.push_str(&text);
            return;
        }
        self.part(weight.unwrap_or(1.0), Content::Words(text));
        self.in_words = true;
    }

    fn remark_on_glued_signs(&mut self, text: &str) {
        for word in text.split(' ') {
            let Some(rest) = word.strip_prefix(['-', '+']) else { continue };
            if rest.starts_with(char::is_alphabetic) {
                let sign = &word[..1];
                self.remarks.push(format!(
                    "{word:?} is read as a word; write \"{sign} {rest}\" with a space to {}",
                    if sign == "-" { "take it away" } else { "add it" }
                ));
            }
        }
    }

    fn end_of_words(&mut self) -> Result<()> {
        match self.sign {
            Some(sign) => {
                let sign = if sign < 0.0 { '-' } else { '+' };
                Err(Error::invalid(format!("nothing follows the {sign} at the end of the query")))
            }
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Parsed> {
        let mut parts = Vec::new();
        for part in self.parts {
            split_without(part, &mut parts, &mut self.remarks);
        }
        if parts.is_empty() {
            return Err(Error::invalid("the query is empty; give words, ./picture.jpg or id:NAME"));
        }
        Ok(Parsed { query: Query { parts }, remarks: self.remarks })
    }
}

/// A stretch between signs.
struct Term<'a> {
    /// Whether a sign stands before it (always, but for the first).
    signed: bool,
    sign: f32,
    text: &'a str,
}

/// Cuts at every `+` and `-` that has white space, or an end of the text, on both sides.
fn split_at_signs(text: &str) -> Vec<Term<'_>> {
    let mut terms = vec![Term { signed: false, sign: 1.0, text: "" }];
    let mut start = 0;
    for (place, sign) in lone_signs(text) {
        if let Some(term) = terms.last_mut() {
            term.text = text[start..place].trim();
        }
        terms.push(Term { signed: true, sign, text: "" });
        start = place + 1;
    }
    if let Some(term) = terms.last_mut() {
        term.text = text[start..].trim();
    }
    if terms.len() > 1 && terms[0].text.is_empty() {
        terms.remove(0);
    }
    terms
}

fn lone_signs(text: &str) -> Vec<(usize, f32)> {
    let is_space = |letter: Option<char>| letter.is_none_or(char::is_whitespace);
    text.match_indices(['+', '-'])
        .filter(|(place, _)| is_space(text[..*place].chars().next_back()))
        .filter(|(place, _)| is_space(text[place + 1..].chars().next()))
        .map(|(place, sign)| (place, if sign == "-" { -1.0 } else { 1.0 }))
        .collect()
}

fn starts_like_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// `0.5:blue` is half of "blue"; `16:9` and `a:b` are words.
fn split_weight(text: &str) -> (Option<f32>, &str) {
    let Some((number, rest)) = text.split_once(':') else { return (None, text) };
    let is_number = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let begins =
        rest.starts_with(|letter: char| !letter.is_ascii_digit() && !letter.is_whitespace());
    match number.parse::<f32>() {
        Ok(weight) if is_number && begins && weight.is_finite() => (Some(weight), rest),
        _ => (None, text),
    }
}

/// Reads "dress without sleeves" as `dress - sleeves` and says so.
fn split_without(part: Part, parts: &mut Vec<Part>, remarks: &mut Vec<String>) {
    let Content::Words(words) = &part.content else {
        parts.push(part);
        return;
    };
    let pieces = cut_at_without(words);
    let [kept, taken @ ..] = pieces.as_slice() else { return };
    if taken.is_empty() {
        parts.push(part);
        return;
    }
    if !kept.is_empty() {
        parts.push(Part { weight: part.weight, content: Content::Words(kept.clone()) });
    }
    for words in taken {
        remarks.push(format!("\"without {words}\" is understood as \"- {words}\""));
        parts.push(Part { weight: -1.0, content: Content::Words(words.clone()) });
    }
}

/// The words before the first "without" and after each; a "without" at the end is a plain word.
fn cut_at_without(text: &str) -> Vec<String> {
    let words: Vec<_> = text.split(' ').collect();
    let mut pieces: Vec<Vec<&str>> = vec![Vec::new()];
    for (place, word) in words.iter().enumerate() {
        let follows = words.get(place + 1).is_some_and(|next| !is_without(next));
        if is_without(word) && follows {
            pieces.push(Vec::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(word);
        }
    }
    pieces.iter().map(|piece| piece.join(" ")).collect()
}

fn is_without(word: &str) -> bool {
    word.eq_ignore_ascii_case("without")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Parsed> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        arguments(&words, &[], &|path| path == "./a - b.jpg")
    }

    fn understood(words: &[&str]) -> String {
        parse(words).unwrap().query.to_string()
    }

    #[test]
    fn words_beside_each_other_are_one_text() {
        let query = parse(&["red", "dress"]).unwrap().query;
        let words = Content::Words("red dress".to_owned());
        assert_eq!(query.parts, [Part { weight: 1.0, content: words }]);
    }

    #[test]
    fn signs_work_as_arguments_and_inside_quotes() {
        for words in [&["red dress", "-", "sleeves"][..], &["red  dress - sleeves"]] {
            let query = parse(words).unwrap().query;
            assert_eq!(query.to_string(), "red dress - sleeves");
            assert!(query.parts[1].weight < 0.0);
        }
    }

    #[test]
    fn a_picture_and_half_a_word_are_two_parts() {
        let query = parse(&["./shoe.jpg", "+", "0.5:blue"]).unwrap().query;
        assert_eq!(query.parts[0].content, Content::Picture("./shoe.jpg".into()));
        let blue = Content::Words("blue".to_owned());
        assert_eq!(query.parts[1], Part { weight: 0.5, content: blue });
        assert_eq!(query.to_string(), "./shoe.jpg + 0.5:blue");
    }

    #[test]
    fn words_after_a_picture_need_no_plus() {
        assert_eq!(understood(&["./shoe.jpg", "dark", "blue"]), "./shoe.jpg + dark blue");
    }

    #[test]
    fn a_weight_holds_for_the_words_that_follow_it() {
        assert_eq!(understood(&["red", "+", "0.5:sky", "blue"]), "red + 0.5:sky blue");
        assert_eq!(understood(&["red", "0.5:blue"]), "red + 0.5:blue");
    }

    #[test]
    fn an_item_is_named_by_id() {
        let query = parse(&["id:B0756MLWTH", "-", "2:id:a:b"]).unwrap().query;
        assert_eq!(query.parts[0].content, Content::Item("B0756MLWTH".into()));
        assert_eq!(query.parts[1], Part { weight: -2.0, content: Content::Item("a:b".into()) });
    }

    #[test]
    fn a_file_whose_name_holds_a_sign_is_that_file_if_it_exists() {
        assert_eq!(parse(&["./a - b.jpg"]).unwrap().query.parts.len(), 1);
        assert_eq!(parse(&["./c - b.jpg"]).unwrap().query.parts.len(), 2);
    }

    #[test]
    fn a_lone_dash_is_the_picture_on_standard_input() {
        assert_eq!(parse(&["-"]).unwrap().query.parts[0].content, Content::StandardInput);
    }

    #[test]
    fn pictures_of_the_flag_come_after_the_words() {
        let words = ["blue".to_owned()];
        let parsed = arguments(&words, &["shoe.jpg".into(), "-".into()], &|_| false).unwrap();
        let contents: Vec<_> = parsed.query.parts.into_iter().map(|part| part.content).collect();
        assert_eq!(contents[1], Content::Picture("shoe.jpg".into()));
        assert_eq!(contents[2], Content::StandardInput);
    }

    #[test]
    fn without_is_understood_as_minus_and_said() {
        let parsed = parse(&["dress", "Without", "long", "sleeves"]).unwrap();
        assert_eq!(parsed.query.to_string(), "dress - long sleeves");
        assert_eq!(
            parsed.remarks,
            ["\"without long sleeves\" is understood as \"- long sleeves\""]
        );
        assert_eq!(understood(&["dress without a without b"]), "dress - a - b");
        assert_eq!(understood(&["without"]), "without");
    }

    #[test]
    fn a_sign_glued_to_a_word_is_read_as_a_word_and_remarked_on() {
        let parsed = parse(&["red dress -sleeves"]).unwrap();
        assert_eq!(parsed.query.to_string(), "red dress -sleeves");
        assert!(parsed.remarks[0].contains("write \"- sleeves\" with a space"));
        assert!(parse(&["t-shirt size -5"]).unwrap().remarks.is_empty());
    }

    #[test]
    fn ratios_and_odd_numbers_are_words() {
        for words in ["16:9 poster", "a:b", "1.2.3:x", "inf:x", ":x", "5: x"] {
            let query = parse(&[words]).unwrap().query;
            assert_eq!(query.parts[0].content, Content::Words(words.to_owned()), "{words}");
        }
    }

    #[test]
    fn a_query_that_says_nothing_is_refused() {
        for words in [&[][..], &[" "], &["red", "-"], &["+", "-", "red"], &["0:red"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_line_of_a_file_is_read_as_one_quoted_argument() {
        let parsed = line("./a - b.jpg", &|_| true).unwrap();
        assert_eq!(parsed.query.parts.len(), 1);
        let parsed = line("red dress - 0.5:sleeves\r", &|_| false).unwrap();
        assert_eq!(parsed.query.to_string(), "red dress - 0.5:sleeves");
    }
}
