//! Given word vectors: the text form of word2vec, `GloVe` and fastText.
//!
//! One line a word: the word, a blank, and its values, parted by blanks. word2vec and fastText begin
//! with a line that says how many words and values there are; `GloVe` does not. A word may hold blanks
//! itself (as some of `GloVe`'s do), so a line is read from its end. The file may be packed (gzip); it
//! is read once, a line at a time, and only the vectors of known words are kept: such files have
//! millions of words.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{UNKNOWN, Vocabulary};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files;

/// Bytes of the longest line: more than 10,000 values take.
const LONGEST_LINE: u64 = 1 << 18;

/// A file of word vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WordVectors {
    path: PathBuf,
    /// Values of each vector.
    width: usize,
}

/// The vectors of a vocabulary's tokens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Token numbers with their vectors.
    rows: HashMap<u32, Row>,
    /// Words of the file.
    pub(crate) words: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// Whether the word is written as the token is, not in capitals or otherwise.
    exact: bool,
    values: Vec<f32>,
}

impl WordVectors {
    /// Looks at the beginning of a file; its vectors must be `width` values wide.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] with [`Fact::OtherWidth`] for vectors of another width,
    /// [`ErrorKind::Invalid`] for a file of another form.
    pub(crate) fn open(path: &Path, width: usize) -> Result<Self> {
        let mut lines = Lines::open(path)?;
        let found = (|| match lines.next()? {
            None => Err(no_vectors("it is empty")),
            Some((_, line)) => match header(line) {
                Some(width) => Ok(width),
                None => values_at_end(line)
                    .ok_or_else(|| no_vectors("its first line is no word with numbers behind it")),
            },
        })()
        .map_err(|e| e.at_file(path))?;
        if found != width {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "the word vectors have {found} values, and this text tower takes {width} a \
                     token; make it as wide, or use vectors of {width} values"
                ),
            )
            .with_fact(Fact::OtherWidth { found })
            .at_file(path));
        }
        Ok(Self { path: path.to_path_buf(), width })
    }

    /// The vectors of the tokens of `vocabulary`: of each word of the file that is one token. A word
    /// that is written as the token comes before one in capitals, and an earlier one before a later
    /// one: such files have the most frequent words first.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] with the line that is not of the file's form, and
    /// [`ErrorKind::Invalid`] where no token has a vector.
    pub(crate) fn of(&self, vocabulary: &Vocabulary) -> Result<Found> {
        self.read(vocabulary).map_err(|e| e.at_file(&self.path))
    }

    fn read(&self, vocabulary: &Vocabulary) -> Result<Found> {
        let mut lines = Lines::open(&self.path)?;
        let mut found = Found { rows: HashMap::new(), words: 0 };
        while let Some((number, line)) = lines.next()? {
            if number == 1 && header(line).is_some() || line.trim_ascii().is_empty() {
                continue;
            }
            let row = found.add(line, self.width, vocabulary);
            row.map_err(|sentence| {
                Error::new(ErrorKind::Corrupt, format!("{sentence}; is the file whole?"))
                    .at_line(number)
            })?;
        }
        if found.rows.is_empty() {
            return Err(Error::invalid(format!(
                "none of its {} words is one of the catalogue's; is it of another language?",
                found.words
            )));
        }
        Ok(found)
    }
}

impl Found {
    /// Tokens that have a vector.
    pub(crate) fn count(&self) -> usize {
        self.rows.len()
    }

    /// Puts the vectors in their rows of an embedding table `[tokens, width]`, all scaled by one number
    /// to a root mean square of `size`, so that the table is as large as one that begins at random.
    pub(crate) fn put(&self, table: &mut [f32], width: usize, size: f32) {
        let values = self.rows.values().flat_map(|row| &row.values);
        let squares: f64 = values.map(|&value| f64::from(value).powi(2)).sum();
        let root = (squares / (self.count() * width).max(1) as f64).sqrt();
        let scale = if root > 0.0 { (f64::from(size) / root) as f32 } else { 1.0 };
        for (&token, row) in &self.rows {
            let to = &mut table[token as usize * width..][..width];
            to.iter_mut().zip(&row.values).for_each(|(to, value)| *to = scale * value);
        }
    }

