//! The boot archive becomes the first contents of the root file system.
//!
//! A ustar file of regular files and directories. Directories on the way are made as needed, so an
//! archive may list files only. Bytes are not copied: the files refer to the archive.

use core::fmt;
use parley_abi::Errno;
use parley_proto::Host;
use parley_rt::durable::Memory;
use tar_no_std::{CorruptDataError, PosixHeader, TarArchiveRef, TarFormatDecimal, TypeFlag};

use crate::clock::SECOND;
use crate::fs::{FileSystem, Ino, Kind};
use crate::path::{Components, NAME_MAX};
use crate::ramfs::RamFs;

/// Bytes in a block of a tar file.
const BLOCK: usize = 512;
/// Longest name in ustar, in bytes: prefix, slash, name.
type Name = heapless::Vec<u8, 256>;

/// Fills `fs` from an archive, at the time `now`. EINVAL: it is broken or holds what a ramfs cannot; the log
/// says where.
pub fn unpack<M: Memory>(
    fs: &mut RamFs<M>,
    archive: &'static [u8],
    now: u64,
    host: &mut dyn Host,
) -> Result<(), Errno> {
    if *archive == [0; 2 * BLOCK] {
        return Ok(()); // what `tar` makes of no files at all, and the reader takes for broken
    }
    let tar = match TarArchiveRef::new(archive) {
        Ok(tar) => tar,
        Err(error) => return refuse(host, place(archive, &error), "", &error),
    };
    for (block, header) in tar.headers() {
        let name = name_of(header);
        if let Err(errno) = unpack_entry(fs, archive, block, header, &name, now) {
            return refuse(host, block * BLOCK, core::str::from_utf8(&name).unwrap_or("?"), &errno);
        }
    }
    Ok(())
}

/// Says what is wrong, where, and what to do.
fn refuse(host: &mut dyn Host, offset: usize, name: &str, why: &dyn fmt::Display) -> Result<(), Errno> {
    let action = "rebuild the boot archive";
    host.log(format_args!("boot archive broken at byte {offset}, entry `{name}`: {why}; {action}"));
    Err(Errno::EINVAL)
}

/// Where in the archive the reader stumbled, in bytes.
fn place(archive: &[u8], error: &CorruptDataError) -> usize {
    match *error {
        CorruptDataError::InvalidChecksum { block_index }
        | CorruptDataError::InvalidTypeFlag { block_index }
        | CorruptDataError::InvalidPayloadSize { block_index }
        | CorruptDataError::PayloadExtendsBeyondArchive { block_index } => block_index * BLOCK,
        _ => archive.len(),
    }
}

/// The whole name of an entry. It always fits: the header has 155 and 100 bytes for it.
fn name_of(header: &PosixHeader) -> Name {
    let (prefix, last) = (header.prefix, header.name);
    let parts = [prefix.as_str().unwrap_or("\u{fffd}"), last.as_str().unwrap_or("\u{fffd}")];
    let mut name = Name::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !name.is_empty() {
            let _ = name.push(b'/');
        }
        let _ = name.extend_from_slice(part.as_bytes());
    }
    name
}

/// EINVAL: a name with `..` or without any component, a size that is none, or a kind of entry that
/// the ramfs has not. EEXIST, ENOTDIR: it clashes with an entry before it. EFBIG, ENOSPC.
fn unpack_entry<M: Memory>(
    fs: &mut RamFs<M>,
    archive: &'static [u8],
    block: usize,
    header: &PosixHeader,
    name: &[u8],
    now: u64,
) -> Result<(), Errno> {
    let (mode, size, mtime, typeflag) = (header.mode, header.size, header.mtime, header.typeflag);
    let mode = mode.to_flags().map_or(0o644, |flags| flags.bits() as u32);
    match typeflag.try_to_type_flag() {
        Ok(TypeFlag::REGTYPE | TypeFlag::AREGTYPE) => {
            let size = size.as_number::<usize>().map_err(|_| Errno::EINVAL)?;
            let start = (block + 1) * BLOCK;
            let end = start.checked_add(size).ok_or(Errno::EINVAL)?;
            archive.get(start..end).ok_or(Errno::EINVAL)?;
            let (dir, last) = make_way(fs, name, now)?;
            match fs.lookup(dir, last.ok_or(Errno::EINVAL)?) {
                Ok(_) => Err(Errno::EEXIST),
                Err(_) => {
                    fs.create_image(dir, last.unwrap_or_default(), start, size, mode, date(mtime, now)).map(|_| ())
                }
            }
        }
        Ok(TypeFlag::DIRTYPE) => {
            let (dir, last) = make_way(fs, name, now)?;
            last.map_or(Ok(()), |last| enter(fs, dir, last, mode, now).map(|_| ()))
        }
        // Extended headers hold owners and fractions of seconds, which nobody here keeps.
        Ok(TypeFlag::XHDTYPE | TypeFlag::XGLTYPE) => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// Makes the directories that `path` runs through. Returns the last of them and the last component, which
/// is `None` for `./`. EINVAL: there is a `..`.
fn make_way<'p, M: Memory>(fs: &mut RamFs<M>, path: &'p [u8], now: u64) -> Result<(Ino, Option<&'p [u8]>), Errno> {
    let mut dir = fs.root();
    let mut last: Option<&[u8]> = None;
    for component in Components::new(path) {
        match component {
            b"." => continue,
            b".." => return Err(Errno::EINVAL),
            _ if component.len() > NAME_MAX => return Err(Errno::ENAMETOOLONG),
            component => {
                if let Some(way) = last.replace(component) {
                    dir = enter(fs, dir, way, 0o755, now)?;
                }
            }
        }
    }
    Ok((dir, last))
}

/// The directory `name` in `dir`, made if it is not there. ENOTDIR: it is a file.
fn enter<M: Memory>(fs: &mut RamFs<M>, dir: Ino, name: &[u8], mode: u32, now: u64) -> Result<Ino, Errno> {
    match fs.lookup(dir, name) {
        Ok(ino) if fs.attr(ino).kind == Kind::Directory => Ok(ino),
        Ok(_) => Err(Errno::ENOTDIR),
        Err(_) => fs.create(dir, name, Kind::Directory, mode, now),
    }
}

/// When an entry was last changed, in nanoseconds since 1970. One without a date, as in an archive that was
/// made to be the same every time, counts as made `now`.
fn date(mtime: TarFormatDecimal<12>, now: u64) -> u64 {
    // POSIX writes it in octal, whatever the reader's type says.
    let digits = mtime.as_inner().as_str_until_first_space().unwrap_or_default();
    match u64::from_str_radix(digits, 8) {
        Ok(seconds) if seconds > 0 => seconds.saturating_mul(SECOND),
        _ => now,
    }
}
