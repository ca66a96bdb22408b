//! Whether a JPEG is all there.
//!
//! The decoder fills what is missing with grey and says nothing, as browsers do. Whoever trains on
//! such pictures wants them counted, so the markers are walked here: segments are jumped over by
//! their length (a thumbnail inside EXIF has its own end marker), compressed data is searched for
//! the next marker. What follows the end marker is of no interest.

const END_OF_IMAGE: u8 = 0xD9;

/// Whether the data ends before the end-of-image marker.
pub(super) fn ends_early(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((marker, after)) = next_marker(rest) {
        rest = match marker {
            END_OF_IMAGE => return false,
            // Start of image, restarts and the temporary marker stand alone.
            0x01 | 0xD0..=0xD8 => after,
            _ => match after_segment(after) {
                Some(after) => after,
                None => return true,
            },
        };
    }
    true
}

/// The next marker and what follows it; `FF 00` is a data byte, `FF FF` is filling.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        let start = rest.iter().position(|&byte| byte == 0xFF)?;
        rest = &rest[start + 1..];
        match rest {
            [] => return None,
            [0xFF, ..] => {}
            [0x00, after @ ..] => rest = after,
            [marker, after @ ..] => return Some((*marker, after)),
        }
    }
}

/// What follows a segment, whose length (big-endian, counting its own two bytes) comes first.
fn after_segment(bytes: &[u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
    bytes.get(usize::from(length.max(2))..)
}

#[cfg(test)]
mod tests {
    use super::ends_early;

    const SEGMENT_WITH_AN_END_INSIDE: [u8; 8] = [0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
    const SCAN: [u8; 13] = [0xFF, 0xDA, 0, 3, 1, 0x12, 0xFF, 0x00, 0x34, 0xFF, 0xD0, 0x56, 0x78];

    fn picture() -> Vec<u8> {
        [&[0xFF, 0xD8], &SEGMENT_WITH_AN_END_INSIDE[..], &SCAN, &[0xFF, 0xFF, 0xD9]].concat()
    }

    #[test]
    fn a_whole_picture_does_not_end_early_whatever_follows_it() {
        assert!(!ends_early(&picture()));
        assert!(!ends_early(&[picture(), b"trailing junk \xFF\xDA".to_vec()].concat()));
    }

    #[test]
    fn every_shorter_part_ends_early() {
        let whole = picture();
        for length in 0..whole.len() {
            assert!(ends_early(&whole[..length]), "{length} of {} bytes", whole.len());
        }
    }

    #[test]
    fn zeros_in_place_of_the_rest_are_an_early_end() {
        let mut half = picture();
        half[16..].fill(0);
        assert!(ends_early(&half));
    }
}
