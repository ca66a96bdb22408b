//! Texts that hold HTML, as shops export them: tags and entities undone, nothing else touched.
//!
//! A text is changed only where it holds markup for certain: a tag of a name that HTML knows (or that
//! word processors write, `o:p`) with attributes as HTML writes them, a comment, or an entity that has
//! a meaning. So `5 < 6`, `a<b`, `x <y> z`, `<3` and `R&D` stay as they are, and a text without markup
//! is the same to the byte, white space too.
//!
//! Scripts and style sheets go with what is in them. Tags of blocks, `<br>` and `<li>` among them, part
//! words as they do on a page; those within a line, such as `<b>`, do not. Entities are undone twice
//! and tags looked for again after each time, because exports that encode what was encoded before
//! (`&amp;nbsp;`, `&lt;p&gt;`) are as common as those that do not.
//!
//! A parser of HTML was considered: it gives a tree of whatever it is given, and cannot say that a text
//! is none.

use std::borrow::Cow;

/// Tags within a line: what stands before and behind them is one word.
const INLINE: [&str; 35] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em",
    "font", "g-emoji", "i", "ins", "kbd", "mark", "nobr", "q", "s", "samp", "small", "span",
    "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "blink",
];

/// Tags that part words.
const PARTING: [&str; 83] = [
    "address",
    "area",
    "article",
    "aside",
    "audio",
    "base",
    "basefont",
    "blockquote",
    "body",
    "br",
    "button",
    "canvas",
    "caption",
    "center",
    "col",
    "colgroup",
    "datalist",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "embed",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "iframe",
    "img",
    "input",
    "label",
    "legend",
    "li",
    "link",
    "main",
    "map",
    "marquee",
    "menu",
    "meta",
    "nav",
    "noscript",
    "object",
    "ol",
    "optgroup",
    "option",
    "output",
    "p",
    "picture",
    "pre",
    "progress",
    "section",
    "select",
    "source",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "video",
    "path",
];

/// Tags whose content is no text.
const WITH_CONTENT: [&str; 3] = ["script", "style", "template"];

/// Attributes without a value.
const BARE: [&str; 14] = [
    "allowfullscreen",
    "async",
    "checked",
    "controls",
    "defer",
    "disabled",
    "hidden",
    "itemscope",
    "loop",
    "muted",
    "nowrap",
    "noshade",
    "required",
    "selected",
];

/// What programs mean by the numbers 128 to 159 in an entity: Windows-1252, as the HTML standard has
/// it. 0 for the five that mean nothing.
const WINDOWS: [u16; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017D, 0, 0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC,
    0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
];

/// A tag with more has none of them: what is not markup is to cost no more than a look.
const MOST_ATTRIBUTES: usize = 64;

/// Longest entity between its signs; the longest name that HTML has is
/// `CounterClockwiseContourIntegral`.
const LONGEST_ENTITY: usize = 32;

/// A text without its markup, each run of white space as one space; the text itself where it holds
/// none. What is nothing but markup becomes empty.
///
/// ```text
/// <p><strong>Red</strong>&nbsp;ball<br>5 &lt; 6</p>  ->  Red ball 5 < 6
/// ```
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let mut plain = Cow::Borrowed(text);
    undo(&mut plain, without_tags);
    for _ in 0..2 {
        if !undo(&mut plain, without_entities) {
            break;
        }
        undo(&mut plain, without_tags);
    }
    match plain {
        Cow::Borrowed(text) => Cow::Borrowed(text),
        Cow::Owned(text) => Cow::Owned(single_spaced(&text)),
    }
}

/// A text with its entities undone, twice where they were encoded twice.
pub(super) fn decoded(text: String) -> String {
    let mut decoded = Cow::Owned(text);
    let _ = undo(&mut decoded, without_entities) && undo(&mut decoded, without_entities);
    decoded.into_owned()
}

/// Each run of white space as one space, none at the ends.
pub(super) fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts what `step` makes of a text in its place; whether it made anything.
fn undo(text: &mut Cow<'_, str>, step: fn(&str) -> Option<String>) -> bool {
    let Some(after) = step(text) else { return false };
    *text = Cow::Owned(after);
    true
}

