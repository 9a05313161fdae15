//! Bytes between files and clients: the rows of an open file.
//!
//! Everything is copied first and committed after. A fault after some bytes ends the transfer with the
//! count so far, as POSIX wants it; one at the first byte is EFAULT and moves nothing. (As on Linux, bytes
//! of the faulting page that arrived before the fault may already have replaced old ones.) One request
//! moves at most [`TRANSFER_MAX`] bytes and then returns a short count.

use parley_abi::Errno;
use parley_abi::linux::{Plain, Stat, dirent, poll, seek};
use parley_proto::file::File;
use parley_proto::{Cx, In, Out, OutOf, Outcome};
use parley_rt::durable::Memory;

use crate::Vfs;
use crate::dirents::Records;
use crate::namespace::{Namespace, Node};
use crate::ramfs::clip;
use crate::table;

/// Most bytes that one request moves: what bounds a stay in ring 0.
pub const TRANSFER_MAX: u64 = 1 << 20;

impl<M: Memory> File for Vfs<M> {
    fn read(&mut self, cx: &mut Cx<'_>, buf: Out) -> Outcome<'_> {
        self.read_on(cx, buf).into()
    }

    fn write(&mut self, cx: &mut Cx<'_>, buf: In) -> Outcome<'_> {
        self.write_on(cx, buf).into()
    }

    fn pread(&mut self, cx: &mut Cx<'_>, buf: Out, offset: i64) -> Outcome<'_> {
        self.read_at(cx, buf, offset).unwrap_or_else(Outcome::from)
    }

    fn pwrite(&mut self, cx: &mut Cx<'_>, buf: In, offset: i64) -> Outcome<'_> {
        self.write_at(cx, buf, offset).into()
    }

    fn lseek(&mut self, cx: &mut Cx<'_>, offset: i64, whence: u32) -> Outcome<'_> {
        self.seek(cx.badge, offset, whence).into()
    }

    fn fstat(&mut self, cx: &mut Cx<'_>, stat: OutOf<Stat>) -> Outcome<'_> {
        match table::get(&self.names.ram.memory, cx.badge) {
            Ok(_) if stat.is_null => Errno::EFAULT.into(),
            Ok(file) => Outcome::Fill(self.describe(file.node, cx.host).bytes()),
            Err(errno) => errno.into(),
        }
    }

    fn getdents(&mut self, cx: &mut Cx<'_>, buf: Out) -> Outcome<'_> {
        self.list(cx, buf).into()
    }

    /// Files and directories never make anybody wait.
    fn ready(&mut self, cx: &mut Cx<'_>, events: u32) -> Outcome<'_> {
        let always = i64::from(events & (poll::READABLE | poll::WRITABLE));
        table::get(&self.names.ram.memory, cx.badge).map(|_| always).into()
    }
}

impl<M: Memory> Vfs<M> {
    fn read_on(&mut self, cx: &mut Cx<'_>, buf: Out) -> Result<i64, Errno> {
        let file = table::readable(&self.names.ram.memory, cx.badge)?;
        self.names.touch(file.node);
        let done = copy_to_client(&self.names, file.node, file.offset, cx, buf)?;
        if done > 0 {
            file.seek(&mut self.names.ram.memory, file.offset + done);
        }
        Ok(done as i64)
    }

    fn write_on(&mut self, cx: &mut Cx<'_>, buf: In) -> Result<i64, Errno> {
        let file = table::writable(&self.names.ram.memory, cx.badge)?;
        let offset = if file.appends() { self.names.attr(file.node).size } else { file.offset };
        let done = copy_from_client(&mut self.names, file.node, offset, cx, buf)?;
        if done > 0 {
            file.seek(&mut self.names.ram.memory, offset + done);
        }
        Ok(done as i64)
    }

    /// What lies together in the file travels with the reply, without a copy of its own.
    fn read_at(&mut self, cx: &mut Cx<'_>, buf: Out, offset: i64) -> Result<Outcome<'_>, Errno> {
        let node = table::readable(&self.names.ram.memory, cx.badge)?.node;
        let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let wanted = buf.len.min(TRANSFER_MAX);
        self.names.touch(node);
        let bytes = clip(self.names.peek(node, offset), wanted as usize);
        if self.names.peek(node, offset + bytes.len() as u64).is_empty() {
            return Ok(Outcome::Data(bytes));
        }
        copy_to_client(&self.names, node, offset, cx, buf).map(|done| Outcome::Done(done as i64))
    }

    /// All that is asked for, if it lies together.
    #[inline(always)]
    pub(crate) fn piece(&mut self, badge: u64, buf: Out, offset: i64) -> Option<&[u8]> {
        let node = table::readable(&self.names.ram.memory, badge).ok()?.node;
        let offset = u64::try_from(offset).ok()?;
        self.names.touch(node);
        self.names.peek(node, offset).get(..buf.len.min(TRANSFER_MAX) as usize)
    }

    /// POSIX, not Linux: O_APPEND does not change where `pwrite` writes.
    fn write_at(&mut self, cx: &mut Cx<'_>, buf: In, offset: i64) -> Result<i64, Errno> {
        let node = table::writable(&self.names.ram.memory, cx.badge)?.node;
        let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        copy_from_client(&mut self.names, node, offset, cx, buf).map(|done| done as i64)
    }

    /// A directory's offset is a cookie: going back to one that was seen is all that makes sense.
    fn seek(&mut self, badge: u64, offset: i64, whence: u32) -> Result<i64, Errno> {
        let file = table::get(&self.names.ram.memory, badge)?;
        let base = match whence {
            seek::SET => 0,
            seek::CUR => file.offset,
            seek::END if !file.is_directory() => self.names.attr(file.node).size,
            _ => return Err(Errno::EINVAL),
        };
        let target = (base as i64).checked_add(offset).ok_or(Errno::EOVERFLOW)?;
        let target = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
        if target != file.offset {
            file.seek(&mut self.names.ram.memory, target);
        }
        Ok(target.cast_signed())
    }

    /// EINVAL: not even one entry fits into the buffer.
    fn list(&mut self, cx: &mut Cx<'_>, buf: Out) -> Result<i64, Errno> {
        let file = table::get(&self.names.ram.memory, cx.badge)?;
        if !file.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let room = buf.len.min(self.page.len() as u64) as usize;
        let mut records = Records::new(&mut self.page[..room]);
        let mut cookie = file.offset;
        while let Some(entry) = self.names.entry(file.node, cookie) {
            if !records.push(&entry) {
                break;
            }
            cookie = entry.next;
        }
        let bytes = records.bytes();
        if bytes.is_empty() {
            let end = self.names.entry(file.node, cookie).is_none();
            return if end { Ok(0) } else { Err(Errno::EINVAL) };
        }
        if buf.write(cx, 0, bytes)? != bytes.len() {
            return Err(Errno::EFAULT);
        }
        let length = bytes.len();
        file.seek(&mut self.names.ram.memory, cookie);
        Ok(length as i64)
    }
}

const _: () = assert!(parley_abi::PAGE >= dirent::HEADER + crate::path::NAME_MAX + 8, "each entry fits");

/// Copies file bytes from `offset` on to the client, up to the end of the file or of the buffer.
fn copy_to_client<M: Memory>(
    names: &Namespace<M>,
    node: Node,
    offset: u64,
    cx: &mut Cx<'_>,
    buf: Out,
) -> Result<u64, Errno> {
    let wanted = buf.len.min(TRANSFER_MAX);
    let mut done = 0;
    while done < wanted {
        let bytes = clip(names.peek(node, offset + done), (wanted - done) as usize);
        if bytes.is_empty() {
            break;
        }
        let copied = match buf.write(cx, done, bytes) {
            Ok(copied) => copied,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        };
        done += copied as u64;
        if copied < bytes.len() {
            break;
        }
    }
    Ok(done)
}

/// Copies the client's bytes straight into the pages of a file and grows it by what arrived.
fn copy_from_client<M: Memory>(
    names: &mut Namespace<M>,
    node: Node,
    offset: u64,
    cx: &mut Cx<'_>,
    buf: In,
) -> Result<u64, Errno> {
    let wanted = buf.len.min(TRANSFER_MAX);
    let mut done = 0;
    while done < wanted {
        let step = fill_page(names, node, offset + done, wanted - done, |room| buf.read(cx, done, room));
        match step {
            Ok(0) => break,
            Ok(copied) => done += copied,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Lets `copy` fill one page of a file from `offset` on, at most `len` bytes, and commits what it did.
fn fill_page<M: Memory>(
    names: &mut Namespace<M>,
    node: Node,
    offset: u64,
    len: u64,
    copy: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
) -> Result<u64, Errno> {
    let room = names.room(node, offset)?;
    let len = room.len().min(len as usize);
    match copy(&mut room[..len]) {
        Ok(copied) if copied > 0 => {
            names.commit(node, offset + copied as u64);
            Ok(copied as u64)
        }
        nothing => {
            // The page may hold bytes beyond the end that nobody committed: drop them.
            names.abandon(node);
            nothing.map(|_| 0)
        }
    }
}
