//! From a text, or the arguments of a command, to a [`Query`].
//!
//! A `+` or `-` that stands alone begins a new part; a path or `id:` is a part of its own; words
//! that stand beside each other are one text. An argument that a shell was given in quotes may hold
//! a whole query (`"red dress - sleeves"`), but a path may hold spaces and even ` - `: whether an
//! argument is the name of a file is for the caller to say ([`Argument::Part`]), because nothing
//! here looks at a disk.

use crate::error::{Error, Result};

use super::query::{Content, Part, Query};
use super::references::Allowed;

/// Beside a part of this weight the others are nothing, and sums stay finite.
const MOST_WEIGHT: f32 = 1e6;

/// A query and what should be said about how it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The query.
    pub query: Query,
    /// Sentences such as `"without sleeves" is understood as "- sleeves"`.
    pub remarks: Vec<String>,
}

/// One argument of a query that comes in pieces, as from a command line.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Text: a word, a sign, or a whole query.
    Text(String),
    /// A part that the caller knows already, with weight 1 or that of the sign before it.
    Part(Content),
}

impl Query {
    /// Reads a text; `allowed` says what it may refer to.
    ///
    /// ```
    /// use looksee::search::{Allowed, Query};
    ///
    /// assert_eq!(Query::parse("dress without sleeves", Allowed::WORDS)?.remarks.len(), 1);
    /// assert!(Query::parse("./shoe.jpg", Allowed::WORDS_AND_ITEMS).is_err());
    /// # Ok::<(), looksee::Error>(())
    /// ```
    pub fn parse(text: &str, allowed: Allowed) -> Result<Parsed> {
        Self::from_arguments([Argument::Text(text.trim().to_owned())], allowed)
    }

    /// Reads the arguments of a command: [`Query::parse`] for a query in pieces.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = Argument>,
        allowed: Allowed,
    ) -> Result<Parsed> {
        let mut reader = Reader::default();
        for argument in arguments {
            match argument {
                Argument::Text(text) => reader.text(&text)?,
                Argument::Part(content) => reader.part(1.0, content),
            }
        }
        reader.finish(allowed)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    parts: Vec<Part>,
    remarks: Vec<String>,
    /// A `+` (1) or `-` (-1) that waits for its part.
    sign: Option<f32>,
    /// The last part is words and further words belong to it.
    in_words: bool,
}

impl Reader {
    fn text(&mut self, text: &str) -> Result<()> {
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
            self.part(weight.unwrap_or(1.0), Content::File(rest.into()));
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

    fn finish(mut self, allowed: Allowed) -> Result<Parsed> {
        if let Some(sign) = self.sign {
            let sign = if sign < 0.0 { '-' } else { '+' };
            let sentence = format!("nothing follows the {sign} at the end of the query");
            return Err(Error::invalid(sentence));
        }
        let mut parts = Vec::new();
        for part in self.parts {
            split_without(part, &mut parts, &mut self.remarks);
        }
        if parts.is_empty() {
            return Err(Error::invalid("the query is empty; give words, ./picture.jpg or id:NAME"));
        }
        let query = Query { parts };
        query.check(allowed)?;
        Ok(Parsed { query, remarks: self.remarks })
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

/// Whether a text begins as the path of a file does in a query: with `/`, `./` or `../`.
pub fn starts_like_path(text: &str) -> bool {
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
        let argument = |&word: &&str| Argument::Text(word.to_owned());
        Query::from_arguments(words.iter().map(argument), Allowed::LOCAL)
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
        assert_eq!(query.parts[0].content, Content::File("./shoe.jpg".into()));
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
    fn a_part_that_the_caller_knows_is_not_taken_apart() {
        assert_eq!(parse(&["./c - b.jpg"]).unwrap().query.parts.len(), 2);
        let text = |text: &str| Argument::Text(text.to_owned());
        let file = Content::File("./a - b.jpg".into());
        let arguments = [text("blue"), text("-"), Argument::Part(file.clone()), text("dark")];
        let query = Query::from_arguments(arguments, Allowed::LOCAL).unwrap().query;
        assert_eq!(query.parts[1], Part { weight: -1.0, content: file });
        assert_eq!(query.to_string(), "blue - ./a - b.jpg + dark");
    }

    #[test]
    fn what_is_not_allowed_is_refused_by_its_name() {
        for (text, allowed) in [
            ("./shoe.jpg", Allowed::WORDS_AND_ITEMS),
            ("/etc/passwd", Allowed { uploads: 3, ..Allowed::WORDS_AND_ITEMS }),
            ("red + 2:../x.png", Allowed::WORDS_AND_ITEMS),
            ("id:B07", Allowed::WORDS),
        ] {
            let error = Query::parse(text, allowed).unwrap_err().to_string();
            assert!(error.contains("allowed here") || error.contains("must not refer"), "{error}");
        }
        assert!(Query::parse("id:B07", Allowed::WORDS_AND_ITEMS).is_ok());
    }

    #[test]
    fn reading_a_query_asks_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a - b.jpg");
        std::fs::write(&path, "").unwrap();
        let text = path.to_str().unwrap();
        let parts = |text: &str| Query::parse(text, Allowed::LOCAL).unwrap().query.parts;
        let with_the_file = parts(text);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(with_the_file, parts(text));
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
    fn a_text_is_read_as_one_quoted_argument() {
        let parsed = Query::parse("red dress - 0.5:sleeves\r", Allowed::WORDS).unwrap();
        assert_eq!(parsed.query.to_string(), "red dress - 0.5:sleeves");
    }
}
