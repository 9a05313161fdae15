//! Names: too long, without an end, and at the very end of what is mapped.

use alloc::vec::Vec;
use parley_abi::linux::{Stat, nr};
use parley_abi::{Errno, PATH_MAX};
use parley_posix as posix;
use parley_rt::sys;

use crate::tool::edge::{Access, Edge};
use crate::tool::verdict::Verdict;

tests![lengths, no_end, at_the_end_of_a_mapping, odd_names];

/// `stat` of the path at `address`: 0 or the errno.
fn stat(address: u64) -> Result<i64, Errno> {
    let mut stat = Stat::default();
    let at = core::ptr::from_mut(&mut stat).expose_provenance() as u64;
    Errno::check(sys::posix(nr::STAT, [address, at, 0, 0, 0, 0]))
}

/// `/////...` of `length` characters and a NUL.
fn slashes(length: usize) -> Vec<u8> {
    let mut path = alloc::vec![b'/'; length];
    path.push(0);
    path
}

/// `PATH_MAX` counts the NUL: 4,095 characters are the longest path.
fn lengths() -> Verdict {
    let cases = [
        (PATH_MAX - 1, Ok(0)),
        (PATH_MAX, Err(Errno::ENAMETOOLONG)),
        (PATH_MAX + 1, Err(Errno::ENAMETOOLONG)),
        (5000, Err(Errno::ENAMETOOLONG)),
        (100_000, Err(Errno::ENAMETOOLONG)),
    ];
    for (length, wanted) in cases {
        let path = slashes(length);
        ensure_eq!(stat(path.as_ptr().expose_provenance() as u64), wanted, "a path of {length} characters");
    }
    let mut name = alloc::vec![b'x'; 5000];
    name[0] = b'/';
    name.push(0);
    let address = name.as_ptr().expose_provenance() as u64;
    ensure_eq!(stat(address), Err(Errno::ENAMETOOLONG), "one name of 5,000 characters");
    let opened = Errno::check(sys::posix(nr::OPEN, [address, 0o101, 0o644, 0, 0, 0]));
    ensure_eq!(opened, Err(Errno::ENAMETOOLONG), "making a file with it");
    let renamed = Errno::check(sys::posix(nr::RENAME, [address, address, 0, 0, 0, 0]));
    ensure_eq!(renamed, Err(Errno::ENAMETOOLONG), "renaming it");
    Ok(())
}

/// No NUL before the mapping ends: EFAULT; none within `PATH_MAX`: ENAMETOOLONG.
fn no_end() -> Verdict {
    let edge = Edge::new(Access::ReadOnly, b'/')?;
    for distance in [1, 100, 4095] {
        ensure_eq!(stat(edge.before_end(distance)), Err(Errno::EFAULT), "{distance} bytes before the end");
    }
    for distance in [4097, 8192] {
        ensure_eq!(stat(edge.before_end(distance)), Err(Errno::ENAMETOOLONG), "{distance} bytes before the end");
    }
    Ok(())
}

fn at_the_end_of_a_mapping() -> Verdict {
    let edge = Edge::new(Access::ReadOnly, b'/')?;
    edge.set_last(b"\0")?;
    for distance in [2, 100, 4096] {
        ensure_eq!(stat(edge.before_end(distance)), Ok(0), "the root, {distance} bytes before the end");
    }
    ensure_eq!(stat(edge.before_end(1)), Err(Errno::ENOENT), "the empty path");
    Ok(())
}

fn odd_names() -> Verdict {
    for path in [c"/.", c"//", c"/./", c"/bin/..", c"/../..", c"/bin/../bin/."] {
        ensure_eq!(posix::stat(path).map(drop), Ok(()), "{path:?}");
    }
    for path in [c"", c"/ ", c"/\xff\xfe", c"/bin/\x01", c"/bin/..."] {
        ensure_eq!(posix::stat(path).map(drop), Err(Errno::ENOENT), "{path:?}");
    }
    Ok(())
}
