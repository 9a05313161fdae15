//! The next instance goes on where the one before it ended, after any request and within any request.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parley_abi::msg::Words;
use parley_rt::Durable;
use parley_rt::durable::{Found, Lasting, WORDS_IN_PAGE};
use proptest::prelude::*;

use super::*;
use crate::fs::FileSystem;

const PAGES: usize = 96;

fn vfs(words: &[[u8; 8]]) -> Vfs<Lasting> {
    Vfs::over(Lasting::new(Vec::leak(words.to_vec())), &EMPTY)
}

/// What a process finds in the memory that the one before it left.
fn successor(words: &[[u8; 8]]) -> Vfs<Lasting> {
    let mut vfs = vfs(words);
    assert_eq!(vfs.memory().found(), Found::State);
    vfs.resume(&mut TestHost::default(), 1).unwrap();
    vfs
}

fn first() -> Vfs<Lasting> {
    begun(PAGES)
}

fn begun(pages: usize) -> Vfs<Lasting> {
    let mut vfs = vfs(&vec![[0; 8]; pages * WORDS_IN_PAGE]);
    vfs.start(&mut TestHost::default()).unwrap();
    vfs.memory().finish_for_test(TOKEN);
    vfs
}

/// One request, as the loop serves it.
fn request(vfs: &mut Vfs<Lasting>, host: &mut TestHost, badge: u64, label: u32, words: Words) -> Did {
    let did = serve(vfs, host, badge, label, words, 0);
    vfs.memory().finish_for_test(TOKEN);
    did
}

type Step = (usize, usize, u16);

/// What a step asks for, and the buffers it lends.
fn ask((what, name, number): Step, badges: &[[u64; 2]]) -> ([u64; 2], u32, Words, [Vec<u8>; 2]) {
    let names = [&b"/a\0"[..], b"/b\0", b"/a/c\0", b"/dev/null\0"];
    let (label, words) = match what {
        0 | 1 => (vfs::label::open, [0, 0o102, 0o644, 0, 0, 0]),
        2 => (vfs::label::mkdir, [0, 0o755, 0, 0, 0, 0]),
        3 => (vfs::label::unlink, [0; 6]),
        4 => (vfs::label::rename, [0; 6]),
        5 => (file::label::write, [0, 3000, 0, 0, 0, 0]),
        6 => (file::label::pwrite, [0, 100, u64::from(number), 0, 0, 0]),
        7 => (file::label::read, [0, 100, 0, 0, 0, 0]),
        8 => (vfs::label::open, [0, 0o1002, 0, 0, 0, 0]),
        _ => (file::label::lseek, [u64::from(number), 0, 0, 0, 0, 0]),
    };
    let on_path = label >> 8 == vfs::ID;
    let leases = match on_path {
        true => [names[name].to_vec(), names[usize::from(number) % 4].to_vec()],
        false => [std::vec![number as u8; 3000], Vec::new()],
    };
    let badges = if on_path { [root_badge(2, 1); 2] } else { badges[usize::from(number) % badges.len()] };
    (badges, label, words, leases)
}

proptest! {
    /// Requests without sense, each to another instance, have the answers that one instance gives. One that dies at
    /// a copy, having copied half, has not begun.
    #[test]
    fn successors_go_on(steps in prop::collection::vec((0usize..10, 0usize..4, any::<u16>()), 1..60)) {
        let (mut host, mut twin_host) = (TestHost::default(), TestHost::default());
        let (mut words, mut twin) = (first().memory().words().to_vec(), Client::new(&EMPTY));
        let mut badges = std::vec![[root_badge(2, 1); 2]];
        for step in steps {
            let ([badge, twin_badge], label, message, leases) = ask(step, &badges);
            host.leases = leases.clone();
            let mut victim = successor(&words);
            let mut cursed = TestHost { leases: leases.clone(), dies: true, ..TestHost::default() };
            let died = catch_unwind(AssertUnwindSafe(|| serve(&mut victim, &mut cursed, badge, label, message, 0)));
            if died.is_err() {
                words = victim.memory().words().to_vec();
            }
            let mut vfs = successor(&words);
            twin_host.leases = leases;
            let did = request(&mut vfs, &mut host, badge, label, message);
            match (did, serve(&mut twin.vfs, &mut twin_host, twin_badge, label, message, 0)) {
                (Did::Opened(one), Did::Opened(other)) => badges.push([one, other]),
                (one, other) => prop_assert_eq!(one, other),
            }
            prop_assert_eq!(&host.leases, &twin_host.leases);
            words = vfs.memory().words().to_vec();
        }
    }
}

