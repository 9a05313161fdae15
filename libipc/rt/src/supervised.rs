//! What every server does for its supervisor, beside its service.
//!
//! It says when it is ready, and answers heartbeats from its own loop, which is what proves that the loop goes round.
//! With each answer it leaves how many requests it has served in a page that init holds.

use core::sync::atomic::{AtomicU64, Ordering};

use parley_abi::info::reason;
use parley_abi::msg::FOREVER;
use parley_abi::news::{HANG_BIT, HEARTBEAT_BIT, STALL_BIT};
use parley_abi::slot::{self, service};

use crate::args::Args;
use crate::sys::{self, Reply};

/// Where in the page that init holds the reason of the end is.
const LAST_WORDS: u64 = 8;

/// Where in the page init says that it ended the instance before because somebody wanted that.
const ENDED_ON_REQUEST: u64 = 16;

/// Requests that this instance has served.
static SERVED: AtomicU64 = AtomicU64::new(0);

/// One more. A server has one thread that counts, so that this is one instruction.
#[inline(always)]
pub(crate) fn count_request() {
    SERVED.store(SERVED.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Tells init that this service is ready. init tells services by the bit that is their number.
pub(crate) fn say_ready() {
    say(0);
}

/// Takes init's bits out of a notification and does what they ask for; what is left is for the service.
pub(crate) fn attend(bits: u64) -> u64 {
    if bits & HANG_BIT != 0 {
        spin();
    }
    if bits & STALL_BIT != 0 {
        stall();
    }
    if bits & HEARTBEAT_BIT != 0 {
        // EBADF: nobody wants to know.
        let _ = sys::mem_write(slot::VITALS, 0, &SERVED.load(Ordering::Relaxed).to_le_bytes());
        say(32);
    }
    bits & !HEARTBEAT_BIT
}

/// What `svc hang` wants to see. A function of its own: the torture sends servers here from anywhere.
#[cold]
#[inline(never)]
fn spin() -> ! {
    loop {
        // Each takes its time, and an emulator none to speak of. (`pause` would hand the processor back to it.)
        // SAFETY: it changes nothing.
        unsafe { core::arch::asm!(".rept 256", "nop", ".endr", options(nomem, nostack, preserves_flags)) };
    }
}

/// What `svc stall` wants to see; a function of its own likewise.
#[cold]
#[inline(never)]
fn stall() -> ! {
    if let Ok(endpoint) = sys::endpoint_create(slot::QUOTA) {
        // Nobody else knows the endpoint: nothing ever arrives.
        let _ = sys::reply_recv(endpoint, &Reply::NONE, FOREVER);
    }
    spin()
}

/// The instance before ended because somebody wanted that: none of its requests was to blame.
pub(crate) fn succeeds_on_request() -> bool {
    let mut word = [0; 8];
    sys::mem_read(slot::VITALS, ENDED_ON_REQUEST, &mut word).is_ok() && word != [0; 8]
}

/// Leaves why this server ends: one of [`parley_abi::info::reason`]. The first word counts.
pub(crate) fn last_words(reason: u32) {
    let mut said = [0; 8];
    if sys::mem_read(slot::VITALS, LAST_WORDS, &mut said).is_ok() && said != [0; 8] {
        return;
    }
    // EBADF: nobody wants to know.
    let _ = sys::mem_write(slot::VITALS, LAST_WORDS, &u64::from(reason).to_le_bytes());
}

/// The server does what no server may, whoever its clients are: it ends, and the next goes on from its state. (What a
/// client could make of its messages, such as a request without a buffer, is no violation of the server's.)
#[cold]
pub(crate) fn violation(what: &str) -> ! {
    last_words(reason::VIOLATION);
    panic!("the protocol is violated: {what}")
}

/// Sets this service's bit of init's, counted from `first`.
fn say(first: usize) {
    let name = Args::of_process().map_or("", |args| args.name());
    if let Some(number) = service::NAMES.iter().position(|known| *known == name) {
        // EPERM: it is no service, and only has the name of one.
        let _ = sys::notify(slot::INIT, 1 << (first + number));
    }
}
