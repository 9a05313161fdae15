//! The service against a host that is ordinary memory and a port whose other end is the test.

use super::*;
use parley_abi::linux::{makedev, poll};
use server_drivers::fake::{FakeEntropy, FakeUart};
use std::collections::HashMap;

use crate::console::output::RING;

type TestChar = Char<FakeUart, FakeEntropy>;

/// Each request has one buffer. A request without one is gone: ESTALE.
#[derive(Default)]
struct FakeHost {
    buffers: HashMap<Token, Vec<u8>>,
    faulty: Option<Token>,
    replies: Vec<(u32, i64)>,
    alarm: u64,
    log: Vec<u8>,
    claimed: bool,
    dumps: u32,
}

impl FakeHost {
    fn buffer(&mut self, token: Token, offset: u64) -> Result<&mut [u8], Errno> {
        if self.faulty == Some(token) {
            return Err(Errno::EFAULT);
        }
        let buffer = self.buffers.get_mut(&token).ok_or(Errno::ESTALE)?;
        let start = buffer.len().min(offset as usize);
        Ok(&mut buffer[start..])
    }
}

impl Host for FakeHost {
    fn now(&mut self) -> u64 {
        1000
    }
    fn copy_in(&mut self, token: Token, _: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let from = self.buffer(token, offset)?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }
    fn copy_out(&mut self, token: Token, _: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        let into = self.buffer(token, offset)?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }
    fn reply(&mut self, token: Token, result: i64) {
        self.replies.push((token.thread(), result));
    }
    fn call(&mut self, _: u8, _: u32, _: Words) -> Result<Words, Errno> {
        Err(Errno::ENOSYS)
    }
    fn set_alarm(&mut self, at: u64) {
        self.alarm = at;
    }
    fn log(&mut self, _: core::fmt::Arguments<'_>) {}
    fn dump_threads(&mut self) {
        self.dumps += 1;
    }
    fn read_log(&mut self, into: &mut [u8]) -> usize {
        self.claimed = true;
        let count = into.len().min(self.log.len());
        into[..count].copy_from_slice(&self.log[..count]);
        self.log.drain(..count);
        count
    }
}

struct Bench {
    service: TestChar,
    host: FakeHost,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Now(i64),
    Later,
    Opened(u64, bool),
    Told(Words),
}

fn token(number: u32) -> Token {
    Token::new(number, 1)
}

fn failed(errno: Errno) -> Answer {
    Answer::Now(errno.negated())
}

impl Bench {
    fn new(uart: FakeUart) -> Bench {
        let mut bench = Bench { service: Char::new(uart, FakeEntropy(0)), host: FakeHost::default() };
        bench.service.start(&mut bench.host).expect("the service starts");
        bench
    }

    fn ask(&mut self, number: u32, badge: u64, label: u32, words: Words) -> Answer {
        let mut cx = Cx { host: &mut self.host, token: token(number), badge };
        let (answer, bytes) = match self.service.request(&mut cx, label, &words) {
            Outcome::Done(result) => (Answer::Now(result), Vec::new()),
            Outcome::Data(bytes) => (Answer::Now(bytes.len() as i64), bytes.to_vec()),
            Outcome::Fill(bytes) => (Answer::Now(0), bytes.to_vec()),
            Outcome::Open { badge, close_on_exec } => (Answer::Opened(badge, close_on_exec), Vec::new()),
            Outcome::Words(words) => (Answer::Told(words), Vec::new()),
            Outcome::Later => (Answer::Later, Vec::new()),
            other => panic!("unexpected {other:?}"),
        };
        if let Some(buffer) = self.host.buffers.get_mut(&token(number)) {
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
        }
        answer
    }

    fn open(&mut self, device: u64, flags: u32) -> u64 {
        match self.ask(1, ROOT, chardev::label::open_device, [device, flags.into(), 0, 0, 0, 0]) {
            Answer::Opened(badge, _) => badge,
            other => panic!("{device:#x} did not open: {other:?}"),
        }
    }

