//! Filter expressions over an item's fields.
//!
//! The command line (`--where`), the catalogue and the index all ask the same question of an item's
//! fields, so it is parsed once, here, and answered here. The language is the part of SQL's `where`
//! that people type from memory; there are no functions and no arithmetic, so a filter from a
//! stranger can do nothing but compare.
//!
//! ```text
//! condition  = and-part { "or" and-part }
//! and-part   = not-part { "and" not-part }
//! not-part   = "not" not-part | "(" condition ")" | test
//! test       = field ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
//!            | field [ "not" ] "in" "(" value { "," value } ")"
//!            | field [ "not" ] ( "like" | "contains" ) text
//!            | field "is" [ "not" ] "null"
//! field      = letters, digits, "_", ".", "-"  |  "`" anything "`"
//! value      = text in '..' or ".." | number | true | false
//! ```
//!
//! * Texts compare without regard to case. In `like`, `%` stands for any run of characters and `_`
//!   for one.
//! * A number compares with a number, or with a text that is one: `"19.49" < 20` holds, and
//!   `"$19.49" < 20` does not, because that is a text.
//! * A list passes when one of its elements does.
//! * A field that is missing or null passes only `!=`, `not` and `is null`.
//! * `details.Color` is the field of that name or, failing that, `Color` within `details`.

use std::cmp::Ordering;

use serde_json::Value;

use crate::error::{Error, Result};

/// The fields of an item by name, as the catalogue has them.
pub type Fields = serde_json::Map<String, Value>;

/// Parentheses and `not`s within each other; bounds the stack of the parser and of a match.
const MAX_DEPTH: usize = 64;

/// A parsed condition such as `color = "red" and price < 20 and not brand in ("x", "y")`.
///
/// ```
/// use looksee::filter::{Fields, Filter};
/// let filter = Filter::parse("color = 'red' and price < 20")?;
/// let mut fields = Fields::new();
/// fields.insert("color".into(), "Red".into());
/// fields.insert("price".into(), 19.49.into());
/// assert!(filter.matches(&fields));
/// # Ok::<(), looksee::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: Condition,
}

impl Filter {
    /// Parses an expression; the error names the column and what was expected there.
    pub fn parse(text: &str) -> Result<Self> {
        let tokens = tokenize(text)?;
        if tokens.is_empty() {
            return Err(Error::invalid(
                "the filter is empty: expected a condition such as price < 20",
            ));
        }
        let mut parser = Parser { text, tokens, next: 0, clause: 0, depth: 0 };
        let root = parser.condition()?;
        match parser.peek() {
            None => Ok(Self { root }),
            Some(_) => Err(parser.expected("\"and\", \"or\" or the end")),
        }
    }

    /// Whether an item with these fields passes.
    pub fn matches(&self, fields: &Fields) -> bool {
        self.root.holds(fields)
    }

    /// The names of all fields the expression reads, in order of appearance, each once.
    pub fn field_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.collect_names(&mut names);
        names
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Test { field: String, test: Test },
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Compare(Comparison, Literal),
    In(Vec<Literal>),
    /// A lower-case pattern with `%` and `_`.
    Like(Vec<char>),
    /// A lower-case text.
    Contains(String),
    IsNull,
}

/// `!=` is the negation of `Equal`, so that it passes where the field is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    /// In lower case.
    Text(String),
    Number(f64),
    Flag(bool),
}

impl Condition {
    fn holds(&self, fields: &Fields) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(fields)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(fields)),
            Self::Not(part) => !part.holds(fields),
            Self::Test { field, test } => test.holds(lookup(fields, field)),
        }
    }

    fn collect_names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.collect_names(names);
                }
            }
            Self::Not(part) => part.collect_names(names),
            Self::Test { field, .. } if names.contains(&field.as_str()) => {}
            Self::Test { field, .. } => names.push(field),
        }
    }
}

/// The field called `name`, or the one reached by taking `name` apart at its dots.
pub(crate) fn lookup<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    if let Some(value) = fields.get(name) {
        return Some(value);
    }
    let (head, rest) = name.split_once('.')?;
    lookup(fields.get(head)?.as_object()?, rest)
}

