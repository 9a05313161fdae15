//! What outlives an instance: the queued bytes, who waits, and how many descriptors there are.
//!
//! By write-ahead: what a `write` brings is copied once into the journal, and a `read` leaves only how much it took; a
//! checkpoint would copy the whole queue each time.

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::{Durable, file};
use parley_rt::state::{Reader, Writer};

use crate::TQueue;
use crate::ring::Ring;
use crate::waiting::Line;

impl Durable for TQueue {
    const VERSION: u32 = 1;
    const WRITE_AHEAD: bool = true;
    /// 128 KiB: events of 32 KiB, and a state of at most 21 KiB, in whose place 48 KiB are.
    const PAGES: usize = 32;

    fn changes(&self, label: u32, _: u64) -> bool {
        label != file::label::fstat
    }

    fn holds(&self, token: Token) -> bool {
        self.readers.has(token) || self.writers.has(token)
    }

    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let mut writer = Writer::new(into);
        writer.put(&(self.users, self.is_retired))?;
        self.ring.put(&mut writer)?;
        self.readers.put(&mut writer)?;
        self.writers.put(&mut writer)?;
        Ok(writer.used())
    }

    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno> {
        if version != Self::VERSION {
            return Err(Errno::EINVAL);
        }
        let mut reader = Reader::new(from);
        let (users, is_retired) = reader.take()?;
        let ring = Ring::read(&mut reader)?;
        let (readers, writers) = (Line::read(&mut reader)?, Line::read(&mut reader)?);
        reader.finish()?;
        *self = TQueue { users, is_retired, ring, readers, writers, stat: self.stat };
        Ok(())
    }
}
