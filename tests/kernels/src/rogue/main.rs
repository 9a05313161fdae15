//! A server that does wrong, for `svc swap`: what it does is written into a copy of this file by the test.
//!
//! It takes the place of the service whose name it is given, and says so to init as a server would.
#![no_std]
#![no_main]

use parley_abi::msg::{FOREVER, Token, Words};
use parley_abi::news::HEARTBEAT_BIT;
use parley_abi::slot::{self, service};
use parley_abi::{Errno, PAGE};
use parley_proto::{Cx, Host, Outcome, Service};
use parley_rt::durable::{Durable, Lasting, Schema};
use parley_rt::sys::{self, Event, Reply};

parley_rt::program!(main);

/// The test replaces what is behind the colon.
static MODE: [u8; 16] = *b"ROGUE-MODE:none.";

fn main(args: parley_rt::Args) -> i32 {
    let number = service::NAMES.iter().position(|known| *known == args.name()).unwrap_or_default();
    // Without the right to notify init it is nobody's server.
    let say = |bit: usize| sys::notify(slot::INIT, 1 << bit).is_ok();
    let (ready, alive) = (|| say(number), || say(32 + number));
    match &core::hint::black_box(&MODE)[11..15] {
        b"quit" => return 3,
        b"mute" => {} // serves nobody, and never says that it is ready
        b"junk" => spoil_state(),
        b"junR" => {
            spoil_state();
            ready();
            return 4;
        }
        b"loop" => {
            ready();
            return 5;
        }
        b"trap" => {
            ready();
            // SAFETY: the instruction raises an invalid-opcode exception and nothing else.
            unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
        }
        b"nobo" | b"leas" => parley_rt::serve(&mut Violator),
        b"old " => Other::serve(OLD, false),
        b"stuc" => Other::serve(Schema::additive(1), true),
        b"spin" => {
            ready();
            while !matches!(next(), Ok(Event::Request { .. })) {}
            loop {
                core::hint::black_box(());
            }
        }
        b"leak" => {
            while sys::mem_create(slot::QUOTA, 1).is_ok() {}
            ready();
            loop {
                if let Ok(Event::Notified { bits }) = next()
                    && bits & HEARTBEAT_BIT != 0
                {
                    alive();
                }
            }
        }
        _ => return 6,
    }
    loop {
        core::hint::black_box(sys::reply_recv(no_endpoint(), &Reply::NONE, FOREVER).is_ok());
    }
}

/// An endpoint of its own, where nothing ever arrives.
fn no_endpoint() -> u32 {
    sys::endpoint_create(slot::QUOTA).unwrap_or(slot::ENDPOINT)
}

fn next() -> Result<Event, Errno> {
    sys::reply_recv(slot::ENDPOINT, &Reply::NONE, FOREVER)
}

/// Writes nonsense over the state of the instance before.
fn spoil_state() {
    let junk = [0x5a; PAGE];
    for page in 0..1024 {
        if sys::mem_write(slot::STATE, page * PAGE as u64, &junk).is_err() {
            return;
        }
    }
}

/// Answers nobody, or copies from a buffer that no request has.
struct Violator;

impl Service for Violator {
    fn request(&mut self, cx: &mut Cx<'_>, _: u32, _: &Words) -> Outcome<'_> {
        match &core::hint::black_box(&MODE)[11..15] {
            b"nobo" => cx.host.reply(Token::NONE, 0),
            _ => _ = cx.host.copy_in(cx.token, 2, 0, &mut [0]),
        }
        Outcome::Done(0)
    }
}

/// A service of another version than the one it takes the place of.
struct Other {
    memory: Lasting,
    schema: Schema,
    /// It never ends what it is asked for.
    stuck: bool,
}

/// A version that reads no state of today.
const OLD: Schema = Schema { version: u32::MAX >> 1, reads_from: u32::MAX >> 1, readable_by: u32::MAX >> 1 };

impl Other {
    fn serve(schema: Schema, stuck: bool) -> ! {
        parley_rt::serve_durable(&mut Other { memory: Lasting::of_process(), schema, stuck })
    }
}

impl Service for Other {
    fn request(&mut self, _: &mut Cx<'_>, _: u32, _: &Words) -> Outcome<'_> {
        if !self.stuck {
            return Errno::ENOSYS.into();
        }
        loop {
            core::hint::black_box(());
        }
    }
}

impl Durable for Other {
    fn schema(&self) -> Schema {
        self.schema
    }
    fn memory(&mut self) -> &mut Lasting {
        &mut self.memory
    }
    fn holds(&self, _: Token) -> bool {
        false
    }
    fn resume(&mut self, _: &mut dyn Host, _: u32) -> Result<(), Errno> {
        Ok(())
    }
}
