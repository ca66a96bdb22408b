//! Licence expressions (SPDX): `(MIT OR Apache-2.0) AND Unicode-3.0`, and the older `MIT/Apache-2.0`.

/// Whether a licence that `allowed` accepts can be chosen. What cannot be read allows nothing.
pub(super) fn permits(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let permitted = reader.either();
    permitted && reader.words.is_empty()
}

/// What is left of an expression.
struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl Reader<'_> {
    /// `both OR both ...`
    fn either(&mut self) -> bool {
        let mut permitted = self.both();
        while self.takes("OR") {
            permitted |= self.both();
        }
        permitted
    }

    /// `one AND one ...`
    fn both(&mut self) -> bool {
        let mut permitted = self.one();
        while self.takes("AND") {
            permitted &= self.one();
        }
        permitted
    }

    /// A name, `name WITH exception`, or an expression in brackets.
    fn one(&mut self) -> bool {
        if self.takes("(") {
            let permitted = self.either();
            return self.takes(")") && permitted;
        }
        match self.words {
            [name, "WITH", exception, rest @ ..] => {
                self.words = rest;
                (self.allowed)(&format!("{name} WITH {exception}"))
            }
            [name, rest @ ..] => {
                self.words = rest;
                (self.allowed)(name)
            }
            [] => false,
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.words.first() == Some(&word);
        self.words = &self.words[usize::from(there)..];
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        permits(expression, &|name| allowed.contains(&name))
    }

    #[test]
    fn one_of_the_offered_licences_is_enough_and_all_of_the_demanded_ones_are_needed() {
        for yes in [
            "MIT",
            "GPL-3.0-only OR MIT",
            "MIT/Apache-2.0",
            "Unlicense / MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "GPL-3.0-only OR (MIT AND Unicode-3.0)",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(permitted(yes), "{yes}");
        }
        for no in [
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "(MIT OR Apache-2.0) AND OpenSSL",
            "MIT WITH Strange-exception",
        ] {
            assert!(!permitted(no), "{no}");
        }
    }

    #[test]
    fn what_cannot_be_read_permits_nothing() {
        for odd in ["", "(MIT", "MIT)", "MIT Apache-2.0", "OR", "MIT AND"] {
            assert!(!permitted(odd), "{odd:?}");
        }
    }
}
