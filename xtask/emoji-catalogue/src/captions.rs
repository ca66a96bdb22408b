//! Names of emoji as captions: which thing is named, in which colour, and the same name in another
//! colour.

/// Words that name a colour when another word follows them ("leafy green" names none).
const COLOUR_WORDS: [&str; 12] = [
    "red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white", "grey",
    "gray", "pink",
];

/// A name taken apart at its colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caption {
    before: Vec<String>,
    /// "blue", "light blue"; `None` when the name holds no colour.
    pub(crate) colour: Option<String>,
    after: Vec<String>,
}

impl Caption {
    /// Takes a name apart.
    pub(crate) fn of(name: &str) -> Self {
        let words: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
        let last = words.len().saturating_sub(1);
        let place = words[..last].iter().position(|word| is_colour(word));
        let Some(place) = place else {
            return Self { before: Vec::new(), colour: None, after: words };
        };
        let start = if place > 0 && words[place - 1] == "light" { place - 1 } else { place };
        Self {
            before: words[..start].to_vec(),
            colour: Some(words[start..=place].join(" ")),
            after: words[place + 1..].to_vec(),
        }
    }

    /// The name without its colour: the same for "blue book" and "green book".
    pub(crate) fn thing(&self) -> String {
        [self.before.as_slice(), &self.after].concat().join(" ")
    }

    /// The name in another colour: `None` if a second colour would stay in it.
    pub(crate) fn in_colour(&self, colour: &str) -> Option<String> {
        if self.before.iter().chain(&self.after).any(|word| is_colour(word)) {
            return None;
        }
        Some([&self.before, [colour.to_owned()].as_slice(), &self.after].concat().join(" "))
    }
}

fn is_colour(word: &str) -> bool {
    COLOUR_WORDS.contains(&word)
}

/// Lower-case letters and digits of `text` with `-` between the words: a file name and an id.
pub(crate) fn slug(text: &str) -> String {
    let words = text.to_lowercase();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_green(name: &str) -> Option<String> {
        Caption::of(name).in_colour("green")
    }

    #[test]
    fn a_colour_in_the_name_is_replaced_and_else_put_in_front() {
        assert_eq!(in_green("bucket").unwrap(), "green bucket");
        assert_eq!(in_green("blue book").unwrap(), "green book");
        assert_eq!(in_green("light blue heart").unwrap(), "green heart");
        assert_eq!(in_green("large orange diamond").unwrap(), "large green diamond");
    }

    #[test]
    fn a_name_that_would_keep_a_second_colour_gets_no_caption() {
        assert_eq!(in_green("leafy green"), None);
        assert_eq!(in_green("black and white cat"), None);
    }

    #[test]
    fn things_of_several_colours_are_one_thing() {
        assert_eq!(Caption::of("red apple").thing(), Caption::of("green apple").thing());
        assert_eq!(Caption::of("red apple").colour.as_deref(), Some("red"));
        assert_eq!(Caption::of("closed book").thing(), "closed book");
    }

    #[test]
    fn a_slug_is_safe_as_a_file_name() {
        assert_eq!(slug("flag: Côte d’Ivoire"), "flag-c-te-d-ivoire");
    }
}
