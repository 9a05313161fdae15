//! Ctrl-C: the programs that the first one has started end.
//!
//! There are no signals. A thread of init asks the terminal's driver to be told of ^C, which is a request that waits, and tells init.
//! init ends what the first program has started and what that has started, with status 130, as a shell says it of SIGINT; so
//! whatever they waited for is forgotten by whoever they asked. Where there is none, the first program's call ends early,
//! with EINTR; if it made none, and did not read the terminal either, the driver is told that nobody has heard, and its next
//! read ends with EINTR. With a program on the command line, that is the first, and it ends.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parley_abi::msg::{FOREVER, Flags};
use parley_abi::slot::{self, service};
use parley_proto::{Host, chardev};
use parley_rt::sys::{self, Event, Reply};

use crate::log;
use crate::server::Init;
use crate::table::{INIT, Role};
use crate::worker;

/// Bit of init's endpoint: ^C was typed.
pub const TYPED_BIT: u64 = 1 << 31;
/// Exit status of a program that ^C ended.
pub const INTERRUPTED: i32 = 130;
/// Below that of a service, so that it does not keep one from its work, and above that of programs.
const PRIORITY: u8 = 15;

/// Where the thread waits for init.
static ENDPOINT: AtomicU64 = AtomicU64::new(0);
/// What the thread tells: [`NOTHING`], or whether a reader has heard of ^C.
static TYPED: AtomicU32 = AtomicU32::new(NOTHING);
const NOTHING: u32 = u32::MAX;
/// What init tells the thread.
const HEARD_BIT: u64 = 1 << 0;
const UNHEARD_BIT: u64 = 1 << 1;

/// Starts the thread. Without it Ctrl-C ends no program.
pub fn start() {
    match worker::start(work, PRIORITY) {
        Ok(endpoint) => ENDPOINT.store(endpoint.into(), Ordering::Relaxed),
        Err(errno) => log!(Warn, "Ctrl-C will end no program: {errno}"),
    }
}

/// All that the thread does. Without a terminal, nothing.
extern "C" fn work(endpoint: u64) -> ! {
    let mut unheard = 0;
    loop {
        let words = [unheard, 0, 0, 0, 0, 0];
        let (label, terminal) = (chardev::label::await_interrupt, slot::of_service(service::CHAR));
        match sys::call(terminal, Flags::empty(), label, words, FOREVER) {
            Ok((_, [heard @ (0 | 1), ..])) => {
                TYPED.store(heard as u32, Ordering::Release);
                let _ = sys::notify(slot::ENDPOINT, TYPED_BIT);
            }
            Ok(_) | Err(_) => log!(Warn, "there is no terminal: Ctrl-C will end no program"),
        }
        unheard = match sys::reply_recv(endpoint as u32, &Reply::NONE, FOREVER) {
            Ok(Event::Notified { bits }) if bits & UNHEARD_BIT != 0 => 1,
            _ => 0,
        };
    }
}

impl Init {
    /// ^C was typed.
    pub(crate) fn interrupted(&mut self, host: &mut dyn Host) {
        // Whoever may notify init can set the bit, but only the thread leaves a word.
        let heard = match TYPED.swap(NOTHING, Ordering::Acquire) {
            NOTHING => return,
            heard => heard != 0,
        };
        let mut ended = false;
        while let Some(pid) = self.table.last_where(|entry| entry.role == Role::Program && entry.parent != INIT) {
            ended = true;
            self.ended(host, pid, INTERRUPTED);
        }
        let is_heard = ended || self.interrupt_first(host, heard);
        let _ = sys::notify(ENDPOINT.load(Ordering::Relaxed) as u32, if is_heard { HEARD_BIT } else { UNHEARD_BIT });
    }

    /// ^C is for the first program; perhaps it has heard. True: now it has.
    fn interrupt_first(&mut self, host: &mut dyn Host, heard: bool) -> bool {
        let Some(pid) = self.table.last_where(|entry| entry.role == Role::First) else { return heard };
        if self.exec {
            self.ended(host, pid, INTERRUPTED);
        }
        let thread = self.table.handles(pid).map(|process| process.thread.slot());
        heard || thread.is_some_and(|thread| sys::cancel(thread).is_ok())
    }
}
