//! Files and directories, through whatever servers this kernel has.

use core::ffi::CStr;
use parley_abi::linux::mode::{IFCHR, IFDIR, IFMT, IFREG};
use parley_abi::linux::open::{APPEND, CREAT, DIRECTORY, EXCL, RDONLY, TRUNC, WRONLY};
use parley_abi::linux::seek;
use parley_abi::{Errno, PAGE};
use parley_posix as posix;
use parley_programs::dirent::entries;

use crate::tool::file::{Scratch, read_file, with_open, write_file};
use crate::tool::verdict::Verdict;

tests![
    write_and_read_back,
    offsets,
    positioned,
    holes_are_zero,
    open_flags,
    directories,
    rename_and_unlink,
    unlinked_lives_on,
    devices,
    listing,
    paths_of_any_length
];

const PATH: &CStr = c"/ktest.tmp";
const OTHER: &CStr = c"/ktest.other";
const FOLDER: &CStr = c"/ktest.dir";

fn write_and_read_back() -> Verdict {
    let contents: alloc::vec::Vec<u8> = (0..20_000u32).map(|index| (index * 7 / 3) as u8).collect();
    let file = write_file(PATH, &contents)?;
    ensure!(read_file(PATH)? == contents, "20,000 bytes came back changed");
    let stat = posix::fstat(file.fd)?;
    ensure_eq!((stat.mode & IFMT, stat.size), (IFREG, 20_000), "type and size");
    Ok(())
}

/// Short ones travel in the message; each lies so that it ends a page, and somewhere in it.
fn paths_of_any_length() -> Verdict {
    let mut pages = alloc::vec![0xffu8; 2 * PAGE];
    let page_end = PAGE - pages.as_ptr().addr() % PAGE;
    for length in [1, 2, 7, 8, 15, 16, 21, 22, 23, 24, 25, 40, 200] {
        for at in [page_end - length - 1, page_end + 100, page_end - length / 2 - 1] {
            let place = &mut pages[at..=at + length];
            place.fill(b'n');
            (place[0], place[length]) = (b'/', 0);
            let path = CStr::from_bytes_with_nul(place).map_err(|_| Errno::EINVAL)?;
            if length > 1 {
                let _file = write_file(PATH, b"found")?;
                posix::rename(PATH, path)?;
                ensure!(read_file(path)? == b"found", "a path of {length} bytes at {at}");
                posix::unlink(path)?;
                ensure_eq!(
                    posix::stat(path).map(drop),
                    Err(Errno::ENOENT),
                    "a path of {length} bytes at {at}, afterwards"
                );
            } else {
                ensure_eq!(posix::stat(path)?.mode & IFMT, IFDIR, "the root at {at}");
            }
            pages[at..=at + length].fill(0xff);
        }
    }
    Ok(())
}

fn offsets() -> Verdict {
    let file = write_file(PATH, b"0123456789")?;
    ensure_eq!(posix::lseek(file.fd, 3, seek::SET), Ok(3), "to 3");
    let mut bytes = [0; 4];
    ensure_eq!((posix::read(file.fd, &mut bytes), &bytes), (Ok(4), b"3456"), "reading there");
    ensure_eq!(posix::lseek(file.fd, -1, seek::CUR), Ok(6), "one back");
    ensure_eq!(posix::lseek(file.fd, -2, seek::END), Ok(8), "two before the end");
    ensure_eq!(posix::read(file.fd, &mut bytes), Ok(2), "at the end");
    ensure_eq!(posix::read(file.fd, &mut bytes), Ok(0), "behind the end");
    for (offset, whence) in [(-1, seek::SET), (-11, seek::END), (0, 3), (0, u32::MAX)] {
        ensure_eq!(posix::lseek(file.fd, offset, whence), Err(Errno::EINVAL), "lseek {offset} from {whence}");
    }
    let far = posix::lseek(file.fd, i64::MAX, seek::CUR);
    ensure!(far.is_err(), "an offset past i64::MAX: {far:?}");
    Ok(())
}

fn positioned() -> Verdict {
    let file = write_file(PATH, b"0123456789")?;
    let mut bytes = [0; 4];
    ensure_eq!((posix::pread(file.fd, &mut bytes, 8), bytes[1]), (Ok(2), b'9'), "pread near the end");
    ensure_eq!(posix::pwrite(file.fd, b"ab", 4), Ok(2), "pwrite");
    ensure_eq!(posix::lseek(file.fd, 0, seek::CUR), Ok(10), "the offset afterwards");
    ensure!(read_file(PATH)? == b"0123ab6789", "pwrite wrote elsewhere");
    ensure_eq!(posix::pread(file.fd, &mut bytes, -1), Err(Errno::EINVAL), "pread before the start");
    ensure_eq!(posix::pread(file.fd, &mut bytes, i64::MAX), Ok(0), "pread far behind the end");
    ensure!(posix::pwrite(file.fd, b"x", i64::MAX).is_err(), "pwrite at i64::MAX");
    Ok(())
}

fn holes_are_zero() -> Verdict {
    let file = write_file(PATH, b"x")?;
    posix::pwrite(file.fd, b"y", 9000)?;
    let contents = read_file(PATH)?;
    ensure_eq!(contents.len(), 9001, "length");
    ensure!(contents[1..9000].iter().all(|&byte| byte == 0), "a hole is not zero");
    Ok(())
}