    fn read(&mut self, number: u32, badge: u64, len: usize) -> Answer {
        self.host.buffers.insert(token(number), vec![0xaa; len]);
        self.ask(number, badge, file::label::read, [8, len as u64, 0, 0, 0, 0])
    }

    fn write(&mut self, number: u32, badge: u64, text: &[u8]) -> Answer {
        self.host.buffers.insert(token(number), text.to_vec());
        self.ask(number, badge, file::label::write, [8, text.len() as u64, 0, 0, 0, 0])
    }

    fn uart(&mut self) -> &mut FakeUart {
        self.service.console.uart_mut()
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.uart().arrive(keys);
        self.service.notified(&mut self.host, INTERRUPT_BIT);
    }

    /// The port has sent what it had and takes `room` bytes more.
    fn make_room(&mut self, room: usize) {
        self.uart().room = room;
        self.service.notified(&mut self.host, INTERRUPT_BIT);
    }

    fn sent(&mut self) -> Vec<u8> {
        let uart = self.uart();
        let sent = uart.output.iter().copied().collect();
        uart.output.clear();
        sent
    }

    fn got(&self, number: u32) -> &[u8] {
        &self.host.buffers[&token(number)]
    }
}

fn bench() -> Bench {
    Bench::new(FakeUart::new())
}

#[test]
fn devices_are_told_and_opened() {
    let mut bench = bench();
    for (index, device) in (0..).zip(DEVICES) {
        let told = bench.ask(1, ROOT, chardev::label::device, [index, 0, 0, 0, 0, 0]);
        assert_eq!(told, Answer::Told(device.words()));
        bench.open(device.number, open::RDWR);
    }
    assert_eq!(bench.ask(1, ROOT, chardev::label::device, [7, 0, 0, 0, 0, 0]), failed(Errno::ENOENT));
    let mut open =
        |device, flags: u32| bench.ask(1, ROOT, chardev::label::open_device, [device, flags.into(), 0, 0, 0, 0]);
    assert_eq!(open(makedev(9, 9), 0), failed(Errno::ENXIO));
    assert_eq!(open(number::NULL, 3), failed(Errno::EINVAL));
    assert_eq!(open(number::NULL, open::CLOEXEC), Answer::Opened(number::NULL, true));
}

#[test]
fn an_open_device_opens_no_others() {
    let mut bench = bench();
    let null = bench.open(number::NULL, 0);
    let attempt = bench.ask(1, null, chardev::label::open_device, [number::TTY, 2, 0, 0, 0, 0]);
    assert_eq!(attempt, failed(Errno::EBADF));
}

#[test]
fn access_modes_and_foreign_badges() {
    let mut bench = bench();
    let (reads, writes) = (bench.open(number::ZERO, open::RDONLY), bench.open(number::ZERO, open::WRONLY));
    assert_eq!(bench.write(1, reads, b"x"), failed(Errno::EBADF));
    assert_eq!(bench.read(1, writes, 1), failed(Errno::EBADF));
    for label in [file::label::read, file::label::fstat, file::label::lseek, file::label::getdents] {
        assert_eq!(bench.ask(1, parley_proto::root_badge(2, 1), label, [0; 6]), failed(Errno::EBADF));
    }
    assert_eq!(bench.ask(1, reads, 0x900, [0; 6]), failed(Errno::ENOSYS));
    assert_eq!(bench.ask(1, reads, file::label::getdents, [0; 6]), failed(Errno::ENOTDIR));
}

#[test]
fn null_zero_and_full() {
    let mut bench = bench();
    let [null, zero, full] = [number::NULL, number::ZERO, number::FULL].map(|device| bench.open(device, open::RDWR));
    assert_eq!(bench.read(1, null, 10), Answer::Now(0));
    assert_eq!(bench.ask(1, null, file::label::write, [0, u64::MAX, 0, 0, 0, 0]), Answer::Now(0x7fff_f000));
    for len in [0, 1, 4096, 4097, 1 << 20] {
        assert_eq!(bench.read(1, zero, len), Answer::Now(len as i64));
        assert!(bench.got(1).iter().all(|&byte| byte == 0));
    }
    assert_eq!(bench.read(1, zero, (1 << 20) + 1), Answer::Now(1 << 20), "short");
    assert_eq!(bench.write(1, zero, b"abc"), Answer::Now(3));
    assert_eq!(bench.read(1, full, 3), Answer::Now(3));
    assert_eq!(bench.write(1, full, b"abc"), failed(Errno::ENOSPC));
}

#[test]
fn random_bytes_differ() {
    let mut bench = bench();
    let random = bench.open(number::URANDOM, open::RDWR);
    assert_eq!(bench.read(1, random, 256), Answer::Now(256));
    let first = bench.got(1).to_vec();
    assert!(first.iter().filter(|&&byte| byte == 0).count() < 16);
    assert_eq!(bench.write(2, random, b"salt"), Answer::Now(4));
    assert_eq!(bench.read(1, random, 256), Answer::Now(256));
    assert_ne!(bench.got(1), first);
    assert_eq!(bench.read(1, random, 1 << 20), Answer::Now(4096), "short");
    bench.host.faulty = Some(token(1));
    assert_eq!(bench.read(1, random, 8), failed(Errno::EFAULT));
}

#[test]
fn offsets_are_linux_s() {
    let mut bench = bench();
    let (zero, console) = (bench.open(number::ZERO, open::RDWR), bench.open(number::CONSOLE, open::RDWR));
    let seek = |bench: &mut Bench, badge, whence| bench.ask(1, badge, file::label::lseek, [77, whence, 0, 0, 0, 0]);
    assert_eq!(seek(&mut bench, zero, 0), Answer::Now(0));
    assert_eq!(seek(&mut bench, zero, 9), failed(Errno::EINVAL));
    assert_eq!(seek(&mut bench, console, 0), failed(Errno::ESPIPE));
    let at = |bench: &mut Bench, badge, label, offset: i64| bench.ask(1, badge, label, [8, 1, offset as u64, 0, 0, 0]);
    assert_eq!(at(&mut bench, zero, file::label::pread, 5), Answer::Now(1));
    assert_eq!(at(&mut bench, zero, file::label::pwrite, 5), Answer::Now(1));
    assert_eq!(at(&mut bench, zero, file::label::pread, -1), failed(Errno::EINVAL));
    assert_eq!(at(&mut bench, console, file::label::pread, 0), failed(Errno::ESPIPE));
    assert_eq!(at(&mut bench, console, file::label::pwrite, 0), failed(Errno::ESPIPE));
}

#[test]
fn fstat_tells_the_device() {
    let mut bench = bench();
    let null = bench.open(number::NULL, open::RDONLY);
    bench.host.buffers.insert(token(1), vec![0; 144]);
    assert_eq!(bench.ask(1, null, file::label::fstat, [8, 0, 0, 0, 0, 0]), Answer::Now(0));
    let mut stat = Stat::default();
    stat.bytes_mut().copy_from_slice(bench.got(1));
    assert_eq!((stat.mode, stat.rdev, stat.blksize), (0o020666, 0x103, 4096));
    assert_eq!(bench.ask(1, null, file::label::fstat, [0; 6]), failed(Errno::EFAULT));
}

#[test]
fn text_goes_out_at_once_when_the_port_takes_it() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::WRONLY);
    assert_eq!(bench.write(1, tty, b"one\ntwo"), Answer::Now(7));
    assert_eq!(bench.sent(), b"one\r\ntwo");
    assert!(!bench.uart().transmit_interrupt, "nothing waits");
    assert_eq!((bench.host.alarm, bench.write(1, tty, b"")), (0, Answer::Now(0)));
}

