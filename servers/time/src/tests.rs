//! The service against a host whose time stands in the hands of the test.

use super::*;
use crate::clock::SECOND;
use parley_abi::linux::clock::{MONOTONIC, REALTIME};
use proptest::prelude::*;
use server_drivers::fake::FakeRtc;

const BOOT: u64 = 5_000_000;
const DATE: u64 = 1_767_225_600;

/// Lease 0 is `input`, lease 1 (or the only one) is `output`.
#[derive(Default)]
pub struct FakeHost {
    pub now: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    fault: bool,
    alarm: u64,
    replies: Vec<(Token, i64)>,
    log: String,
}

impl Host for FakeHost {
    fn now(&mut self) -> u64 {
        self.now
    }
    fn copy_in(&mut self, _: Token, _: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let from = self.input.get(offset as usize..).unwrap_or(&[]);
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }
    fn copy_out(&mut self, _: Token, _: u8, _: u64, from: &[u8]) -> Result<usize, Errno> {
        if self.fault {
            return Err(Errno::EFAULT);
        }
        self.output = from.to_vec();
        Ok(from.len())
    }
    fn reply(&mut self, token: Token, result: i64) {
        self.replies.push((token, result));
    }
    fn call(&mut self, _: u8, _: u32, _: Words) -> Result<Words, Errno> {
        Err(Errno::ENOSYS)
    }
    fn set_alarm(&mut self, at: u64) {
        self.alarm = at;
    }
    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        self.log.push_str(&line.to_string());
    }
    fn dump_threads(&mut self) {}
    fn read_log(&mut self, _: &mut [u8]) -> usize {
        0
    }
}

fn token(number: u32) -> Token {
    Token::new(number, 1)
}

fn started() -> (Time<FakeRtc>, FakeHost) {
    let mut host = FakeHost { now: BOOT, ..FakeHost::default() };
    let mut time = Time::new(FakeRtc(Some(DATE)));
    time.start(&mut host).expect("the service starts");
    (time, host)
}

/// Sends a request; what it fills in is left in `host.output`.
fn ask(time: &mut Time<FakeRtc>, host: &mut FakeHost, number: u32, label: u32, words: Words) -> Option<i64> {
    let mut filled = None;
    let mut cx = Cx { host, token: token(number), badge: parley_proto::root_badge(2, 1) };
    let result = match time.request(&mut cx, label, &words) {
        Outcome::Done(result) => Some(result),
        Outcome::Fill(bytes) => {
            filled = Some(bytes.to_vec());
            Some(0)
        }
        Outcome::Later => None,
        other => panic!("unexpected {other:?}"),
    };
    if let Some(bytes) = filled {
        host.output = bytes;
    }
    result
}

fn sleep(time: &mut Time<FakeRtc>, host: &mut FakeHost, number: u32, sec: i64, nsec: i64) -> Option<i64> {
    host.input = Timespec { sec, nsec }.bytes().to_vec();
    ask(time, host, number, time::label::nanosleep, [0x1000, 0x2000, 0, 0, 0, 0])
}

fn pair(bytes: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("sixteen bytes"));
    (word(0), word(8))
}

#[test]
fn clocks_show_boot_and_date() {
    let (mut time, mut host) = started();
    host.now += 3 * SECOND + 7;
    assert_eq!(ask(&mut time, &mut host, 1, time::label::clock_gettime, [MONOTONIC.into(), 8, 0, 0, 0, 0]), Some(0));
    assert_eq!(pair(&host.output), (3, BOOT + 7));
    assert_eq!(ask(&mut time, &mut host, 1, time::label::clock_gettime, [REALTIME.into(), 8, 0, 0, 0, 0]), Some(0));
    assert_eq!(pair(&host.output), (DATE + 3, 7));
    assert_eq!(ask(&mut time, &mut host, 1, time::label::gettimeofday, [8, 0, 0, 0, 0, 0]), Some(0));
    assert_eq!(pair(&host.output), (DATE + 3, 0));
    let seconds = ask(&mut time, &mut host, 1, time::label::time, [8, 0, 0, 0, 0, 0]);
    assert_eq!(seconds, Some((DATE + 3) as i64));
    assert_eq!(host.output, (DATE + 3).to_le_bytes());
}

