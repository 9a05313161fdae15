//! Files: everything that can be done to them, compared with a model after each call.

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;

use parley_abi::Errno;
use parley_abi::linux::{open, seek};
use parley_posix as posix;

use super::Work;
use super::model::Model;
use crate::tool::random::Random;
use crate::trouble::{Trouble, Trying};

/// Names in the folder.
const NAMES: u64 = 5;
/// Descriptors that are open at most.
const DESCRIPTORS: usize = 6;
/// Bytes in a file, and in one call.
const LONGEST: usize = 12_000;
const MOST: usize = 3000;

/// A folder of its own.
pub struct Files {
    number: u32,
    model: Model,
}

impl Files {
    pub fn new(number: u32) -> Result<Files, Trouble> {
        let files = Files { number, model: Model::default() };
        match posix::mkdir(&files.folder(""), 0o700) {
            Ok(()) | Err(Errno::EEXIST) => Ok(files),
            Err(errno) => Err(errno.into()),
        }
    }

    fn folder(&self, below: &str) -> CString {
        CString::new(format!("/tmp/torture{}{below}", self.number)).expect("no NUL in it")
    }

    fn path(&self, name: u8) -> CString {
        self.folder(&format!("/{name}"))
    }

    fn open(&mut self, random: &mut Random) -> Result<(), Trouble> {
        if self.model.descriptors.len() >= DESCRIPTORS {
            return self.close(random);
        }
        let name = (random.next() % NAMES) as u8;
        let choice = random.next();
        let mut flags = open::RDWR;
        for (bit, flag) in [(1, open::CREAT), (2, open::TRUNC), (4, open::EXCL | open::CREAT)] {
            // Mostly files are made; rarely is the rest wanted.
            if choice & bit != 0 && (bit == 1 || choice & 0x30 == 0) {
                flags |= flag;
            }
        }
        let known = self.model.names.get(&name).copied();
        let expected = match known {
            None if flags & open::CREAT == 0 => Err(Errno::ENOENT),
            Some(_) if flags & open::EXCL != 0 => Err(Errno::EEXIST),
            _ => Ok(()),
        };
        let found = posix::open(&self.path(name), flags, 0o600);
        agree(format_args!("open {name} {flags:#o}"), found.map(drop), expected)?;
        let Ok(fd) = found else { return Ok(()) };
        let file = known.unwrap_or_else(|| self.model.create(name));
        if flags & open::TRUNC != 0 {
            self.model.contents.insert(file, Vec::new());
        }
        self.model.opened(fd, file);
        Ok(())
    }

    fn close(&mut self, random: &mut Random) -> Result<(), Trouble> {
        let Some(at) = self.choose(random) else { return Ok(()) };
        let (fd, _) = self.model.descriptors.swap_remove(at);
        agree(format_args!("close"), posix::close(fd), Ok(()))
    }

    fn duplicate(&mut self, random: &mut Random) -> Result<(), Trouble> {
        if self.model.descriptors.len() >= DESCRIPTORS {
            return self.close(random);
        }
        let Some(at) = self.choose(random) else { return Ok(()) };
        let (fd, open) = self.model.descriptors[at];
        let copy = posix::dup(fd).trying(format_args!("dup"))?;
        self.model.descriptors.push((copy, open));
        Ok(())
    }

    /// Which descriptor.
    fn choose(&self, random: &mut Random) -> Option<usize> {
        let count = self.model.descriptors.len();
        (count > 0).then(|| (random.next() % count as u64) as usize)
    }