fn open_flags() -> Verdict {
    let file = write_file(PATH, b"old")?;
    ensure_eq!(posix::open(PATH, WRONLY | CREAT | EXCL, 0o644), Err(Errno::EEXIST), "EXCL on a file");
    ensure_eq!(posix::open(c"/ktest.none", RDONLY, 0), Err(Errno::ENOENT), "a file that is not there");
    ensure_eq!(posix::open(PATH, RDONLY | DIRECTORY, 0), Err(Errno::ENOTDIR), "a file as a directory");
    ensure_eq!(posix::open(c"/dev", WRONLY, 0), Err(Errno::EISDIR), "a directory for writing");
    let appending = posix::open(PATH, WRONLY | APPEND, 0)?;
    posix::write(appending, b" new")?;
    ensure!(posix::read(appending, &mut [0]).is_err(), "read from a file opened for writing");
    posix::close(appending)?;
    ensure!(read_file(PATH)? == b"old new", "APPEND wrote elsewhere");
    posix::close(posix::open(PATH, WRONLY | TRUNC, 0)?)?;
    ensure_eq!(posix::fstat(file.fd)?.size, 0, "size after TRUNC");
    ensure_eq!(with_open(PATH, |fd| posix::write(fd, b"x"))?, Err(Errno::EBADF), "writing to RDONLY");
    Ok(())
}

fn directories() -> Verdict {
    posix::mkdir(FOLDER, 0o755)?;
    let inside = c"/ktest.dir/file";
    let result = (|| {
        ensure_eq!(posix::mkdir(FOLDER, 0o755), Err(Errno::EEXIST), "mkdir twice");
        ensure_eq!(posix::stat(FOLDER)?.mode & IFMT, IFDIR, "its type");
        let file = write_file(inside, b"x")?;
        ensure_eq!(posix::rmdir(FOLDER), Err(Errno::ENOTEMPTY), "rmdir with a file inside");
        ensure_eq!(posix::unlink(FOLDER), Err(Errno::EISDIR), "unlink of a directory");
        ensure_eq!(posix::rmdir(inside), Err(Errno::ENOTDIR), "rmdir of a file");
        ensure_eq!(posix::stat(c"/ktest.dir/file/x"), Err(Errno::ENOTDIR), "a file in the middle of a path");
        drop(file);
        Ok(())
    })();
    posix::rmdir(FOLDER)?;
    ensure_eq!(posix::stat(FOLDER), Err(Errno::ENOENT), "after rmdir");
    ensure_eq!(posix::mkdir(c"/ktest.none/x", 0o755), Err(Errno::ENOENT), "mkdir without a parent");
    result
}

fn rename_and_unlink() -> Verdict {
    let (_old, _new) = (write_file(PATH, b"one")?, write_file(OTHER, b"two")?);
    posix::rename(PATH, OTHER)?;
    ensure_eq!(posix::stat(PATH).map(drop), Err(Errno::ENOENT), "the old name");
    ensure!(read_file(OTHER)? == b"one", "the new name has other contents");
    ensure_eq!(posix::rename(PATH, OTHER), Err(Errno::ENOENT), "renaming what is gone");
    posix::unlink(OTHER)?;
    ensure_eq!(posix::unlink(OTHER), Err(Errno::ENOENT), "unlinking twice");
    Ok(())
}

fn unlinked_lives_on() -> Verdict {
    let file = write_file(PATH, b"still here")?;
    posix::unlink(PATH)?;
    let mut bytes = [0; 10];
    ensure_eq!((posix::pread(file.fd, &mut bytes, 0), &bytes), (Ok(10), b"still here"), "reading it");
    let again = Scratch::new(PATH)?;
    ensure_eq!(posix::fstat(again.fd)?.size, 0, "size of a new file with the name");
    Ok(())
}

fn devices() -> Verdict {
    let mut bytes = [1; 5000];
    ensure_eq!(with_open(c"/dev/zero", |fd| posix::read(fd, &mut bytes))?, Ok(5000), "reading zeros");
    ensure!(bytes.iter().all(|&byte| byte == 0), "/dev/zero gave something else");
    ensure_eq!(with_open(c"/dev/null", |fd| posix::read(fd, &mut bytes))?, Ok(0), "reading /dev/null");
    let full = posix::open(c"/dev/full", WRONLY, 0)?;
    let written = posix::write(full, b"x");
    posix::close(full)?;
    ensure_eq!(written, Err(Errno::ENOSPC), "writing to /dev/full");
    let (mut one, mut two) = ([0; 16], [0; 16]);
    with_open(c"/dev/random", |fd| posix::read(fd, &mut one).and_then(|_| posix::read(fd, &mut two)))??;
    ensure!(one != two, "/dev/random repeats itself");
    let stat = posix::stat(c"/dev/null")?;
    ensure_eq!((stat.mode & IFMT, stat.rdev), (IFCHR, parley_abi::linux::makedev(1, 3)), "/dev/null");
    ensure_eq!(with_open(c"/dev/console", |fd| posix::lseek(fd, 0, seek::SET))?, Err(Errno::ESPIPE), "lseek");
    Ok(())
}

fn listing() -> Verdict {
    let _file = write_file(PATH, b"x")?;
    let mut found = (false, false);
    let mut buffer = [0; 512];
    let directory = posix::open(c"/", RDONLY | DIRECTORY, 0)?;
    loop {
        let read = posix::getdents(directory, &mut buffer)?;
        if read == 0 {
            break;
        }
        for entry in entries(&buffer[..read]) {
            found = (found.0 || entry.name == "bin", found.1 || entry.name == "ktest.tmp");
        }
    }
    posix::close(directory)?;
    ensure_eq!(found, (true, true), "bin and ktest.tmp in the root");
    ensure_eq!(with_open(PATH, |fd| posix::getdents(fd, &mut [0; 512]))?, Err(Errno::ENOTDIR), "listing a file");
    Ok(())
}
