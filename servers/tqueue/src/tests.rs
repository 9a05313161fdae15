//! The driver against memory in place of clients.

use std::collections::{BTreeMap, VecDeque};

use parley_abi::linux::open;
use parley_proto::root_badge;
use parley_rt::durable::Checkpoint;
use proptest::prelude::*;

use super::*;

/// Clients by token: what they write, what they have read, what they were answered.
#[derive(Default)]
struct Clients {
    buffers: BTreeMap<Token, Vec<u8>>,
    answers: BTreeMap<Token, i64>,
    alarm: bool,
    /// Copies of these fail.
    unmapped: Vec<Token>,
}

impl Host for Clients {
    fn now(&mut self) -> u64 {
        1
    }
    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        assert_eq!(lease, 0);
        if self.unmapped.contains(&token) {
            return Err(Errno::EFAULT);
        }
        let rest = &self.buffers[&token][offset as usize..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        assert_eq!(lease, 0);
        if self.unmapped.contains(&token) {
            return Err(Errno::EFAULT);
        }
        let buffer = self.buffers.entry(token).or_default();
        assert_eq!(buffer.len() as u64, offset);
        buffer.extend(from);
        Ok(from.len())
    }
    fn reply(&mut self, token: Token, result: i64) {
        assert!(self.answers.insert(token, result).is_none(), "answered twice");
    }
    fn call(&mut self, _: u8, _: u32, _: Words) -> Result<Words, Errno> {
        Err(Errno::ENOSYS)
    }
    fn set_alarm(&mut self, at: u64) {
        self.alarm = at != 0;
    }
    fn log(&mut self, _: core::fmt::Arguments<'_>) {}
    fn dump_threads(&mut self) {}
    fn read_log(&mut self, _: &mut [u8]) -> usize {
        0
    }
}

struct Bench {
    driver: TQueue,
    clients: Clients,
    next: u32,
}

impl Bench {
    fn new() -> Bench {
        Bench { driver: TQueue::new(), clients: Clients::default(), next: 1 }
    }

    fn ask(&mut self, badge: u64, label: u32, words: Words) -> (Token, Option<i64>) {
        let token = Token::new(self.next, 1);
        self.next += 1;
        (token, self.ask_as(token, badge, label, words))
    }

    fn ask_as(&mut self, token: Token, badge: u64, label: u32, words: Words) -> Option<i64> {
        let mut cx = Cx { host: &mut self.clients, token, badge };
        let answer = match self.driver.request(&mut cx, label, &words) {
            Outcome::Done(result) => Some(result),
            Outcome::Open { badge, .. } => Some(badge as i64),
            Outcome::Words(words) => Some(words[0] as i64),
            Outcome::Fill(bytes) => Some(bytes.len() as i64),
            Outcome::Later => None,
            other => panic!("{other:?}"),
        };
        while std::mem::take(&mut self.clients.alarm) {
            self.driver.alarm(&mut self.clients);
        }
        answer
    }

    fn open(&mut self, flags: u32) -> u64 {
        let words = [Minor::Queue.number(), flags.into(), 0, 0, 0, 0];
        self.ask(root_badge(3, 1), chardev::label::open_device, words).1.unwrap() as u64
    }

    fn write(&mut self, badge: u64, bytes: &[u8]) -> (Token, Option<i64>) {
        self.clients.buffers.insert(Token::new(self.next, 1), bytes.to_vec());
        self.ask(badge, file::label::write, [0, bytes.len() as u64, 0, 0, 0, 0])
    }

    fn read(&mut self, badge: u64, len: u64) -> (Token, Option<i64>) {
        self.ask(badge, file::label::read, [0, len, 0, 0, 0, 0])
    }
}

fn failed(errno: Errno) -> Option<i64> {
    Some(errno.negated())
}

#[test]
fn a_reader_waits_for_bytes() {
    let mut bench = Bench::new();
    let file = bench.open(open::RDWR);
    let (first, second) = (bench.read(file, 3), bench.read(file, 10));
    assert_eq!((first.1, second.1), (None, None));
    assert_eq!(bench.write(file, b"hello").1, Some(5));
    assert_eq!((bench.clients.answers[&first.0], bench.clients.answers[&second.0]), (3, 2), "in the order they came");
    assert_eq!(
        (&bench.clients.buffers[&first.0][..], &bench.clients.buffers[&second.0][..]),
        (&b"hel"[..], &b"lo"[..])
    );
    assert_eq!(bench.read(file, 0).1, Some(0));
}

#[test]
fn a_writer_waits_until_all_is_in() {
    let mut bench = Bench::new();
    let file = bench.open(open::RDWR);
    let (long, short) = (bench.write(file, &[1; CAPACITY + 10]), bench.write(file, &[2; 5]));
    assert_eq!((long.1, short.1), (None, None));
    assert_eq!(bench.read(file, 4).1, Some(4));
    assert!(bench.clients.answers.is_empty());
    assert_eq!(bench.read(file, 20_000).1, Some(CAPACITY as i64));
    assert_eq!((bench.clients.answers[&long.0], bench.clients.answers[&short.0]), (CAPACITY as i64 + 10, 5));
    let (token, count) = bench.read(file, 100);
    assert_eq!(count, Some(11));
    assert_eq!(bench.clients.buffers[&token], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2], "no write comes in between");
}

