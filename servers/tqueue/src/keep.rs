//! What outlives an instance: the queued bytes, who waits, and how many descriptors there are.
//!
//! By checkpoint: all of it is at most 21 KiB, most often much less than the queue's 4 KiB. In place it could not lie simply:
//! one event can take bytes out of the queue and put others there, and what is taken back must not have been overwritten.
//!
//! Version 2 adds how many bytes have been written since that version came, behind what version 1 writes.

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::{Host, file};
use parley_rt::durable::{Checkpoint, Schema};
use parley_rt::state::{Reader, Writer};

use crate::TQueue;
use crate::ring::Ring;
use crate::waiting::Line;

impl Checkpoint for TQueue {
    fn schema(&self) -> Schema {
        Schema::additive(self.version)
    }

    fn changes(&self, label: u32, _: u64) -> bool {
        !matches!(label, file::label::fstat | file::label::ready)
    }

    fn holds(&self, token: Token) -> bool {
        self.readers.has(token) || self.writers.has(token)
    }

    fn is_idle(&self) -> bool {
        let nobody_waits = self.readers.is_empty() && self.writers.is_empty();
        self.version < 2 && self.users == 0 && !self.is_retired && self.ring.len() == 0 && nobody_waits
    }

    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let mut writer = Writer::new(into);
        writer.put(&(self.users, self.is_retired))?;
        self.ring.put(&mut writer)?;
        self.readers.put(&mut writer)?;
        self.writers.put(&mut writer)?;
        if self.version >= 2 {
            writer.put(&self.passed)?;
        }
        Ok(writer.used())
    }

    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno> {
        let mut reader = Reader::new(from);
        let (users, is_retired) = reader.take()?;
        let ring = Ring::read(&mut reader)?;
        let (readers, writers) = (Line::read(&mut reader)?, Line::read(&mut reader)?);
        let passed = if self.version >= 2 && version >= 2 { reader.take()? } else { 0 };
        // A newer version goes on behind this.
        if version <= self.version {
            reader.finish()?;
        }
        let new = TQueue::new().in_version(self.version);
        *self = TQueue { users, is_retired, ring, readers, writers, passed, ..new };
        Ok(())
    }

    fn resume(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        if self.version >= 2 {
            host.log(format_args!("bytes since version 2: {}", self.passed));
        }
        Ok(())
    }
}
