//! The tree of a condition, and the expression that it prints.

use std::fmt::{self, Display, Formatter, Write};

use super::parse::{KEYWORDS, belongs_to_word};

/// A condition over an item's fields: what [`Filter::condition`](super::Filter::condition) gives
/// to those who ask another store the same question. What each part means is said by the table in
/// [`crate::filter`].
///
/// `Display` writes the expression that parses to the same tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of two or more hold.
    All(Vec<Condition>),
    /// One of two or more holds.
    Any(Vec<Condition>),
    /// It does not hold: passes also where the field is missing.
    Not(Box<Condition>),
    /// A test of one field.
    Test {
        /// The field's name, or the names on the way to it joined by dots.
        field: String,
        /// What is asked of its value.
        test: Test,
    },
}

/// What is asked of the value of a field. None holds where the field is missing or null, but
/// [`Test::IsNull`]; in a list one element has to pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The value compares so with the literal. `!=` is the negation of
    /// [`Comparison::Equal`], so that it passes where the field is missing.
    Compare(Comparison, Literal),
    /// The value equals one of these, of which there is at least one.
    In(Vec<Literal>),
    /// The value, in lower case, is like this pattern in lower case: `%` stands for any run of
    /// characters, `_` for one.
    Like(String),
    /// The value, in lower case, has this text in lower case within it.
    Contains(String),
    /// The field is missing, or null.
    IsNull,
}

/// How a value stands to a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A value in an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A text in lower case.
    Text(String),
    /// A finite number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
}

impl Condition {
    /// The names of all fields, in order of appearance, each once.
    pub(super) fn collect_names<'a>(&'a self, names: &mut Vec<&'a str>) {
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

    /// Prints parts with a word between them, those in parentheses that would not be read as one.
    fn join(
        f: &mut Formatter<'_>,
        parts: &[Self],
        word: &str,
        closed: fn(&Self) -> bool,
    ) -> fmt::Result {
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                write!(f, " {word} ")?;
            }
            if closed(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
        }
        Ok(())
    }

    fn is_joined(&self) -> bool {
        matches!(self, Self::All(_) | Self::Any(_))
    }
}

/// Has parentheses only where the tree needs them, so that what was allowed to nest when it was
/// read is so again.
impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => Self::join(f, parts, "and", Self::is_joined),
            Self::Any(parts) => Self::join(f, parts, "or", |part| matches!(part, Self::Any(_))),
            Self::Not(part) => match &**part {
                Self::Test { field, test } if test.has_negation() => test.print(f, field, true),
                part if part.is_joined() => write!(f, "not ({part})"),
                part => write!(f, "not {part}"),
            },
            Self::Test { field, test } => test.print(f, field, false),
        }
    }
}

impl Test {
    /// Whether there is a way to write its negation without a `not` in front.
    fn has_negation(&self) -> bool {
        !matches!(self, Self::Compare(comparison, _) if *comparison != Comparison::Equal)
    }

    fn print(&self, f: &mut Formatter<'_>, field: &str, negated: bool) -> fmt::Result {
        print_field(f, field)?;
        let not = if negated { "not " } else { "" };
        match self {
            Self::Compare(Comparison::Equal, literal) if negated => write!(f, " != {literal}"),
            Self::Compare(comparison, literal) => write!(f, " {} {literal}", comparison.sign()),
            Self::In(literals) => {
                let literals: Vec<String> = literals.iter().map(ToString::to_string).collect();
                write!(f, " {not}in ({})", literals.join(", "))
            }
            Self::Like(pattern) => {
                write!(f, " {not}like ")?;
                print_text(f, pattern)
            }
            Self::Contains(part) => {
                write!(f, " {not}contains ")?;
                print_text(f, part)
            }
            Self::IsNull => write!(f, " is {not}null"),
        }
    }
}

impl Comparison {
    /// The sign that is written for it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => print_text(f, text),
            // Either way is read back to the last bit; this one is short.
            Self::Number(number) if (1e-5..1e16).contains(&number.abs()) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number:e}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// A field's name, in backquotes unless it is a plain word.
fn print_field(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let keyword = KEYWORDS.iter().any(|word| name.eq_ignore_ascii_case(word));
    if begins && !keyword && name.chars().all(belongs_to_word) {
        return f.write_str(name);
    }
    write!(f, "`{}`", name.replace('`', "``"))
}

fn print_text(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('\'')?;
    for c in text.chars() {
        match c {
            '\'' => f.write_str("''")?,
            '\\' => f.write_str("\\\\")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('\'')
}
