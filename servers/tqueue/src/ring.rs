//! A bounded queue of bytes.

use parley_abi::Errno;
use parley_rt::state::{Reader, Writer};

/// Bytes that the queue holds.
pub const CAPACITY: usize = 4096;

/// The bytes: `used` of them from `first` on, round the end of the buffer.
pub struct Ring {
    bytes: [u8; CAPACITY],
    first: usize,
    used: usize,
}

impl Ring {
    /// An empty one.
    pub const fn new() -> Ring {
        Ring { bytes: [0; CAPACITY], first: 0, used: 0 }
    }

    /// Bytes in it.
    pub const fn len(&self) -> usize {
        self.used
    }

    /// Bytes that still fit.
    pub const fn room(&self) -> usize {
        CAPACITY - self.used
    }

    /// The oldest bytes, as far as they lie in one piece, at most `most`.
    pub fn oldest(&self, most: usize) -> &[u8] {
        let count = self.used.min(CAPACITY - self.first).min(most);
        &self.bytes[self.first..self.first + count]
    }

    /// The oldest `count` bytes, at most all, are gone.
    pub fn take(&mut self, count: usize) {
        let count = count.min(self.used);
        self.first = (self.first + count) % CAPACITY;
        self.used -= count;
    }

    /// The next free place, as far as it lies in one piece, at most `most` bytes.
    pub fn free(&mut self, most: usize) -> &mut [u8] {
        let at = (self.first + self.used) % CAPACITY;
        let count = self.room().min(CAPACITY - at).min(most);
        &mut self.bytes[at..at + count]
    }

    /// The first `count` bytes of [`Ring::free`] were written, at most all.
    pub fn add(&mut self, count: usize) {
        self.used += count.min(self.room());
    }

    /// The byte at a place of the buffer, which a caller thinks to know. This is the driver's bug: it does not look.
    pub fn at(&self, place: usize) -> u8 {
        self.bytes[place]
    }

    /// Writes the bytes down. ENOSPC.
    pub fn put(&self, writer: &mut Writer<'_>) -> Result<(), Errno> {
        let head = self.oldest(CAPACITY);
        writer.put_bytes(head)?;
        writer.put_bytes(&self.bytes[..self.used - head.len()])
    }

    /// Reads what [`Ring::put`] wrote. EINVAL: it is none.
    pub fn read(reader: &mut Reader<'_>) -> Result<Ring, Errno> {
        let mut ring = Ring::new();
        for _ in 0..2 {
            let part: &[u8] = reader.take()?;
            let place = ring.bytes.get_mut(ring.used..ring.used + part.len()).ok_or(Errno::EINVAL)?;
            place.copy_from_slice(part);
            ring.used += part.len();
        }
        Ok(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec((any::<bool>(), 0usize..CAPACITY + 10), 1..60)) {
            let (mut ring, mut model, mut next) = (Ring::new(), VecDeque::new(), 0u8);
            for (write, count) in steps {
                if write {
                    let free = ring.free(count);
                    let count = free.len();
                    for byte in free {
                        next = next.wrapping_add(1);
                        *byte = next;
                        model.push_back(next);
                    }
                    ring.add(count);
                } else {
                    let oldest = ring.oldest(count).to_vec();
                    ring.take(oldest.len());
                    let wanted: Vec<u8> = model.drain(..oldest.len()).collect();
                    prop_assert_eq!(oldest, wanted);
                }
                prop_assert_eq!((ring.len(), ring.room()), (model.len(), CAPACITY - model.len()));
                let mut bytes = [0; CAPACITY + 8];
                let mut writer = Writer::new(&mut bytes);
                ring.put(&mut writer).unwrap();
                let used = writer.used();
                let mut copy = Ring::read(&mut Reader::new(&bytes[..used])).unwrap();
                let mut all = copy.oldest(CAPACITY).to_vec();
                copy.take(all.len());
                all.extend(copy.oldest(CAPACITY));
                prop_assert_eq!(all, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
