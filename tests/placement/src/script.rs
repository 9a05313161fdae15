//! A script: calls as data, and the memory that they point into.

use parley_abi::Errno;
use parley_abi::linux::nr;
use parley_abi::msg::Words;
use parley_proto::calltable;
use std::fmt;

use crate::arena::{BASE, SIZE};

/// Where the scripts' buffer lies, 32 KiB up to the end of memory; texts and data lie below.
pub const BUFFER: u64 = BASE + SIZE as u64 / 2;
/// Bytes in the buffer.
pub const BUFFER_LEN: u64 = SIZE as u64 / 2;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Number in the call table.
    pub number: u16,
    /// What is in rdi rsi rdx r10 r8 r9.
    pub args: Words,
    /// The result that it must have; `None` asks only for the same everywhere.
    pub expected: Option<i64>,
    /// Bytes that it must leave at an address.
    pub leaves: Vec<(u64, Vec<u8>)>,
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.args.map(|word| word as i64);
        write!(out, "{}({a}, {b}, {c}, {d})", calltable::name(self.number).unwrap_or("?"))
    }
}

/// Calls, and the bytes that the client's memory begins with.
#[derive(Clone, Debug, Default)]
pub struct Script {
    calls: Vec<Call>,
    image: Vec<u8>,
}

impl Script {
    /// The calls, in order.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// What the client's memory begins with.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// Puts bytes into the client's memory and returns their address.
    pub fn data(&mut self, bytes: &[u8]) -> u64 {
        let address = BASE + self.image.len() as u64;
        self.image.extend_from_slice(bytes);
        assert!(BASE + self.image.len() as u64 <= BUFFER, "the script's texts do not fit");
        address
    }

    /// Puts a text and its NUL into the client's memory and returns its address.
    pub fn text(&mut self, text: &str) -> u64 {
        self.data(&[text.as_bytes(), b"\0"].concat())
    }

    /// Appends a call.
    pub fn call(&mut self, number: u16, args: &[u64]) -> &mut Self {
        let mut words = Words::default();
        words[..args.len()].copy_from_slice(args);
        self.calls.push(Call { number, args: words, expected: None, leaves: Vec::new() });
        self
    }

    /// The last call returns this.
    pub fn is(&mut self, result: i64) -> &mut Self {
        self.last().expected = Some(result);
        self
    }

    /// The last call fails with this.
    pub fn fails(&mut self, errno: Errno) -> &mut Self {
        self.is(errno.negated())
    }

    /// The last call returns the number of these bytes, and leaves them in the buffer.
    pub fn gives(&mut self, bytes: &[u8]) -> &mut Self {
        self.is(bytes.len() as i64).holds(0, bytes)
    }

    /// The last call leaves these bytes at `offset` of the buffer.
    pub fn holds(&mut self, offset: u64, bytes: &[u8]) -> &mut Self {
        self.last().leaves.push((BUFFER + offset, bytes.to_vec()));
        self
    }

    fn last(&mut self) -> &mut Call {
        self.calls.last_mut().expect("there is a call to expect something of")
    }
}

/// The calls by name; buffers are the first bytes of [`BUFFER`].
#[allow(missing_docs)]
impl Script {
    pub fn open(&mut self, path: &str, flags: u32) -> &mut Self {
        let path = self.text(path);
        self.call(nr::OPEN, &[path, flags as u64, 0o644])
    }
    pub fn close(&mut self, fd: u64) -> &mut Self {
        self.call(nr::CLOSE, &[fd])
    }
    pub fn read(&mut self, fd: u64, len: u64) -> &mut Self {
        self.call(nr::READ, &[fd, BUFFER, len])
    }
    pub fn write(&mut self, fd: u64, bytes: &[u8]) -> &mut Self {
        let data = self.data(bytes);
        self.call(nr::WRITE, &[fd, data, bytes.len() as u64])
    }
    pub fn pread(&mut self, fd: u64, len: u64, offset: i64) -> &mut Self {
        self.call(nr::PREAD64, &[fd, BUFFER, len, offset as u64])
    }
    pub fn pwrite(&mut self, fd: u64, bytes: &[u8], offset: i64) -> &mut Self {
        let data = self.data(bytes);
        self.call(nr::PWRITE64, &[fd, data, bytes.len() as u64, offset as u64])
    }
    pub fn lseek(&mut self, fd: u64, offset: i64, whence: u32) -> &mut Self {
        self.call(nr::LSEEK, &[fd, offset as u64, whence as u64])
    }
    pub fn stat(&mut self, path: &str) -> &mut Self {
        let path = self.text(path);
        self.call(nr::STAT, &[path, BUFFER])
    }
    pub fn fstat(&mut self, fd: u64) -> &mut Self {
        self.call(nr::FSTAT, &[fd, BUFFER])
    }
    pub fn getdents(&mut self, fd: u64, len: u64) -> &mut Self {
        self.call(nr::GETDENTS64, &[fd, BUFFER, len])
    }
    pub fn mkdir(&mut self, path: &str) -> &mut Self {
        let path = self.text(path);
        self.call(nr::MKDIR, &[path, 0o755])
    }
    pub fn rmdir(&mut self, path: &str) -> &mut Self {
        let path = self.text(path);
        self.call(nr::RMDIR, &[path])
    }
    pub fn unlink(&mut self, path: &str) -> &mut Self {
        let path = self.text(path);
        self.call(nr::UNLINK, &[path])
    }
    pub fn rename(&mut self, from: &str, to: &str) -> &mut Self {
        let (from, to) = (self.text(from), self.text(to));
        self.call(nr::RENAME, &[from, to])
    }
    pub fn dup(&mut self, fd: u64) -> &mut Self {
        self.call(nr::DUP, &[fd])
    }
    pub fn dup2(&mut self, fd: u64, to: u64) -> &mut Self {
        self.call(nr::DUP2, &[fd, to])
    }
}
