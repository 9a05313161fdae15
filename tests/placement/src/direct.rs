//! The direct placement: the servers' methods, called by name.
//!
//! It uses neither call table nor labels nor the loop-back's marshalling, so it checks them all: which
//! method a number means, which arguments are buffers, what `dup` and `close` do, is written out here.

use parley_abi::Errno;
use parley_abi::linux::nr;
use parley_abi::msg::{Token, Words};
use parley_abi::slot::service;
use parley_loopback::Memory;
use parley_proto::arg::{Arg, Taker};
use parley_proto::file::File;
use parley_proto::vfs::Vfs as Names;
use parley_proto::{Cx, Host, Outcome, Service, chardev, root_badge};
use server_vfs::Vfs;
use std::rc::Rc;

use crate::arena::Arena;
use crate::devices::{CharService, char_service};
use crate::{Call, Placement, boot};

const TOKEN: Token = Token::new(1, 1);
const PROCESS: u64 = root_badge(1, 0);
const FD_END: usize = 1024;

/// A buffer that the client lends: address and length.
#[derive(Clone, Copy)]
enum Lent {
    Nothing,
    Read(u64, u64),
    Write(u64, u64),
    Text(u64),
}

/// An open file: whose, and its badge.
struct End {
    device: bool,
    badge: u64,
}

/// The servers and the process's descriptors.
pub struct Direct {
    vfs: Vfs,
    devices: Box<dyn CharService>,
    files: Vec<Option<Rc<End>>>,
    arena: Arena,
}

/// What the servers see.
struct DirectHost<'a> {
    arena: Arena,
    lent: [Lent; 2],
    devices: Option<&'a mut dyn CharService>,
}

impl DirectHost<'_> {
    fn deliver(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let index = self.lent.iter().position(|lent| matches!(lent, Lent::Write(..))).ok_or(Errno::EACCES)?;
        self.copy_out(TOKEN, index as u8, 0, bytes)
    }
}

impl Host for DirectHost<'_> {
    fn now(&mut self) -> u64 {
        0
    }
    fn copy_in(&mut self, _token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        match self.lent[lease as usize] {
            Lent::Text(address) => self.arena.read_text(address + offset, into),
            Lent::Read(address, len) => {
                let len = into.len().min((len - offset) as usize);
                if len > 0 {
                    self.arena.read(address.checked_add(offset).ok_or(Errno::EFAULT)?, &mut into[..len])?;
                }
                Ok(len)
            }
            _ => Err(Errno::EACCES),
        }
    }
    fn copy_out(&mut self, _token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        let Lent::Write(address, len) = self.lent[lease as usize] else { return Err(Errno::EACCES) };
        let len = from.len().min((len - offset) as usize);
        if len > 0 {
            self.arena.write(address.checked_add(offset).ok_or(Errno::EFAULT)?, &from[..len])?;
        }
        Ok(len)
    }
    fn reply(&mut self, _token: Token, _result: i64) {
        panic!("nothing here is answered later");
    }
    fn call(&mut self, to: u8, label: u32, words: Words) -> Result<Words, Errno> {
        if matches!(to, service::TIME | service::TQUEUE) {
            return Err(Errno::ENXIO); // nobody tells the date here: files are made in 1970; and no driver is loaded
        }
        assert_eq!((to, label), (service::CHAR, chardev::label::device));
        let devices = self.devices.take().ok_or(Errno::ENXIO)?;
        let mut host = DirectHost { arena: self.arena.clone(), lent: [Lent::Nothing; 2], devices: None };
        let outcome = devices.device(&mut Cx { host: &mut host, token: TOKEN, badge: PROCESS }, words[0] as u32);
        let reply = match outcome {
            Outcome::Words(words) => Ok(words),
            Outcome::Done(result) => Err(Errno::check(result).expect_err("an error")),
            other => panic!("{other:?}"),
        };
        self.devices = Some(devices);
        reply
    }
    fn set_alarm(&mut self, _at: u64) {}
    fn log(&mut self, _: core::fmt::Arguments<'_>) {}
    fn dump_threads(&mut self) {}
    fn read_log(&mut self, _into: &mut [u8]) -> usize {
        0
    }
}

