//! The script, written by hand: a chapter a test, each step with the answer that POSIX wants.

use parley_abi::Errno::*;
use parley_abi::linux::{nr, open::*, seek::*};
use placement::Script;
use placement::arena::{BASE, SIZE};
use placement::script::{BUFFER, BUFFER_LEN};

fn check(write: impl FnOnce(&mut Script)) {
    let mut script = Script::default();
    write(&mut script);
    placement::run(&script).unwrap_or_else(|error| panic!("{error}"));
}

const NEW: u32 = RDWR | CREAT;

#[test]
fn files() {
    check(|s| {
        s.open("/etc/motd", RDONLY).is(0);
        s.read(0, 7).gives(b"welcome").read(0, 100).gives(b" to the test\n").read(0, 100).is(0);
        s.write(0, b"x").fails(EBADF).pwrite(0, b"x", 0).fails(EBADF);
        s.open("/data/a", RDONLY).fails(ENOENT).open("/data/a", NEW | EXCL).is(1);
        s.open("/data/a", NEW | EXCL).fails(EEXIST).read(1, 10).is(0);
        s.write(1, b"hello world").is(11).read(1, 10).is(0);
        s.pread(1, 5, 6).gives(b"world").pread(1, 100, 0).gives(b"hello world").pread(1, 5, 11).is(0);
        s.pread(1, 5, -1).fails(EINVAL).pread(1, 5, i64::MAX).is(0);
        s.pwrite(1, b"W", 6).is(1).pwrite(1, b"W", -1).fails(EINVAL).pread(1, 20, 0).gives(b"hello World");
        s.open("/data/a", WRONLY | APPEND).is(2).write(2, b"!").is(1).read(2, 1).fails(EBADF);
        s.pread(1, 20, 6).gives(b"World!").lseek(2, 0, CUR).is(12);
        s.open("/data/a", WRONLY | TRUNC).is(3).pread(1, 20, 0).is(0).lseek(1, 0, CUR).is(11);
        s.write(1, b"z").is(1).pread(1, 20, 0).gives(&[&[0; 11][..], b"z"].concat());
        s.close(3).is(0).close(2).is(0).close(1).is(0).close(0).is(0).close(0).fails(EBADF);
        s.read(0, 1).fails(EBADF).write(99, b"x").fails(EBADF).lseek(1023, 0, SET).fails(EBADF);
    });
}

#[test]
fn long_files() {
    check(|s| {
        let tool: Vec<u8> = (0..9_000u32).map(|index| index as u8).collect();
        s.open("/bin/tool", RDWR).is(0).read(0, BUFFER_LEN).gives(&tool);
        s.pread(0, 100, 4_050).gives(&tool[4_050..4_150]).pwrite(0, b"patch", 4_094).is(5);
        s.pread(0, 9, 4_092).gives(&[&tool[4_092..4_094], b"patch", &tool[4_099..4_101]].concat());
        s.pread(0, BUFFER_LEN, 4_099).gives(&tool[4_099..]);
        s.open("/data/sparse", NEW).is(1).pwrite(1, b"end", 20_000).is(3);
        s.pread(1, BUFFER_LEN, 0).gives(&[&[0; 20_000][..], b"end"].concat());
        s.lseek(1, 10_000, SET).is(10_000).read(1, 5_000).gives(&[0; 5_000]).lseek(1, 0, CUR).is(15_000);
        s.pwrite(1, b"mid", 9_999).is(3).pread(1, 5, 9_998).gives(b"\0mid\0");
        s.pwrite(1, b"x", 64 << 20).fails(EFBIG).pwrite(1, b"xyz", (64 << 20) - 1).is(1);
        s.lseek(1, 0, END).is(64 << 20).write(1, b"x").fails(EFBIG).write(1, b"").is(0);
    });
}