/// Whether the field `known` is the one called `name`, or one that `name` may lead into.
pub(crate) fn may_reach(known: &str, name: &str) -> bool {
    name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The texts, numbers and flags of a field, as they are shown; of a list those of its elements.
pub(crate) fn shown_values(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null | Value::Object(_)) => Vec::new(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(elements)) => {
            elements.iter().flat_map(|element| shown_values(Some(element))).collect()
        }
        Some(value @ (Value::Number(_) | Value::Bool(_))) => vec![value.to_string()],
    }
}

/// Where a field's value stands among others: numbers and texts that are numbers, other texts
/// without regard to case, flags.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rank {
    Number(f64),
    Text(String),
    Flag(bool),
}

impl Rank {
    /// The rank of a value, or of a list's first element; `None` where there is nothing to order.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::String(text) => {
                Some(number_in(text).map_or_else(|| Self::Text(fold(text)), Self::Number))
            }
            Value::Bool(flag) => Some(Self::Flag(*flag)),
            Value::Array(elements) => elements.first().and_then(Self::of),
            Value::Null | Value::Object(_) => None,
        }
    }

    /// Orders ranks of different kinds.
    fn kind(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Text(_) => 1,
            Self::Flag(_) => 2,
        }
    }

    /// How two ranks stand to each other.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::IsNull, value) => value.is_none_or(Value::is_null),
            (_, None | Some(Value::Null)) => false,
            (_, Some(Value::Array(elements))) => {
                elements.iter().any(|element| self.holds(Some(element)))
            }
            (Self::Compare(comparison, literal), Some(value)) => {
                order(value, literal).is_some_and(|order| comparison.admits(order))
            }
            (Self::In(literals), Some(value)) => {
                literals.iter().any(|literal| order(value, literal) == Some(Ordering::Equal))
            }
            (Self::Like(pattern), Some(value)) => {
                text_of(value).is_some_and(|text| is_like(&text, pattern))
            }
            (Self::Contains(part), Some(value)) => {
                text_of(value).is_some_and(|text| text.contains(part.as_str()))
            }
        }
    }
}

impl Comparison {
    fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// How `value` stands to `literal`; `None` where the two cannot be compared.
fn order(value: &Value, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(number), Literal::Number(bound)) => number.as_f64()?.partial_cmp(bound),
        (Value::String(text), Literal::Number(bound)) => number_in(text)?.partial_cmp(bound),
        (Value::Number(number), Literal::Text(text)) => {
            number.as_f64()?.partial_cmp(&number_in(text)?)
        }
        (Value::String(text), Literal::Text(bound)) => Some(fold(text).as_str().cmp(bound)),
        (Value::Bool(flag), Literal::Flag(bound)) => Some(flag.cmp(bound)),
        (Value::Bool(flag), Literal::Text(text)) => Some(flag_name(*flag).cmp(text)),
        (Value::String(text), Literal::Flag(flag)) => {
            Some(fold(text).as_str().cmp(flag_name(*flag)))
        }
        _ => None,
    }
}

