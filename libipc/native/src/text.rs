//! Bytes that are looked for eight at a time.

const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

/// Which byte of a word, the least significant first, is the first that is 0.
#[inline(always)]
pub const fn first_zero(word: u64) -> Option<usize> {
    // The lowest high bit that is set is that of the first byte that is 0; what lies above it may be wrong.
    let zeros = word.wrapping_sub(ONES) & !word & HIGH;
    if zeros != 0 { Some(zeros.trailing_zeros() as usize / 8) } else { None }
}

/// Where the first `byte` is.
#[inline]
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (number, word) in words.iter().enumerate() {
        if let Some(found) = first_zero(u64::from_le_bytes(*word) ^ u64::from_le_bytes([byte; 8])) {
            return Some(number * 8 + found);
        }
    }
    rest.iter().position(|&other| other == byte).map(|found| words.len() * 8 + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_plain_search_finds() {
        let mut bytes = [0x80; 27];
        assert_eq!(find(&bytes, 0), None);
        for at in 0..bytes.len() {
            for (byte, before) in [(0, 1), (1, 0), (b'/', b'.'), (0x80, 0x81), (0xff, 0x7f)] {
                bytes.fill(before);
                bytes[at..].fill(byte);
                for start in 0..bytes.len() {
                    assert_eq!(find(&bytes[start..], byte), bytes[start..].iter().position(|&other| other == byte));
                }
            }
        }
    }
}
