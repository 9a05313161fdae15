//! A client of the test's own: requests by label, with memory that can fault.

mod bytes;
mod keep;
mod model;
mod posix;
mod start;
mod times;

use alloc::vec::Vec;
use parley_abi::linux::{Plain, Stat};
use parley_abi::msg::{Token, Words};
use parley_abi::slot::service;
use parley_abi::{Errno, linux::makedev};
use parley_proto::{Cx, Host, Outcome, Service, chardev, file, root_badge, time, vfs};
use parley_rt::durable::Memory;

use crate::Vfs;

/// An archive with nothing in it.
pub static EMPTY: [u8; 1536] = [0; 1536];
const TOKEN: Token = Token::new(3, 7);

/// What a request did.
#[derive(Debug, PartialEq, Eq)]
pub enum Did {
    Result(i64),
    Opened(u64),
    Device(u64, u32),
}

/// Surroundings with one client, whose buffers are two vectors.
#[derive(Default)]
pub struct TestHost {
    pub leases: [Vec<u8>; 2],
    /// Bytes of each buffer that are mapped; what touches others faults, after copying the bytes before.
    pub mapped: Option<usize>,
    pub log: std::string::String,
    pub no_char: bool,
    /// The loadable driver is there.
    pub driver: bool,
    /// Nanoseconds since boot.
    pub now: u64,
    /// The process dies in the next copy, when half of it is done.
    pub dies: bool,
}

/// Nanoseconds between 1970 and boot, as the time service would tell.
pub const EPOCH: u64 = 1_767_225_600_000_000_000;

impl TestHost {
    fn fault(&self, end: usize) -> bool {
        self.mapped.is_some_and(|mapped| end > mapped)
    }
}

impl Host for TestHost {
    fn now(&mut self) -> u64 {
        self.now
    }
    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        assert_eq!(token, TOKEN);
        let bytes = self.leases[lease as usize].get(offset as usize..).unwrap_or(&[]);
        let len = bytes.len().min(into.len());
        if self.dies {
            into[..len / 2].copy_from_slice(&bytes[..len / 2]);
            panic!("killed");
        }
        if self.fault(offset as usize + len) {
            into[..len / 2].fill(0xee);
            return Err(Errno::EFAULT);
        }
        into[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }
    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        assert_eq!(token, TOKEN);
        let buffer = &mut self.leases[lease as usize];
        let len = from.len().min(buffer.len() - offset as usize);
        if self.fault(offset as usize + len) {
            return Err(Errno::EFAULT);
        }
        self.leases[lease as usize][offset as usize..][..len].copy_from_slice(&from[..len]);
        Ok(len)
    }
    fn reply(&mut self, _token: Token, _result: i64) {}
    fn call(&mut self, to: u8, label: u32, words: Words) -> Result<Words, Errno> {
        if (to, label) == (service::TIME, time::label::epoch) {
            return Ok([EPOCH, 0, 0, 0, 0, 0]);
        }
        assert_eq!(label, chardev::label::device);
        if to == service::TQUEUE {
            let name = u64::from_le_bytes(*b"tqueue\0\0");
            return match (self.driver, words[0]) {
                (false, _) => Err(Errno::EBADF),
                (true, 0) => Ok([makedev(parley_proto::TQUEUE_MAJOR, 0), 0o666, name, 0, 0, 0]),
                (true, _) => Err(Errno::ENOENT),
            };
        }
        assert_eq!(to, service::CHAR);
        let name = |text: &[u8; 8]| u64::from_le_bytes(*text);
        match words[0] {
            _ if self.no_char => Err(Errno::ENXIO),
            0 => Ok([makedev(1, 3), 0o666, name(b"null\0\0\0\0"), 0, 0, 0]),
            1 => Ok([makedev(1, 5), 0o666, name(b"zero\0\0\0\0"), 0, 0, 0]),
            _ => Err(Errno::ENOENT),
        }
    }
    fn set_alarm(&mut self, _at: u64) {}
    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        self.log.push_str(&line.to_string());
    }
    fn dump_threads(&mut self) {}
    fn read_log(&mut self, _into: &mut [u8]) -> usize {
        0
    }
}

/// One request; bytes that come with the reply land in buffer `out`.
pub fn serve<M: Memory>(
    vfs: &mut Vfs<M>,
    host: &mut TestHost,
    badge: u64,
    label: u32,
    words: Words,
    out: usize,
) -> Did {
    let outcome = vfs.request(&mut Cx { host, token: TOKEN, badge }, label, &words);
    let mut deliver =
        |bytes: &[u8]| host.copy_out(TOKEN, out as u8, 0, bytes).map_or_else(Errno::negated, |copied| copied as i64);
    match outcome {
        Outcome::Done(result) => Did::Result(result),
        Outcome::Data(bytes) => Did::Result(deliver(bytes)),
        Outcome::Fill(bytes) => Did::Result(deliver(bytes).min(0)),
        Outcome::Open { badge, .. } => Did::Opened(badge),
        Outcome::Forward { words, .. } => Did::Device(words[0], words[1] as u32),
        other => panic!("{other:?}"),
    }
}

/// A started vfs and its client.
pub struct Client {
    pub vfs: Vfs,
    pub host: TestHost,
}

impl Client {
    pub fn new(archive: &'static [u8]) -> Client {
        let mut client = Client { vfs: Vfs::new(archive), host: TestHost::default() };
        client.vfs.start(&mut client.host).unwrap();
        client
    }

