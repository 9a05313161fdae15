//! What POSIX says of names, case by case.

use parley_abi::linux::{makedev, mode, open, seek};
use parley_abi::{Errno, PATH_MAX};
use parley_proto::{Cx, Outcome, Service, root_badge, vfs};

use alloc::vec::Vec;

use super::{Client, Did, EMPTY, TOKEN};

const CREATE: u32 = open::RDWR | open::CREAT;

fn client() -> Client {
    let mut client = Client::new(&EMPTY);
    client.mkdir(b"/d").unwrap();
    let file = client.open(b"/f", CREATE).unwrap();
    client.write(file, b"data").unwrap();
    client.close(file);
    client
}

#[test]
fn paths_are_resolved() {
    let mut c = client();
    for path in [&b"/f"[..], b"f", b"//f", b"/./f", b"/d/../f", b"/../../f", b"d/.././/f", b"/dev/../f"] {
        assert_eq!(c.stat(path).map(|stat| stat.size), Ok(4), "{path:?}");
    }
    assert_eq!(c.stat(b""), Err(Errno::ENOENT));
    assert_eq!(c.stat(b"/x/../f"), Err(Errno::ENOENT));
    for path in [&b"/f/"[..], b"/f/.", b"/f/..", b"/f/x", b"/f/x/y", b"/dev/null/", b"/dev/null/x"] {
        assert_eq!(c.stat(path), Err(Errno::ENOTDIR), "{path:?}");
    }
    let root = c.stat(b"/").unwrap();
    assert_eq!((c.stat(b"/..").unwrap(), c.stat(b"/dev/..").unwrap(), c.stat(b".").unwrap()), (root, root, root));
}

#[test]
fn names_and_paths_have_limits() {
    let mut c = client();
    assert_eq!(c.stat(&[b'x'; 255]), Err(Errno::ENOENT));
    assert_eq!(c.stat(&[b'x'; 256]), Err(Errno::ENAMETOOLONG));
    let slashes = [b'/'; PATH_MAX + 900];
    assert!(c.stat(&slashes[..PATH_MAX - 1]).is_ok());
    assert_eq!(c.stat(&slashes[..PATH_MAX]), Err(Errno::ENAMETOOLONG));
    assert_eq!(c.stat(&slashes), Err(Errno::ENAMETOOLONG));
    c.host.mapped = Some(2);
    assert_eq!(c.stat(b"/f"), Err(Errno::EFAULT));
}

#[test]
fn open_has_its_errors() {
    let mut c = client();
    assert_eq!(c.open(b"/x", 0), Err(Errno::ENOENT));
    assert_eq!(c.open(b"/x/y", CREATE), Err(Errno::ENOENT));
    assert_eq!(c.open(b"/f", CREATE | open::EXCL), Err(Errno::EEXIST));
    assert_eq!(c.open(b"/x/", CREATE), Err(Errno::EISDIR));
    assert_eq!(c.open(b"/f/", 0), Err(Errno::ENOTDIR));
    assert_eq!(c.open(b"/f", open::DIRECTORY), Err(Errno::ENOTDIR));
    assert_eq!(c.open(b"/d", CREATE | open::DIRECTORY), Err(Errno::EINVAL));
    assert_eq!(c.open(b"/f", 3), Err(Errno::EINVAL));
    for flags in [open::WRONLY, open::RDWR, open::TRUNC, open::CREAT] {
        assert_eq!(c.open(b"/d", flags), Err(Errno::EISDIR));
    }
    assert_eq!(c.open(b"/dev/x", CREATE), Err(Errno::EROFS));
    assert!(c.open(b"/d/", open::DIRECTORY).is_ok());
    c.open(b"/f", open::TRUNC).unwrap();
    assert_eq!(c.stat(b"/f").unwrap().size, 0);
}

#[test]
fn badges_are_told_apart() {
    let mut c = client();
    let file = c.open(b"/f", 0).unwrap();
    c.host.leases[0] = b"/f\0".to_vec();
    let mut cx = Cx { host: &mut c.host, token: TOKEN, badge: file };
    let outcome = c.vfs.request(&mut cx, vfs::label::open, &[1, 0, 0, 0, 0, 0]);
    assert_eq!(outcome, Outcome::from(Errno::EBADF));
    assert_eq!(c.read(root_badge(1, 0), 1), Err(Errno::EBADF));
    c.close(file);
    assert_eq!(c.read(file, 1), Err(Errno::EBADF));
    c.close(file);
}

