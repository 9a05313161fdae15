//! What outlives an instance: the tree with its contents, and every open file with its offset.
//!
//! By write-ahead: an export holds all bytes that are not in the boot archive, and a `read` changes no more than an
//! offset. `pread` leaves nothing to keep, as its mark for the time of access can be lost, and `stat` only if it settles one. What a
//! program writes goes through the journal, and is exported with everything else when the journal is full.

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::{Durable, file};
use parley_rt::state::{Reader, Writer};

use crate::Vfs;
use crate::clock::Clock;
use crate::namespace::Namespace;
use crate::table::Table;

impl Durable for Vfs {
    const VERSION: u32 = 1;
    const WRITE_AHEAD: bool = true;
    /// 2 MiB: events of 512 KiB, and 768 KiB of names and contents.
    const PAGES: usize = 512;

    #[inline]
    fn changes(&self, label: u32, _badge: u64) -> bool {
        label != file::label::pread
    }

    /// A `stat` changes something only if it meets a mark.
    #[inline]
    fn has_changed(&mut self) -> bool {
        !core::mem::take(&mut self.only_looked)
    }

    /// Every request is answered at once.
    fn holds(&self, _: Token) -> bool {
        false
    }

    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let mut writer = Writer::new(into);
        writer.put(&self.clock.epoch())?;
        self.files.put(&mut writer)?;
        self.names.put(&mut writer, self.archive)?;
        Ok(writer.used())
    }

    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno> {
        if version != Self::VERSION {
            return Err(Errno::EINVAL);
        }
        let mut reader = Reader::new(from);
        let clock = Clock::of(reader.take()?);
        let files = Table::take(&mut reader)?;
        let names = Namespace::take(&mut reader, self.archive)?;
        reader.finish()?;
        (self.clock, self.files, self.names) = (clock, files, names);
        Ok(())
    }
}