#[test]
fn who_does_not_wait_is_told() {
    let mut bench = Bench::new();
    let file = bench.open(open::RDWR | open::NONBLOCK);
    assert_eq!(bench.read(file, 1).1, failed(Errno::EAGAIN));
    assert_eq!(bench.write(file, &[7; CAPACITY + 1]).1, Some(CAPACITY as i64), "cut to what fits");
    assert_eq!(bench.write(file, b"x").1, failed(Errno::EAGAIN));
    assert_eq!(bench.read(file, 1).1, Some(1));
}

#[test]
fn access_modes_and_strangers() {
    let mut bench = Bench::new();
    let (reader, writer) = (bench.open(open::RDONLY), bench.open(open::WRONLY));
    assert_eq!((bench.write(reader, b"x").1, bench.read(writer, 1).1), (failed(Errno::EBADF), failed(Errno::EBADF)));
    assert_eq!(bench.ask(reader, file::label::lseek, [0; 6]).1, failed(Errno::ESPIPE));
    assert_eq!(bench.ask(reader, file::label::pread, [0; 6]).1, failed(Errno::ESPIPE));
    assert_eq!(bench.ask(reader, file::label::getdents, [0; 6]).1, failed(Errno::ENOTDIR));
    assert_eq!(
        bench.ask(reader, chardev::label::open_device, [Minor::Queue.number(), 0, 0, 0, 0, 0]).1,
        failed(Errno::EBADF)
    );
    let bug = [Minor::Bug.number(), open::RDONLY.into(), 0, 0, 0, 0];
    assert_eq!(bench.ask(root_badge(3, 1), chardev::label::open_device, bug).1, failed(Errno::EACCES));
    assert_eq!(bench.ask(root_badge(3, 1), chardev::label::open_device, [5; 6]).1, failed(Errno::ENXIO));
}

#[test]
fn interrupted_waits() {
    let mut bench = Bench::new();
    let file = bench.open(open::RDWR);
    let reader = bench.read(file, 1).0;
    bench.driver.cancelled(&mut bench.clients, reader);
    assert_eq!(bench.clients.answers[&reader], Errno::EINTR.negated());
    let (some, none) = (bench.write(file, &[1; CAPACITY + 1]).0, bench.write(file, b"x").0);
    bench.driver.cancelled(&mut bench.clients, none);
    bench.driver.cancelled(&mut bench.clients, some);
    assert_eq!(bench.clients.answers[&some], CAPACITY as i64, "a part is written");
    assert_eq!(bench.clients.answers[&none], Errno::EINTR.negated());
    bench.driver.cancelled(&mut bench.clients, none); // twice is no harm
}

#[test]
fn memory_that_is_not_there_loses_no_byte() {
    let mut bench = Bench::new();
    let file = bench.open(open::RDWR);
    bench.clients.unmapped = vec![Token::new(bench.next, 1)];
    let reader = bench.read(file, 4).0;
    assert_eq!(bench.write(file, b"kept").1, Some(4));
    assert_eq!(bench.clients.answers[&reader], Errno::EFAULT.negated());
    bench.clients.unmapped = vec![Token::new(bench.next, 1)];
    assert_eq!(bench.read(file, 4).1, failed(Errno::EFAULT));
    let (token, count) = bench.read(file, 9);
    assert_eq!((count, &bench.clients.buffers[&token][..]), (Some(4), &b"kept"[..]));
}

