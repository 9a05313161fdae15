//! The console: a serial port, a line discipline, and who waits for either.
//!
//! Nothing here waits. A read with no line to read and a write with no room are kept as tokens, in order
//! of arrival, and answered from the interrupt. Output has three sources: the kernel log first, then
//! writers one after the other (so that their texts do not mix), and echo in between where there is room.
//!
//! Interrupts that never come are a fact of serial ports. So while anything waits for the port, an alarm
//! looks after it, and what the interrupt does can always be done once more.

pub mod keep;
pub mod line;
pub mod output;
mod waiting;

pub use keep::State;

use parley_abi::Errno;
use parley_abi::linux::poll;
use parley_abi::msg::Token;
use parley_abi::slot::service;
use parley_proto::{Cx, Host, In, Out, Outcome, time};
use server_drivers::Uart;

use crate::console::line::{LineDiscipline, STATUS};
use crate::console::output::Output;
use crate::console::waiting::{Queue, Request};
use crate::device::OpenDevice;
use crate::driver::{COUNT_MAX, Driver};

/// Bytes copied from a writer or from the log at a time.
const CHUNK: usize = 256;
/// Bytes that one writer moves before others are heard: a port that takes everything at once would
/// otherwise keep the service for as long as the text is.
const BURST: u64 = 1024;
/// Rounds of one interrupt, for the same reason.
const ROUNDS: usize = 8;
/// Bytes read from the port in one round: its FIFO, several times over.
const KEYS: usize = 64;
/// Nanoseconds after which a port that owes an interrupt is looked at: longer than its FIFO takes.
const WATCH: u64 = 20_000_000;
/// Nanoseconds until the next look when the rounds were not enough.
const SOON: u64 = 50_000;

/// The console.
pub struct Console<U> {
    output: Output<U>,
    line: LineDiscipline,
    readers: Queue,
    writers: Queue,
    /// ^C was typed while nobody waited for a line, and init had nobody to end for it: whoever reads next hears of it, so
    /// that it makes no difference which of the two came first.
    is_interrupted: bool,
    /// init's request to be told of ^C. Not kept: the next instance is asked again.
    supervisor: Option<Token>,
    /// ^C was typed while init did not wait for it.
    is_untold: bool,
    /// The kernel log has text that did not fit yet.
    log_waits: bool,
    is_present: bool,
    /// An alarm is set.
    watches: bool,
    /// Events that were asked for and did not hold: who asked is told when they do. A new instance does not know them, so
    /// for it they are all.
    wanted: u32,
    /// Bytes on their way. A field, because clearing one on the stack for each byte written costs more
    /// than writing it.
    chunk: [u8; CHUNK],
}

/// How far a writer came.
enum Progress {
    /// To the end, or to an error: the answer.
    Finished(Result<i64, Errno>),
    /// No room for now.
    Waits,
}

impl<U: Uart> Console<U> {
    /// The console on this port, which is not touched before [`Console::start`].
    pub const fn new(uart: U) -> Console<U> {
        Console {
            output: Output::new(uart),
            line: LineDiscipline::new(),
            readers: Queue::new(),
            writers: Queue::new(),
            is_interrupted: false,
            supervisor: None,
            is_untold: false,
            log_waits: false,
            is_present: false,
            watches: false,
            wanted: u32::MAX,
            chunk: [0; CHUNK],
        }
    }

    /// Brings the port up and takes the console over from the core. Without a port there is no console,
    /// and the core keeps what there is.
    pub fn start(&mut self, host: &mut dyn Host) {
        self.is_present = self.output.uart.init();
        if self.is_present {
            self.log_has_grown(host);
            self.interrupt(host);
        } else {
            host.log(format_args!("no serial port at 0x3f8; there is no console"));
        }
    }

    /// Whether there is a port.
    pub const fn is_present(&self) -> bool {
        self.is_present
    }

    /// How often ^C was typed. Pending reads end with EINTR, and init ends the program that was started last.
    pub const fn interrupts(&self) -> u64 {
        self.line.interrupts()
    }

    /// The serial port, for tests.
    pub const fn uart_mut(&mut self) -> &mut U {
        &mut self.output.uart
    }

    /// The kernel log has grown.
    pub fn log_has_grown(&mut self, host: &mut dyn Host) {
        if self.is_present {
            self.log_waits = true;
            self.transmit(host);
            self.settle(host);
        }
    }