    fn write(&mut self, random: &mut Random, here: bool) -> Result<(), Trouble> {
        let Some(at) = self.choose(random) else { return Ok(()) };
        let (fd, open) = self.model.descriptors[at];
        let file = self.model.opens[open].file;
        let offset = if here { self.model.opens[open].offset } else { (random.next() % 4000) as usize };
        let count = (random.next() as usize % MOST).min(LONGEST.saturating_sub(offset));
        let first = random.next();
        let bytes: Vec<u8> = (0..count as u64).map(|index| (first >> (index % 8 * 8)) as u8 ^ index as u8).collect();
        let written = match here {
            true => posix::write(fd, &bytes),
            false => posix::pwrite(fd, &bytes, offset as i64),
        };
        agree(format_args!("write of {count} at {offset}"), written, Ok(count))?;
        self.model.write(file, offset, &bytes);
        if here {
            self.model.opens[open].offset += count;
        }
        Ok(())
    }

    fn read(&mut self, random: &mut Random, here: bool) -> Result<(), Trouble> {
        let Some(at) = self.choose(random) else { return Ok(()) };
        let (fd, open) = self.model.descriptors[at];
        let file = self.model.opens[open].file;
        let offset = if here { self.model.opens[open].offset } else { (random.next() % 6000) as usize };
        let count = random.next() as usize % MOST;
        let mut bytes = alloc::vec![0x5a; count];
        let read = match here {
            true => posix::read(fd, &mut bytes),
            false => posix::pread(fd, &mut bytes, offset as i64),
        };
        let expected = self.model.slice(file, offset, count);
        let length = expected.len();
        agree(format_args!("read of {count} at {offset}"), read, Ok(length))?;
        same(format_args!("read of {count} at {offset}"), &bytes[..length], expected)?;
        if here {
            self.model.opens[open].offset += length;
        }
        Ok(())
    }

    fn seek(&mut self, random: &mut Random) -> Result<(), Trouble> {
        let Some(at) = self.choose(random) else { return Ok(()) };
        let (fd, open) = self.model.descriptors[at];
        let (file, offset) = (self.model.opens[open].file, self.model.opens[open].offset as i64);
        let length = self.model.contents[&file].len() as i64;
        let by = (random.next() % 5000) as i64 - 1000;
        let (whence, to) = match random.next() % 3 {
            0 => (seek::SET, by),
            1 => (seek::CUR, offset + by),
            _ => (seek::END, length + by),
        };
        let to = to.min(9000);
        let by = match whence {
            seek::SET => to,
            seek::CUR => to - offset,
            _ => to - length,
        };
        let expected = if to < 0 { Err(Errno::EINVAL) } else { Ok(to) };
        agree(format_args!("seek to {to}"), posix::lseek(fd, by, whence), expected)?;
        if to >= 0 {
            self.model.opens[open].offset = to as usize;
        }
        Ok(())
    }

    fn unlink(&mut self, random: &mut Random) -> Result<(), Trouble> {
        let name = (random.next() % NAMES) as u8;
        let expected = self.model.names.get(&name).map(drop).ok_or(Errno::ENOENT);
        agree(format_args!("unlink {name}"), posix::unlink(&self.path(name)), expected)?;
        self.model.names.remove(&name);
        Ok(())
    }

    fn rename(&mut self, random: &mut Random) -> Result<(), Trouble> {
        let (from, to) = ((random.next() % NAMES) as u8, (random.next() % NAMES) as u8);
        let expected = self.model.names.get(&from).map(drop).ok_or(Errno::ENOENT);
        agree(format_args!("rename {from} to {to}"), posix::rename(&self.path(from), &self.path(to)), expected)?;
        if let Some(file) = self.model.names.remove(&from) {
            self.model.names.insert(to, file);
        }
        Ok(())
    }

    fn look(&mut self, random: &mut Random) -> Result<(), Trouble> {
        let name = (random.next() % NAMES) as u8;
        let expected = self.model.names.get(&name).map(|file| self.model.contents[file].len() as i64);
        let found = posix::stat(&self.path(name)).map(|stat| stat.size);
        agree(format_args!("stat {name}"), found, expected.ok_or(Errno::ENOENT))?;
        let Some(at) = self.choose(random) else { return Ok(()) };
        let (fd, open) = self.model.descriptors[at];
        let length = self.model.contents[&self.model.opens[open].file].len() as i64;
        agree(format_args!("fstat"), posix::fstat(fd).map(|stat| stat.size), Ok(length))
    }