    /// See [`serve`].
    fn request(&mut self, badge: u64, label: u32, words: Words, out: usize) -> Did {
        serve(&mut self.vfs, &mut self.host, badge, label, words, out)
    }

    fn result(&mut self, badge: u64, label: u32, words: Words, out: usize) -> Result<i64, Errno> {
        match self.request(badge, label, words, out) {
            Did::Result(result) => Errno::check(result),
            other => panic!("{other:?}"),
        }
    }

    fn on_path(&mut self, label: u32, path: &[u8], word: u64) -> Result<i64, Errno> {
        self.host.leases = [text(path), Vec::new()];
        self.result(root_badge(1, 0), label, [1, word, 0, 0, 0, 0], 1)
    }

    pub fn try_open(&mut self, path: &[u8], flags: u32, mode: u32) -> Did {
        self.host.leases = [text(path), Vec::new()];
        let words = [1, flags as u64, mode as u64, 0, 0, 0];
        self.request(root_badge(1, 0), vfs::label::open, words, 1)
    }

    pub fn open(&mut self, path: &[u8], flags: u32) -> Result<u64, Errno> {
        match self.try_open(path, flags, 0o644) {
            Did::Opened(badge) => Ok(badge),
            Did::Result(result) => Err(Errno::check(result).unwrap_err()),
            Did::Device(..) => panic!("a device"),
        }
    }

    pub fn close(&mut self, badge: u64) {
        self.vfs.closed(&mut self.host, badge);
    }

    pub fn mkdir(&mut self, path: &[u8]) -> Result<i64, Errno> {
        self.on_path(vfs::label::mkdir, path, 0o755)
    }
    pub fn rmdir(&mut self, path: &[u8]) -> Result<i64, Errno> {
        self.on_path(vfs::label::rmdir, path, 0)
    }
    pub fn unlink(&mut self, path: &[u8]) -> Result<i64, Errno> {
        self.on_path(vfs::label::unlink, path, 0)
    }
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<i64, Errno> {
        self.host.leases = [text(from), text(to)];
        self.result(root_badge(1, 0), vfs::label::rename, [1, 1, 0, 0, 0, 0], 1)
    }

    pub fn stat(&mut self, path: &[u8]) -> Result<Stat, Errno> {
        self.host.leases = [text(path), [0; 144].to_vec()];
        self.result(root_badge(1, 0), vfs::label::stat, [1, 1, 0, 0, 0, 0], 1)?;
        Ok(as_stat(&self.host.leases[1]))
    }
    pub fn fstat(&mut self, badge: u64) -> Result<Stat, Errno> {
        self.host.leases[0] = [0; 144].to_vec();
        self.result(badge, file::label::fstat, [1, 0, 0, 0, 0, 0], 0)?;
        Ok(as_stat(&self.host.leases[0]))
    }

    fn fetch(&mut self, badge: u64, label: u32, len: usize, offset: i64) -> Result<Vec<u8>, Errno> {
        self.host.leases[0] = alloc::vec![0; len];
        let count = self.result(badge, label, [1, len as u64, offset as u64, 0, 0, 0], 0)?;
        Ok(self.host.leases[0][..count as usize].to_vec())
    }
    pub fn read(&mut self, badge: u64, len: usize) -> Result<Vec<u8>, Errno> {
        self.fetch(badge, file::label::read, len, 0)
    }
    pub fn pread(&mut self, badge: u64, len: usize, offset: i64) -> Result<Vec<u8>, Errno> {
        self.fetch(badge, file::label::pread, len, offset)
    }
    pub fn getdents(&mut self, badge: u64, len: usize) -> Result<Vec<u8>, Errno> {
        self.fetch(badge, file::label::getdents, len, 0)
    }

    fn store(&mut self, badge: u64, label: u32, bytes: &[u8], offset: i64) -> Result<i64, Errno> {
        self.host.leases[0] = bytes.to_vec();
        self.result(badge, label, [1, bytes.len() as u64, offset as u64, 0, 0, 0], 0)
    }
    pub fn write(&mut self, badge: u64, bytes: &[u8]) -> Result<i64, Errno> {
        self.store(badge, file::label::write, bytes, 0)
    }
    pub fn pwrite(&mut self, badge: u64, bytes: &[u8], offset: i64) -> Result<i64, Errno> {
        self.store(badge, file::label::pwrite, bytes, offset)
    }
    pub fn lseek(&mut self, badge: u64, offset: i64, whence: u32) -> Result<i64, Errno> {
        self.result(badge, file::label::lseek, [offset as u64, whence as u64, 0, 0, 0, 0], 0)
    }

    /// The names in a directory, read `len` bytes at a time.
    pub fn names(&mut self, path: &[u8], len: usize) -> Vec<Vec<u8>> {
        let badge = self.open(path, 0).unwrap();
        let mut names = Vec::new();
        loop {
            let records = self.getdents(badge, len).unwrap();
            if records.is_empty() {
                break;
            }
            let mut rest = &records[..];
            while !rest.is_empty() {
                let length = u16::from_le_bytes([rest[16], rest[17]]) as usize;
                let name = rest[19..length].split(|&byte| byte == 0).next().unwrap();
                names.push(name.to_vec());
                rest = &rest[length..];
            }
        }
        self.close(badge);
        names
    }
}

fn text(path: &[u8]) -> Vec<u8> {
    let mut text = path.to_vec();
    text.push(0);
    text.truncate(parley_abi::PATH_MAX);
    text
}

fn as_stat(bytes: &[u8]) -> Stat {
    let mut stat = Stat::default();
    stat.bytes_mut().copy_from_slice(bytes);
    stat
}
