//! `ls [-al] [PATH]...`: the names in a directory, or a file's own.

use alloc::string::String;
use alloc::vec::Vec;
use parley_abi::Errno;
use parley_abi::linux::mode::{IFCHR, IFDIR, IFMT};
use parley_abi::linux::{Stat, open};
use parley_posix::{self as posix, eprintln, println};

use super::stat::{device, permissions};
use super::{MISUSED, complain};
use crate::date::DateTime;
use crate::dirent::entries;
use crate::path::{c_string, join};

/// Runs it.
pub fn run(args: &[&str]) -> i32 {
    let (options, mut paths): (Vec<&str>, Vec<&str>) =
        args.iter().partition(|arg| arg.len() > 1 && arg.starts_with('-'));
    let letters = || options.iter().flat_map(|option| option[1..].chars());
    if letters().any(|letter| !"al".contains(letter)) {
        eprintln!("usage: ls [-al] [PATH]...");
        return MISUSED;
    }
    let shown = Shown { all: letters().any(|letter| letter == 'a'), long: letters().any(|letter| letter == 'l') };
    if paths.is_empty() {
        paths.push("/");
    }
    paths.iter().fold(0, |status, path| match list(path, shown) {
        Ok(()) => status,
        Err(errno) => complain("ls", path, errno),
    })
}

/// What the options ask for.
#[derive(Clone, Copy)]
struct Shown {
    /// Names that begin with a dot as well.
    all: bool,
    /// What is known of each.
    long: bool,
}

fn list(path: &str, shown: Shown) -> Result<(), Errno> {
    let stat = posix::stat(&c_string(path)?)?;
    if stat.mode & IFMT != IFDIR {
        show(path, shown.long.then_some(&stat));
        return Ok(());
    }
    let names = names(path)?;
    for name in names.iter().filter(|name| shown.all || !name.starts_with('.')) {
        if shown.long {
            // A file that went away since the directory was read is not an error.
            let stat = posix::stat(&c_string(&join(path, name))?);
            stat.iter().for_each(|stat| show(name, Some(stat)));
        } else {
            show(name, None);
        }
    }
    Ok(())
}

/// The names in directory `path`, sorted.
fn names(path: &str) -> Result<Vec<String>, Errno> {
    let fd = posix::open(&c_string(path)?, open::RDONLY | open::DIRECTORY, 0)?;
    let names = read_names(fd);
    posix::close(fd)?;
    names
}

fn read_names(fd: u32) -> Result<Vec<String>, Errno> {
    let (mut names, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = posix::getdents(fd, &mut buffer)?;
        if read == 0 {
            names.sort();
            return Ok(names);
        }
        let read = buffer.get(..read).ok_or(Errno::EIO)?;
        names.extend(entries(read).map(|entry| String::from(entry.name)));
    }
}

fn show(name: &str, stat: Option<&Stat>) {
    let Some(stat) = stat else { return println!("{name}") };
    let (mode, links) = (permissions(stat.mode), stat.nlink);
    let changed = DateTime::from_unix(stat.mtime.sec);
    let DateTime { year, month, day, hour, minute, .. } = changed;
    if stat.mode & IFMT == IFCHR {
        let (major, minor) = device(stat.rdev);
        println!("{mode} {links:>2} {major:>4},{minor:>4} {year}-{month:02}-{day:02} {hour:02}:{minute:02} {name}");
    } else {
        let size = stat.size;
        println!("{mode} {links:>2} {size:>9} {year}-{month:02}-{day:02} {hour:02}:{minute:02} {name}");
    }
}