    fn folders(&mut self, random: &mut Random) -> Result<(), Trouble> {
        let path = self.folder("/folder");
        let make = random.next().is_multiple_of(2);
        let expected = match (make, self.model.folder) {
            (true, true) => Err(Errno::EEXIST),
            (false, false) => Err(Errno::ENOENT),
            _ => Ok(()),
        };
        let found = if make { posix::mkdir(&path, 0o700) } else { posix::rmdir(&path) };
        agree(format_args!("making ({make}) a folder"), found, expected)?;
        self.model.folder = make;
        Ok(())
    }

    /// Every file that has a name, and every open one, from beginning to end.
    fn all_is_there(&self) -> Result<(), Trouble> {
        let mut bytes = alloc::vec![0; LONGEST + 1];
        for name in 0..NAMES as u8 {
            let expected = self.model.names.get(&name).map(|file| self.model.contents[file].len() as i64);
            let found = posix::stat(&self.path(name)).map(|stat| stat.size);
            agree(format_args!("stat {name} at the end"), found, expected.ok_or(Errno::ENOENT))?;
        }
        for &(fd, open) in &self.model.descriptors {
            let expected = &self.model.contents[&self.model.opens[open].file];
            let read = posix::pread(fd, &mut bytes, 0);
            agree(format_args!("read at the end"), read, Ok(expected.len()))?;
            same(format_args!("read at the end"), &bytes[..expected.len()], expected)?;
            let offset = posix::lseek(fd, 0, seek::CUR);
            agree(format_args!("offset at the end"), offset, Ok(self.model.opens[open].offset as i64))?;
        }
        Ok(())
    }
}

/// Does something again that was refused for want of memory.
fn unless_short(what: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    what().or_else(|errno| if errno == Errno::ENOMEM { what() } else { Err(errno) })
}

/// A call gave what the model says.
fn agree<T: PartialEq + core::fmt::Debug>(
    what: core::fmt::Arguments<'_>,
    found: Result<T, Errno>,
    expected: Result<T, Errno>,
) -> Result<(), Trouble> {
    match (found, expected) {
        (found, expected) if found == expected => Ok(()),
        (Err(errno), expected) => Err(Trouble::Refused(format!("{what} instead of {expected:?}"), errno)),
        (found, expected) => Err(Trouble::Wrong(format!("{what}: {found:?} instead of {expected:?}"))),
    }
}

/// Bytes are those of the model.
fn same(what: core::fmt::Arguments<'_>, found: &[u8], expected: &[u8]) -> Result<(), Trouble> {
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        None => Ok(()),
        Some(at) => {
            Err(Trouble::Wrong(format!("{what}: byte {at} is {:#x} instead of {:#x}", found[at], expected[at])))
        }
    }
}

impl Work for Files {
    fn operation(&mut self, random: &mut Random) -> Result<(), Trouble> {
        match random.next() % 24 {
            0..4 => self.open(random),
            4 | 5 => self.close(random),
            6 => self.duplicate(random),
            7..11 => self.write(random, true),
            11 | 12 => self.write(random, false),
            13..16 => self.read(random, true),
            16 | 17 => self.read(random, false),
            18 => self.seek(random),
            19 => self.unlink(random),
            20 | 21 => self.rename(random),
            22 => self.look(random),
            _ => self.folders(random),
        }
    }

    fn clear(&mut self, well: bool) -> Result<(), Trouble> {
        let looked = if well { self.all_is_there() } else { Ok(()) };
        for &(fd, _) in &self.model.descriptors {
            let _ = posix::close(fd);
        }
        for name in 0..NAMES as u8 {
            let _ = unless_short(|| posix::unlink(&self.path(name)));
        }
        let _ = unless_short(|| posix::rmdir(&self.folder("/folder")));
        self.model = Model::default();
        looked
    }
}