    /// The port has interrupted, or should have.
    pub fn interrupt(&mut self, host: &mut dyn Host) {
        if !self.is_present {
            return;
        }
        let interrupts = self.line.interrupts();
        let is_quiet = (0..ROUNDS).any(|_| {
            self.receive(host);
            self.transmit(host);
            !self.output.uart.acknowledge()
        });
        self.answer_readers(host);
        if self.line.interrupts() != interrupts {
            self.interrupt_readers(host);
        }
        self.output.pump();
        self.settle(host);
        if !is_quiet {
            self.watch(host, SOON);
        }
    }

    /// A caller wants to be answered now: with what was written so far, or EINTR.
    pub fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        if self.supervisor == Some(token) {
            self.supervisor = None;
            host.reply(token, Errno::EINTR.negated());
        } else if self.readers.remove(token).is_some() {
            host.reply(token, Errno::EINTR.negated());
        } else if let Some(writer) = self.writers.remove(token) {
            host.reply(token, writer.partial(Errno::EINTR).unwrap_or_else(Errno::negated));
        }
    }

    /// Reads what has been typed.
    fn receive(&mut self, host: &mut dyn Host) {
        for _ in 0..KEYS {
            let Some(byte) = self.output.uart.try_read() else { return };
            if byte == STATUS {
                host.dump_threads();
                continue;
            }
            let output = &mut self.output;
            self.line.input(byte, &mut |shown| output.echo(shown));
        }
    }

    /// Moves what waits to the port, as far as it goes.
    fn transmit(&mut self, host: &mut dyn Host) {
        self.output.pump();
        self.drain_log(host);
        while let Some(mut writer) = self.writers.first() {
            match self.advance(host, &mut writer) {
                Progress::Waits => {
                    self.writers.update_first(writer);
                    return;
                }
                Progress::Finished(result) => {
                    self.writers.remove(writer.token);
                    host.reply(writer.token, result.unwrap_or_else(Errno::negated));
                }
            }
        }
    }

    /// Moves the kernel log to the ring. What does not fit stays in the core.
    fn drain_log(&mut self, host: &mut dyn Host) {
        while self.log_waits {
            let wanted = self.output.room().min(CHUNK);
            if wanted == 0 {
                return;
            }
            let count = host.read_log(&mut self.chunk[..wanted]).min(wanted);
            self.output.text(&self.chunk[..count]);
            self.output.pump();
            self.log_waits = count == wanted;
        }
    }

    /// Moves a writer's text to the port and the ring. An error counts only if nothing was moved yet.
    fn advance(&mut self, host: &mut dyn Host, writer: &mut Request) -> Progress {
        let burst_end = writer.done.saturating_add(BURST);
        while writer.done < writer.len {
            let wanted = (writer.len - writer.done).min(self.output.room().min(CHUNK) as u64) as usize;
            if wanted == 0 || writer.done >= burst_end {
                return Progress::Waits;
            }
            match host.copy_in(writer.token, writer.lease, writer.done, &mut self.chunk[..wanted]) {
                Ok(0) => break,
                Ok(copied) => {
                    self.output.text(&self.chunk[..copied]);
                    self.output.pump();
                    writer.done += copied as u64;
                }
                Err(errno) => return Progress::Finished(writer.partial(errno)),
            }
        }
        Progress::Finished(Ok(writer.done.cast_signed()))
    }

    /// Gives lines to those who wait for them, in order.
    fn answer_readers(&mut self, host: &mut dyn Host) {
        while let Some(reader) = self.readers.first() {
            let Some(result) = self.deliver(host, reader) else { return };
            self.readers.remove(reader.token);
            host.reply(reader.token, result.unwrap_or_else(Errno::negated));
        }
    }

    /// init waits for ^C; nobody has heard of the one before if it is `unheard`.
    pub fn await_interrupt(&mut self, host: &mut dyn Host, token: Token, unheard: bool) -> Outcome<'static> {
        if unheard {
            self.is_interrupted |= self.readers.is_empty();
            self.interrupt_all(host);
        }
        if core::mem::take(&mut self.is_untold) {
            return Outcome::Done(0);
        }
        self.supervisor = Some(token);
        Outcome::Later
    }

    /// Tells init of ^C, which may end programs for it, and everybody who waits for a line that there will be none.
    fn interrupt_readers(&mut self, host: &mut dyn Host) {
        let is_heard = !self.readers.is_empty();
        match self.supervisor.take() {
            // First, so that a program that is to be ended does not go on with EINTR.
            Some(token) => host.reply(token, is_heard.into()),
            None => (self.is_untold, self.is_interrupted) = (true, !is_heard),
        }
        self.interrupt_all(host);
    }

    fn interrupt_all(&mut self, host: &mut dyn Host) {
        while let Some(reader) = self.readers.first() {
            self.readers.remove(reader.token);
            host.reply(reader.token, Errno::EINTR.negated());
        }
    }

    /// Copies the next line out, and only then drops it: when the copy fails (EFAULT; ESTALE, when the
    /// reader is gone) the line is there for the next reader. `None`: there is no line.
    fn deliver(&mut self, host: &mut dyn Host, reader: Request) -> Option<Result<i64, Errno>> {
        let (first, second) = self.line.front(usize::try_from(reader.len).unwrap_or(usize::MAX))?;
        let copied = copy_both(host, reader, first, second);
        if let Ok(count) = copied {
            self.line.consume(count);
        }
        Some(copied.map(|count| count as i64))
    }

    /// Events that hold now.
    fn events(&self) -> u32 {
        let has_line = self.is_interrupted || self.readers.is_empty() && self.line.front(0).is_some();
        let has_room = self.writers.is_empty() && !self.log_waits && self.output.room() > 0;
        (if has_line { poll::READABLE } else { 0 }) | if has_room { poll::WRITABLE } else { 0 }
    }

    /// Tells those who poll for an event that holds now.
    fn tell(&mut self, host: &mut dyn Host) {
        if self.wanted != 0 && self.wanted & self.events() != 0 {
            self.wanted = 0;
            // Without a time service nobody waits for this.
            let _ = host.call(service::TIME, time::label::changed, [0; 6]);
        }
    }

    /// Asks for the transmitter's interrupt if anything waits for it, and has the alarm watch over it.
    fn settle(&mut self, host: &mut dyn Host) {
        let waits = !self.output.is_empty() || !self.writers.is_empty() || self.log_waits;
        self.output.ask_for_interrupt(waits);
        self.tell(host);
        if waits {
            self.watch(host, WATCH);
        } else if self.watches {
            self.watches = false;
            host.set_alarm(0);
        }
    }

    /// Has the alarm ring in `nanoseconds`.
    fn watch(&mut self, host: &mut dyn Host, nanoseconds: u64) {
        let now = host.now();
        self.watches = true;
        host.set_alarm(now.saturating_add(nanoseconds));
    }
}