/// Takes an argument out of words, as the method's type says.
fn take<T: Arg>(from: &mut Taker<'_>) -> T {
    T::take(from)
}

impl Direct {
    /// Starts the servers.
    pub fn new(arena: Arena) -> Direct {
        let mut devices = char_service();
        let mut vfs = Vfs::new(boot::archive());
        let mut host = DirectHost { arena: arena.clone(), lent: [Lent::Nothing; 2], devices: None };
        devices.start(&mut host).expect("the devices start");
        host.devices = Some(&mut *devices);
        vfs.start(&mut host).expect("the vfs starts");
        Direct { vfs, devices, files: vec![], arena }
    }

    fn file(&self, fd: u64) -> Result<Rc<End>, Errno> {
        self.files.get(fd as usize).and_then(Option::clone).ok_or(Errno::EBADF)
    }

    /// Lowest free descriptor. EMFILE.
    fn free(&mut self) -> Result<usize, Errno> {
        let free = self.files.iter().position(Option::is_none).unwrap_or(self.files.len());
        if free < FD_END { Ok(free) } else { Err(Errno::EMFILE) }
    }

    fn put(&mut self, fd: usize, end: Rc<End>) -> i64 {
        if fd >= self.files.len() {
            self.files.resize_with(fd + 1, || None);
        }
        if let Some(old) = self.files[fd].replace(end) {
            self.forget(old);
        }
        fd as i64
    }

    /// Tells the server when nobody has the file open any more.
    fn forget(&mut self, end: Rc<End>) {
        let Ok(end) = Rc::try_unwrap(end) else { return };
        let mut host = DirectHost { arena: self.arena.clone(), lent: [Lent::Nothing; 2], devices: None };
        match end.device {
            true => self.devices.closed(&mut host, end.badge),
            false => self.vfs.closed(&mut host, end.badge),
        }
    }

