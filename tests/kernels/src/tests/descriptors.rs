//! Descriptors are handles: lowest first, shared offsets, and an end to them.

use alloc::vec::Vec;
use parley_abi::Errno;
use parley_abi::linux::seek;
use parley_abi::slot::{self, FD_END};
use parley_posix as posix;

use crate::tool::file::{with_open, write_file};
use crate::tool::machine::mem_info;
use crate::tool::verdict::Verdict;

tests![dup_shares_the_offset, lowest_is_first, closed_is_bad, dup2_replaces, too_many, last_close_reaches_the_server];

fn dup_shares_the_offset() -> Verdict {
    let file = write_file(c"/ktest.tmp", b"abcdef")?;
    let copy = posix::dup(file.fd)?;
    posix::lseek(file.fd, 2, seek::SET)?;
    let mut byte = [0];
    posix::read(copy, &mut byte)?;
    let offset = posix::lseek(file.fd, 0, seek::CUR)?;
    posix::close(copy)?;
    ensure_eq!((byte, offset), (*b"c", 3), "reading through the copy");
    ensure_eq!(posix::read(file.fd, &mut byte), Ok(1), "the original after the copy was closed");
    with_open(c"/ktest.tmp", |other| posix::lseek(other, 0, seek::CUR))?.map_err(Into::into).and_then(|offset| {
        ensure_eq!(offset, 0, "offset of a second open");
        Ok(())
    })
}

fn lowest_is_first() -> Verdict {
    let [a, b, c] = [posix::dup(1)?, posix::dup(1)?, posix::dup(1)?];
    ensure!(a < b && b < c, "dup gave {a}, {b}, {c}");
    posix::close(a)?;
    let again = posix::dup(1)?;
    [a, b, c].into_iter().try_for_each(posix::close)?;
    ensure_eq!(again, a, "the lowest free descriptor");
    Ok(())
}

fn closed_is_bad() -> Verdict {
    let fd = posix::dup(1)?;
    posix::close(fd)?;
    for bad in [fd, FD_END - 1, FD_END, u32::MAX, 1 << 31] {
        let calls = [posix::close(bad), posix::dup(bad).map(drop), posix::write(bad, b"x").map(drop)];
        ensure_eq!(calls, [Err(Errno::EBADF); 3], "close, dup, write of {bad}");
    }
    ensure_eq!(posix::close(slot::SPACE), Err(Errno::EBADF), "closing what is no descriptor");
    Ok(())
}

fn dup2_replaces() -> Verdict {
    let file = write_file(c"/ktest.tmp", b"")?;
    let to = posix::dup(1)?;
    ensure_eq!(posix::dup2(file.fd, to), Ok(to), "dup2");
    posix::write(to, b"x")?;
    ensure_eq!(posix::fstat(file.fd)?.size, 1, "where the copy leads");
    ensure_eq!(posix::dup2(to, to), Ok(to), "dup2 to itself");
    ensure_eq!(posix::dup2(900, to), Err(Errno::EBADF), "dup2 of a closed one");
    ensure!(posix::write(to, b"y").is_ok(), "dup2 that failed closed its target");
    for bad in [FD_END, slot::SPACE, u32::MAX] {
        ensure_eq!(posix::dup2(to, bad), Err(Errno::EBADF), "dup2 to {bad}");
    }
    posix::close(to)?;
    Ok(())
}

fn too_many() -> Verdict {
    let mut fds = Vec::new();
    let end = loop {
        match posix::open(c"/dev/null", 0, 0) {
            Ok(fd) => fds.push(fd),
            Err(errno) => break errno,
        }
    };
    let (count, dup) = (fds.len(), posix::dup(1));
    fds.into_iter().try_for_each(posix::close)?;
    ensure_eq!(end, Errno::EMFILE, "the end after {count} more descriptors");
    ensure!(count > 900 && count < FD_END as usize, "{count} descriptors fitted");
    ensure_eq!(dup, Err(Errno::EMFILE), "dup with a full table");
    with_open(c"/dev/null", |_| ())?;
    Ok(())
}

fn last_close_reaches_the_server() -> Verdict {
    with_open(c"/dev/zero", |_| ())?;
    let before = mem_info()?.connections;
    for _ in 0..100 {
        let fd = posix::open(c"/dev/zero", 0, 0)?;
        let copy = posix::dup(fd)?;
        posix::close(fd)?;
        ensure_eq!(posix::read(copy, &mut [1]), Ok(1), "reading through the copy that is left");
        posix::close(copy)?;
    }
    posix::sched_yield();
    let after = mem_info()?.connections;
    ensure!(after <= before + 2, "{before} connections became {after} after 100 times open and close");
    Ok(())
}
