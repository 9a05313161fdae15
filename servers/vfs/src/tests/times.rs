//! When a file was read, written and changed: POSIX.1-2017, XBD 4.9.

use parley_abi::linux::{Stat, Timespec, open};

use super::start::{archive, entry};
use super::{Client, EMPTY, EPOCH};

const CREATE: u32 = open::RDWR | open::CREAT;
const SECOND: u64 = 1_000_000_000;

/// A client, `seconds` after boot.
fn client_at(seconds: u64) -> Client {
    let mut client = Client::new(&EMPTY);
    client.host.now = seconds * SECOND;
    client
}

/// Seconds after boot at which a file was accessed, modified and changed.
fn times(stat: &Stat) -> [u64; 3] {
    [stat.atime, stat.mtime, stat.ctime].map(|time: Timespec| (time.sec as u64).wrapping_sub(EPOCH / SECOND))
}

impl Client {
    fn times(&mut self, path: &[u8]) -> [u64; 3] {
        times(&self.stat(path).unwrap())
    }
}

#[test]
fn a_new_file_is_new_and_changes_its_directory() {
    let mut c = client_at(5);
    let file = c.open(b"/f", CREATE).unwrap();
    c.mkdir(b"/d").unwrap();
    c.host.now = 9 * SECOND;
    assert_eq!(times(&c.fstat(file).unwrap()), [5, 5, 5]);
    assert_eq!((c.times(b"/d"), c.times(b"/")), ([5, 5, 5], [0, 5, 5]));
}

#[test]
fn marks_are_set_when_somebody_looks() {
    let mut c = client_at(1);
    let file = c.open(b"/f", CREATE).unwrap();
    c.host.now = 2 * SECOND;
    c.write(file, b"x").unwrap();
    assert_eq!(times(&c.fstat(file).unwrap()), [1, 2, 2]);
    c.host.now = 3 * SECOND;
    c.pread(file, 1, 0).unwrap();
    assert_eq!(c.times(b"/f"), [3, 2, 2]);
    c.host.now = 4 * SECOND;
    assert_eq!(c.times(b"/f"), [3, 2, 2], "looking changes nothing");
}

#[test]
fn closing_sets_them_too() {
    let mut c = client_at(1);
    let file = c.open(b"/f", CREATE).unwrap();
    c.pwrite(file, b"x", 0).unwrap();
    c.host.now = 2 * SECOND;
    c.close(file);
    c.host.now = 3 * SECOND;
    assert_eq!(c.times(b"/f"), [1, 2, 2]);
    let file = c.open(b"/f", open::WRONLY | open::TRUNC).unwrap();
    c.close(file);
    c.host.now = 4 * SECOND;
    assert_eq!(c.times(b"/f"), [1, 3, 3], "even an empty file is truncated");
    assert_eq!(c.names(b"/", 4096).len(), 4);
    c.host.now = 5 * SECOND;
    assert_eq!(c.times(b"/"), [4, 1, 1]);
}

#[test]
fn what_fails_leaves_the_times_alone() {
    let mut c = client_at(1);
    let file = c.open(b"/f", CREATE).unwrap();
    c.host.now = 2 * SECOND;
    c.host.mapped = Some(0);
    assert!(c.write(file, b"x").is_err());
    c.host.mapped = None;
    assert!(c.rmdir(b"/f").is_err() && c.mkdir(b"/f").is_err() && c.rename(b"/g", b"/h").is_err());
    assert_eq!((times(&c.fstat(file).unwrap()), c.times(b"/")), ([1, 1, 1], [0, 1, 1]));
}

#[test]
fn names_have_times_of_their_own() {
    let mut c = client_at(1);
    c.mkdir(b"/a").unwrap();
    c.mkdir(b"/b").unwrap();
    let file = c.open(b"/a/f", CREATE).unwrap();
    c.host.now = 2 * SECOND;
    c.rename(b"/a/f", b"/b/g").unwrap();
    assert_eq!((c.times(b"/a"), c.times(b"/b"), c.times(b"/b/g")), ([1, 2, 2], [1, 2, 2], [1, 1, 2]));
    c.host.now = 3 * SECOND;
    c.unlink(b"/b/g").unwrap();
    assert_eq!((c.times(b"/b"), times(&c.fstat(file).unwrap())), ([1, 3, 3], [1, 1, 3]));
}

#[test]
fn the_archive_says_when_or_it_was_at_boot() {
    let mut dated = entry(b"old", b'0', b"x");
    dated[136..147].copy_from_slice(b"00000000010"); // octal
    dated[148..156].fill(b' ');
    let sum = std::format!("{:06o}\0 ", dated[..512].iter().map(|&byte| byte as u32).sum::<u32>());
    dated[148..156].copy_from_slice(sum.as_bytes());
    let mut c = Client::new(archive(&[dated, entry(b"new", b'0', b"x")]));
    assert_eq!(c.stat(b"/old").unwrap().mtime, Timespec { sec: 8, nsec: 0 });
    for path in [&b"/new"[..], b"/", b"/dev", b"/dev/null"] {
        assert_eq!(c.times(path), [0, 0, 0]);
    }
}

#[test]
fn the_date_has_its_fraction() {
    let mut c = client_at(0);
    c.host.now = 1_500_000_007;
    c.mkdir(b"/d").unwrap();
    let expected = Timespec { sec: (EPOCH / SECOND) as i64 + 1, nsec: 500_000_007 };
    assert_eq!(c.stat(b"/d").unwrap().ctime, expected);
}
