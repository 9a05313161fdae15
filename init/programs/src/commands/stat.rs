//! `stat PATH...`: all that the system knows about a file.

use parley_abi::linux::Stat;
use parley_abi::linux::mode::{IFCHR, IFDIR, IFMT, IFREG};
use parley_posix::{self as posix, eprintln, println};

use super::{MISUSED, complain};
use crate::date::DateTime;
use crate::path::c_string;

/// Runs it.
pub fn run(args: &[&str]) -> i32 {
    if args.is_empty() {
        eprintln!("usage: stat PATH...");
        return MISUSED;
    }
    args.iter().fold(0, |status, path| status.max(one(path)))
}

fn one(path: &str) -> i32 {
    match c_string(path).and_then(|path| posix::stat(&path)) {
        Ok(stat) => {
            show(path, &stat);
            0
        }
        Err(errno) => complain("stat", path, errno),
    }
}

fn show(path: &str, stat: &Stat) {
    println!("  file: {path}");
    println!("  type: {}, mode {:04o} ({})", kind(stat.mode), stat.mode & 0o7777, permissions(stat.mode));
    println!("  size: {} bytes, in blocks of 512: {}, best read in {}", stat.size, stat.blocks, stat.blksize);
    println!(" inode: {} on device {}, links: {}", stat.ino, stat.dev, stat.nlink);
    if stat.mode & IFMT == IFCHR {
        let (major, minor) = device(stat.rdev);
        println!("device: major {major}, minor {minor}");
    }
    for (what, time) in [("access", stat.atime), ("modify", stat.mtime), ("change", stat.ctime)] {
        println!("{what}: {}", DateTime::from_unix(time.sec));
    }
}

/// The type of a file in words.
fn kind(mode: u32) -> &'static str {
    match mode & IFMT {
        IFREG => "regular file",
        IFDIR => "directory",
        IFCHR => "character device",
        _ => "unknown",
    }
}

/// Major and minor number, as `parley_abi::linux::makedev` packed them.
pub fn device(rdev: u64) -> (u64, u64) {
    (rdev >> 8, rdev & 0xff)
}

/// The mode as `ls -l` shows it: `drwxr-xr-x`.
pub fn permissions(mode: u32) -> Permissions {
    Permissions(mode)
}

/// See [`permissions`].
pub struct Permissions(u32);

impl core::fmt::Display for Permissions {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        out.write_char(match self.0 & IFMT {
            IFREG => '-',
            IFDIR => 'd',
            IFCHR => 'c',
            _ => '?',
        })?;
        let letters = "rwxrwxrwx".chars().enumerate();
        letters.into_iter().try_for_each(|(index, letter)| {
            let set = self.0 & 0o400 >> index != 0;
            out.write_char(if set { letter } else { '-' })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_as_ls_shows_them() {
        assert_eq!(permissions(IFDIR | 0o755).to_string(), "drwxr-xr-x");
        assert_eq!(permissions(IFREG | 0o640).to_string(), "-rw-r-----");
        assert_eq!(permissions(IFCHR | 0o001).to_string(), "c--------x");
        assert_eq!(permissions(u32::MAX).to_string(), "?rwxrwxrwx");
    }

    #[test]
    fn device_numbers_come_apart() {
        assert_eq!(device(parley_abi::linux::makedev(5, 1)), (5, 1));
    }
}