fn flag_name(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

fn number_in(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A single value as lower-case text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(fold(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag_name(*flag).to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// SQL's `like`: at a mismatch the latest `%` takes one character more.
fn is_like(text: &str, pattern: &[char]) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        if pattern.get(p) == Some(&'%') {
            retry = Some((at, p));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == '_' || *c == text[at]) {
            (at, p) = (at + 1, p + 1);
        } else if let Some((taken, percent)) = retry {
            retry = Some((taken + 1, percent));
            (at, p) = (taken + 1, percent + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A bare word: a field, a keyword or a flag.
    Word,
    /// A field in backquotes.
    Quoted(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

/// One token and the bytes it was read from.
#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

const SYMBOLS: [&str; 11] = ["==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];

const KEYWORDS: [&str; 8] = ["and", "or", "not", "in", "like", "contains", "is", "null"];

fn column(text: &str, byte: usize) -> usize {
    text[..byte].chars().count() + 1
}

fn tokenize(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        if first.is_whitespace() {
            start += first.len_utf8();
            continue;
        }
        let (kind, length) = token(text, start, first)?;
        tokens.push(Token { kind, start, end: start + length });
        start += length;
    }
    Ok(tokens)
}

/// The token at byte `start` and its length in bytes.
fn token(text: &str, start: usize, first: char) -> Result<(Kind, usize)> {
    let rest = &text[start..];
    if matches!(first, '"' | '\'' | '`') {
        let (content, length) = quoted(rest, first).ok_or_else(|| {
            let column = column(text, start);
            Error::invalid(format!("the {first} at column {column} is never closed"))
        })?;
        let kind = if first == '`' { Kind::Quoted(content) } else { Kind::Text(content) };
        return Ok((kind, length));
    }
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
        return Ok((Kind::Symbol(symbol), symbol.len()));
    }
    let length = word_length(rest);
    if length == 0 {
        let column = column(text, start);
        return Err(Error::invalid(format!(
            "unexpected {first} at column {column}: expected a field, a value, an operator or a parenthesis"
        )));
    }
    let kind = match number_in(&rest[..length]) {
        Some(number) if !first.is_alphabetic() => Kind::Number(number),
        _ => Kind::Word,
    };
    Ok((kind, length))
}

/// Text up to the closing `quote`, which is doubled or follows a backslash within the text.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Some((content, at + c.len_utf8()));
        }
        let escaped = (c == '\\' && quote != '`')
            .then(|| chars.next_if(|(_, next)| *next == quote || *next == '\\'))
            .flatten();
        content.push(escaped.map_or(c, |(_, escaped)| escaped));
    }
    None
}

/// Bytes of the word or number that `rest` begins with; `+` belongs to it after an exponent's `e`.
fn word_length(rest: &str) -> usize {
    let mut before = ' ';
    let starts_number =
        rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    for (at, c) in rest.char_indices() {
        let sign = c == '+' && (at == 0 || (starts_number && matches!(before, 'e' | 'E')));
        if !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-') || sign) {
            return at;
        }
        before = c;
    }
    rest.len()
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// Number of the next token.
    next: usize,
    /// Number of the token that began the test being read; an error quotes from here.
    clause: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn peek_word(&self) -> Option<&str> {
        self.peek().filter(|token| token.kind == Kind::Word).map(|t| &self.text[t.start..t.end])
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        self.peek_word().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token { kind: Kind::Symbol(s), .. }) if *s == symbol);
        self.next += usize::from(found);
        found
    }

    /// The error for a next token that is not `what`.
    fn expected(&self, what: &str) -> Error {
        let (found, at) = match self.peek() {
            Some(token) => (shortened(&self.text[token.start..token.end]), token.start),
            None => ("end".to_owned(), self.text.len()),
        };
        let before = if self.next == 0 {
            String::new()
        } else {
            let first = self.clause.min(self.next - 1);
            let clause = &self.text[self.tokens[first].start..self.tokens[self.next - 1].end];
            format!(" after \"{}\"", shortened_front(clause))
        };
        let column = column(self.text, at);
        Error::invalid(format!("expected {what}{before} at column {column} (found {found})"))
    }

    fn condition(&mut self) -> Result<Condition> {
        let mut parts = vec![self.and_part()?];
        while self.take_keyword("or") {
            parts.push(self.and_part()?);
        }
        Ok(single_or(parts, Condition::Any))
    }

    fn and_part(&mut self) -> Result<Condition> {
        let mut parts = vec![self.not_part()?];
        while self.take_keyword("and") {
            parts.push(self.not_part()?);
        }
        Ok(single_or(parts, Condition::All))
    }

    fn not_part(&mut self) -> Result<Condition> {
        self.clause = self.next;
        if self.take_keyword("not") {
            return self.deeper(|parser| Ok(negated(parser.not_part()?)));
        }
        if self.take_symbol("(") {
            return self.deeper(|parser| {
                let inner = parser.condition()?;
                if parser.take_symbol(")") { Ok(inner) } else { Err(parser.expected("\")\"")) }
            });
        }
        self.test()
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Condition>) -> Result<Condition> {
        if self.depth == MAX_DEPTH {
            return Err(Error::invalid(format!(
                "the filter nests deeper than {MAX_DEPTH} parentheses and \"not\"s; write it flatter"
            )));
        }
        self.depth += 1;
        let condition = read(self);
        self.depth -= 1;
        condition
    }

    fn test(&mut self) -> Result<Condition> {
        let field = self.field()?;
        if self.take_keyword("is") {
            let negate = self.take_keyword("not");
            if !self.take_keyword("null") {
                return Err(self.expected("\"null\""));
            }
            return Ok(negated_if(negate, field, Test::IsNull));
        }
        if self.take_keyword("not") {
            let test = self.word_test()?.ok_or_else(|| self.expected("in, like or contains"))?;
            return Ok(negated_if(true, field, test));
        }
        if let Some(test) = self.word_test()? {
            return Ok(negated_if(false, field, test));
        }
        let (comparison, negate) = self.operator()?;
        let literal = self.literal()?;
        Ok(negated_if(negate, field, Test::Compare(comparison, literal)))
    }

    fn field(&mut self) -> Result<String> {
        let name = match self.peek() {
            Some(Token { kind: Kind::Quoted(name), .. }) => name.clone(),
            Some(Token { kind: Kind::Word, start, end }) => self.text[*start..*end].to_owned(),
            _ => return Err(self.expected("a field name")),
        };
        let bare = self.peek_word().is_some();
        if bare && KEYWORDS.iter().any(|keyword| name.eq_ignore_ascii_case(keyword)) {
            return Err(self.expected("a field name"));
        }
        self.next += 1;
        Ok(name)
    }

    /// The tests that are spelled with a word: `in`, `like`, `contains`.
    fn word_test(&mut self) -> Result<Option<Test>> {
        if self.take_keyword("in") {
            return self.list().map(|literals| Some(Test::In(literals)));
        }
        if self.take_keyword("like") {
            return Ok(Some(Test::Like(self.pattern()?.chars().collect())));
        }
        if self.take_keyword("contains") {
            return Ok(Some(Test::Contains(self.pattern()?)));
        }
        Ok(None)
    }

    fn operator(&mut self) -> Result<(Comparison, bool)> {
        let Some(Token { kind: Kind::Symbol(symbol), .. }) = self.peek() else {
            return Err(self.expected("an operator (=, !=, <, in, like, is null, ...)"));
        };
        let operator = match *symbol {
            "=" | "==" => (Comparison::Equal, false),
            "!=" | "<>" => (Comparison::Equal, true),
            "<" => (Comparison::Less, false),
            "<=" => (Comparison::LessOrEqual, false),
            ">" => (Comparison::Greater, false),
            ">=" => (Comparison::GreaterOrEqual, false),
            _ => return Err(self.expected("an operator (=, !=, <, in, like, is null, ...)")),
        };
        self.next += 1;
        Ok(operator)
    }

    fn literal(&mut self) -> Result<Literal> {
        let literal = match self.peek().map(|token| &token.kind) {
            Some(Kind::Text(text)) => Literal::Text(fold(text)),
            Some(Kind::Number(number)) => Literal::Number(*number),
            _ if self.at_keyword("true") => Literal::Flag(true),
            _ if self.at_keyword("false") => Literal::Flag(false),
            _ if self.at_keyword("null") => {
                return Err(self.expected("a value, or \"is null\" instead of an operator,"));
            }
            Some(Kind::Word) => return Err(self.expected("a number or a text in quotes")),
            _ => return Err(self.expected("a value")),
        };
        self.next += 1;
        Ok(literal)
    }

    fn list(&mut self) -> Result<Vec<Literal>> {
        if !self.take_symbol("(") {
            return Err(self.expected("\"(\""));
        }
        let mut literals = vec![self.literal()?];
        while self.take_symbol(",") {
            literals.push(self.literal()?);
        }
        if self.take_symbol(")") { Ok(literals) } else { Err(self.expected("\",\" or \")\"")) }
    }

    /// The text after `like` and `contains`, in lower case.
    fn pattern(&mut self) -> Result<String> {
        let Some(Token { kind: Kind::Text(text), .. }) = self.peek() else {
            return Err(self.expected("a text in quotes"));
        };
        let text = fold(text);
        self.next += 1;
        Ok(text)
    }
}

