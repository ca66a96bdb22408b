//! Python literals, as the Amazon metadata of 2014 has one dictionary a line.
//!
//! The reader knows the values that Python's `repr` writes for plain data: strings in either quote,
//! numbers, `None`, `True`, `False`, lists, tuples and dictionaries. It also knows `null`, `true`,
//! `false`, `NaN` and `Infinity`, so that JSON as Python writes it (`json.dumps` leaves `NaN`, which
//! is no JSON) reads as well; values that JSON cannot hold become null. Nothing is evaluated.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Number, Value};

/// Containers within each other; real records have five.
const MAX_DEPTH: usize = 100;

/// The value that `text` spells, or a sentence that names the column (from 1) and what is wrong.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { chars: text.chars().peekable(), column: 1, depth: 0 };
    let value = reader.value()?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(value),
        Some(c) => Err(reader.wrong(&format!("unexpected {c} after the value"))),
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    column: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn take(&mut self) -> Option<char> {
        self.column += 1;
        self.chars.next()
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.take();
        }
        found
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.take();
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at column {}", self.column)
    }

    fn value(&mut self) -> Result<Value, String> {
        self.skip_space();
        match self.peek() {
            Some('{') => self.nested(Self::dictionary),
            Some('[') => self.nested(|reader| reader.sequence(']')),
            Some('(') => self.nested(|reader| reader.sequence(')')),
            Some('\'' | '"') => self.string().map(Value::String),
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.word(),
            Some(c) => Err(self.wrong(&format!("expected a value, found {c}"))),
            None => Err(self.wrong("expected a value, found the end of the row")),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, String>,
    ) -> Result<Value, String> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong(&format!("more than {MAX_DEPTH} containers within each other")));
        }
        self.depth += 1;
        self.take();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn dictionary(&mut self) -> Result<Value, String> {
        let mut map = Map::new();
        loop {
            self.skip_space();
            if self.take_if('}') {
                return Ok(Value::Object(map));
            }
            let key = match self.value()? {
                Value::String(key) => key,
                Value::Number(key) => key.to_string(),
                _ => return Err(self.wrong("expected a text or a number as key")),
            };
            self.skip_space();
            if !self.take_if(':') {
                return Err(self.wrong("expected : after the key"));
            }
            let value = self.value()?;
            map.insert(key, value);
            self.separator('}')?;
        }
    }

    fn sequence(&mut self, close: char) -> Result<Value, String> {
        let mut values = Vec::new();
        loop {
            self.skip_space();
            if self.take_if(close) {
                return Ok(Value::Array(values));
            }
            values.push(self.value()?);
            self.separator(close)?;
        }
    }

    /// A comma, or the closing sign, which stays.
    fn separator(&mut self, close: char) -> Result<(), String> {
        self.skip_space();
        if self.take_if(',') || self.peek() == Some(close) {
            return Ok(());
        }
        Err(self.wrong(&format!("expected , or {close}")))
    }

    /// A string whose opening quote is next.
    fn string(&mut self) -> Result<String, String> {
        let quote = self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                None => return Err(self.wrong("the text is never closed")),
                c if c == quote => return Ok(text),
                Some('\\') => self.escape(&mut text)?,
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), String> {
        let c = self.take().ok_or_else(|| self.wrong("the text is never closed"))?;
        match c {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            '\\' | '\'' | '"' | '/' => text.push(c),
            '\n' => {}
            'x' => text.push(self.code(2)?.and_then(char::from_u32).unwrap_or('\u{fffd}')),
            'u' => self.utf16(text)?,
            'U' => text.push(self.code(8)?.and_then(char::from_u32).unwrap_or('\u{fffd}')),
            '0'..='7' => self.octal(c, text),
            // Python keeps the backslash of an escape that it does not know.
            other => text.extend(['\\', other]),
        }
        Ok(())
    }

    /// The number of `digits` hexadecimal digits; `None` where it is beyond 32 bits.
    fn code(&mut self, digits: usize) -> Result<Option<u32>, String> {
        let mut code = 0_u64;
        for _ in 0..digits {
            let digit = self.peek().and_then(|c| c.to_digit(16));
            let digit = digit.ok_or_else(|| self.wrong("expected a hexadecimal digit"))?;
            code = code * 16 + u64::from(digit);
            self.take();
        }
        Ok(u32::try_from(code).ok())
    }

    /// The four digits after `\u`; two halves of a pair make one character.
    fn utf16(&mut self, text: &mut String) -> Result<(), String> {
        let first = self.code(4)?.unwrap_or(0) as u16;
        let mut units = vec![first];
        let mut ahead = self.chars.clone();
        if (0xd800..0xdc00).contains(&first)
            && ahead.next() == Some('\\')
            && ahead.next() == Some('u')
        {
            self.take();
            self.take();
            units.push(self.code(4)?.unwrap_or(0) as u16);
        }
        text.extend(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')));
        Ok(())
    }

    fn octal(&mut self, first: char, text: &mut String) {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            code = code * 8 + digit;
            self.take();
        }
        text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
    }

    fn number(&mut self) -> Result<Value, String> {
        let mut digits = String::new();
        while let Some(c) = self.peek()
            && (c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_'))
        {
            digits.push(c);
            self.take();
        }
        // `12L` is a long number of Python 2; `1_000` groups digits.
        let plain = digits.trim_end_matches(['L', 'l']).replace('_', "");
        if plain.ends_with("Infinity") || plain.ends_with("inf") {
            return Ok(Value::Null);
        }
        if let Ok(whole) = plain.parse::<i64>() {
            return Ok(Value::from(whole));
        }
        let number = plain.parse::<f64>().ok();
        let number = number.ok_or_else(|| self.wrong(&format!("{digits} is no number")))?;
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    /// A name of Python or JSON, or the prefix of a string.
    fn word(&mut self) -> Result<Value, String> {
        let mut word = String::new();
        while let Some(c) = self.peek()
            && (c.is_alphanumeric() || c == '_')
            && word.len() < 20
        {
            word.push(c);
            self.take();
        }
        match word.as_str() {
            "None" | "null" | "NaN" | "nan" | "Infinity" | "inf" => Ok(Value::Null),
            "True" | "true" => Ok(Value::Bool(true)),
            "False" | "false" => Ok(Value::Bool(false)),
            "u" | "U" | "b" if matches!(self.peek(), Some('\'' | '"')) => {
                self.string().map(Value::String)
            }
            _ => Err(self.wrong(&format!("expected a value, found {word}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_reads_like_its_json_twin() {
        let row = r#"{'asin': 'A1', "title": "Dr. Who's 5\" mug", 'price': 37.12, 'rank': {'Toys & Games': 612379},
            'categories': [['Toys', 'Mugs'], ()], 'sold': True, 'old': False, 'brand': None, u'size': (1, -2.5e3,), 7: u'x'}"#;
        let twin = json!({
            "asin": "A1", "title": "Dr. Who's 5\" mug", "price": 37.12, "rank": {"Toys & Games": 612_379},
            "categories": [["Toys", "Mugs"], []], "sold": true, "old": false, "brand": null,
            "size": [1, -2500.0], "7": "x",
        });
        assert_eq!(parse(row).unwrap(), twin);
    }

    #[test]
    fn escapes_are_undone_as_python_does() {
        let text = r"'a\n\t\'\\ \x41 \u00e9 \U0001f600 \ud83d\ude00 \101 \d \ud83d'";
        assert_eq!(parse(text).unwrap(), json!("a\n\t'\\ A é 😀 😀 A \\d \u{fffd}"));
    }

    #[test]
    fn what_json_cannot_hold_becomes_null() {
        let row = "{\"a\": NaN, \"b\": -Infinity, \"c\": 1e999, \"d\": nan, \"e\": 12L}";
        assert_eq!(
            parse(row).unwrap(),
            json!({"a": null, "b": null, "c": null, "d": null, "e": 12})
        );
    }

    #[test]
    fn errors_name_the_column() {
        assert_eq!(parse("{'a': 1").unwrap_err(), "expected , or } at column 8");
        assert_eq!(parse("{'a' 1}").unwrap_err(), "expected : after the key at column 6");
        assert_eq!(parse("[1] x").unwrap_err(), "unexpected x after the value at column 5");
        assert!(parse("{'a': date(1)}").unwrap_err().starts_with("expected a value, found date"));
        assert!(parse("'abc").unwrap_err().starts_with("the text is never closed"));
        assert!(parse("").unwrap_err().contains("end of the row"));
    }

    #[test]
    fn rubbish_and_deep_nesting_never_panic() {
        assert!(parse(&"[".repeat(1_000_000)).unwrap_err().contains("within each other"));
        let mut rng = crate::units::Seed(3).stream("python rubbish", 0);
        let pieces = [
            "{", "}", "[", "(", ")", "'", "\"", "\\", "u", "x4", "\\ud8", "1", "-", "e", ":", ",",
            "é", "None",
        ];
        for _ in 0..20_000 {
            let text: String =
                (0..rng.usize(0..14)).map(|_| pieces[rng.usize(0..pieces.len())]).collect();
            let _ = parse(&text);
        }
    }
}