/// A thousand open files, each somewhere else, and 4 MiB of contents.
#[test]
fn much_outlives_an_instance() {
    const MEGABYTES: usize = 4;
    let mut vfs = vfs(&vec![[0; 8]; 1700 * WORDS_IN_PAGE]);
    let mut host = TestHost::default();
    vfs.start(&mut host).unwrap();
    vfs.memory().finish_for_test(TOKEN);
    let open = |vfs: &mut Vfs<Lasting>, host: &mut TestHost, index: usize| {
        host.leases[0] = std::format!("/f{}\0", index % 500).into_bytes();
        match request(vfs, host, root_badge(2, 1), vfs::label::open, [0, 0o102, 0o644, 0, 0, 0]) {
            Did::Opened(badge) => badge,
            other => panic!("{other:?}"),
        }
    };
    let badges: Vec<u64> = (0..1000).map(|index| open(&mut vfs, &mut host, index)).collect();
    for (index, &badge) in badges.iter().enumerate().take(500) {
        host.leases[0] = std::vec![index as u8; (MEGABYTES << 20) / 500 + index];
        let length = host.leases[0].len() as u64;
        let wrote = request(&mut vfs, &mut host, badge, file::label::write, [0, length, 0, 0, 0, 0]);
        assert_eq!(wrote, Did::Result(length as i64));
    }
    let mut next = successor(vfs.memory().words());
    for (index, &badge) in badges.iter().enumerate() {
        let length = (MEGABYTES << 20) / 500 + index % 500;
        let at = request(&mut next, &mut host, badge, file::label::lseek, [0, 1, 0, 0, 0, 0]);
        assert_eq!(at, Did::Result(if index < 500 { length as i64 } else { 0 }));
        host.leases[0] = std::vec![0; length + 10];
        let read = request(&mut next, &mut host, badge, file::label::pread, [0, length as u64 + 10, 0, 0, 0, 0]);
        assert_eq!(read, Did::Result(length as i64));
        assert!(host.leases[0][..length].iter().all(|&byte| byte == (index % 500) as u8));
    }
}

/// /dev is learnt anew, but it was made when it was made.
#[test]
fn dev_outlives_an_instance_with_its_time() {
    let mut vfs = first();
    let mut host = TestHost { driver: true, now: 5_000_000_000, ..TestHost::default() };
    vfs.notified(&mut host, parley_abi::news::news_bit(parley_abi::slot::service::TQUEUE));
    vfs.memory().finish_for_test(TOKEN);
    let words = vfs.memory().words().to_vec();
    let mut heir = self::vfs(&words);
    heir.resume(&mut TestHost { driver: true, now: 9_000_000_000, ..TestHost::default() }, 1).unwrap();
    heir.notified(
        &mut TestHost { driver: true, now: 11_000_000_000, ..TestHost::default() },
        parley_abi::news::news_bit(parley_abi::slot::service::TQUEUE),
    );
    for dev in [&vfs.names.dev, &heir.names.dev] {
        let root = dev.root();
        assert!(dev.lookup(root, b"tqueue").is_ok() && dev.lookup(root, b"null").is_ok());
        assert_eq!(dev.times(root).modified, EPOCH + 5_000_000_000);
    }
}

/// However full it is, and however often that comes and goes, nothing is lost; and the log has room for the end of the
/// largest file, which is one event.
#[test]
fn memory_comes_back() {
    for pages in [PAGES, MANIFEST] {
        let mut vfs = begun(pages);
        let mut host = TestHost::default();
        let mut fullest = None;
        for _ in 0..3 {
            let written = fill_and_remove(&mut vfs, &mut host);
            assert!(
                written > (pages - pages / 20 - 20) as i64 * parley_abi::PAGE as i64,
                "{written} bytes of {pages} pages"
            );
            assert_eq!(*fullest.get_or_insert(written), written, "as much as the first time");
        }
    }
}

/// Pages of the state that init's manifest gives.
const MANIFEST: usize = 2560;

/// Writes a file until nothing more fits, and takes it away. Returns how many bytes it had.
fn fill_and_remove(vfs: &mut Vfs<Lasting>, host: &mut TestHost) -> i64 {
    const CHUNK: u64 = 10_000;
    host.leases[0] = b"/big\0".to_vec();
    let Did::Opened(badge) = request(vfs, host, root_badge(2, 1), vfs::label::open, [0, 0o102, 0o644, 0, 0, 0]) else {
        panic!("not opened")
    };
    let mut written = 0;
    loop {
        host.leases[0] = std::vec![1; CHUNK as usize];
        match request(vfs, host, badge, file::label::write, [0, CHUNK, 0, 0, 0, 0]) {
            Did::Result(count) if count > 0 => written += count,
            Did::Result(errno) => break assert_eq!(errno, Errno::ENOSPC.negated()),
            other => panic!("{other:?}"),
        }
    }
    host.leases[0] = b"/big\0".to_vec();
    assert_eq!(request(vfs, host, root_badge(2, 1), vfs::label::unlink, [0; 6]), Did::Result(0));
    vfs.closed(host, badge);
    vfs.memory().finish_for_test(TOKEN);
    written
}