#[test]
fn a_busy_port_makes_writers_wait_in_order() {
    let mut bench = Bench::new(FakeUart::with_room(0));
    let tty = bench.open(number::TTY, open::WRONLY);
    let text = vec![b'a'; RING];
    assert_eq!(bench.write(1, tty, &text), Answer::Later);
    assert_eq!(bench.write(2, tty, b"b\n"), Answer::Later);
    assert!(bench.uart().transmit_interrupt && bench.host.alarm > 0);
    let mut sent = Vec::new();
    for _ in 0..RING {
        bench.make_room(16);
        sent.extend(bench.sent());
    }
    assert_eq!(bench.host.replies, [(1, RING as i64), (2, 2)]);
    assert_eq!(sent, [&text[..], b"b\r\n"].concat());
    assert!(!bench.uart().transmit_interrupt);
    assert_eq!(bench.host.alarm, 0, "nothing is left to watch over");
}

#[test]
fn a_lost_interrupt_is_made_up_for() {
    let mut bench = Bench::new(FakeUart::with_room(0));
    let tty = bench.open(number::TTY, open::WRONLY);
    assert_eq!(bench.write(1, tty, &[b'a'; RING]), Answer::Later);
    while bench.host.alarm != 0 {
        bench.uart().room = usize::MAX;
        bench.service.alarm(&mut bench.host);
    }
    assert_eq!(bench.host.replies, [(1, RING as i64)]);
}

