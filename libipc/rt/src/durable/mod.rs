//! Servers that outlive their process: [`serve`](crate::serve) with a memory.
//!
//! A service keeps what it knows in [`Lasting`] memory, which init holds, and an event is finished there before its answer
//! leaves. So when a process dies, what was answered is in the memory, and whatever is not in the memory was not
//! answered. The next instance takes back what was not finished, gives the last answer again in case it did not leave,
//! and puts all other requests in progress back. An event that changed nothing leaves nothing: it costs no more than the
//! question, and happens again.
//!
//! Two ways lead there:
//!
//! - **In place**: the service is written against [`Memory`], and its words are the state. An event costs what it changes,
//!   however large the state is. So vfs and time do.
//! - **By checkpoint**: [`Checkpointed`] writes the whole state down after each event that changes it. For services with
//!   little state that have it in fields of their own. So char and ping do.
//!
//! In ring 0 nothing of this happens: there a service lives as long as the kernel.

mod answer;
mod checkpoint;
mod lasting;
mod map;
mod memory;
mod schema;
#[cfg(all(test, not(miri)))] // they take minutes there
mod tests;
mod usage;

use parley_abi::msg::{Token, Words};
use parley_abi::{Errno, slot};
use parley_proto::{Cx, Host, Service};

use crate::serve::{Ring3, adopt, answer, take_over};
use crate::supervised::{self, say_ready};
use crate::sys::{self, Event, Prepared, Reply};
use answer::{Answer, Replies};
pub use checkpoint::{Checkpoint, Checkpointed};
pub use lasting::{FEWEST_PAGES, Found, Lasting, essence};
pub use memory::{MARK, Memory, ROOT, ROOT_END, Records, Volatile, WORDS_IN_PAGE, Word};
pub use schema::{Refusal, Schema};
pub use usage::Usage;

/// How often a request is served again after its server died of it, perhaps; then it gets EIO. A server that somebody has
/// ended did not die of it.
const STRIKES: u64 = 3;

/// A service whose state outlives its instance.
pub trait Durable: Service {
    /// Versions of the state.
    fn schema(&self) -> Schema;

    /// Where the state is.
    fn memory(&mut self) -> &mut Lasting;

    /// The service keeps this request to answer it later.
    fn holds(&self, token: Token) -> bool;

    /// Called once in place of [`Service::start`] when the memory holds the state of an earlier instance, which was
    /// written in version `from`, one that [`Durable::schema`] says it reads. EINVAL: it is no state all the same. ENOMEM.
    fn resume(&mut self, host: &mut dyn Host, from: u32) -> Result<(), Errno>;

    /// The event is over: what is to outlive the instance must be in the memory when this returns.
    #[inline]
    fn settle(&mut self) {}
}

/// The world of a durable service: answers to requests that were kept wait until the event is finished.
struct World {
    outside: Ring3,
    replies: Replies,
    /// There are replies, or another alarm was set.
    unsettled: bool,
}

impl Host for World {
    #[inline]
    fn now(&mut self) -> u64 {
        self.outside.now()
    }

    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        self.outside.copy_in(token, lease, offset, into)
    }

    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        self.outside.copy_out(token, lease, offset, from)
    }

    fn reply(&mut self, token: Token, result: i64) {
        self.unsettled = true;
        if !self.replies.push(token, result) {
            self.outside.reply(token, result);
        }
    }

    fn call(
        &mut self,
        service: u8,
        label: u32,
        words: parley_abi::msg::Words,
    ) -> Result<parley_abi::msg::Words, Errno> {
        self.outside.call(service, label, words)
    }

    fn set_alarm(&mut self, at: u64) {
        self.unsettled = true;
        self.outside.set_alarm(at);
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        self.outside.log(line);
    }

    fn dump_threads(&mut self) {
        self.outside.dump_threads();
    }

    fn read_log(&mut self, into: &mut [u8]) -> usize {
        self.outside.read_log(into)
    }
}

/// As [`crate::serve`], for a service that goes on where the instance before it ended.
pub fn serve_durable<S: Durable>(service: &mut S) -> ! {
    let mut world = World { outside: Ring3 { alarm: 0 }, replies: Replies::new(), unsettled: false };
    begin(service, &mut world);
    say_ready();
    let mut reply = Reply::NONE.prepare();
    loop {
        // SAFETY: bytes in `reply` are borrowed from the service, which has changed nothing but its memory's log since.
        let event = match unsafe { reply.reply_recv(slot::ENDPOINT, world.outside.alarm) } {
            Ok(event) => event,
            Err(errno) => {
                reply = refused(service, &mut world, reply, errno);
                continue;
            }
        };
        if matches!(event, Event::Timeout) || world.outside.alarm != 0 && crate::now() >= world.outside.alarm {
            ring(service, &mut world);
        }
        reply = match event {
            Event::Request { token, badge, label, words } => {
                supervised::count_request();
                match service.at_hand(badge, label, &words) {
                    Some(outcome) => answer(token, outcome),
                    None => work(service, &mut world, (token, badge), label, &words),
                }
            }
            // What is closed is forgotten with the answer. To the log both are one event, unless that could take memory from
            // the request.
            Event::ClosedAndRequest { closed, token, badge, label, words } => {
                supervised::count_request();
                service.closed(&mut world, closed);
                if service.memory().gave_bytes() {
                    finish(service, &mut world, Token::NONE, Answer::None);
                }
                work(service, &mut world, (token, badge), label, &words).forgotten()
            }
            other => attend(service, &mut world, other),
        };
    }
}

