//! One tree of names over several file systems.
//!
//! A mount lays the root of one file system over a directory of another. [`Namespace::walk`] is the
//! only place that knows; whatever it returns is a [`Node`], which names file system and inode. Paths are
//! resolved where they lie, without memory. Relative ones begin at the root: a process has no working
//! directory yet.

use parley_abi::Errno;
use parley_abi::linux::{Stat, Timespec, mode};
use parley_rt::durable::Memory;

use crate::devfs::DevFs;
use crate::fs::{Attr, Entry, FIRST_COOKIE, FileSystem, Ino, Kind};
use crate::path::{Components, NAME_MAX};
use crate::ramfs::{self, RamFs};
use crate::root;

/// Numbers of the file systems.
const RAM: u8 = 0;
const DEV: u8 = 1;
/// The root directory of the whole tree.
pub const ROOT: Node = Node { fs: RAM, ino: ramfs::ROOT };

/// An inode of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    fs: u8,
    ino: Ino,
}

impl Node {
    /// As one word of memory.
    #[inline]
    pub const fn word(self) -> u64 {
        (self.fs as u64) << 32 | self.ino as u64
    }

    /// Out of one word.
    #[inline]
    pub const fn from_word(word: u64) -> Node {
        Node { fs: (word >> 32) as u8, ino: word as Ino }
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub struct Found<'p> {
    /// The directory that holds, or would hold, the last component.
    pub dir: Node,
    /// The last component; `.` for the root.
    pub name: &'p [u8],
    /// What it names, if it is there.
    pub node: Option<Node>,
    /// The path ends with a slash, so it must be a directory.
    pub slash: bool,
}

impl Found<'_> {
    /// The last component is `.` or `..` (or there is none), which cannot be made, removed or renamed.
    pub fn is_dots(&self) -> bool {
        matches!(self.name, b"." | b"..")
    }

    /// What the path names is the root of a mounted file system, or of all.
    pub fn is_mount(&self) -> bool {
        self.node.is_some_and(|node| node == ROOT || node.fs != self.dir.fs)
    }
}

struct Mount {
    over: Node,
    root: Node,
}

/// Calls a method of the node's file system. A call for each: they are known when this is compiled, and a table of
/// functions would cost more than some of them.
macro_rules! on {
    ($tree:expr, $node:expr, $method:ident($($argument:expr),*)) => {
        match $node.fs {
            RAM => $tree.ram.$method($($argument),*),
            _ => $tree.dev.$method($($argument),*),
        }
    };
}

/// The tree.
pub struct Namespace<M> {
    /// The root file system.
    pub ram: RamFs<M>,
    /// What is mounted on /dev.
    pub dev: DevFs,
    mount: Option<Mount>,
}

impl<M: Memory> Namespace<M> {
    /// The tree in this memory, with files that may refer to the archive.
    pub const fn new(memory: M, archive: &'static [u8]) -> Namespace<M> {
        Namespace { ram: RamFs::new(memory, archive), dev: DevFs::new(), mount: None }
    }

    /// Lays devfs over /dev, which is made if it is not there, at the time `now`. ENOTDIR, ENOSPC.
    pub fn mount_dev(&mut self, now: u64) -> Result<(), Errno> {
        let over = match self.ram.lookup(ROOT.ino, b"dev") {
            Ok(ino) if self.ram.attr(ino).kind != Kind::Directory => return Err(Errno::ENOTDIR),
            Ok(ino) => ino,
            Err(_) => self.ram.create(ROOT.ino, b"dev", Kind::Directory, 0o755, now)?,
        };
        let at = root::MOUNT;
        self.ram.memory.set(at, over.into());
        self.resume();
        Ok(())
    }

    /// Finds the mount of an earlier instance.
    pub fn resume(&mut self) {
        let over = self.ram.memory.get(root::MOUNT) as Ino;
        self.mount = Some(Mount { over: Node { fs: RAM, ino: over }, root: Node { fs: DEV, ino: self.dev.root() } });
    }

