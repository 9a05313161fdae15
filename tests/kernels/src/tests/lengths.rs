//! Lengths: past the end of what is mapped, and past the end of everything.

use parley_abi::Errno;
use parley_abi::linux::nr;
use parley_posix as posix;
use parley_rt::sys;

use crate::tool::edge::{Access, Edge};
use crate::tool::file::{with_open, write_file};
use crate::tool::verdict::Verdict;

tests![read_across_the_end, write_across_the_end, huge_lengths, nothing_is_nothing, structure_across_the_end];

/// Lengths no buffer has.
const HUGE: [u64; 6] = [1 << 31, 1 << 47, i64::MAX as u64, 1 << 63, u64::MAX - 4095, u64::MAX];

/// POSIX leaves it open whether a buffer that is partly there gives EFAULT or the part.
fn refused_or_partial(result: i64, mapped: i64, what: &str) -> Verdict {
    let refused = [Errno::EFAULT, Errno::EINVAL].iter().any(|errno| errno.negated() == result);
    ensure!(refused || (0..=mapped).contains(&result), "{what}: {result} of {mapped} mapped bytes");
    Ok(())
}

fn read_across_the_end() -> Verdict {
    for mapped in [1u64, 96, 4096, 4097] {
        let edge = Edge::new(Access::ReadWrite, 7)?;
        let at = edge.before_end(mapped);
        let result = with_open(c"/dev/zero", |fd| sys::posix(nr::READ, [u64::from(fd), at, mapped + 4000, 0, 0, 0]))?;
        refused_or_partial(result, mapped as i64, "read")?;
    }
    Ok(())
}

fn write_across_the_end() -> Verdict {
    let edge = Edge::new(Access::ReadOnly, b'x')?;
    for mapped in [1u64, 96, 4096, 4097] {
        let file = write_file(c"/ktest.tmp", b"")?;
        let result = sys::posix(nr::WRITE, [u64::from(file.fd), edge.before_end(mapped), mapped + 4000, 0, 0, 0]);
        refused_or_partial(result, mapped as i64, "write")?;
        ensure_eq!(posix::fstat(file.fd)?.size, result.max(0), "size after writing {mapped} mapped bytes");
    }
    Ok(())
}

fn huge_lengths() -> Verdict {
    let edge = Edge::new(Access::ReadWrite, 7)?;
    let at = edge.before_end(100);
    for length in HUGE {
        let file = write_file(c"/ktest.tmp", b"")?;
        let fd = u64::from(file.fd);
        let read = with_open(c"/dev/zero", |zero| sys::posix(nr::READ, [u64::from(zero), at, length, 0, 0, 0]))?;
        refused_or_partial(read, 100, "read")?;
        refused_or_partial(sys::posix(nr::WRITE, [fd, at, length, 0, 0, 0]), 100, "write")?;
        refused_or_partial(sys::posix(nr::PWRITE64, [fd, at, length, 0, 0, 0]), 100, "pwrite")?;
        refused_or_partial(sys::posix(nr::PREAD64, [fd, at, length, 0, 0, 0]), 100, "pread")?;
        let size = posix::fstat(file.fd)?.size;
        ensure!(size <= 200, "the file has {size} bytes after writing {length:#x} of which 100 exist");
        let directory = with_open(c"/", |fd| sys::posix(nr::GETDENTS64, [u64::from(fd), at, length, 0, 0, 0]))?;
        refused_or_partial(directory, 100, "getdents")?;
    }
    Ok(())
}

/// With no bytes to move the buffer does not matter.
fn nothing_is_nothing() -> Verdict {
    let file = write_file(c"/ktest.tmp", b"contents")?;
    posix::lseek(file.fd, 0, parley_abi::linux::seek::SET)?;
    let at = Edge::new(Access::ReadWrite, 0)?.before_end(1);
    for (name, number) in [("read", nr::READ), ("write", nr::WRITE), ("pread", nr::PREAD64), ("pwrite", nr::PWRITE64)] {
        ensure_eq!(sys::posix(number, [u64::from(file.fd), at, 0, 0, 0, 0]), 0, "{name} of 0 bytes");
    }
    ensure_eq!(posix::fstat(file.fd)?.size, 8, "size afterwards");
    Ok(())
}

/// A structure is written whole or not at all, as far as the caller is told.
fn structure_across_the_end() -> Verdict {
    let edge = Edge::new(Access::ReadWrite, 7)?;
    let path = c"/".as_ptr().expose_provenance() as u64;
    let at = edge.before_end(8);
    for (name, number, args) in [
        ("stat", nr::STAT, [path, at, 0, 0, 0, 0]),
        ("clock_gettime", nr::CLOCK_GETTIME, [0, at, 0, 0, 0, 0]),
        ("gettimeofday", nr::GETTIMEOFDAY, [at, 0, 0, 0, 0, 0]),
        ("nanosleep", nr::NANOSLEEP, [at, 0, 0, 0, 0, 0]),
    ] {
        ensure_eq!(sys::posix(number, args), Errno::EFAULT.negated(), "{name} with 8 bytes mapped");
    }
    Ok(())
}