/// Copies the two pieces of a line; the bytes copied.
fn copy_both(host: &mut dyn Host, reader: Request, first: &[u8], second: &[u8]) -> Result<usize, Errno> {
    let mut copied = host.copy_out(reader.token, reader.lease, 0, first)?;
    if copied == first.len() && !second.is_empty() {
        copied += host.copy_out(reader.token, reader.lease, copied as u64, second)?;
    }
    Ok(copied)
}

impl<U: Uart> Driver for Console<U> {
    fn is_seekable(&self) -> bool {
        false
    }

    /// Reads a line, or as much of one as fits. EINTR: ^C was typed. EAGAIN: there is none, and O_NONBLOCK.
    /// ENOMEM: too many wait already.
    fn read(&mut self, cx: &mut Cx<'_>, file: OpenDevice, buf: Out) -> Outcome<'_> {
        if buf.len == 0 {
            return Outcome::Done(0);
        }
        if core::mem::take(&mut self.is_interrupted) {
            return Errno::EINTR.into();
        }
        let reader = Request { token: cx.token, lease: buf.lease(), len: buf.len.min(COUNT_MAX), done: 0 };
        if self.readers.is_empty()
            && let Some(result) = self.deliver(cx.host, reader)
        {
            return result.into();
        }
        if file.is_nonblocking {
            return Errno::EAGAIN.into();
        }
        match self.readers.push(reader) {
            Ok(()) => Outcome::Later,
            Err(errno) => errno.into(),
        }
    }

    /// Writes all of the text. With O_NONBLOCK: what fits now; EAGAIN if that is nothing. ENOMEM: too many
    /// wait already.
    fn write(&mut self, cx: &mut Cx<'_>, file: OpenDevice, buf: In) -> Outcome<'_> {
        let mut writer = Request { token: cx.token, lease: buf.lease(), len: buf.len.min(COUNT_MAX), done: 0 };
        // Nobody overtakes who waits already, the log included.
        let progress = match self.writers.is_empty() && !self.log_waits {
            true => self.advance(cx.host, &mut writer),
            false => Progress::Waits,
        };
        let outcome = match progress {
            Progress::Finished(result) => result.into(),
            Progress::Waits if file.is_nonblocking => writer.partial(Errno::EAGAIN).into(),
            Progress::Waits => match self.writers.push(writer) {
                Ok(()) => Outcome::Later,
                Err(errno) => writer.partial(errno).into(),
            },
        };
        self.settle(cx.host);
        outcome
    }

    fn ready(&mut self, events: u32) -> u32 {
        let ready = events & self.events();
        if ready == 0 {
            self.wanted |= events;
        }
        ready
    }
}
