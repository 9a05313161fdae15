//! A path, taken apart.

use parley_abi::text;

/// Longest component, in bytes (Linux `NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// The components of a path, one after the other, without the slashes between them. Repeated slashes
/// are one.
pub struct Components<'p> {
    rest: &'p [u8],
}

impl<'p> Components<'p> {
    /// Begins with the first component.
    pub fn new(path: &'p [u8]) -> Self {
        Components { rest: path }
    }
}

impl<'p> Iterator for Components<'p> {
    type Item = &'p [u8];

    #[inline]
    fn next(&mut self) -> Option<&'p [u8]> {
        while let [b'/', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = self.rest.split_at(text::find(self.rest, b'/').unwrap_or(self.rest.len()));
        self.rest = rest;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn split(path: &[u8]) -> Vec<&[u8]> {
        Components::new(path).collect()
    }

    #[test]
    fn slashes_only_separate() {
        assert_eq!(split(b"/a//bc/../d/"), [&b"a"[..], b"bc", b"..", b"d"]);
        assert_eq!(split(b"x"), [b"x"]);
        assert_eq!(
            split(b"/12345678/1234567/123456789abcdef0/\xaf."),
            [&b"12345678"[..], b"1234567", b"123456789abcdef0", b"\xaf."]
        );
        assert!(split(b"///").is_empty());
        assert!(split(b"").is_empty());
    }
}
