//! Checksums, short names for content, numbers as bytes.

/// 64-bit XXH3 of `bytes`, the checksum in all our files. It tells damage, not forgery.
pub fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// [`checksum`] of all `parts`, one after the other as if they were one.
pub fn checksum_of_parts<B: AsRef<[u8]>>(parts: impl IntoIterator<Item = B>) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for part in parts {
        hash.update(part.as_ref());
    }
    hash.digest()
}

/// A short name for content: 12 hex digits of XXH3-128 over all `parts`.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:032x}", hash.digest128())[..12].to_owned()
}

/// `f32` values as little-endian bytes.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Little-endian bytes as `f32` values; trailing bytes that make no value are left out.
pub fn f32_values(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_does_not_depend_on_where_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..2000u32).map(|n| (n * n) as u8).collect();
        for cut in [0, 1, 240, 241, 1024, 2000] {
            assert_eq!(checksum_of_parts([&bytes[..cut], &bytes[cut..]]), checksum(&bytes));
        }
    }

    #[test]
    fn fingerprints_tell_where_parts_end() {
        assert_ne!(fingerprint([b"ab".as_slice(), b"c"]), fingerprint([b"a".as_slice(), b"bc"]));
    }
}