    /// Calls a method of the namespace.
    fn on_names(&mut self, lent: [Lent; 2], call: impl FnOnce(&mut Vfs, &mut Cx<'_>) -> Done) -> Result<i64, Errno> {
        let mut host = DirectHost { arena: self.arena.clone(), lent, devices: Some(&mut *self.devices) };
        let done = call(&mut self.vfs, &mut Cx { host: &mut host, token: TOKEN, badge: PROCESS });
        match done {
            Done::Bytes(bytes) => host.deliver(&bytes).map(|_| 0),
            other => self.finish(other),
        }
    }

    /// Calls a method of an open file.
    fn on_file(
        &mut self,
        fd: u64,
        lent: Lent,
        call: impl FnOnce(&mut dyn File, &mut Cx<'_>) -> Done,
    ) -> Result<i64, Errno> {
        let end = self.file(fd)?;
        let mut host = DirectHost { arena: self.arena.clone(), lent: [lent, Lent::Nothing], devices: None };
        let mut cx = Cx { host: &mut host, token: TOKEN, badge: end.badge };
        let server: &mut dyn File = if end.device { &mut *self.devices } else { &mut self.vfs };
        match call(server, &mut cx) {
            Done::Bytes(bytes) => host.deliver(&bytes).map(|_| 0),
            Done::Data(bytes) => host.deliver(&bytes).map(|count| count as i64),
            other => self.finish(other),
        }
    }

    fn finish(&mut self, done: Done) -> Result<i64, Errno> {
        let end = match done {
            Done::Result(result) => return Errno::check(result),
            Done::Open(badge) => End { device: false, badge },
            Done::Device(device, flags) => {
                let mut host = DirectHost { arena: self.arena.clone(), lent: [Lent::Nothing; 2], devices: None };
                let mut cx = Cx { host: &mut host, token: TOKEN, badge: PROCESS };
                match self.devices.open_device(&mut cx, device, flags) {
                    Outcome::Open { badge, .. } => End { device: true, badge },
                    Outcome::Done(result) => return Errno::check(result),
                    other => panic!("{other:?}"),
                }
            }
            Done::Bytes(_) | Done::Data(_) => panic!("bytes for nobody"),
        };
        let fd = self.free()?;
        Ok(self.put(fd, Rc::new(end)))
    }

    fn call_by_name(&mut self, number: u16, args: &Words) -> Result<i64, Errno> {
        let [a, b, c, ..] = *args;
        let rest = [b, c, args[3], 0, 0, 0];
        let (mut all, mut rest) = (Taker::new(args), Taker::new(&rest));
        let path = [Lent::Text(a), Lent::Nothing];
        match number {
            nr::OPEN => {
                self.free()?;
                self.on_names(path, |vfs, cx| vfs.open(cx, take(&mut all), b as u32, c as u32).into())
            }
            nr::STAT => {
                let lent = [Lent::Text(a), Lent::Write(b, 144)];
                self.on_names(lent, |vfs, cx| Names::stat(vfs, cx, take(&mut all), take(&mut all)).into())
            }
            nr::MKDIR => self.on_names(path, |vfs, cx| vfs.mkdir(cx, take(&mut all), b as u32).into()),
            nr::RMDIR => self.on_names(path, |vfs, cx| vfs.rmdir(cx, take(&mut all)).into()),
            nr::UNLINK => self.on_names(path, |vfs, cx| vfs.unlink(cx, take(&mut all)).into()),
            nr::RENAME => {
                let lent = [Lent::Text(a), Lent::Text(b)];
                self.on_names(lent, |vfs, cx| vfs.rename(cx, take(&mut all), take(&mut all)).into())
            }
            nr::READ => self.on_file(a, Lent::Write(b, c), |file, cx| file.read(cx, take(&mut rest)).into()),
            nr::WRITE => self.on_file(a, Lent::Read(b, c), |file, cx| file.write(cx, take(&mut rest)).into()),
            nr::PREAD64 => {
                let offset = args[3] as i64;
                self.on_file(a, Lent::Write(b, c), |file, cx| file.pread(cx, take(&mut rest), offset).into())
            }
            nr::PWRITE64 => {
                let offset = args[3] as i64;
                self.on_file(a, Lent::Read(b, c), |file, cx| file.pwrite(cx, take(&mut rest), offset).into())
            }
            nr::LSEEK => self.on_file(a, Lent::Nothing, |file, cx| file.lseek(cx, b as i64, c as u32).into()),
            nr::FSTAT => self.on_file(a, Lent::Write(b, 144), |file, cx| file.fstat(cx, take(&mut rest)).into()),
            nr::GETDENTS64 => self.on_file(a, Lent::Write(b, c), |file, cx| file.getdents(cx, take(&mut rest)).into()),
            nr::CLOSE => {
                self.file(a)?;
                let end = self.files[a as usize].take();
                end.into_iter().for_each(|end| self.forget(end));
                Ok(0)
            }
            nr::DUP => {
                let end = self.file(a)?;
                self.free().map(|fd| self.put(fd, end))
            }
            nr::DUP2 => match self.file(a)? {
                _ if b >= FD_END as u64 => Err(Errno::EBADF),
                _ if a == b => Ok(b as i64),
                end => Ok(self.put(b as usize, end)),
            },
            nr::SCHED_YIELD => Ok(0),
            _ => Err(Errno::ENOSYS),
        }
    }
}

/// An outcome that no longer borrows the server.
enum Done {
    Result(i64),
    Data(Vec<u8>),
    Bytes(Vec<u8>),
    Open(u64),
    Device(u64, u32),
}

impl From<Outcome<'_>> for Done {
    fn from(outcome: Outcome<'_>) -> Done {
        match outcome {
            Outcome::Done(result) => Done::Result(result),
            Outcome::Data(bytes) => Done::Data(bytes.to_vec()),
            Outcome::Fill(bytes) => Done::Bytes(bytes.to_vec()),
            Outcome::Open { badge, .. } => Done::Open(badge),
            Outcome::Forward { words, .. } => Done::Device(words[0], words[1] as u32),
            other => panic!("{other:?}"),
        }
    }
}

impl Placement for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn call(&mut self, call: &Call) -> i64 {
        self.call_by_name(call.number, &call.args).unwrap_or_else(Errno::negated)
    }

    fn arena(&self) -> &Arena {
        &self.arena
    }
}
