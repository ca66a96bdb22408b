//! Inputs from other inputs: bits, numbers, words, pieces cut out, doubled, and brought together.

/// Numbers at which readers break: ends of ranges, signs, and one beside them.
const NUMBERS: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    1 << 62,
    i64::MAX as u64,
    u64::MAX,
];
/// The same in texts, and what else a text should not hold.
const TEXTS: [&str; 22] = [
    "0",
    "-1",
    "1e308",
    "-1e999",
    "NaN",
    "4611686018427387904",
    "18446744073709551616",
    "0.0000001",
    "\0",
    "\n",
    "\r\n",
    "\t",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{feff}",
    "../../",
    "%2e%2e%2f",
    "\"",
    "'",
    "\\",
    "((((((((((((((((",
    "[[[[[[[[[[[[[[[[",
];

/// Makes inputs; the same seed makes the same ones.
#[derive(Debug)]
pub(crate) struct Mutator<'a> {
    state: u64,
    words: &'a [&'a str],
    head: usize,
}

impl<'a> Mutator<'a> {
    /// Inserts `words` beside the usual ones; changes begin within the first `head` bytes.
    pub(crate) fn new(seed: u64, words: &'a [&'a str], head: usize) -> Self {
        Self { state: seed, words, head }
    }

    /// One of the inputs after one to a few changes.
    pub(crate) fn mutated(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(pool).cloned().unwrap_or_default();
        let most = *self.pick(&[1, 1, 2, 4, 16]).unwrap_or(&1);
        for _ in 0..=self.below(most) {
            self.change(&mut input, pool);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.place(input);
        match self.below(12) {
            0 | 1 => self.flip(input, at),
            2 => self.set_byte(input, at),
            3 => self.set_number(input, at),
            4 => input.truncate(at),
            5 => drop(input.drain(at..(at + self.length(input.len() - at)).min(input.len()))),
            6 => self.double(input, at),
            7 => {
                let word = (*self.pick(&TEXTS).unwrap_or(&"")).as_bytes().to_vec();
                insert(input, at, &word);
            }
            8 | 9 => {
                let words = if self.words.is_empty() { &TEXTS[..] } else { self.words };
                let word = (*self.pick(words).unwrap_or(&"")).as_bytes().to_vec();
                insert(input, at, &word);
            }
            10 => self.change_digits(input, at),
            _ => self.splice(input, at, pool),
        }
    }

    fn flip(&mut self, input: &mut [u8], at: usize) {
        let bit = self.below(8);
        if let Some(byte) = input.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }

    fn set_byte(&mut self, input: &mut [u8], at: usize) {
        let value = self.next() as u8;
        if let Some(byte) = input.get_mut(at) {
            *byte = value;
        }
    }

    /// Writes one of the numbers with 1, 2, 4 or 8 bytes, in either order.
    fn set_number(&mut self, input: &mut [u8], at: usize) {
        let number = *self.pick(&NUMBERS).unwrap_or(&0);
        let size = 1 << self.below(4);
        let mut bytes = number.to_le_bytes()[..size].to_vec();
        if self.below(4) == 0 {
            bytes.reverse();
        }
        for (byte, value) in input[at..].iter_mut().zip(bytes) {
            *byte = value;
        }
    }

    /// Puts another number in the place of the next digits.
    fn change_digits(&mut self, input: &mut Vec<u8>, at: usize) {
        let Some(start) = input[at..].iter().position(u8::is_ascii_digit) else { return };
        let start = at + start;
        let digits = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = TEXTS[self.below(8)].as_bytes().to_vec();
        input.splice(start..start + digits, number);
    }

    fn double(&mut self, input: &mut Vec<u8>, at: usize) {
        let end = at + self.length(input.len() - at);
        let piece = input[at..end].to_vec();
        let times = if self.below(8) == 0 { 64 } else { 1 };
        insert(input, at, &piece.repeat(times));
    }

    /// The rest of another input.
    fn splice(&mut self, input: &mut Vec<u8>, at: usize, pool: &[Vec<u8>]) {
        let Some(other) = self.pick(pool).cloned() else { return };
        let from = self.place(&other);
        input.truncate(at);
        input.extend(&other[from..]);
    }

    /// Where a change begins.
    fn place(&mut self, input: &[u8]) -> usize {
        self.below(input.len().min(self.head) + 1).min(input.len())
    }

    /// The length of a piece: mostly short.
    fn length(&mut self, most: usize) -> usize {
        let bound = if self.below(3) == 0 { most } else { most.min(16) };
        self.below(bound + 1)
    }

    fn pick<'b, T>(&mut self, choices: &'b [T]) -> Option<&'b T> {
        if choices.is_empty() { None } else { choices.get(self.below(choices.len())) }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}