#[test]
fn other_services_learn_the_date_of_boot() {
    let (mut time, mut host) = started();
    let epoch = ask(&mut time, &mut host, 1, time::label::epoch, [0; 6]);
    assert_eq!(epoch, Some((DATE * SECOND - BOOT) as i64));
}

#[test]
fn null_pointers_and_unknown_clocks() {
    let (mut time, mut host) = started();
    let (einval, efault) = (Some(Errno::EINVAL.negated()), Some(Errno::EFAULT.negated()));
    assert_eq!(ask(&mut time, &mut host, 1, time::label::clock_gettime, [99, 8, 0, 0, 0, 0]), einval);
    assert_eq!(ask(&mut time, &mut host, 1, time::label::clock_gettime, [0; 6]), efault);
    assert_eq!(ask(&mut time, &mut host, 1, time::label::gettimeofday, [0; 6]), Some(0));
    assert_eq!(ask(&mut time, &mut host, 1, time::label::time, [0; 6]), Some(DATE as i64));
    host.fault = true;
    assert_eq!(ask(&mut time, &mut host, 1, time::label::time, [8, 0, 0, 0, 0, 0]), efault);
}

#[test]
fn a_broken_chip_is_reported() {
    let mut host = FakeHost { now: 3 * SECOND, ..FakeHost::default() };
    let mut time = Time::new(FakeRtc(None));
    assert_eq!(time.start(&mut host), Ok(()));
    assert!(host.log.contains("no valid date"));
    assert_eq!(ask(&mut time, &mut host, 1, time::label::time, [0; 6]), Some(3));
    for _ in 1..LOOKS {
        assert_ne!(host.alarm, 0, "it is looked at again");
        host.now = host.alarm;
        time.alarm(&mut host);
    }
    assert_eq!((host.alarm, host.log.contains("never")), (0, true), "and then no more");
}

#[test]
fn a_chip_that_comes_late_is_believed() {
    let mut host = FakeHost { now: 3 * SECOND, ..FakeHost::default() };
    let mut time = Time::new(FakeRtc(None));
    assert_eq!(time.start(&mut host), Ok(()));
    assert_eq!(sleep(&mut time, &mut host, 9, 100, 0), None);
    assert_eq!(host.alarm, 4 * SECOND);
    time.rtc = FakeRtc(Some(DATE));
    host.now = host.alarm;
    time.alarm(&mut host);
    assert_eq!(ask(&mut time, &mut host, 1, time::label::time, [0; 6]), Some(DATE as i64));
    assert!(host.log.contains("shows a date now"));
    assert_eq!(host.alarm, 103 * SECOND, "the sleeper's");
}

#[test]
fn sleepers_wake_in_order() {
    let (mut time, mut host) = started();
    assert_eq!(sleep(&mut time, &mut host, 1, 2, 0), None);
    assert_eq!(sleep(&mut time, &mut host, 2, 1, 0), None);
    assert_eq!(sleep(&mut time, &mut host, 3, 1, 0), None);
    assert_eq!(host.alarm, BOOT + SECOND);
    host.now = BOOT + SECOND;
    time.alarm(&mut host);
    assert_eq!(host.replies, [(token(2), 0), (token(3), 0)]);
    assert_eq!(host.alarm, BOOT + 2 * SECOND);
    host.now = BOOT + 2 * SECOND;
    time.alarm(&mut host);
    assert_eq!((host.replies.len(), host.alarm), (3, 0));
}

