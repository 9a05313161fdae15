//! A path, taken apart.

use parley_abi::Errno;

/// Longest component, in bytes (Linux `NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// The components of a path, one after the other, without the slashes between them. Repeated slashes
/// are one. A component that is too long comes out as ENAMETOOLONG.
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
    type Item = Result<&'p [u8], Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.rest.iter().position(|&byte| byte != b'/')?;
        let rest = &self.rest[start..];
        let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        self.rest = rest;
        Some(if name.len() > NAME_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn split(path: &[u8]) -> Vec<&[u8]> {
        Components::new(path).map(|name| name.unwrap()).collect()
    }

    #[test]
    fn slashes_only_separate() {
        assert_eq!(split(b"/a//bc/../d/"), [&b"a"[..], b"bc", b"..", b"d"]);
        assert_eq!(split(b"x"), [b"x"]);
        assert!(split(b"///").is_empty());
        assert!(split(b"").is_empty());
    }

    #[test]
    fn a_component_has_a_limit() {
        let mut path = [b'x'; 600];
        path[255] = b'/';
        let mut components = Components::new(&path);
        assert_eq!(components.next().unwrap().unwrap().len(), 255);
        assert_eq!(components.next(), Some(Err(Errno::ENAMETOOLONG)));
        assert_eq!(components.next(), None);
    }
}
