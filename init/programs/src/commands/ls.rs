//! `ls [-l] [PATH]...`: the names in a directory, or a file's own.

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
    let (options, mut paths): (Vec<&str>, Vec<&str>) = args.iter().partition(|arg| arg.starts_with('-'));
    if options.iter().any(|&option| option != "-l") {
        eprintln!("usage: ls [-l] [PATH]...");
        return MISUSED;
    }
    if paths.is_empty() {
        paths.push("/");
    }
    let long = !options.is_empty();
    paths.iter().fold(0, |status, path| match list(path, long) {
        Ok(()) => status,
        Err(errno) => complain("ls", path, errno),
    })
}

fn list(path: &str, long: bool) -> Result<(), Errno> {
    let stat = posix::stat(&c_string(path)?)?;
    if stat.mode & IFMT != IFDIR {
        show(path, long.then_some(&stat));
        return Ok(());
    }
    for name in names(path)? {
        if long {
            // A file that went away since the directory was read is not an error.
            let stat = posix::stat(&c_string(&join(path, &name))?);
            stat.iter().for_each(|stat| show(&name, Some(stat)));
        } else {
            show(&name, None);
        }
    }
    Ok(())
}

/// The names in directory `path`, sorted, those that begin with a dot left out.
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
        names.extend(entries(read).filter(|entry| !entry.name.starts_with('.')).map(|entry| String::from(entry.name)));
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