#[test]
fn too_many_open_files_are_refused_before_anything_happens() {
    let mut c = client();
    while c.open(b"/f", 0).is_ok() {}
    assert_eq!(c.open(b"/new", CREATE | open::TRUNC), Err(Errno::ENFILE));
    assert_eq!(c.stat(b"/new"), Err(Errno::ENOENT));
}

#[test]
fn devices_are_forwarded_to_their_driver() {
    let mut c = client();
    assert_eq!(c.try_open(b"/dev/zero", open::RDWR, 0), Did::Device(makedev(1, 5), open::RDWR));
    let stat = c.stat(b"/dev/null").unwrap();
    assert_eq!((stat.mode, stat.rdev, stat.nlink), (mode::IFCHR | 0o666, makedev(1, 3), 1));
    assert_eq!(c.names(b"/dev", 4096), [&b"."[..], b"..", b"null", b"zero"]);
    assert_eq!(c.open(b"/dev/null", open::DIRECTORY), Err(Errno::ENOTDIR));
    assert_eq!(c.unlink(b"/dev/null"), Err(Errno::EROFS));
    assert_eq!(c.mkdir(b"/dev/d"), Err(Errno::EROFS));
}

#[test]
fn directories_come_and_go() {
    let mut c = client();
    assert_eq!(c.mkdir(b"/d"), Err(Errno::EEXIST));
    for path in [&b"/"[..], b"/d/.", b"/f", b"/f/", b"/dev"] {
        assert_eq!(c.mkdir(path), Err(Errno::EEXIST), "{path:?}");
    }
    assert_eq!(c.mkdir(b"/x/y"), Err(Errno::ENOENT));
    assert_eq!(c.mkdir(b"/f/y"), Err(Errno::ENOTDIR));
    assert_eq!(c.mkdir(b"/d/e/"), Ok(0));
    assert_eq!(c.rmdir(b"/d"), Err(Errno::ENOTEMPTY));
    assert_eq!(c.rmdir(b"/d/e/.."), Err(Errno::ENOTEMPTY));
    assert_eq!(c.rmdir(b"/d/e/."), Err(Errno::EINVAL));
    assert_eq!(c.rmdir(b"/d/e/"), Ok(0));
    assert_eq!((c.rmdir(b"/"), c.rmdir(b"/dev")), (Err(Errno::EBUSY), Err(Errno::EBUSY)));
    assert_eq!((c.rmdir(b"/f"), c.rmdir(b"/x")), (Err(Errno::ENOTDIR), Err(Errno::ENOENT)));
    assert_eq!(
        (c.unlink(b"/d"), c.unlink(b"/dev"), c.unlink(b"/")),
        (Err(Errno::EISDIR), Err(Errno::EISDIR), Err(Errno::EISDIR))
    );
    assert_eq!(c.unlink(b"/f/"), Err(Errno::ENOTDIR));
}

/// A directory's page, its number and the number of a file in it are all used again, so that the entry looks as it did.
#[test]
fn a_name_of_a_directory_that_is_gone_is_not_found_again() {
    let mut c = Client::new(&EMPTY);
    let create = |c: &mut Client, path: &[u8]| {
        let file = c.open(path, CREATE).unwrap();
        c.close(file);
        c.stat(path).unwrap().ino
    };
    c.mkdir(b"/gone").unwrap();
    let (directory, file) = (c.stat(b"/gone").unwrap().ino, create(&mut c, b"/gone/x"));
    c.unlink(b"/gone/x").unwrap();
    c.rmdir(b"/gone").unwrap();
    c.mkdir(b"/same").unwrap();
    create(&mut c, b"/between");
    c.mkdir(b"/other").unwrap();
    c.unlink(b"/between").unwrap();
    assert_eq!((c.stat(b"/same").unwrap().ino, create(&mut c, b"/other/x")), (directory, file));
    assert_eq!(c.stat(b"/same/x"), Err(Errno::ENOENT));
}

#[test]
fn an_open_file_and_an_open_directory_outlive_their_names() {
    let mut c = client();
    let file = c.open(b"/f", open::RDWR).unwrap();
    let directory = c.open(b"/d", 0).unwrap();
    assert_eq!((c.unlink(b"/f"), c.rmdir(b"/d")), (Ok(0), Ok(0)));
    assert_eq!(c.pread(file, 9, 0), Ok(b"data".to_vec()));
    assert_eq!(c.fstat(file).unwrap().nlink, 0);
    assert_eq!(c.getdents(directory, 4096), Ok(Vec::new()));
    c.close(file);
    c.close(directory);
}