#[test]
fn seeking() {
    check(|s| {
        s.open("/etc/motd", RDONLY).is(0).lseek(0, 11, SET).is(11).read(0, 3).gives(b"the");
        s.lseek(0, -3, CUR).is(11).lseek(0, -1, END).is(19).lseek(0, 5, END).is(25).read(0, 1).is(0);
        s.lseek(0, -1, SET).fails(EINVAL).lseek(0, -26, CUR).fails(EINVAL).lseek(0, -21, END).fails(EINVAL);
        s.lseek(0, i64::MAX, CUR).fails(EOVERFLOW).lseek(0, i64::MAX, SET).is(i64::MAX);
        s.lseek(0, 1, CUR).fails(EOVERFLOW).lseek(0, 0, 3).fails(EINVAL).lseek(0, 0, u32::MAX).fails(EINVAL);
        s.read(0, 1).is(0).lseek(0, i64::MIN, CUR).fails(EINVAL).lseek(0, 0, SET).is(0);
        s.open("/etc/motd", RDONLY).is(1).lseek(1, 3, SET).is(3).lseek(0, 0, CUR).is(0);
    });
}

#[test]
fn directories() {
    check(|s| {
        s.mkdir("/d").is(0).mkdir("/d").fails(EEXIST).mkdir("/d/").fails(EEXIST).mkdir("/").fails(EEXIST);
        s.mkdir("/x/y").fails(ENOENT).mkdir("/etc/motd/x").fails(ENOTDIR).mkdir("").fails(ENOENT);
        s.mkdir("d/e/").is(0).mkdir("/d/./e/../g").is(0).rmdir("/d").fails(ENOTEMPTY);
        s.rmdir("/d/.").fails(EINVAL).rmdir("/d/e/..").fails(ENOTEMPTY).rmdir("/").fails(EBUSY);
        s.rmdir("/dev").fails(EBUSY).rmdir("/etc/motd").fails(ENOTDIR).rmdir("/nothing").fails(ENOENT);
        s.unlink("/d").fails(EISDIR).unlink("/d/").fails(EISDIR).unlink("/etc/motd/").fails(ENOTDIR);
        s.open("/d", RDWR).fails(EISDIR).open("/d", CREAT).fails(EISDIR).open("/d", TRUNC).fails(EISDIR);
        s.open("/d", CREAT | DIRECTORY).fails(EINVAL).open("/etc/motd", DIRECTORY).fails(ENOTDIR);
        s.open("/d", 3).fails(EINVAL).open("/d/", RDONLY | DIRECTORY).is(0);
        s.read(0, 1).fails(EISDIR).pread(0, 1, 0).fails(EISDIR).write(0, b"x").fails(EBADF);
        s.getdents(0, 10).fails(EINVAL).getdents(0, 48).is(48).getdents(0, 4_096).is(48).getdents(0, 4_096).is(0);
        s.lseek(0, 0, SET).is(0).getdents(0, 4_096).is(96).holds(19, b".\0").holds(43, b"..\0").holds(67, b"e\0");
        s.lseek(0, 0, END).fails(EINVAL).rmdir("/d/e").is(0).rmdir("/d/g/").is(0).rmdir("/d").is(0);
        s.lseek(0, 0, SET).is(0).getdents(0, 4_096).is(0).stat("/d").fails(ENOENT).fstat(0).is(0);
        s.open("/", RDONLY).is(1).getdents(1, 4_096).is(24 * 6).open("/etc/motd", RDONLY).is(2);
        s.getdents(2, 100).fails(ENOTDIR).open("/new/", NEW).fails(EISDIR).open("/etc/motd/", RDONLY).fails(ENOTDIR);
    });
}

#[test]
fn describing() {
    check(|s| {
        let size = |bytes: i64| bytes.to_le_bytes();
        s.stat("/etc/motd").is(0).holds(24, &0o100755u32.to_le_bytes()).holds(48, &size(20));
        s.stat("/bin").is(0).holds(24, &0o040755u32.to_le_bytes()).stat("/").is(0).stat("/.././").is(0);
        s.stat("/dev/null").is(0).holds(24, &0o020666u32.to_le_bytes()).holds(40, &0x103u64.to_le_bytes());
        s.stat("").fails(ENOENT).stat("/no").fails(ENOENT).stat("/no/").fails(ENOENT).stat("/no/no").fails(ENOENT);
        s.stat("/etc/motd/").fails(ENOTDIR).stat("/etc/motd/.").fails(ENOTDIR).stat("//etc///motd").is(0);
        s.open("/f", NEW).is(0).write(0, b"abc").is(3).fstat(0).is(0).holds(48, &size(3));
        s.unlink("/f").is(0).fstat(0).is(0).holds(16, &0u64.to_le_bytes()).pread(0, 9, 0).gives(b"abc");
        s.open("/f", NEW).is(1).fstat(1).is(0).holds(48, &size(0)).fstat(2).fails(EBADF);
    });
}

