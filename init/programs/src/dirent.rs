//! Directory entries: what `getdents64` puts into a buffer.
//!
//! Records are taken apart without trusting them: one that does not fit ends the walk.

use parley_abi::linux::dirent::HEADER;

/// One entry of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Number of the file.
    pub ino: u64,
    /// `DT_REG`, `DT_DIR` or `DT_CHR` of [`parley_abi::linux::dirent`].
    pub kind: u8,
    /// Name, or `?` if it is not UTF-8.
    pub name: &'a str,
}

/// Walks over the records in `bytes`.
pub fn entries(bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (entry, length) = first(rest)?;
        rest = &rest[length..];
        Some(entry)
    })
}

/// The first record of `bytes` and its length.
fn first(bytes: &[u8]) -> Option<(Entry<'_>, usize)> {
    let ino = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let length = u16::from_le_bytes(bytes.get(16..18)?.try_into().ok()?) as usize;
    let name = bytes.get(HEADER..length)?;
    let end = name.iter().position(|&byte| byte == 0)?;
    let name = core::str::from_utf8(&name[..end]).unwrap_or("?");
    Some((Entry { ino, kind: bytes[18], name }, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::linux::dirent::{DT_DIR, DT_REG};
    use proptest::prelude::*;

    fn record(ino: u64, kind: u8, name: &str) -> Vec<u8> {
        let length = (HEADER + name.len() + 1).next_multiple_of(8);
        let mut bytes = ino.to_le_bytes().to_vec();
        bytes.extend([0; 8]);
        bytes.extend((length as u16).to_le_bytes());
        bytes.push(kind);
        bytes.extend(name.as_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn two_records() {
        let bytes = [record(7, DT_DIR, "bin"), record(9, DT_REG, "hello.txt")].concat();
        let found: Vec<_> = entries(&bytes).map(|entry| (entry.ino, entry.kind, entry.name)).collect();
        assert_eq!(found, [(7, DT_DIR, "bin"), (9, DT_REG, "hello.txt")]);
    }

    proptest! {
        #[test]
        fn nonsense_ends_the_walk(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(entries(&bytes).count() <= bytes.len() / HEADER);
        }
    }
}