#[test]
fn rename_keeps_to_the_rules() {
    let mut c = client();
    c.mkdir(b"/d/e").unwrap();
    c.mkdir(b"/g").unwrap();
    assert_eq!(c.rename(b"/f", b"/f"), Ok(0));
    assert_eq!((c.rename(b"/d", b"/d"), c.rename(b"/g", b"/h")), (Ok(0), Ok(0)));
    assert_eq!(c.rename(b"/d", b"/d/e/x"), Err(Errno::EINVAL));
    assert_eq!(c.rename(b"/h", b"/d"), Err(Errno::ENOTEMPTY));
    assert_eq!(c.rename(b"/f", b"/h"), Err(Errno::EISDIR));
    assert_eq!(c.rename(b"/h", b"/f"), Err(Errno::ENOTDIR));
    assert_eq!(c.rename(b"/d", b"/h"), Ok(0));
    assert_eq!(c.stat(b"/h/e").unwrap().nlink, 2);
    assert_eq!((c.rename(b"/x", b"/y"), c.rename(b"/f", b"/x/y")), (Err(Errno::ENOENT), Err(Errno::ENOENT)));
    assert_eq!((c.rename(b"/f/", b"/y"), c.rename(b"/f", b"/y/")), (Err(Errno::ENOTDIR), Err(Errno::ENOTDIR)));
    assert_eq!(c.rename(b"/h/", b"/i/"), Ok(0));
    assert_eq!(c.rename(b"/f", b"/dev/f"), Err(Errno::EXDEV));
    assert_eq!(c.rename(b"/dev/null", b"/n"), Err(Errno::EXDEV));
    assert_eq!(c.rename(b"/dev/null", b"/dev/n"), Err(Errno::EROFS));
    for (from, to) in
        [(&b"/dev"[..], &b"/e"[..]), (b"/f", b"/dev"), (b"/i/.", b"/e"), (b"/i/e/..", b"/e"), (b"/", b"/e")]
    {
        assert_eq!(c.rename(from, to), Err(Errno::EBUSY), "{from:?}");
    }
    let other = c.open(b"/o", CREATE).unwrap();
    assert_eq!(c.rename(b"/f", b"/o"), Ok(0));
    assert_eq!((c.stat(b"/f").err(), c.stat(b"/o").unwrap().size), (Some(Errno::ENOENT), 4));
    assert_eq!((c.write(other, b"old"), c.stat(b"/o").unwrap().size), (Ok(3), 4));
}

#[test]
fn a_moved_directory_knows_where_it_is() {
    let mut c = client();
    c.mkdir(b"/a").unwrap();
    c.rename(b"/a", b"/d/a").unwrap();
    assert_eq!(c.stat(b"/d/a/.."), c.stat(b"/d"));
    assert_eq!(c.rename(b"/d", b"/d/a/x"), Err(Errno::EINVAL));
    c.rename(b"/d/a", b"/b").unwrap();
    assert_eq!(c.rename(b"/d", b"/b/x"), Ok(0));
}

#[test]
fn getdents_goes_on_where_it_stopped() {
    let mut c = client();
    for name in [&b"/d/one"[..], b"/d/two", b"/d/three"] {
        c.open(name, CREATE).unwrap();
    }
    let all = [&b"."[..], b"..", b"one", b"two", b"three"];
    assert_eq!(c.names(b"/d", 4096), all);
    assert_eq!(c.names(b"/d", 32), all);
    let directory = c.open(b"/d", 0).unwrap();
    assert_eq!(c.getdents(directory, 23), Err(Errno::EINVAL));
    c.host.mapped = Some(0);
    assert_eq!(c.getdents(directory, 4096), Err(Errno::EFAULT));
    c.host.mapped = None;
    assert_eq!(c.getdents(directory, 4096).unwrap().len(), 24 * 4 + 32);
    assert_eq!(c.lseek(directory, 0, seek::SET), Ok(0));
    assert_eq!(c.getdents(directory, 48).unwrap().len(), 48);
    assert_eq!(c.lseek(directory, 0, seek::END), Err(Errno::EINVAL));
    assert_eq!((c.read(directory, 1), c.write(directory, b"x")), (Err(Errno::EISDIR), Err(Errno::EBADF)));
    let file = c.open(b"/f", 0).unwrap();
    assert_eq!(c.getdents(file, 99), Err(Errno::ENOTDIR));
}
