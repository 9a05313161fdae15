//! Random scripts: the placements must agree, whatever the answers are.

use parley_abi::linux::{nr, open::*};
use placement::Script;
use placement::script::BUFFER;
use proptest::prelude::*;
use proptest::sample::select;

const PATHS: [&str; 16] = [
    "/a",
    "/b",
    "/a/b",
    "/a/c",
    "/a/b/c",
    "/etc/motd",
    "/bin/tool",
    "/data",
    "/",
    "/a/..",
    "/b/",
    "/dev/null",
    "/dev/zero",
    "/dev",
    "",
    "a/./b",
];
const FLAGS: [u32; 8] =
    [RDONLY, RDWR, RDWR | CREAT, WRONLY | CREAT | TRUNC, RDWR | APPEND, DIRECTORY, RDWR | CREAT | EXCL, 3];

#[derive(Clone, Debug)]
enum Step {
    Open(&'static str, u32),
    /// A path row without other arguments that matter: number and path.
    OnPath(u16, &'static str),
    Rename(&'static str, &'static str),
    /// A row of a descriptor that moves bytes: number, descriptor, length, offset.
    Transfer(u16, u64, u64, u64),
    Seek(u64, i64, u64),
    OnFd(u16, u64, u64),
}

const TRANSFERS: [u16; 5] = [nr::READ, nr::WRITE, nr::PREAD64, nr::PWRITE64, nr::GETDENTS64];

fn step() -> impl Strategy<Value = Step> {
    let (path, fd) = (|| select(&PATHS[..]), || 0..6u64);
    prop_oneof![
        4 => (path(), select(&FLAGS[..])).prop_map(|(path, flags)| Step::Open(path, flags)),
        4 => (select(&[nr::MKDIR, nr::RMDIR, nr::UNLINK, nr::STAT][..]), path())
            .prop_map(|(number, path)| Step::OnPath(number, path)),
        2 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        6 => (select(&TRANSFERS[..]), fd(), 0..9_000u64, 0..20_000u64)
            .prop_map(|(number, fd, len, offset)| Step::Transfer(number, fd, len, offset)),
        2 => (fd(), -9_000..9_000i64, 0..4u64).prop_map(|(fd, offset, whence)| Step::Seek(fd, offset, whence)),
        3 => (select(&[nr::CLOSE, nr::DUP, nr::DUP2, nr::FSTAT][..]), fd(), fd())
            .prop_map(|(number, fd, to)| Step::OnFd(number, fd, to)),
    ]
}

fn append(script: &mut Script, step: &Step) {
    match *step {
        Step::Open(path, flags) => script.open(path, flags),
        Step::OnPath(number, path) => {
            let path = script.text(path);
            let second = if number == nr::STAT { BUFFER } else { 0o755 };
            script.call(number, &[path, second])
        }
        Step::Rename(from, to) => script.rename(from, to),
        Step::Transfer(number, fd, len, offset) => script.call(number, &[fd, BUFFER + offset, len, offset]),
        Step::Seek(fd, offset, whence) => script.call(nr::LSEEK, &[fd, offset as u64, whence]),
        Step::OnFd(number, fd, to) => {
            let second = if number == nr::FSTAT { BUFFER } else { to };
            script.call(number, &[fd, second])
        }
    };
}

proptest! {
    #[test]
    fn placements_agree(steps in proptest::collection::vec(step(), 1..80)) {
        let mut script = Script::default();
        for step in &steps {
            append(&mut script, step);
        }
        let run = placement::run(&script);
        prop_assert!(run.is_ok(), "{}", run.unwrap_err());
    }
}
