//! The smallest server there can be: seven instructions in an address space of their own.
//!
//! It answers every request with the words it came with, in three instructions a round, so that a
//! measurement against it shows what the core costs and nothing else, and a test against it what the
//! core carries. It has one page of code, no stack, no data and no run time.

use parley_abi::Errno;
use parley_abi::call::{REPLY_RECV, Rights, prot};
use parley_abi::msg::{Deadline, Flags, Words};
use parley_abi::slot;
use parley_rt::sys::{self, NewThread};

/// Where its page lies in its address space.
const CODE_AT: u64 = 0x40_0000;
/// Pages it may use: its address space with page tables and handle table, a thread, an endpoint.
const PAGES: u64 = 256;
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
    quota: u32,
    handles: [u32; 5],
    connection: u32,
}

impl Peer {
    /// Starts one, in an address space of its own, at `priority`, paid by this process.
    ///
    /// ENOMEM: the quota is used up. EPERM: the priority is higher than the caller's.
    pub fn start(priority: u8) -> Result<Peer, Errno> {
        let quota = sys::quota_create(slot::QUOTA, PAGES)?;
        let mut peer = Peer { quota, handles: [0; 5], connection: 0 };
        peer.build(priority)?;
        Ok(peer)
    }

    fn build(&mut self, priority: u8) -> Result<(), Errno> {
        let endpoint = self.keep(0, sys::endpoint_create(self.quota))?;
        self.connection = self.keep(1, sys::mint(endpoint, 1, Rights::CALL | Rights::NOTIFY))?;
        let space = self.keep(2, sys::space_create(self.quota))?;
        let code = self.keep(3, sys::mem_create(self.quota, 1))?;
        sys::mem_write(code, 0, &CODE)?;
        sys::map(space, code, CODE_AT, 0, 1, prot::READ | prot::EXECUTE)?;
        sys::handle_grant(space, endpoint, slot::ENDPOINT, Rights::RECEIVE)?;
        let new = NewThread { entry: CODE_AT, stack: 0, argument: 0, priority };
        // SAFETY: the thread runs in an address space that holds nothing of Rust's.
        let thread = self.keep(4, unsafe { sys::thread_create(space, self.quota, new) })?;
        sys::thread_start(thread)
    }

    fn keep(&mut self, index: usize, handle: Result<u32, Errno>) -> Result<u32, Errno> {
        self.handles[index] = handle?;
        handle
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
        // SAFETY: all that the quota paid for is another address space's.
        // A quota that cannot be destroyed is gone already; so is a handle.
        let _ = unsafe { sys::quota_destroy(self.quota) };
        for handle in self.handles.into_iter().chain([self.quota]).filter(|&handle| handle != 0) {
            let _ = sys::handle_drop(handle);
        }
    }
}