#[test]
fn renaming() {
    check(|s| {
        s.mkdir("/a").is(0).mkdir("/a/b").is(0).mkdir("/c").is(0).open("/f", NEW).is(0).write(0, b"f").is(1);
        s.rename("/f", "/f").is(0).rename("/f", "/a/g").is(0).stat("/f").fails(ENOENT).pread(0, 9, 0).gives(b"f");
        s.rename("/a", "/a/b/c").fails(EINVAL).rename("/a", "/a/x").fails(EINVAL).rename("/c", "/a").fails(ENOTEMPTY);
        s.rename("/a/g", "/c").fails(EISDIR).rename("/c", "/a/g").fails(ENOTDIR).rename("/a", "/c").is(0);
        s.stat("/a").fails(ENOENT).stat("/c/b").is(0).rename("/nothing", "/x").fails(ENOENT);
        s.rename("/c/g", "/no/x")
            .fails(ENOENT)
            .rename("/c/g/", "/x")
            .fails(ENOTDIR)
            .rename("/c/g", "/x/")
            .fails(ENOTDIR);
        s.rename("/c/b/", "/b/").is(0).rename("/c/g", "/dev/g").fails(EXDEV).rename("/dev/null", "/n").fails(EXDEV);
        s.rename("/dev", "/e").fails(EBUSY).rename("/c/.", "/e").fails(EBUSY).rename("/b", "/c/..").fails(EBUSY);
        s.rename("/dev/null", "/dev/n").fails(EROFS).rename("", "/x").fails(ENOENT).rename("/c", "").fails(ENOENT);
        s.open("/h", NEW).is(1).rename("/c/g", "/h").is(0).open("/h", RDONLY).is(2).read(2, 9).gives(b"f");
        s.write(1, b"orphan").is(6).pread(1, 9, 0).gives(b"orphan").unlink("/h").is(0).unlink("/h").fails(ENOENT);
    });
}

#[test]
fn devices() {
    check(|s| {
        s.open("/dev/null", RDWR).is(0).read(0, 10).is(0).write(0, b"gone").is(4).read(0, 10).is(0);
        s.open("/dev/zero", RDWR).is(1).read(1, 3).gives(b"\0\0\0").write(1, b"x").is(1).read(1, 5_000).is(5_000);
        s.open("/dev/full", RDWR).is(2).write(2, b"x").fails(ENOSPC).read(2, 2).gives(b"\0\0");
        s.open("/dev/null", DIRECTORY).fails(ENOTDIR).open("/dev/null/", RDONLY).fails(ENOTDIR);
        s.open("/dev/null", NEW).is(3).open("/dev/null", NEW | EXCL).fails(EEXIST).open("/dev/new", NEW).fails(EROFS);
        s.unlink("/dev/null").fails(EROFS).mkdir("/dev/d").fails(EROFS).rmdir("/dev/null").fails(ENOTDIR);
        s.fstat(0).is(0).holds(24, &0o020666u32.to_le_bytes()).getdents(0, 100).fails(ENOTDIR);
        s.open("/dev", RDONLY).is(4).getdents(4, 24).is(24).stat("/dev/../etc/motd").is(0);
        s.open("/dev/console", WRONLY).is(5).write(5, b"hello").is(5).lseek(5, 0, SET).fails(ESPIPE);
        s.read(5, 1).fails(EBADF).pwrite(5, b"x", 0).fails(ESPIPE).open("/dev/random", RDONLY).is(6);
        s.read(6, 64).is(64).lseek(0, 5, CUR).is(0).close(6).is(0);
        s.close(0).is(0).open("/dev/zero", RDONLY).is(0).read(0, 1).gives(b"\0").unlink("/dev/none").fails(ENOENT);
    });
}