fn single_or(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn negated(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn negated_if(negate: bool, field: String, test: Test) -> Condition {
    let condition = Condition::Test { field, test };
    if negate { negated(condition) } else { condition }
}

const SHOWN: usize = 40;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn shortened_front(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHOWN {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count - SHOWN).collect();
    format!("...{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn passes(expression: &str, fields: &Value) -> bool {
        let filter = Filter::parse(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        filter.matches(fields.as_object().unwrap())
    }

    fn fails(expression: &str) -> String {
        Filter::parse(expression).unwrap_err().to_string()
    }

    fn dress() -> Value {
        json!({
            "color": "Red", "price": 19.49, "brand": "Acme", "sizes": ["S", "M", 42],
            "note": null, "year": "2012", "tag": "$19.49", "new": true, "sold": "False",
            "details": {"Color": "Scarlet"}, "net weight": 3,
        })
    }

    #[test]
    fn comparisons_join_by_and_or_not_with_the_usual_precedence() {
        let dress = dress();
        assert!(passes("color = \"red\" and price < 20 and not brand in (\"x\", \"y\")", &dress));
        assert!(passes("color = 'blue' and price > 100 or brand == 'ACME'", &dress));
        assert!(!passes("color = 'blue' and (price > 100 or brand = 'ACME')", &dress));
        assert!(passes("not color = 'blue' and price >= 19.49", &dress));
        assert!(passes("NOT (color = 'blue' OR price <= 19)", &dress));
    }

    #[test]
    fn text_compares_without_case_and_numbers_by_value() {
        let dress = dress();
        assert!(passes("brand = 'acme'", &dress));
        assert!(passes("color in ('BLUE', 'RED')", &dress));
        assert!(passes("brand < 'b'", &dress));
        assert!(passes("year < 2013", &dress) && passes("year = 2012.0", &dress));
        assert!(passes("price = '19.49'", &dress));
        assert!(!passes("tag < 20", &dress) && !passes("tag > 1", &dress));
        assert!(passes("tag = '$19.49'", &dress));
        assert!(passes("price > -5 and price < 1e+3", &dress));
    }

    #[test]
    fn flags_are_found_as_flags_and_as_text() {
        let dress = dress();
        assert!(passes("new = true and new = 'true' and new != false", &dress));
        assert!(passes("sold = false", &dress));
        assert!(!passes("price = true", &dress));
    }

    #[test]
    fn a_missing_field_passes_only_negations_and_is_null() {
        let dress = dress();
        for expression in
            ["size = 1", "size < 1", "size in (1)", "size like '%'", "size is not null"]
        {
            assert!(!passes(expression, &dress), "{expression}");
        }
        for expression in [
            "size != 1",
            "size <> 1",
            "not size = 1",
            "size not in (1)",
            "size is null",
            "note is null",
            "note != 1",
        ] {
            assert!(passes(expression, &dress), "{expression}");
        }
        assert!(passes("color is not null", &dress));
    }

    #[test]
    fn a_list_passes_when_one_of_its_elements_does() {
        let dress = dress();
        assert!(passes("sizes = 'm' and sizes = 42 and sizes in ('x', 's')", &dress));
        assert!(!passes("sizes != 'm'", &dress));
        assert!(passes("sizes != 'XL'", &dress));
        assert!(!passes("sizes = 'm'", &json!({"sizes": []})));
    }

    #[test]
    fn like_and_contains_search_within_texts() {
        let title = json!({"title": "Plaid Print Mock-Neck Blouse 50%"});
        assert!(passes("title like '%print%'", &title));
        assert!(passes("title like 'plaid%blouse%'", &title));
        assert!(passes("title like '_laid%'", &title));
        assert!(!passes("title like 'print'", &title));
        assert!(!passes("title like '%print'", &title));
        assert!(passes("title contains 'MOCK-neck' and title contains '50%'", &title));
        assert!(passes("title not like '%dress%' and title not contains 'dress'", &title));
        assert!(passes("price like '19%'", &json!({"price": 19.5})));
        let long = json!({"title": "a".repeat(10_000)});
        assert!(!passes(&format!("title like '{}b'", "%a".repeat(30)), &long));
    }

    #[test]
    fn fields_are_reached_in_backquotes_and_through_dots() {
        let dress = dress();
        assert!(passes("`net weight` = 3", &dress));
        assert!(passes("details.Color = 'scarlet'", &dress));
        assert!(passes("details.Size is null", &dress));
        assert!(passes("`in` = 1 and größe-2 = 5", &json!({"in": 1, "größe-2": 5})));
        assert!(passes("a.b = 1", &json!({"a.b": 1, "a": {"b": 2}})));
    }

    #[test]
    fn quotes_within_a_text_are_doubled_or_escaped() {
        let screen = json!({"title": "the \"5\\6\" it's"});
        assert!(passes("title = 'the \"5\\\\6\" it''s'", &screen));
        assert!(passes(r#"title = "the \"5\\6\" it's""#, &screen));
        assert!(passes(r#"title = "the ""5\6"" it's""#, &screen));
    }

    #[test]
    fn field_names_come_in_order_each_once() {
        let filter =
            Filter::parse("b = 1 or not (a.c in (2) and b is null) and `d e` < 3").unwrap();
        assert_eq!(filter.field_names(), ["b", "a.c", "d e"]);
    }

    #[test]
    fn errors_name_the_column_and_what_was_expected() {
        assert_eq!(fails("price < "), "expected a value after \"price <\" at column 9 (found end)");
        assert_eq!(
            fails("color = red"),
            "expected a number or a text in quotes after \"color =\" at column 9 (found red)"
        );
        assert_eq!(
            fails("price 20"),
            "expected an operator (=, !=, <, in, like, is null, ...) after \"price\" at column 7 (found 20)"
        );
        assert_eq!(fails("5 < price"), "expected a field name at column 1 (found 5)");
        assert_eq!(
            fails("price < 5 color = 'x'"),
            "expected \"and\", \"or\" or the end after \"price < 5\" at column 11 (found color)"
        );
        assert_eq!(fails("größe in 5"), "expected \"(\" after \"größe in\" at column 10 (found 5)");
        assert_eq!(fails("(a = 1"), "expected \")\" after \"a = 1\" at column 7 (found end)");
        assert_eq!(fails("color = 'red"), "the ' at column 9 is never closed");
        assert!(fails("a & b").starts_with("unexpected & at column 3"));
        assert!(fails("color = null").contains("is null"));
        assert!(fails("a = 1 and").contains("expected a field name after \"and\" at column 10"));
        assert_eq!(fails("  "), "the filter is empty: expected a condition such as price < 20");
    }

    #[test]
    fn deep_nesting_is_refused_and_long_chains_are_not() {
        let deep = format!("{}a = 1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(fails(&deep).contains("nests deeper than 64"));
        assert!(fails(&"not ".repeat(100_000)).contains("nests deeper"));
        let chain = vec!["a = 1"; 20_000].join(" and ");
        assert!(passes(&chain, &json!({"a": 1})));
    }

    #[test]
    fn rubbish_never_panics() {
        let mut rng = crate::units::Seed(7).stream("filter rubbish", 0);
        let pieces = [
            "a", "ü", "\"", "'", "`", "\\", "(", ")", ",", "<", "=", "!", "-", "1e", "+", "in",
            "not", " ", "is", "null", "%", "like", "and", "or", ".",
        ];
        for _ in 0..5_000 {
            let text: String =
                (0..rng.usize(0..12)).map(|_| pieces[rng.usize(0..pieces.len())]).collect();
            if let Ok(filter) = Filter::parse(&text) {
                filter.matches(dress().as_object().unwrap());
            }
        }
    }

    #[test]
    fn a_filter_can_be_shared_between_threads_and_compared() {
        fn shared<T: Clone + std::fmt::Debug + PartialEq + Send + Sync>(_: &T) {}
        let filter = Filter::parse("a = 'X'").unwrap();
        shared(&filter);
        assert_eq!(filter, Filter::parse("a == \"x\"").unwrap());
    }
}