    /// Takes in a line; the error is what is wrong with it.
    fn add(&mut self, line: &[u8], width: usize, vocabulary: &Vocabulary) -> Result<(), String> {
        self.words += 1;
        let mut fields = line.trim_ascii_end().rsplitn(width + 1, |byte| is_blank(*byte));
        let values: Vec<&[u8]> = fields.by_ref().take(width).collect();
        let Some(word) = fields.next().filter(|_| values.len() == width) else {
            let count = values.len().saturating_sub(1);
            return Err(format!("expected a word and {width} values, found {count} values"));
        };
        let Ok(word) = std::str::from_utf8(word) else { return Ok(()) };
        let &[token] = vocabulary.encode(word).as_slice() else { return Ok(()) };
        let exact = word == word.to_lowercase();
        let taken = |row: &Row| row.exact || !exact;
        if token == UNKNOWN || self.rows.get(&token).is_some_and(taken) {
            return Ok(());
        }
        let values = values.into_iter().rev().map(number).collect::<Option<Vec<f32>>>();
        let values = values.ok_or_else(|| format!("a value of \"{word}\" is no finite number"))?;
        self.rows.insert(token, Row { exact, values });
        Ok(())
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn number(field: &[u8]) -> Option<f32> {
    let number: f32 = std::str::from_utf8(field).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// The number of values that a first line tells of, if it is one that counts: two whole numbers.
fn header(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let counts: Vec<usize> =
        line.split_ascii_whitespace().map(|field| field.parse().ok()).collect::<Option<_>>()?;
    match counts.as_slice() {
        &[_, width] => Some(width),
        _ => None,
    }
}

/// How many values stand behind the word of a line.
fn values_at_end(line: &[u8]) -> Option<usize> {
    let fields: Vec<&[u8]> = line.trim_ascii_end().split(|byte| is_blank(*byte)).collect();
    let count = fields.iter().skip(1).rev().take_while(|field| number(field).is_some()).count();
    (count > 0).then_some(count)
}

fn no_vectors(why: &str) -> Error {
    Error::invalid(format!(
        "these are no word vectors: {why}; expected the text form of word2vec, GloVe or fastText"
    ))
}

/// The lines of a file, plain or packed.
struct Lines {
    text: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let cannot = |e| Error::io("cannot read", e).at_file(path);
        let mut raw = BufReader::with_capacity(1 << 17, files::open(path)?);
        let packed = raw.fill_buf().map_err(cannot)?.starts_with(&[0x1f, 0x8b]);
        let text: Box<dyn BufRead> = if packed {
            Box::new(BufReader::with_capacity(1 << 17, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        Ok(Self { text, line: Vec::new(), number: 0 })
    }

    /// The next line without its end, and its number from 1.
    fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut self.text).take(LONGEST_LINE);
        let read = bounded.read_until(b'\n', &mut self.line);
        let read = read.map_err(|e| Error::io("cannot go on reading", e).at_line(self.number))?;
        if read as u64 == LONGEST_LINE && !self.line.ends_with(b"\n") {
            return Err(no_vectors("a line has no end").at_line(self.number));
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok((read > 0).then_some((self.number, line)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::Rules;
    use super::*;

    const GLOVE: &str = "Red 9 9 9\nred 1 0 0\nRED 9 9 9\ndress 0 2 0\n. . 5 5 5\nxyzzy 0 0 3\n";

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn vocabulary(rules: &Rules) -> Vocabulary {
        Vocabulary::learn(["red dress", "red coat", "red dress"], rules)
    }

    fn words() -> Rules {
        Rules::Words { min_count: 1 }
    }

    fn table_of(content: &[u8], rules: &Rules) -> (Found, Vec<f32>, Vocabulary) {
        let (file, vocabulary) = (file(content), vocabulary(rules));
        let found = WordVectors::open(file.path(), 3).unwrap().of(&vocabulary).unwrap();
        let mut table = vec![7.0; 3 * vocabulary.len()];
        found.put(&mut table, 3, 0.1);
        (found, table, vocabulary)
    }

    #[test]
    fn words_of_the_vocabulary_take_their_vectors_and_others_stay() {
        let packed = {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(GLOVE.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        // fastText ends its lines with a blank; Windows with another sign.
        let fast_text = format!("6 3\n{}", GLOVE.replace('\n', " \r\n"));
        for content in [GLOVE.as_bytes(), &packed, fast_text.as_bytes()] {
            let grams = Rules::WordsAndGrams { min_count: 1, buckets: 9 };
            for rules in [words(), grams, Rules::Pieces { size: 500 }] {
                let (found, table, vocabulary) = table_of(content, &rules);
                assert_eq!((found.count(), found.words), (2, 6), "{rules:?}");
                let row = |word: &str| &table[3 * vocabulary.encode(word)[0] as usize..][..3];
                // One scale for all: the mean of 1, 4 and four zeros becomes 0.01.
                let unit = 0.1 / (5.0f32 / 6.0).sqrt();
                for (found, expected) in row("red").iter().zip([unit, 0.0, 0.0]) {
                    assert!((found - expected).abs() < 1e-6);
                }
                assert!((row("dress")[1] - 2.0 * unit).abs() < 1e-6);
                assert_eq!(table[..3], [7.0; 3]);
                assert_eq!(row("coat"), [7.0; 3]);
            }
        }
    }

    #[test]
    fn vectors_of_another_width_say_how_wide_they_are() {
        for content in [GLOVE.to_owned(), format!("6 3\n{GLOVE}")] {
            let file = file(content.as_bytes());
            let error = WordVectors::open(file.path(), 96).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Mismatch);
            assert_eq!(error.fact(), Some(&Fact::OtherWidth { found: 3 }));
            assert!(
                error.to_string().contains("have 3 values, and this text tower takes 96"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_file_of_word_vectors_is_refused_with_the_line() {
        for (content, kind, sentence) in [
            ("", ErrorKind::Invalid, "it is empty"),
            ("red\n", ErrorKind::Invalid, "its first line is no word"),
            ("\u{0}PK binary\n", ErrorKind::Invalid, "its first line is no word"),
            (
                "red 1 2 3\ndress 1 2\n",
                ErrorKind::Corrupt,
                ":2: expected a word and 3 values, found 2",
            ),
            ("red 1 2 3\ndress 1 NaN 3\n", ErrorKind::Corrupt, ":2: a value of \"dress\""),
            ("rot 1 2 3\nkleid 1 2 3\n", ErrorKind::Invalid, "none of its 2 words"),
        ] {
            let file = file(content.as_bytes());
            let error = WordVectors::open(file.path(), 3).and_then(|v| v.of(&vocabulary(&words())));
            let error = error.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(sentence), "{error}");
        }
    }

    #[test]
    fn a_file_without_lines_takes_no_memory() {
        let file = file(&vec![b'x'; 1 << 20]);
        let error = WordVectors::open(file.path(), 3).unwrap_err();
        assert!(error.to_string().contains("a line has no end"), "{error}");
    }
}