/// `None` where no entity has a meaning.
fn without_entities(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest[from..].find('&').map(|at| from + at) {
        match entity(&rest[at..]) {
            Some((length, meaning)) => {
                plain.push_str(&rest[..at]);
                plain.push_str(&meaning);
                rest = &rest[at + length..];
                from = 0;
            }
            None => from = at + 1,
        }
    }
    (rest.len() < text.len()).then(|| plain + rest)
}

/// The entity that a text begins with: how long it is and what it means.
fn entity(text: &str) -> Option<(usize, Cow<'_, str>)> {
    let window = &text.as_bytes()[1..text.len().min(LONGEST_ENTITY + 2)];
    let length = window.iter().position(|&byte| !is_of_entity(byte))?;
    let whole = text.get(..length + 2).filter(|whole| length > 0 && whole.ends_with(';'))?;
    let name = &whole[1..=length];
    if let Some(number) = name.strip_prefix('#') {
        return Some((whole.len(), String::from(numbered(number)?).into()));
    }
    let meaning = html_escape::decode_html_entities(whole);
    (meaning != whole).then_some((whole.len(), meaning))
}

fn is_of_entity(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'#'
}

/// The character of a number as an entity writes it; a blank for a control character.
fn numbered(number: &str) -> Option<char> {
    let number = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    match number {
        0 => None,
        128..160 => char::from_u32(WINDOWS[number as usize - 128].into()).filter(|&c| c != '\0'),
        _ => char::from_u32(number).map(|c| if c.is_control() { ' ' } else { c }),
    }
}

/// What a `<` begins.
enum Tag<'a> {
    /// A tag of this name in lower case, to leave out up to here.
    Named(Name<'a>, usize),
    /// A comment or a declaration, to leave out up to here.
    Aside(usize),
    /// Text that is marked as such: `before..end` of it is text, `after` is where it goes on.
    Text { before: usize, end: usize, after: usize },
}

struct Name<'a> {
    name: &'a str,
    opens: bool,
}

impl Name<'_> {
    fn is_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    fn is_known(&self) -> bool {
        // Not every name with a hyphen, though HTML allows it: people write <x-large>.
        let of_a_space = self.name.split_once(':').is_some_and(|(_, name)| !name.is_empty());
        of_a_space || self.is_of(&PARTING) || self.is_of(&INLINE) || self.is_of(&WITH_CONTENT)
    }
}

/// `None` where there are no tags.
fn without_tags(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest[from..].find('<').map(|at| from + at) {
        let Some(tag) = tag(&rest[at..]) else {
            from = at + 1;
            continue;
        };
        plain.push_str(&rest[..at]);
        let (parts, after) = match tag {
            Tag::Named(name, end) if name.opens && name.is_of(&WITH_CONTENT) => {
                (true, end + content(&rest[at + end..], name.name))
            }
            Tag::Named(name, end) => (!name.is_of(&INLINE), end),
            Tag::Aside(end) => (true, end),
            Tag::Text { before, end, after } => {
                plain.push_str(&rest[at + before..at + end]);
                (false, after)
            }
        };
        if parts {
            plain.push(' ');
        }
        rest = &rest[at + after..];
        from = 0;
    }
    (rest.len() < text.len()).then(|| plain + rest)
}

/// What a text that begins with `<` begins with, if that is markup.
fn tag(text: &str) -> Option<Tag<'_>> {
    let upto = |mark: &str, from: usize| text[from..].find(mark).map(|at| from + at);
    if text.starts_with("<!--") {
        return Some(Tag::Aside(upto("-->", 4).map_or(text.len(), |at| at + 3)));
    }
    if text.starts_with("<![CDATA[") {
        let end = upto("]]>", 9);
        let (end, after) = end.map_or((text.len(), text.len()), |end| (end, end + 3));
        return Some(Tag::Text { before: 9, end, after });
    }
    let declares = text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"));
    if declares || text.starts_with("<?xml") {
        let end = 2 + text[2..].find(['<', '>'])?;
        return text[end..].starts_with('>').then_some(Tag::Aside(end + 1));
    }
    let opens = !text[1..].starts_with('/');
    let start = if opens { 1 } else { 2 };
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-');
    let end = text[start..].find(|c: char| !of_name(c)).map_or(text.len(), |at| start + at);
    let name = Name { name: &text[start..end], opens };
    if !name.name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.is_known() {
        return None;
    }
    attributes(&text[end..]).map(|length| Tag::Named(name, end + length))
}