    /// Follows a path. ENOENT: it is empty, or a directory on the way is missing. ENOTDIR: one on the way
    /// is none. ENAMETOOLONG: a component has more than 255 bytes.
    pub fn walk<'p>(&self, path: &'p [u8]) -> Result<Found<'p>, Errno> {
        let mut components = Components::new(path);
        let slash = path.ends_with(b"/");
        let mut name = match components.next() {
            Some(first) => first,
            None if slash => return Ok(Found { dir: ROOT, name: b".", node: Some(ROOT), slash }),
            None => return Err(Errno::ENOENT),
        };
        let mut dir = ROOT;
        loop {
            let node = self.step(dir, name);
            match (components.next(), node) {
                (Some(next), node) => (dir, name) = (node?, next),
                (None, Ok(node)) => return Ok(Found { dir, name, node: Some(node), slash }),
                (None, Err(Errno::ENOENT)) => return Ok(Found { dir, name, node: None, slash }),
                (None, Err(errno)) => return Err(errno),
            }
        }
    }

    /// As [`Namespace::walk`], for a path that must lead somewhere. ENOENT: it does not. ENOTDIR: besides,
    /// it ends with a slash and names no directory.
    pub fn existing<'p>(&self, path: &'p [u8]) -> Result<(Found<'p>, Node), Errno> {
        let found = self.walk(path)?;
        let node = found.node.ok_or(Errno::ENOENT)?;
        if found.slash && !self.is_directory(node) {
            return Err(Errno::ENOTDIR);
        }
        Ok((found, node))
    }

    /// One component further.
    #[inline(always)]
    fn step(&self, dir: Node, name: &[u8]) -> Result<Node, Errno> {
        match name {
            b"." | b".." if !self.is_directory(dir) => Err(Errno::ENOTDIR),
            b"." => Ok(dir),
            b".." => Ok(self.parent(dir)),
            _ if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
            _ => {
                let node = Node { fs: dir.fs, ino: on!(self, dir, lookup(dir.ino, name))? };
                Ok(self.mount.as_ref().filter(|mount| mount.over == node).map_or(node, |mount| mount.root))
            }
        }
    }

    /// The directory that `dir` is in; of the root, itself.
    pub fn parent(&self, dir: Node) -> Node {
        let dir = self.mount.as_ref().filter(|mount| mount.root == dir).map_or(dir, |mount| mount.over);
        Node { fs: dir.fs, ino: on!(self, dir, parent(dir.ino)) }
    }

    /// Whether `node` is `dir`, or a directory above it.
    pub fn is_above(&self, node: Node, mut dir: Node) -> bool {
        while dir != node && dir != ROOT {
            dir = self.parent(dir);
        }
        dir == node
    }

    /// Describes a node.
    #[inline]
    pub fn attr(&self, node: Node) -> Attr {
        on!(self, node, attr(node.ino))
    }

    /// Whether a node is a directory.
    pub fn is_directory(&self, node: Node) -> bool {
        self.attr(node).kind == Kind::Directory
    }

    /// Describes a node as `stat` does. Inode numbers are one more than the file system's, so that none
    /// is 0.
    pub fn stat(&self, node: Node) -> Stat {
        let (attr, times) = (self.attr(node), on!(self, node, times(node.ino)));
        let (kind, rdev) = match attr.kind {
            Kind::File => (mode::IFREG, 0),
            Kind::Directory => (mode::IFDIR, 0),
            Kind::Device(number) => (mode::IFCHR, number),
        };
        Stat {
            dev: node.fs as u64 + 1,
            ino: node.ino as u64 + 1,
            nlink: attr.links as u64,
            mode: kind | attr.permissions,
            rdev,
            size: attr.size as i64,
            blksize: parley_abi::PAGE as i64,
            blocks: if attr.kind == Kind::File { attr.size.div_ceil(512) as i64 } else { 0 },
            atime: Timespec::from_nanoseconds(times.accessed),
            mtime: Timespec::from_nanoseconds(times.modified),
            ctime: Timespec::from_nanoseconds(times.changed),
            ..Stat::default()
        }
    }

    /// The first entry of a directory at `cookie` or after it, `.` (0) and `..` (1) included. A
    /// directory that was removed has none.
    pub fn entry(&mut self, dir: Node, cookie: u64) -> Option<Entry<'_>> {
        let kind = Kind::Directory;
        match cookie {
            _ if self.attr(dir).links == 0 => None,
            0 => Some(Entry { name: b".", ino: dir.ino, kind, next: 1 }),
            1 => Some(Entry { name: b"..", ino: self.parent(dir).ino, kind, next: FIRST_COOKIE }),
            _ => on!(self, dir, entry(dir.ino, cookie)),
        }
    }

    /// See [`FileSystem::touch`].
    #[inline]
    pub fn touch(&mut self, node: Node) {
        on!(self, node, touch(node.ino));
    }

    /// See [`FileSystem::peek`].
    #[inline]
    pub fn peek(&self, node: Node, offset: u64) -> &[u8] {
        on!(self, node, peek(node.ino, offset))
    }

    /// See [`FileSystem::room`].
    #[inline]
    pub fn room(&mut self, node: Node, offset: u64) -> Result<&mut [u8], Errno> {
        on!(self, node, room(node.ino, offset))
    }

    /// See [`FileSystem::commit`].
    #[inline]
    pub fn commit(&mut self, node: Node, end: u64) {
        on!(self, node, commit(node.ino, end));
    }

    /// See [`FileSystem::abandon`].
    pub fn abandon(&mut self, node: Node) {
        on!(self, node, abandon(node.ino));
    }

    /// See [`FileSystem::truncate`].
    pub fn truncate(&mut self, node: Node, size: u64) -> Result<(), Errno> {
        on!(self, node, truncate(node.ino, size))
    }

    /// See [`FileSystem::create`].
    pub fn create(&mut self, dir: Node, name: &[u8], kind: Kind, permissions: u32, now: u64) -> Result<Node, Errno> {
        let ino = on!(self, dir, create(dir.ino, name, kind, permissions, now))?;
        Ok(Node { fs: dir.fs, ino })
    }

    /// See [`FileSystem::remove`].
    pub fn remove(&mut self, dir: Node, name: &[u8], now: u64) -> Result<(), Errno> {
        on!(self, dir, remove(dir.ino, name, now))
    }

    /// See [`FileSystem::rename`]. EXDEV: the directories are in different file systems.
    pub fn rename(&mut self, from: Node, name: &[u8], to: Node, new_name: &[u8], now: u64) -> Result<(), Errno> {
        if from.fs != to.fs {
            return Err(Errno::EXDEV);
        }
        on!(self, from, rename(from.ino, name, to.ino, new_name, now))
    }

    /// See [`FileSystem::is_marked`].
    #[inline]
    pub fn is_marked(&self, node: Node) -> bool {
        on!(self, node, is_marked(node.ino))
    }

    /// See [`FileSystem::settle`].
    pub fn settle(&mut self, node: Node, now: u64) {
        on!(self, node, settle(node.ino, now));
    }

    /// See [`FileSystem::hold`].
    #[inline]
    pub fn hold(&mut self, node: Node) {
        on!(self, node, hold(node.ino));
    }

    /// See [`FileSystem::release`].
    #[inline]
    pub fn release(&mut self, node: Node) {
        on!(self, node, release(node.ino));
    }
}