/// A kernel image keeps the service in a `static`; on a stack it takes this much.
#[test]
fn the_service_is_small_and_made_at_compile_time() {
    use server_drivers::fake::SilentUart;
    static SERVICE: Char<SilentUart, FakeEntropy> = Char::new(SilentUart, FakeEntropy(0));
    assert!(size_of_val(&SERVICE) <= 16 * 1024, "{}", size_of_val(&SERVICE));
}

#[test]
fn a_greedy_writer_leaves_room_for_others() {
    let mut bench = bench();
    let (tty, null) = (bench.open(number::TTY, open::WRONLY), bench.open(number::NULL, open::RDWR));
    assert_eq!(bench.write(1, tty, &[b'a'; 10_000]), Answer::Later);
    assert_eq!(bench.read(2, null, 1), Answer::Now(0));
    while bench.host.replies.is_empty() {
        assert!(bench.uart().transmit_interrupt, "somebody must wake us");
        bench.make_room(usize::MAX);
    }
    assert_eq!((bench.host.replies[0], bench.sent().len()), ((1, 10_000), 10_000));
}

#[test]
fn writes_that_may_not_wait() {
    let mut bench = Bench::new(FakeUart::with_room(0));
    let tty = bench.open(number::TTY, open::WRONLY | open::NONBLOCK);
    let mut total = 0;
    while let Answer::Now(count @ 1..) = bench.write(1, tty, &[b'a'; 3000]) {
        total += count as usize;
    }
    assert!(total > RING / 2 && total <= RING, "{total}");
    assert_eq!(bench.write(1, tty, b"b"), failed(Errno::EAGAIN));
    bench.make_room(usize::MAX);
    assert_eq!(bench.sent().len(), total, "what was counted is sent");
}

#[test]
fn cancelled_writers_tell_how_far_they_came() {
    let mut bench = Bench::new(FakeUart::with_room(0));
    let tty = bench.open(number::TTY, open::WRONLY);
    assert_eq!(bench.write(1, tty, &[b'a'; 2 * RING]), Answer::Later);
    assert_eq!(bench.write(2, tty, b"b"), Answer::Later);
    bench.service.cancelled(&mut bench.host, token(2));
    bench.service.cancelled(&mut bench.host, token(1));
    assert_eq!(bench.host.replies[0], (2, Errno::EINTR.negated()));
    assert!(bench.host.replies[1].1 > 0);
}

#[test]
fn writers_that_die_or_fault_do_not_block_the_rest() {
    let mut bench = Bench::new(FakeUart::with_room(0));
    let tty = bench.open(number::TTY, open::WRONLY);
    for number in 1..=3 {
        assert_eq!(bench.write(number, tty, &[b'0' + number as u8; RING]), Answer::Later);
    }
    bench.host.buffers.remove(&token(1));
    bench.host.faulty = Some(token(2));
    for _ in 0..8 {
        bench.make_room(usize::MAX);
    }
    assert_eq!(bench.host.replies[1..], [(2, Errno::EFAULT.negated()), (3, RING as i64)]);
    assert_eq!(bench.sent().iter().filter(|&&byte| byte == b'3').count(), RING);
}