/// How long the attributes of a tag are, with the `>` at their end; of one that the text breaks off
/// in, all that is left. `None` for what HTML would not write.
fn attributes(text: &str) -> Option<usize> {
    let blank = |c: char| c.is_ascii_whitespace() || c == '/';
    let mut valued = false;
    let mut rest = text;
    for _ in 0..MOST_ATTRIBUTES {
        let parted = rest.trim_start_matches(blank);
        if parted.starts_with('>') {
            return Some(text.len() - parted.len() + 1);
        }
        let ends = |c: char| blank(c) || matches!(c, '=' | '>' | '<');
        let end = parted.find(ends)?;
        if end == 0 || parted.len() == rest.len() && !valued {
            return None;
        }
        let (name, after) = parted.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=') else {
            // Quotes that were doubled leave rubbish behind a value.
            let bare = BARE.iter().any(|bare| name.eq_ignore_ascii_case(bare));
            if after.starts_with('<') || !(valued || bare) {
                return None;
            }
            rest = after;
            continue;
        };
        valued = true;
        let value = value.trim_start();
        rest = if let quote @ ('"' | '\'') = value.chars().next()? {
            match value[1..].find(quote) {
                Some(end) => &value[end + 2..],
                // A quote that is never closed: the tag ends as soon as it can.
                None => {
                    return Some(
                        value
                            .find('>')
                            .map_or(text.len(), |end| text.len() - value.len() + end + 1),
                    );
                }
            }
        } else {
            let end = |c: char| c.is_ascii_whitespace() || matches!(c, '<' | '>');
            let (_, after) = value.split_at(value.find(end)?);
            after
        };
        if rest.starts_with('<') {
            return None;
        }
    }
    None
}

