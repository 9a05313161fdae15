//! Directory entries as programs read them: `linux_dirent64` records.

use parley_abi::linux::dirent;

use crate::fs::{Entry, Kind};

/// Fills a buffer with whole records: ino, off (the cookie of the next), reclen, type, name, NUL, padded
/// to 8 bytes (getdents64(2)).
pub struct Records<'b> {
    buffer: &'b mut [u8],
    used: usize,
}

impl<'b> Records<'b> {
    /// No records yet.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Records { buffer, used: 0 }
    }

    /// Appends a record; false if it does not fit.
    pub fn push(&mut self, entry: &Entry<'_>) -> bool {
        let name_end = dirent::HEADER + entry.name.len();
        let length = (name_end + 1).next_multiple_of(8);
        let Some(record) = self.buffer.get_mut(self.used..self.used + length) else { return false };
        record[..8].copy_from_slice(&(entry.ino as u64 + 1).to_le_bytes());
        record[8..16].copy_from_slice(&entry.next.to_le_bytes());
        record[16..18].copy_from_slice(&(length as u16).to_le_bytes());
        record[18] = kind_byte(entry.kind);
        record[dirent::HEADER..name_end].copy_from_slice(entry.name);
        record[name_end..].fill(0);
        self.used += length;
        true
    }

    /// The records.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.used]
    }
}

fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::File => dirent::DT_REG,
        Kind::Directory => dirent::DT_DIR,
        Kind::Device(_) => dirent::DT_CHR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_padded_and_never_cut() {
        let mut buffer = [0xff; 56];
        let mut records = Records::new(&mut buffer);
        let entry = |name| Entry { name, ino: 6, kind: Kind::File, next: 9 };
        assert!(records.push(&entry(b"abcd")));
        assert!(records.push(&entry(b"abcde")));
        assert!(!records.push(&entry(b"x")));
        let bytes = records.bytes();
        assert_eq!(bytes.len(), 24 + 32);
        assert_eq!((bytes[0], bytes[8], bytes[16], bytes[18]), (7, 9, 24, dirent::DT_REG));
        assert_eq!(&bytes[19..24], b"abcd\0");
        assert_eq!((bytes[40], &bytes[43..56]), (32, &b"abcde\0\0\0\0\0\0\0\0"[..]));
    }
}