#[test]
fn unloading_asks_who_uses_it() {
    let mut bench = Bench::new();
    let init = root_badge(INIT, 0);
    let file = bench.open(open::RDWR);
    assert_eq!(bench.ask(root_badge(9, 1), chardev::label::retire, [1; 6]).1, failed(Errno::EPERM));
    assert_eq!(bench.ask(init, chardev::label::retire, [0; 6]).1, failed(Errno::EBUSY));
    let waiting: Vec<Token> = (0..100).map(|_| bench.read(file, 1).0).collect();
    assert_eq!(bench.ask(init, chardev::label::retire, [1, 0, 0, 0, 0, 0]).1, Some(1));
    assert!(waiting.iter().all(|token| bench.clients.answers[token] == Errno::EIO.negated()));
    assert_eq!((bench.read(file, 1).1, bench.write(file, b"x").1), (failed(Errno::ENXIO), failed(Errno::ENXIO)));
    let words = [Minor::Queue.number(), 0, 0, 0, 0, 0];
    assert_eq!(bench.ask(root_badge(3, 1), chardev::label::open_device, words).1, failed(Errno::ENXIO));
    assert_eq!(bench.ask(root_badge(3, 1), chardev::label::device, [0; 6]).1, failed(Errno::ENOENT));
    bench.driver.closed(&mut bench.clients, root_badge(3, 1));
    assert_eq!(bench.ask(init, chardev::label::users, [0; 6]).1, Some(1));
    bench.driver.closed(&mut bench.clients, file);
    assert_eq!(bench.ask(init, chardev::label::users, [0; 6]).1, Some(0));
}

#[test]
#[should_panic(expected = "index out of bounds")]
fn the_bug_is_one() {
    let mut bench = Bench::new();
    let words = [Minor::Bug.number(), open::WRONLY.into(), 0, 0, 0, 0];
    let bug = bench.ask(root_badge(3, 1), chardev::label::open_device, words).1.unwrap() as u64;
    bench.write(bug, b"x");
}

#[test]
fn the_largest_state_fits() {
    let mut bench = Bench::new();
    let file = bench.open(open::RDWR);
    for _ in 0..600 {
        bench.read(file, u64::MAX);
    }
    for _ in 0..600 {
        bench.write(file, &[0; 3000]);
    }
    let room = 48 << 10; // of the 32 pages that the manifest gives, less than half
    assert!(bench.driver.export(&mut vec![0; room]).is_ok());
}

#[test]
fn version_2_adds_a_field_and_version_1_leaves_it_out() {
    let carry = |from: &TQueue, version| {
        let (mut bytes, mut to) = ([0; 8192], TQueue::new().in_version(version));
        let used = from.export(&mut bytes).unwrap();
        to.import(from.schema().version, &bytes[..used]).unwrap();
        to
    };
    let mut bench = Bench::new();
    let file = bench.open(open::RDWR);
    bench.write(file, b"one");
    bench.driver = carry(&bench.driver, 2);
    bench.write(file, b"three");
    bench.driver = carry(&bench.driver, 2);
    assert_eq!((bench.driver.passed, bench.driver.ring.len()), (5, 8), "what came to version 2, and all");
    bench.driver = carry(&carry(&bench.driver, 1), 2);
    assert_eq!(
        (bench.driver.passed, bench.driver.ring.len()),
        (0, 8),
        "the older one has forgotten what it does not know"
    );
}

proptest! {
    /// Bytes come out in the order in which they went in, whoever waits and however often the driver is replaced.
    #[test]
    fn no_byte_is_lost_or_moved(steps in prop::collection::vec((0u8..8, 1usize..6000), 1..80)) {
        let mut bench = Bench::new();
        let file = bench.open(open::RDWR);
        let (mut sent, mut next, mut readers, mut writers) = (VecDeque::new(), 0u8, Vec::new(), Vec::new());
        for (step, count) in steps {
            match step {
                0..3 => {
                    let bytes: Vec<u8> = (0..count).map(|_| { next = next.wrapping_add(1); next }).collect();
                    let (token, result) = bench.write(file, &bytes);
                    prop_assert!(result.is_none_or(|result| result == count as i64));
                    sent.extend(bytes);
                    writers.push(token);
                }
                3..6 => readers.push(bench.read(file, count as u64).0),
                6 => {
                    let mut bytes = vec![0; 40_000];
                    let used = bench.driver.export(&mut bytes).unwrap();
                    bench.driver = TQueue::new();
                    prop_assert!(bench.driver.import(1, &bytes[..used + 1]).is_err());
                    prop_assert!(bench.driver.import(1, &bytes[..used / 2]).is_err());
                    bench.driver.import(1, &bytes[..used]).unwrap();
                }
                _ => {
                    let waits = readers.iter().find(|token| bench.driver.holds(**token)).copied();
                    if let Some(token) = waits {
                        bench.driver.cancelled(&mut bench.clients, token);
                        prop_assert_eq!(bench.clients.answers[&token], Errno::EINTR.negated());
                    }
                }
            }
        }
        for token in readers {
            for byte in bench.clients.buffers.get(&token).into_iter().flatten() {
                prop_assert_eq!(Some(*byte), sent.pop_front());
            }
        }
        let left = sent.len();
        let waiting = writers.iter().filter(|token| bench.driver.holds(**token)).count();
        prop_assert_eq!(left > CAPACITY, waiting > 0);
        prop_assert_eq!(bench.driver.ring.len(), left.min(CAPACITY));
    }
}
