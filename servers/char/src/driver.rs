//! What a device must be able to do: the trait behind each name in `/dev`.
//!
//! It is all that the service knows of a device, so that drivers which are loaded at run time can stand
//! beside those that are built in.

use parley_abi::linux::poll;
use parley_proto::{Cx, In, Out, Outcome};

use crate::device::OpenDevice;

/// Most bytes that one request moves (Linux `MAX_RW_COUNT`): the result must fit the caller's `int`.
pub const COUNT_MAX: u64 = 0x7fff_f000;

/// A device. Access rights have been checked before it is called.
pub trait Driver {
    /// Whether pread, pwrite and lseek make sense; otherwise they are ESPIPE.
    fn is_seekable(&self) -> bool {
        true
    }

    /// Reads into `buf`.
    fn read(&mut self, cx: &mut Cx<'_>, file: OpenDevice, buf: Out) -> Outcome<'_>;

    /// Writes from `buf`.
    fn write(&mut self, cx: &mut Cx<'_>, file: OpenDevice, buf: In) -> Outcome<'_>;

    /// Which of these events hold. Whoever has said that none does tells the time service as soon as one may.
    fn ready(&mut self, events: u32) -> u32 {
        events & (poll::READABLE | poll::WRITABLE)
    }
}
