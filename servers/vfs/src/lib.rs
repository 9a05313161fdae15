//! The vfs: one tree of files, directories and devices.
//!
//! It serves two interfaces. Through a process's own connection come paths ([`proto::vfs`](parley_proto::vfs),
//! in `names`); through a descriptor, which is a connection that `open` made, come reads and writes
//! ([`proto::file`](parley_proto::file), in `io`). Below lie the mounted file systems: `ramfs`, filled from
//! the boot archive, and `devfs` on /dev. The library knows nothing of its placement; `main.rs` is all
//! that ring 3 adds.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod clock;
mod devfs;
mod dirents;
mod fs;
mod io;
mod keep;
mod names;
mod namespace;
mod path;
mod ramfs;
mod root;
mod table;
#[cfg(test)]
mod tests;

use parley_abi::linux::Stat;
use parley_abi::msg::Words;
use parley_abi::news::{gone_bit, news_bit};
use parley_abi::slot::service;
use parley_abi::{Errno, PAGE, PATH_MAX};
use parley_proto::{Cx, Host, Outcome, RowSink, Service, file, vfs};
use parley_rt::durable::{Memory, Volatile};

pub use fs::FileSystem;
pub use io::TRANSFER_MAX;
pub use path::NAME_MAX;
pub use ramfs::MAX_FILE;
pub use table::MAX_OPEN;

/// The server.
///
/// About 12 KiB, most of it the buffers that paths and directory entries are copied through.
pub struct Vfs<M = Volatile> {
    archive: &'static [u8],
    clock: clock::Clock,
    names: namespace::Namespace<M>,
    /// The path of the request, and the second one of `rename`.
    path: [u8; PATH_MAX],
    second_path: [u8; PATH_MAX],
    /// Directory entries on their way out.
    page: [u8; PAGE],
    /// What `stat` sends with its reply.
    stat: Stat,
    /// Which version of the state it writes: see `keep`.
    version: u32,
}

impl Vfs<Volatile> {
    /// A server whose root holds the files of `archive`, a ustar file, once it has started. What it knows ends with it.
    pub fn new(archive: &'static [u8]) -> Vfs<Volatile> {
        Vfs::over(Volatile::new(), archive)
    }
}

impl<M: Memory> Vfs<M> {
    /// As [`Vfs::new`], with everything that it knows in this memory.
    pub fn over(memory: M, archive: &'static [u8]) -> Vfs<M> {
        Vfs {
            archive,
            clock: clock::Clock::new(),
            names: namespace::Namespace::new(memory, archive),
            path: [0; PATH_MAX],
            second_path: [0; PATH_MAX],
            page: [0; PAGE],
            stat: Stat::default(),
            version: 1,
        }
    }

    /// The same, in another version of its state.
    pub fn in_version(self, version: u32) -> Vfs<M> {
        Vfs { version, ..self }
    }

    /// A file or directory was made: version 2 counts them.
    fn count_made(&mut self) {
        if self.version >= 2 {
            let made = self.names.ram.memory.get(root::COUNT_MADE);
            self.names.ram.memory.set(root::COUNT_MADE, made + 1);
        }
    }

    /// Sets the times of a node that are marked.
    #[inline(always)]
    fn settle(&mut self, node: namespace::Node, host: &mut dyn Host) {
        if self.names.is_marked(node) {
            self.names.settle(node, self.clock.now(host));
        }
    }

    /// Fills /dev, which was made at `made`.
    fn learn_devices(&mut self, host: &mut dyn Host, made: u64) {
        if let Err(errno) = self.names.dev.learn(host, made, service::CHAR) {
            host.log(format_args!("/dev is incomplete: the char service answered {errno}"));
        }
        self.look_at_driver(host, made, service::TQUEUE);
    }

    /// Learns the devices of a driver that comes and goes; from now on /dev was made at `made`.
    fn look_at_driver(&mut self, host: &mut dyn Host, made: u64, driver: u8) {
        match self.names.dev.learn(host, made, driver) {
            // Not there, in ring 0; not there, in ring 3; gone again.
            Ok(()) | Err(Errno::ENXIO | Errno::EBADF | Errno::ESTALE) => {}
            Err(errno) => host.log(format_args!("/dev is incomplete: a driver answered {errno}")),
        }
    }

    /// What `stat` says of a node.
    fn describe(&mut self, node: namespace::Node, host: &mut dyn Host) -> &Stat {
        self.settle(node, host);
        self.stat = self.names.stat(node);
        &self.stat
    }
}

impl<M: Memory> Service for Vfs<M> {
    fn rows(sink: &mut impl RowSink) {
        file::rows(sink);
        vfs::rows(sink);
    }

    fn has_at_hand() -> bool {
        true
    }

    /// Bytes that lie together in a file.
    #[inline(always)]
    fn at_hand(&mut self, badge: u64, label: u32, words: &Words) -> Option<Outcome<'_>> {
        if label != file::label::pread {
            return None;
        }
        let (buf, offset) = file::take::pread(words);
        self.piece(badge, buf, offset).map(Outcome::Data)
    }

    /// Unpacks the archive and mounts the devices. EINVAL: the archive is broken; the log says where.
    /// ENOTDIR: it has a file in the place of /dev. ENOSPC: no memory.
    /// Without a char service, or with a confused one, there are fewer devices and a line in the log; without
    /// a time service, files are dated as if the machine had been started in 1970.
    fn start(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        if let Err(errno) = self.clock.learn(host) {
            host.log(format_args!("files are dated 1970: the time service answered {errno}"));
        }
        let now = self.clock.now(host);
        self.names.ram.format(now)?;
        archive::unpack(&mut self.names.ram, self.archive, now, host)?;
        if let Err(errno) = self.names.mount_dev(now) {
            host.log(format_args!("cannot mount /dev: {errno}; the boot archive has a file of that name?"));
            return Err(errno);
        }
        self.names.ram.memory.set(root::EPOCH, self.clock.epoch());
        self.names.ram.memory.set(root::MADE, now);
        self.learn_devices(host, now);
        Ok(())
    }

    #[inline(always)]
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        match label >> 8 {
            file::ID => file::dispatch(self, cx, label, words),
            vfs::ID => vfs::dispatch(self, cx, label, words),
            _ => Errno::ENOSYS.into(),
        }
    }

    /// A driver was loaded or unloaded. (The char service's devices are always the same.)
    fn notified(&mut self, host: &mut dyn Host, bits: u64) {
        if bits & (gone_bit(service::TQUEUE) | news_bit(service::TQUEUE)) == 0 {
            return;
        }
        let now = self.clock.now(host);
        let mut made = self.names.ram.memory.get(root::MADE);
        if bits & gone_bit(service::TQUEUE) != 0 {
            made = now;
            self.names.dev.forget(made, service::TQUEUE);
        }
        if bits & news_bit(service::TQUEUE) != 0 {
            // A driver that only was started again has changed nothing.
            made = if self.names.dev.has(service::TQUEUE) { made } else { now };
            self.look_at_driver(host, made, service::TQUEUE);
        }
        self.names.ram.memory.set(root::MADE, made);
    }

    fn closed(&mut self, host: &mut dyn Host, badge: u64) {
        if let Some(file) = table::remove(&mut self.names.ram.memory, badge) {
            self.settle(file.node, host);
            self.names.release(file.node);
        }
    }
}
