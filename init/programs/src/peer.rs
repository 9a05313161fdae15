//! The smallest server there can be: seven instructions in an address space of their own.
//!
//! It answers every request with the words it came with, in three instructions a round, so that a
//! measurement against it shows what the core costs and nothing else, and a test against it what the
//! core carries.

use parley_abi::Errno;
use parley_abi::call::{REPLY_RECV, Rights};
use parley_abi::msg::{Deadline, Flags, Words};
use parley_abi::slot;
use parley_rt::sys;

use crate::isolated::Isolated;

/// Its length in bytes.
const LENGTH: usize = 25;

/// The program.
const CODE: [u8; LENGTH] = code();

const fn code() -> [u8; LENGTH] {
    let [a, b, c, d] = (REPLY_RECV as u32).to_le_bytes();
    let [e, f, g, h] = slot::ENDPOINT.to_le_bytes();
    [
        0xbf, e, f, g, h, //       mov edi, ENDPOINT
        0x45, 0x31, 0xed, //       xor r13d, r13d      no token to answer yet
        0x45, 0x31, 0xf6, //       xor r14d, r14d      no deadline
        0xb8, a, b, c, d, //       mov eax, REPLY_RECV
        0x0f, 0x05, //       next: syscall             words and token stay where they are
        0xb8, a, b, c, d, //       mov eax, REPLY_RECV
        0xeb, 0xf7, //             jmp next
    ]
}

/// A running echo server. Dropping it destroys it.
pub struct Peer {
    connection: u32,
    _echo: Isolated,
}

impl Peer {
    /// Starts one at `priority`. Errors: those of [`Isolated::start`].
    pub fn start(priority: u8) -> Result<Peer, Errno> {
        let mut connection = 0;
        let echo = Isolated::start(&CODE, priority, |new| {
            connection = sys::mint(new.endpoint, 1, Rights::CALL | Rights::NOTIFY)?;
            Ok(())
        })?;
        Ok(Peer { connection, _echo: echo })
    }

    /// Slot of a connection to it.
    pub fn connection(&self) -> u32 {
        self.connection
    }

    /// Sends it `words` and returns what comes back. Errors: those of a call.
    pub fn call(&self, words: Words, deadline: Deadline) -> Result<Words, Errno> {
        sys::call(self.connection, Flags::empty(), 0, words, deadline).map(|(_, words)| words)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // If it is gone already, that is as well.
        let _ = sys::handle_drop(self.connection);
    }
}
