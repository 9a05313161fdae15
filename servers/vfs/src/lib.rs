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
mod table;
#[cfg(test)]
mod tests;

use parley_abi::call::{gone_bit, news_bit};
use parley_abi::linux::Stat;
use parley_abi::msg::Words;
use parley_abi::slot::service;
use parley_abi::{Errno, PAGE, PATH_MAX};
use parley_proto::{Cx, Host, Outcome, RowSink, Service, file, vfs};

pub use fs::FileSystem;
pub use io::TRANSFER_MAX;
pub use path::NAME_MAX;
pub use ramfs::MAX_FILE;
pub use table::MAX_OPEN;

/// The server.
///
/// About 12 KiB, most of it the buffers that paths and directory entries are copied through.
pub struct Vfs {
    archive: &'static [u8],
    clock: clock::Clock,
    names: namespace::Namespace,
    files: table::Table,
    /// The path of the request, and the second one of `rename`.
    path: [u8; PATH_MAX],
    second_path: [u8; PATH_MAX],
    /// Directory entries on their way out.
    page: [u8; PAGE],
    /// What `stat` sends with its reply.
    stat: Stat,
    /// The event that is being served was a look at the tree and changed nothing, not even the time in a node.
    only_looked: bool,
}

impl Vfs {
    /// A server whose root holds the files of `archive`, a ustar file, once it has started.
    pub fn new(archive: &'static [u8]) -> Vfs {
        Vfs {
            archive,
            clock: clock::Clock::new(),
            names: namespace::Namespace::new(),
            files: table::Table::new(),
            path: [0; PATH_MAX],
            second_path: [0; PATH_MAX],
            page: [0; PAGE],
            stat: Stat::default(),
            only_looked: false,
        }
    }

    /// Sets the times of a node that are marked. The time is asked for whether or not there is a mark: reads leave
    /// marks but no trace in the journal, so what is asked of the world must not depend on them.
    #[inline]
    fn settle(&mut self, node: namespace::Node, host: &mut dyn Host) {
        let now = self.clock.now(host);
        if self.names.is_marked(node) {
            self.only_looked = false;
            self.names.settle(node, now);
        }
    }

    /// Learns the devices of a driver that comes and goes.
    fn look_at_driver(&mut self, host: &mut dyn Host, driver: u8) {
        let now = self.clock.now(host);
        match self.names.dev.learn(host, now, driver) {
            // Not there, in ring 0; not there, in ring 3; gone again.
            Ok(()) | Err(Errno::ENXIO | Errno::EBADF | Errno::ESTALE) => {}
            Err(errno) => archive::log(host, format_args!("vfs: /dev is incomplete: a driver answered {errno}")),
        }
    }

    /// What `stat` says of a node.
    fn describe(&mut self, node: namespace::Node, host: &mut dyn Host) -> &Stat {
        self.settle(node, host);
        self.stat = self.names.stat(node);
        &self.stat
    }
}

impl Service for Vfs {
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
            archive::log(host, format_args!("vfs: files are dated 1970: the time service answered {errno}"));
        }
        let now = self.clock.now(host);
        self.names.ram.format(now)?;
        archive::unpack(&mut self.names.ram, self.archive, now, host)?;
        if let Err(errno) = self.names.mount_dev(now) {
            archive::log(
                host,
                format_args!("vfs: cannot mount /dev: {errno}; the boot archive has a file of that name?"),
            );
            return Err(errno);
        }
        if let Err(errno) = self.names.dev.learn(host, now, service::CHAR) {
            archive::log(host, format_args!("vfs: /dev is incomplete: the char service answered {errno}"));
        }
        self.look_at_driver(host, service::TQUEUE);
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
        if bits & gone_bit(service::TQUEUE) != 0 {
            let now = self.clock.now(host);
            self.names.dev.forget(now, service::TQUEUE);
        }
        if bits & news_bit(service::TQUEUE) != 0 {
            self.look_at_driver(host, service::TQUEUE);
        }
    }

    fn closed(&mut self, host: &mut dyn Host, badge: u64) {
        if let Some(file) = self.files.remove(badge) {
            self.settle(file.node, host);
            self.names.release(file.node);
        }
    }
}