#[test]
fn readers_wait_for_lines_in_order() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::RDONLY);
    assert_eq!((bench.read(1, tty, 80), bench.read(2, tty, 80)), (Answer::Later, Answer::Later));
    bench.type_in(b"first\r");
    assert_eq!((&bench.host.replies[..], bench.got(1).starts_with(b"first\n")), (&[(1, 6)][..], true));
    bench.type_in(b"second\rthird\r");
    assert_eq!((bench.host.replies[1], bench.got(2).starts_with(b"second\n")), ((2, 7), true));
    assert_eq!((bench.read(3, tty, 80), bench.sent()), (Answer::Now(6), b"first\r\nsecond\r\nthird\r\n".to_vec()));
}

#[test]
fn reads_that_may_not_wait_and_empty_ones() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::RDONLY | open::NONBLOCK);
    assert_eq!(bench.read(1, tty, 0), Answer::Now(0));
    assert_eq!(bench.read(1, tty, 1), failed(Errno::EAGAIN));
    bench.type_in(b"\x04");
    assert_eq!(bench.read(1, tty, 1), Answer::Now(0), "end of file");
    assert_eq!(bench.read(1, tty, 1), failed(Errno::EAGAIN), "only once");
}

#[test]
fn a_line_outlives_readers_that_fail() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::RDONLY);
    for number in 1..=4 {
        assert_eq!(bench.read(number, tty, 80), Answer::Later);
    }
    bench.host.faulty = Some(token(1));
    bench.host.buffers.remove(&token(2));
    bench.service.cancelled(&mut bench.host, token(3));
    bench.type_in(b"line\r");
    let fault = (1, Errno::EFAULT.negated());
    // The answer to the second goes to nobody: its request is gone.
    let gone = (2, Errno::ESTALE.negated());
    assert_eq!(bench.host.replies, [(3, Errno::EINTR.negated()), fault, gone, (4, 5)]);
    assert!(bench.got(4).starts_with(b"line\n"));
}

#[test]
fn the_status_key_is_for_the_core_and_no_part_of_a_line() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::RDONLY);
    assert_eq!(bench.read(1, tty, 80), Answer::Later);
    bench.type_in(b"a\x14b\x14\r");
    assert_eq!(bench.host.dumps, 2);
    assert!(bench.got(1).starts_with(b"ab\n"));
}

#[test]
fn interrupts_are_counted_and_end_reads() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::RDONLY);
    assert_eq!(bench.read(1, tty, 80), Answer::Later);
    bench.type_in(b"oops\x03");
    assert_eq!((bench.service.console().interrupts(), &bench.host.replies), (1, &vec![(1, Errno::EINTR.negated())]));
    assert_eq!(bench.read(2, tty, 80), Answer::Later);
    bench.type_in(b"ok\r");
    assert_eq!(bench.host.replies.last(), Some(&(2, 3)));
    bench.type_in(b"nobody waits\x03next\r");
    assert_eq!(bench.read(3, tty, 80), Answer::Now(Errno::EINTR.negated()));
    assert_eq!(bench.read(4, tty, 80), Answer::Now(5));
}

#[test]
fn too_many_readers_are_refused() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::RDONLY);
    for number in 1..=64 {
        assert_eq!(bench.read(number, tty, 1), Answer::Later);
    }
    assert_eq!(bench.read(65, tty, 1), failed(Errno::ENOMEM));
}

#[test]
fn the_kernel_log_comes_through_whole() {
    let mut bench = Bench::new(FakeUart::with_room(0));
    assert!(bench.host.claimed, "start claims the console");
    let line = b"kernel says\n";
    bench.host.log = line.repeat(1000);
    bench.service.notified(&mut bench.host, parley_abi::call::LOG_BIT);
    assert!(!bench.host.log.is_empty(), "the ring is full, the rest stays in the core");
    assert!(bench.uart().transmit_interrupt);
    let mut sent = Vec::new();
    while bench.uart().transmit_interrupt {
        bench.make_room(1000);
        sent.extend(bench.sent());
    }
    assert_eq!(sent, b"kernel says\r\n".repeat(1000));
}

