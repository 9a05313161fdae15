//! Writing state down, and reading it: one value after the other, in `postcard`.
//!
//! For state that lies in [memory that outlives a server](crate::durable). Lists are written as their length and then their elements, so
//! that neither side needs memory that it has not asked for.

use parley_abi::Errno;
use serde::{Deserialize, Serialize};

/// Writes values.
#[derive(Debug)]
pub struct Writer<'a> {
    into: &'a mut [u8],
    used: usize,
}

impl<'a> Writer<'a> {
    /// Begins at the beginning.
    pub fn new(into: &'a mut [u8]) -> Writer<'a> {
        Writer { into, used: 0 }
    }

    /// Writes a value. ENOSPC: it does not fit.
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Errno> {
        let rest = self.into.get_mut(self.used..).unwrap_or_default();
        self.used += postcard::to_slice(value, rest).map_err(|_| Errno::ENOSPC)?.len();
        Ok(())
    }

    /// Writes a length and as many values.
    pub fn put_all<T: Serialize>(&mut self, values: impl ExactSizeIterator<Item = T>) -> Result<(), Errno> {
        self.put(&values.len())?;
        values.into_iter().try_for_each(|value| self.put(&value))
    }

    /// Writes bytes at once, to be read as `&[u8]`.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.put(&bytes.len())?;
        let place = self.into.get_mut(self.used..).and_then(|rest| rest.get_mut(..bytes.len())).ok_or(Errno::ENOSPC)?;
        place.copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }

    /// Bytes written.
    pub fn used(&self) -> usize {
        self.used
    }
}

/// Reads values in the order in which they were written.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins at the beginning.
    pub fn new(from: &'a [u8]) -> Reader<'a> {
        Reader(from)
    }

    /// The next value. EINVAL: there is none, or not of this type.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Errno> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| Errno::EINVAL)?;
        self.0 = rest;
        Ok(value)
    }

    /// The length of a list, each element of which takes at least a byte: never more than can be there.
    pub fn take_length(&mut self) -> Result<usize, Errno> {
        self.take().and_then(|length| if length <= self.0.len() { Ok(length) } else { Err(Errno::EINVAL) })
    }

    /// EINVAL: something is left.
    pub fn finish(self) -> Result<(), Errno> {
        if self.0.is_empty() { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_come_back_in_order() {
        let mut bytes = [0; 64];
        let mut writer = Writer::new(&mut bytes);
        writer.put(&(7u64, true)).unwrap();
        writer.put_all([1u32, 2, 300].into_iter()).unwrap();
        writer.put_bytes(b"name").unwrap();
        let used = writer.used();
        let mut reader = Reader::new(&bytes[..used]);
        assert_eq!(reader.take(), Ok((7u64, true)));
        let list: Vec<u32> = (0..reader.take_length().unwrap()).map(|_| reader.take().unwrap()).collect();
        assert_eq!(list, [1, 2, 300]);
        assert_eq!(reader.take(), Ok(&b"name"[..]));
        assert_eq!((reader.finish(), reader.take::<u8>()), (Ok(()), Err(Errno::EINVAL)));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let mut writer = Writer { into: &mut [0; 3], used: 0 };
        assert_eq!(
            (writer.put(&u64::MAX), writer.put_bytes(&[1; 3]), writer.put(&1u8).is_ok()),
            (Err(Errno::ENOSPC), Err(Errno::ENOSPC), true)
        );
    }

    proptest! {
        #[test]
        fn garbage_is_refused_and_never_a_long_list(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            if let Ok(length) = reader.take_length() {
                prop_assert!(length <= bytes.len());
            }
            let _ = reader.take::<(u64, Option<u8>, &[u8])>();
        }
    }
}