/// How much of a text belongs to a script or a style sheet that was opened before it, the tag that
/// closes it included: all of it where none does.
fn content(text: &str, name: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("</").map(|at| from + at) {
        let closing = &text[at + 2..];
        if closing.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
            return closing.find('>').map_or(text.len(), |end| at + 2 + end + 1);
        }
        from = at + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn assert_cleaned(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(plain(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_description_of_a_shop_is_what_its_page_shows() {
        assert_cleaned(&[
            (
                "<div class=\"rte\"><p><strong>Red</strong>&nbsp;ball for kids.</p><ul><li>Colour:&nbsp;red\
                 </li><li>Made in EU</li></ul><script>var t=(new Date()).getTime();</script></div>",
                "Red ball for kids. Colour: red Made in EU",
            ),
            ("Red ball &ndash; 5&quot; &amp; up", "Red ball – 5\" & up"),
            ("<STYLE>p{color:red}</STYLE>Soft<br/>wool<BR>coat", "Soft wool coat"),
            ("a<!-- <b>never</b> shown -->b", "a b"),
            ("<!DOCTYPE html><?xml version=\"1.0\"?><title>Hat</title>", "Hat"),
            ("<![CDATA[Red hat]]> for 5 < 6", "Red hat for 5 < 6"),
            ("<o:p></o:p>Coat", "Coat"),
            ("<p>&nbsp;</p>", ""),
        ]);
    }

    #[test]
    fn tags_of_blocks_part_words_and_those_within_a_line_do_not() {
        assert_cleaned(&[
            ("T-<b>Shirt</b>s", "T-Shirts"),
            ("cotton</p><p>wool", "cotton wool"),
            ("<td>S</td><td>M</td>", "S M"),
            ("red<img src=x.png alt='a > b'>blue", "red blue"),
            ("<a href=http://x/y?a=1&b=2>shop</a>s", "shops"),
        ]);
    }

    #[test]
    fn entities_are_names_numbers_and_both_once_more() {
        assert_cleaned(&[
            ("M&uuml;tze &#8364;&#x20AC; &#150;&#146;", "Mütze €€ –’"),
            ("Lace &amp;amp; Tip&amp;#39;s&amp;nbsp;hat", "Lace & Tip's hat"),
            ("&lt;p&gt;Red&lt;br&gt;hat&lt;/p&gt;", "Red hat"),
            ("&amp;lt;b&amp;gt;Red&amp;lt;/b&amp;gt; hat", "Red hat"),
            ("5 &lt; 6 &amp; a&lt;b", "5 < 6 & a<b"),
            ("bell&#7;&#27;[31m", "bell [31m"),
        ]);
    }

    #[test]
    fn what_only_looks_like_markup_stays() {
        for text in [
            "5 < 6",
            "a<b",
            "a<b and c>d",
            "if x<i then y>z",
            "x <y> z",
            "I <3 it",
            "<",
            "</",
            "<>",
            "< p >",
            "<-- look",
            "R&D;",
            "AT&T",
            "&",
            "&;",
            "&#;",
            "&#x;",
            "&#0;",
            "&#1114112;",
            "&nosuch; thing",
            "a && b",
            "?a=1&copy=2",
            "me <me@example.org>",
            "size<42>",
            "<b",
            "big <b",
            "  two  blanks\tand a tab ",
            "größer < kleiner & mehr",
        ] {
            assert!(
                matches!(plain(text), Cow::Borrowed(same) if same == text),
                "{text}: {}",
                plain(text)
            );
        }
    }

    #[test]
    fn a_text_that_breaks_off_within_markup_ends_before_it() {
        assert_cleaned(&[
            ("Red ball <a href=\"http://shop.exa", "Red ball"),
            ("Red ball<script>var t = 5;", "Red ball"),
            ("Red ball <!-- to do", "Red ball"),
            ("Red <a href=\"x>ball</a>", "Red ball"),
        ]);
    }

    #[test]
    fn texts_without_markup_are_the_same_to_the_byte() {
        // Everything but letters directly behind `<` and a `;` behind `&`, and all white space.
        const SIGNS: [&str; 16] = [
            "< ", "<=", "<3", "& ", "&&", ">", "/", "\"", "'", "=", "#", " ", "\t", "\n", "--", "!",
        ];
        const WORDS: [&str; 8] = ["red", "p", "br", "script", "größe", "シャツ", "42", "قميص"];
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let length = rng.usize(0..12);
            let text: String = (0..length)
                .map(|_| {
                    if rng.bool() {
                        *rng.choice(&SIGNS).unwrap()
                    } else {
                        *rng.choice(&WORDS).unwrap()
                    }
                })
                .collect();
            assert!(matches!(plain(&text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    #[test]
    fn whatever_a_text_is_its_words_outside_of_markup_stay() {
        const PARTS: [&str; 14] = [
            "<p>",
            "</p>",
            "<br>",
            "<b class=\"x\">",
            "</b>",
            "&amp;",
            "&nbsp;",
            "<!-- x -->",
            "<script>y</script>",
            " ",
            "5 < 6",
            "<style>",
            "</style>",
            "&#65;",
        ];
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..5_000 {
            let mut text = String::new();
            let mut words = 0;
            for _ in 0..rng.usize(1..10) {
                text += rng.choice(&PARTS).unwrap();
                // Behind a style sheet that is never closed there is no text.
                if !text.contains("<style>") {
                    text += " ball ";
                    words += 1;
                }
            }
            let plain = plain(&text);
            assert_eq!(plain.matches("ball").count(), words, "{text:?}: {plain:?}");
            assert!(!plain.contains("<p>") && !plain.contains("&nbsp;") && !plain.contains('y'));
        }
    }

    #[test]
    fn long_rubbish_is_cleaned_at_once() {
        for part in [
            "<",
            "<a x=",
            "<a x=\"",
            "<a x='>",
            "<!-",
            "&",
            "&#",
            "<script></scrip",
            "<p ",
            "</p",
            "&amp;amp;",
        ] {
            let text = part.repeat(1_000_000 / part.len());
            let start = Instant::now();
            assert!(plain(&text).len() <= text.len());
            assert!(start.elapsed() < Duration::from_secs(3), "{part}: {:?}", start.elapsed());
        }
    }
}
