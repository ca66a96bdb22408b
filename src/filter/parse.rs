//! From an expression to its tree.

use super::semantics::{fold, number_in};
use super::tree::{Comparison, Condition, Literal, Test};
use crate::error::{Error, Result};

/// Parentheses and `not`s within each other; bounds the stack of the parser and of a match.
const MAX_DEPTH: usize = 64;

/// Words that name no field unless they stand in backquotes.
pub(super) const KEYWORDS: [&str; 8] = ["and", "or", "not", "in", "like", "contains", "is", "null"];

/// The tree of an expression; the error names the column and what was expected there.
pub(super) fn parse(text: &str) -> Result<Condition> {
    let tokens = tokenize(text)?;
    if tokens.is_empty() {
        return Err(Error::invalid("the filter is empty: expected a condition such as price < 20"));
    }
    let mut parser = Parser { text, tokens, next: 0, clause: 0, depth: 0 };
    let root = parser.condition()?;
    match parser.peek() {
        None => Ok(root),
        Some(_) => Err(parser.expected("\"and\", \"or\" or the end")),
    }
}

/// Whether a field, once it began, goes on with `c`.
pub(super) fn belongs_to_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-')
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
        if !(belongs_to_word(c) || sign) {
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
            return Ok(Some(Test::Like(self.pattern()?)));
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