/// Carries out a request. Returns its answer.
#[inline(always)]
fn work<S: Durable>(service: &mut S, world: &mut World, of: (Token, u64), label: u32, words: &Words) -> Prepared {
    let (token, badge) = of;
    let outcome = service.request(&mut Cx { host: world, token, badge }, label, words);
    let said = Answer::of(&outcome);
    let reply = answer(token, outcome);
    finish(service, world, token, said);
    reply
}

/// What the service is told without a result being due. Returns what the core is told with the next receipt.
fn attend<S: Durable>(service: &mut S, world: &mut World, event: Event) -> Prepared {
    let (mut reply, nothing) = (Reply::NONE.prepare(), Reply::NONE.prepare());
    match event {
        Event::Closed { badge } => {
            service.closed(world, badge);
            reply = nothing.forgotten();
        }
        Event::Notified { bits } => match supervised::attend(bits) {
            0 => return nothing,
            bits => service.notified(world, bits),
        },
        Event::Cancel { token } => service.cancelled(world, token),
        _ => return nothing,
    }
    finish(service, world, Token::NONE, Answer::None);
    reply
}

/// The alarm that was set has rung.
#[cold]
fn ring<S: Durable>(service: &mut S, world: &mut World) {
    world.set_alarm(0);
    service.alarm(world);
    finish(service, world, Token::NONE, Answer::None);
}

/// Finishes an event, and then lets its answers to requests that had been kept out.
#[inline(always)]
fn finish<S: Durable>(service: &mut S, world: &mut World, token: Token, said: Answer) {
    service.settle();
    if service.memory().is_dirty() || world.unsettled {
        commit(service.memory(), world, token, said);
    }
}

#[inline(never)]
fn commit(memory: &mut Lasting, world: &mut World, token: Token, said: Answer) {
    if world.unsettled {
        memory.set_alarm(world.outside.alarm);
    }
    memory.commit(token, said, &world.replies);
    if world.unsettled {
        for &(token, result) in world.replies.list() {
            world.outside.reply(token, result);
        }
        world.replies.clear();
        world.unsettled = false;
    }
}

/// Starts the service, or takes over from the instance before.
fn begin<S: Durable>(service: &mut S, world: &mut World) {
    let schema = service.schema();
    let memory = service.memory();
    let started = match memory.found() {
        Found::Nothing => start(service, world, schema),
        Found::State => {
            let (version, readable_by) = memory.version();
            match schema.check(version, readable_by) {
                Ok(()) => resume(service, world, schema, version),
                Err(refusal) => refuse(refusal),
            }
        }
        Found::Unusable(refusal) => refuse(refusal),
    };
    if let Err(errno) = started {
        panic!("cannot start: {errno}");
    }
}

/// init decides what comes now: the program before this one, or a fresh start.
fn refuse(refusal: Refusal) -> ! {
    panic!("the state of the instance before cannot be taken over: {refusal}")
}

fn start<S: Durable>(service: &mut S, world: &mut World, schema: Schema) -> Result<(), Errno> {
    service.start(world)?;
    take_over();
    service.settle();
    let memory = service.memory();
    memory.set_version(schema);
    commit(memory, world, Token::NONE, Answer::None);
    Ok(())
}

fn resume<S: Durable>(service: &mut S, world: &mut World, schema: Schema, from: u32) -> Result<(), Errno> {
    world.outside.alarm = service.memory().alarm();
    let (token, said, replies) = service.memory().last();
    // An answer that did leave finds nobody: its token is stale.
    for &(token, result) in replies.list() {
        world.outside.reply(token, result);
    }
    let _ = match said {
        Answer::None => Ok(()),
        Answer::Done(result) => sys::reply(slot::ENDPOINT, &Reply::done(token, result)),
        Answer::Open(badge, exec) => sys::reply(slot::ENDPOINT, &Reply::open(token, badge, exec)),
    };
    service.resume(world, from)?;
    resume_requests(service);
    if from != schema.version {
        service.memory().set_version(schema);
        world.log(format_args!("version {} takes over a state of version {from}", schema.version));
    }
    finish(service, world, Token::NONE, Answer::None);
    Ok(())
}

/// Keeps or puts back what the instance before had received.
fn resume_requests<S: Durable>(service: &mut S) {
    let innocent = supervised::succeeds_on_request();
    adopt(|token, _| {
        // ESTALE in any of these: nobody waits any more.
        let _ = if service.holds(token) {
            Ok(())
        } else if !innocent && service.memory().strike(token) > STRIKES {
            give_up(token)
        } else {
            sys::put_back(slot::ENDPOINT, token)
        };
    });
}

/// Server after server has died while this request was in progress.
#[cold]
fn give_up(token: Token) -> Result<(), Errno> {
    let _ = sys::log("a request whose servers died again and again ends with EIO\n");
    sys::reply(slot::ENDPOINT, &Reply::done(token, Errno::EIO.negated()))
}

/// As in [`crate::serve`]: the core did not deliver a reply.
#[cold]
fn refused<S: Durable>(service: &mut S, world: &mut World, reply: Prepared, errno: Errno) -> Prepared {
    if reply.carries_nothing() {
        panic!("cannot receive on the endpoint: {errno}");
    }
    if let Some(badge) = reply.opens() {
        service.closed(world, badge);
        finish(service, world, Token::NONE, Answer::None);
    }
    Reply::done(reply.token(), errno.negated()).prepare()
}