#[test]
fn without_a_port_there_is_no_console() {
    let mut uart = FakeUart::new();
    uart.present = false;
    let mut bench = Bench::new(uart);
    assert!(!bench.host.claimed, "the core keeps the console");
    let open = bench.ask(1, ROOT, chardev::label::open_device, [number::TTY, 2, 0, 0, 0, 0]);
    assert_eq!(open, failed(Errno::ENXIO));
    bench.open(number::NULL, open::RDWR);
    bench.service.notified(&mut bench.host, INTERRUPT_BIT | parley_abi::call::LOG_BIT);
}

#[test]
fn a_stuck_interrupt_does_not_hold_the_service() {
    let mut bench = bench();
    bench.uart().causes = u32::MAX;
    bench.service.notified(&mut bench.host, INTERRUPT_BIT);
    assert!(bench.host.alarm > 0, "it will look again");
}

#[test]
fn init_is_told_of_interrupts_first() {
    let mut bench = bench();
    let tty = bench.open(number::TTY, open::RDONLY);
    let await_interrupt = |bench: &mut Bench, number: u32, pid: u32, unheard: u64| {
        let badge = parley_proto::root_badge(pid, 0);
        bench.ask(number, badge, chardev::label::await_interrupt, [unheard, 0, 0, 0, 0, 0])
    };
    assert_eq!(await_interrupt(&mut bench, 1, 2, 0), failed(Errno::EPERM));
    assert_eq!(await_interrupt(&mut bench, 1, 1, 0), Answer::Later);
    assert_eq!(bench.read(2, tty, 80), Answer::Later);
    bench.type_in(b"\x03");
    assert_eq!(bench.host.replies, [(1, 1), (2, Errno::EINTR.negated())], "a reader has heard");
    bench.type_in(b"\x03");
    assert_eq!(await_interrupt(&mut bench, 3, 1, 0), Answer::Now(0), "one that came before the request");
    assert_eq!(await_interrupt(&mut bench, 4, 1, 0), Answer::Later);
    assert_eq!(bench.read(5, tty, 80), failed(Errno::EINTR), "without init, who reads next hears");
    bench.type_in(b"\x03");
    assert_eq!(bench.host.replies.last(), Some(&(4, 0)), "nobody has heard");
    assert_eq!(bench.read(6, tty, 80), Answer::Later, "init has");
    bench.service.cancelled(&mut bench.host, token(6));
    assert_eq!(await_interrupt(&mut bench, 7, 1, 1), Answer::Later);
    assert_eq!(bench.read(8, tty, 80), failed(Errno::EINTR), "init had nobody to end");
    bench.service.cancelled(&mut bench.host, token(7));
    assert_eq!(bench.host.replies.last(), Some(&(7, Errno::EINTR.negated())));
}

#[test]
fn the_terminal_is_ready_when_a_call_would_not_wait() {
    let mut bench = Bench::new(FakeUart::with_room(0));
    let tty = bench.open(number::TTY, open::RDWR);
    let both = u64::from(poll::IN | poll::OUT);
    let ready =
        |bench: &mut Bench, badge: u64, events: u64| bench.ask(1, badge, file::label::ready, [events, 0, 0, 0, 0, 0]);
    assert_eq!(ready(&mut bench, tty, both), Answer::Now(poll::OUT.into()));
    bench.type_in(b"line\r");
    assert_eq!(ready(&mut bench, tty, both), Answer::Now(both as i64));
    let writer = bench.open(number::TTY, open::WRONLY);
    assert_eq!(ready(&mut bench, writer, both), Answer::Now(poll::OUT.into()), "open for writing only");
    assert_eq!(bench.write(2, tty, &[b'a'; 2 * RING]), Answer::Later);
    assert_eq!(ready(&mut bench, tty, poll::OUT.into()), Answer::Now(0), "somebody waits for room");
    let zero = bench.open(number::ZERO, open::RDONLY);
    assert_eq!(ready(&mut bench, zero, both), Answer::Now(poll::IN.into()));
    assert_eq!(ready(&mut bench, 0, both), failed(Errno::EBADF));
}
