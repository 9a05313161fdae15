//! The rows of the namespace: paths to files.
//!
//! Only a process's own connection reaches them; a descriptor of a file is EBADF here. There is one user,
//! so permissions are kept and shown but not checked. Where POSIX leaves a choice these do as Linux does:
//! `rename` of `.`, `..` or a mount is EBUSY, `unlink` of a directory EISDIR.

use parley_abi::Errno;
use parley_abi::linux::{Plain, Stat, open};
use parley_proto::vfs::Vfs as Rows;
use parley_proto::{Cx, OutOf, Outcome, ROOT, Text, chardev, driver_of};
use parley_rt::durable::Memory;

use crate::Vfs;
use crate::fs::Kind;
use crate::namespace::{Found, Namespace, Node};
use crate::table;

/// Bits of a mode that are kept; there is no umask.
const PERMISSIONS: u32 = 0o7777;

impl<M: Memory> Rows for Vfs<M> {
    fn open(&mut self, cx: &mut Cx<'_>, path: Text, flags: u32, mode: u32) -> Outcome<'_> {
        self.open_path(cx, path, flags, mode).unwrap_or_else(Outcome::from)
    }

    fn stat(&mut self, cx: &mut Cx<'_>, path: Text, stat: OutOf<Stat>) -> Outcome<'_> {
        match self.find(cx, path) {
            Ok(_) if stat.is_null => Errno::EFAULT.into(),
            Ok(node) => Outcome::Fill(self.describe(node, cx.host).bytes()),
            Err(errno) => errno.into(),
        }
    }

    fn mkdir(&mut self, cx: &mut Cx<'_>, path: Text, mode: u32) -> Outcome<'_> {
        self.make_directory(cx, path, mode).map(|()| 0).into()
    }

    fn rmdir(&mut self, cx: &mut Cx<'_>, path: Text) -> Outcome<'_> {
        self.remove_directory(cx, path).map(|()| 0).into()
    }

    fn unlink(&mut self, cx: &mut Cx<'_>, path: Text) -> Outcome<'_> {
        self.remove_name(cx, path).map(|()| 0).into()
    }

    fn rename(&mut self, cx: &mut Cx<'_>, from: Text, to: Text) -> Outcome<'_> {
        self.move_name(cx, from, to).map(|()| 0).into()
    }
}

/// EBADF: not a process's own connection to the namespace.
fn check_root(cx: &Cx<'_>) -> Result<(), Errno> {
    if cx.badge & ROOT == 0 { Err(Errno::EBADF) } else { Ok(()) }
}

impl<M: Memory> Vfs<M> {
    /// Room in the open-file table comes first, so that nothing is made or truncated in vain.
    fn open_path(&mut self, cx: &mut Cx<'_>, path: Text, flags: u32, mode: u32) -> Result<Outcome<'static>, Errno> {
        check_root(cx)?;
        let path = path.read(cx, &mut self.path)?;
        if flags & open::ACCMODE == open::ACCMODE || has(flags, open::CREAT | open::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        table::reserve(&mut self.names.ram.memory)?;
        let found = self.names.walk(path)?;
        let (node, kind) = match found.node {
            Some(node) => (node, open_existing(&mut self.names, &found, node, flags)?),
            None => (open_new(&mut self.names, &found, flags, mode, self.clock.now(cx.host))?, Kind::File),
        };
        if let Kind::Device(device) = kind {
            let words = [device, flags as u64, 0, 0];
            return Ok(Outcome::Forward { service: driver_of(device), label: chardev::label::open_device, words });
        }
        let badge = table::insert(&mut self.names.ram.memory, node, access(kind, flags))?;
        self.names.hold(node);
        if found.node.is_none() {
            self.count_made();
        }
        Ok(Outcome::Open { badge, close_on_exec: has(flags, open::CLOEXEC) })
    }

    fn find(&mut self, cx: &mut Cx<'_>, path: Text) -> Result<Node, Errno> {
        check_root(cx)?;
        let path = path.read(cx, &mut self.path)?;
        self.names.existing(path).map(|(_, node)| node)
    }

    fn make_directory(&mut self, cx: &mut Cx<'_>, path: Text, mode: u32) -> Result<(), Errno> {
        check_root(cx)?;
        let found = self.names.walk(path.read(cx, &mut self.path)?)?;
        if found.node.is_some() {
            return Err(Errno::EEXIST);
        }
        let now = self.clock.now(cx.host);
        self.names.create(found.dir, found.name, Kind::Directory, mode & PERMISSIONS, now)?;
        self.count_made();
        Ok(())
    }

    fn remove_directory(&mut self, cx: &mut Cx<'_>, path: Text) -> Result<(), Errno> {
        check_root(cx)?;
        let (found, node) = self.names.existing(path.read(cx, &mut self.path)?)?;
        match found.name {
            b".." => Err(Errno::ENOTEMPTY),
            b"." if node != crate::namespace::ROOT => Err(Errno::EINVAL),
            _ if found.is_mount() => Err(Errno::EBUSY),
            _ if !self.names.is_directory(node) => Err(Errno::ENOTDIR),
            name => self.names.remove(found.dir, name, self.clock.now(cx.host)),
        }
    }

    fn remove_name(&mut self, cx: &mut Cx<'_>, path: Text) -> Result<(), Errno> {
        check_root(cx)?;
        let (found, node) = self.names.existing(path.read(cx, &mut self.path)?)?;
        if self.names.is_directory(node) {
            return Err(Errno::EISDIR);
        }
        self.names.remove(found.dir, found.name, self.clock.now(cx.host))
    }

    fn move_name(&mut self, cx: &mut Cx<'_>, from: Text, to: Text) -> Result<(), Errno> {
        check_root(cx)?;
        let from = from.read(cx, &mut self.path)?;
        let to = to.read(cx, &mut self.second_path)?;
        let (from, moved) = self.names.existing(from)?;
        let to = self.names.walk(to)?;
        check_rename(&self.names, &from, moved, &to)?;
        self.names.rename(from.dir, from.name, to.dir, to.name, self.clock.now(cx.host))
    }
}

fn has(flags: u32, all: u32) -> bool {
    flags & all == all
}

/// What `open` makes of a name that is there, and what kind of node that is.
#[inline(always)]
fn open_existing<M: Memory>(
    names: &mut Namespace<M>,
    found: &Found<'_>,
    node: Node,
    flags: u32,
) -> Result<Kind, Errno> {
    if has(flags, open::CREAT | open::EXCL) {
        return Err(Errno::EEXIST);
    }
    let changes = flags & open::ACCMODE != open::RDONLY || flags & (open::CREAT | open::TRUNC) != 0;
    match names.attr(node).kind {
        Kind::Directory if changes => Err(Errno::EISDIR),
        Kind::Directory => Ok(Kind::Directory),
        _ if found.slash || has(flags, open::DIRECTORY) => Err(Errno::ENOTDIR),
        Kind::File if has(flags, open::TRUNC) => names.truncate(node, 0).map(|()| Kind::File),
        kind => Ok(kind),
    }
}

/// What `open` makes of a name that is not there.
fn open_new<M: Memory>(
    names: &mut Namespace<M>,
    found: &Found<'_>,
    flags: u32,
    mode: u32,
    now: u64,
) -> Result<Node, Errno> {
    if !has(flags, open::CREAT) {
        return Err(Errno::ENOENT);
    }
    if found.slash {
        return Err(Errno::EISDIR);
    }
    names.create(found.dir, found.name, Kind::File, mode & PERMISSIONS, now)
}

/// What may be done with a file that is opened with these flags.
fn access(kind: Kind, flags: u32) -> u64 {
    let mode = flags & open::ACCMODE;
    let all = [
        (mode != open::WRONLY, table::READABLE),
        (mode != open::RDONLY, table::WRITABLE),
        (has(flags, open::APPEND), table::APPEND),
        (kind == Kind::Directory, table::DIRECTORY),
    ];
    all.into_iter().filter(|(applies, _)| *applies).fold(0, |access, (_, flag)| access | flag)
}

/// The rules of rename(2), in Linux's order.
fn check_rename<M: Memory>(names: &Namespace<M>, from: &Found<'_>, moved: Node, to: &Found<'_>) -> Result<(), Errno> {
    let directory = names.is_directory(moved);
    if from.is_dots() || to.is_dots() || from.is_mount() || to.is_mount() {
        return Err(Errno::EBUSY);
    }
    if to.slash && !directory {
        return Err(Errno::ENOTDIR);
    }
    if directory && names.is_above(moved, to.dir) {
        return Err(Errno::EINVAL);
    }
    match to.node.map(|node| names.is_directory(node)) {
        Some(true) if !directory => Err(Errno::EISDIR),
        Some(false) if directory => Err(Errno::ENOTDIR),
        _ => Ok(()),
    }
}