#[test]
fn descriptors() {
    check(|s| {
        s.open("/etc/motd", RDONLY).is(0).dup(0).is(1).read(0, 8).gives(b"welcome ").read(1, 2).gives(b"to");
        s.close(0).is(0).read(1, 1).gives(b" ").dup2(1, 7).is(7).read(7, 3).gives(b"the").dup(7).is(0);
        s.dup2(7, 7).is(7).dup2(5, 7).fails(EBADF).dup2(5, 5).fails(EBADF).dup2(1, 1024).fails(EBADF);
        s.dup2(1, u64::MAX).fails(EBADF).dup(5).fails(EBADF).dup(u64::MAX).fails(EBADF).close(1 << 32).fails(EBADF);
        s.open("/f", NEW).is(2).write(2, b"keep").is(4).dup2(2, 7).is(7).close(2).is(0).unlink("/f").is(0);
        s.pread(7, 9, 0).gives(b"keep").dup2(1, 7).is(7).read(7, 1).gives(b" ").dup2(0, 1023).is(1023);
        s.close(1023).is(0).close(7).is(0).close(1).is(0).close(0).is(0).read(0, 1).fails(EBADF);
        s.open("/f", NEW).is(0).pread(0, 9, 0).is(0).call(nr::SCHED_YIELD, &[]).is(0).call(400, &[]).fails(ENOSYS);
    });
}

#[test]
fn all_descriptors() {
    check(|s| {
        let path = s.text("/etc/motd");
        for fd in 0..1024 {
            s.call(nr::OPEN, &[path, 0]).is(fd);
        }
        s.call(nr::OPEN, &[path, 0]).fails(EMFILE).dup(3).fails(EMFILE).open("/made", NEW).fails(EMFILE);
        s.stat("/made").fails(ENOENT).close(500).is(0).dup(3).is(500).dup2(3, 4).is(4);
    });
}

#[test]
fn bad_pointers() {
    check(|s| {
        let end = BASE + SIZE as u64;
        s.open("/f", NEW).is(0).write(0, b"0123456789").is(10).lseek(0, 0, SET).is(0);
        for address in [0, 8, end, u64::MAX, 1 << 47, 0xffff_8000_0000_0000, end - 1] {
            s.call(nr::READ, &[0, address, 5]).fails(EFAULT).call(nr::PREAD64, &[0, address, 5, 0]).fails(EFAULT);
            s.call(nr::WRITE, &[0, address, 5]).fails(EFAULT).call(nr::PWRITE64, &[0, address, 5, 40]).fails(EFAULT);
            s.call(nr::FSTAT, &[0, address]).fails(EFAULT).call(nr::READ, &[0, address, 0]).is(0);
        }
        for address in [0, end, u64::MAX] {
            s.call(nr::OPEN, &[address, 0]).fails(EFAULT).call(nr::STAT, &[address, BUFFER]).fails(EFAULT);
        }
        s.lseek(0, 0, CUR).is(0).lseek(0, 0, END).is(10).call(nr::READ, &[0, BUFFER, u64::MAX]).is(0);
        let path = s.text("/f");
        s.call(nr::STAT, &[path, 0]).fails(EFAULT).call(nr::STAT, &[path, end - 100]).fails(EFAULT);
        s.call(nr::PREAD64, &[0, BUFFER, u64::MAX, 0]).gives(b"0123456789");
        s.call(nr::WRITE, &[0, end - 5_000, 1 << 40]).is(4_086).lseek(0, 0, END).is(4_096);
        s.call(nr::RENAME, &[path, 0]).fails(EFAULT).call(nr::RENAME, &[0, path]).fails(EFAULT);
        s.open("/etc", RDONLY).is(1).call(nr::GETDENTS64, &[1, 0, 500]).fails(EFAULT).getdents(1, 500).is(72);
    });
}

#[test]
fn long_names() {
    check(|s| {
        let name = "n".repeat(255);
        s.mkdir(&name).is(0).stat(&format!("/{name}/")).is(0).mkdir(&format!("/{name}x")).fails(ENAMETOOLONG);
        s.open(&format!("{name}/{name}"), NEW).is(0).rename(&name, &format!("{name}y")).fails(ENAMETOOLONG);
        s.stat(&"/".repeat(4_095)).is(0).stat(&"/".repeat(4_096)).fails(ENAMETOOLONG);
        s.stat(&"/".repeat(5_000)).fails(ENAMETOOLONG).open(&"../".repeat(1_365), RDONLY).is(1);
        s.open(&name, RDONLY).is(2).getdents(2, 300).is(48).getdents(2, 100).fails(EINVAL).getdents(2, 280).is(280);
        s.unlink(&format!("{name}/{name}")).is(0).rmdir(&name).is(0).stat(&name).fails(ENOENT);
    });
}