#[test]
fn bad_sleeps_are_refused_and_none_are_short() {
    let (mut time, mut host) = started();
    let einval = Some(Errno::EINVAL.negated());
    assert_eq!(sleep(&mut time, &mut host, 1, -1, 0), einval);
    assert_eq!(sleep(&mut time, &mut host, 1, 0, 1_000_000_000), einval);
    assert_eq!(sleep(&mut time, &mut host, 1, 0, 0), Some(0));
    host.input.truncate(8);
    let short = ask(&mut time, &mut host, 1, time::label::nanosleep, [8, 0, 0, 0, 0, 0]);
    assert_eq!(short, Some(Errno::EFAULT.negated()));
    assert_eq!(sleep(&mut time, &mut host, 1, i64::MAX, 0), None);
    assert_eq!(host.alarm, u64::MAX);
}

#[test]
fn an_interrupted_sleep_tells_what_remained() {
    let (mut time, mut host) = started();
    assert_eq!(sleep(&mut time, &mut host, 1, 10, 5), None);
    host.now += 4 * SECOND;
    time.cancelled(&mut host, token(9));
    assert!(host.replies.is_empty(), "nobody knows that one");
    time.cancelled(&mut host, token(1));
    assert_eq!(host.replies, [(token(1), Errno::EINTR.negated())]);
    assert_eq!(pair(&host.output), (6, 5));
    assert_eq!(host.alarm, 0, "nobody is left to be woken");
}

#[test]
fn a_crowd_is_woken_in_several_alarms() {
    let (mut time, mut host) = started();
    for number in 0..200 {
        assert_eq!(sleep(&mut time, &mut host, number + 1, 1, 0), None);
    }
    host.now += SECOND;
    time.alarm(&mut host);
    assert_eq!(host.replies.len(), WAKE_AT_ONCE);
    while host.alarm != 0 {
        assert!(host.alarm <= host.now);
        time.alarm(&mut host);
    }
    let woken: Vec<u32> = host.replies.iter().map(|reply| reply.0.thread()).collect();
    assert_eq!(woken, (1..=200).collect::<Vec<u32>>());
}

/// What happens to the service in the property below.
#[derive(Clone, Debug)]
enum Event {
    Sleep(u64),
    Pass(u64),
    Cancel(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1u64..100).prop_map(Event::Sleep),
        (0u64..60).prop_map(Event::Pass),
        (0usize..8).prop_map(Event::Cancel),
    ]
}

proptest! {
    /// Against a plain list: nobody wakes early, late, out of order, twice or never.
    #[test]
    fn sleepers_match_a_list(events in proptest::collection::vec(event(), 0..80)) {
        let (mut time, mut host) = started();
        let mut asleep: Vec<(u64, u32)> = Vec::new();
        for (number, event) in (1u32..).zip(events) {
            host.replies.clear();
            let mut expected = Vec::new();
            match event {
                Event::Sleep(duration) => {
                    prop_assert_eq!(sleep(&mut time, &mut host, number, 0, duration as i64), None);
                    asleep.push((host.now + duration, number));
                }
                Event::Pass(duration) => {
                    host.now += duration;
                    let due = host.alarm != 0 && host.alarm <= host.now;
                    if due {
                        time.alarm(&mut host);
                    }
                    asleep.sort();
                    expected = asleep.extract_if(.., |sleeper| sleeper.0 <= host.now)
                        .map(|sleeper| (token(sleeper.1), 0)).collect();
                    prop_assert_eq!(due, !expected.is_empty());
                }
                Event::Cancel(index) => {
                    if index < asleep.len() {
                        let (_, number) = asleep.remove(index);
                        time.cancelled(&mut host, token(number));
                        expected = vec![(token(number), Errno::EINTR.negated())];
                    }
                }
            }
            prop_assert_eq!(&host.replies, &expected);
            prop_assert_eq!(host.alarm, asleep.iter().map(|sleeper| sleeper.0).min().unwrap_or(0));
        }
    }
}
