//! Servers that outlive their process: [`serve`](crate::serve) with a memory.
//!
//! The order of things is what makes it safe: an event is finished in [`store`], which init holds, before its answer
//! leaves ([`keeper`]). So when a process dies, what was answered is in the store, and whatever is not in the store was
//! not answered. The next instance repeats what the store says, gives the last answer again in case it did not leave,
//! and puts all other requests in progress back. It takes no part of this on trust from the dead.

mod host;
mod keeper;
mod memory;
mod store;
#[cfg(test)]
#[cfg(not(miri))] // they take minutes there
mod tests;

use parley_abi::msg::Token;
use parley_abi::{Errno, slot};
use parley_proto::Durable;

use crate::serve::{Ring3, adopt, answer, take_over};
use crate::supervised::{self, say_ready};
use crate::sys::{self, Event, Prepared, Reply};
use keeper::{Happening, Keeper, Revival};
use store::{Answer, Effects};

/// How often a request is served again after its server died of it, perhaps; then it gets EIO.
const STRIKES: u64 = 3;

/// As [`crate::serve`], for a service that goes on where the instance before it ended. Without memory for that it
/// serves all the same.
pub fn serve_durable<S: Durable>(service: &mut S) -> ! {
    let Some(memory) = memory::store(S::PAGES) else { crate::serve(service) };
    let mut world = Ring3 { alarm: 0 };
    let mut keeper = Keeper::new(memory);
    begin(service, &mut keeper, &mut world);
    say_ready();
    let mut reply = Reply::NONE.prepare();
    loop {
        // SAFETY: bytes in `reply` are borrowed from the service, which nobody has changed since.
        let event = match unsafe { reply.reply_recv(slot::ENDPOINT, world.alarm) } {
            Ok(event) => event,
            Err(errno) => {
                reply = refused(service, &mut keeper, &mut world, reply, errno);
                continue;
            }
        };
        if matches!(event, Event::Timeout) || world.alarm != 0 && crate::now() >= world.alarm {
            world.alarm = 0;
            happen(service, &mut keeper, &mut world, Happening::Alarm);
        }
        reply = match event {
            Event::Request { token, badge, label, words } => {
                supervised::count_request();
                match service.at_hand(badge, label, &words) {
                    Some(outcome) => answer(token, outcome),
                    None => {
                        let kept = service.changes(label, badge);
                        let request = (token, badge, label, words);
                        keeper.request(service, &mut world, kept, request, |outcome| answer(token, outcome))
                    }
                }
            }
            Event::Closed { badge } => {
                happen(service, &mut keeper, &mut world, Happening::Closed(badge));
                // ESTALE can only mean that the core forgot it first.
                let _ = sys::conn_free(slot::ENDPOINT, badge);
                Reply::NONE.prepare()
            }
            Event::Notified { bits } => match supervised::attend(bits) {
                0 => Reply::NONE.prepare(),
                bits => happen(service, &mut keeper, &mut world, Happening::Notified(bits)),
            },
            Event::Cancel { token } => happen(service, &mut keeper, &mut world, Happening::Cancelled(token)),
            Event::Timeout | Event::Done { .. } => Reply::NONE.prepare(),
        };
    }
}

/// Lets the service hear of something that needs no answer.
fn happen<S: Durable>(service: &mut S, keeper: &mut Keeper<'_>, world: &mut Ring3, what: Happening) -> Prepared {
    keeper.happen(service, world, what);
    Reply::NONE.prepare()
}

/// Starts the service, or takes over from the instance before.
fn begin<S: Durable>(service: &mut S, keeper: &mut Keeper<'_>, world: &mut Ring3) {
    let started = match keeper.revive(service) {
        Revival::Resumed(alarm) => {
            world.alarm = alarm;
            resume_requests(service, keeper);
            keeper.resume(service, world)
        }
        Revival::New => start(service, keeper, world),
        // Half of the state may be there. init decides what comes now: another program, or a fresh start.
        Revival::Lost(errno) => panic!("the state of the instance before cannot be used: {errno}"),
    };
    if let Err(errno) = started {
        panic!("cannot start: {errno}");
    }
}

fn start<S: Durable>(service: &mut S, keeper: &mut Keeper<'_>, world: &mut Ring3) -> Result<(), Errno> {
    service.start(world)?;
    take_over();
    let alarm = world.alarm;
    keeper.begin(service, world, alarm);
    Ok(())
}

/// Answers, keeps or puts back what the instance before had received.
fn resume_requests<S: Durable>(service: &S, keeper: &mut Keeper<'_>) {
    let last: Effects = *keeper.last();
    // An answer that did leave finds nobody: its token is stale.
    for &(token, result) in last.replies() {
        let _ = sys::reply(slot::ENDPOINT, &Reply::done(token, result));
    }
    adopt(|token, _| {
        // ESTALE in any of these: nobody waits any more.
        let _ = match last.answer {
            Answer::Done(result) if token == last.token => sys::reply(slot::ENDPOINT, &Reply::done(token, result)),
            Answer::Open(badge, exec) if token == last.token => {
                sys::reply(slot::ENDPOINT, &Reply::open(token, badge, exec))
            }
            _ if service.holds(token) => Ok(()),
            _ if keeper.strike(token) > STRIKES => give_up(token),
            _ => sys::put_back(slot::ENDPOINT, token),
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
fn refused<S: Durable>(
    service: &mut S,
    keeper: &mut Keeper<'_>,
    world: &mut Ring3,
    reply: Prepared,
    errno: Errno,
) -> Prepared {
    if reply.carries_nothing() {
        panic!("cannot receive on the endpoint: {errno}");
    }
    if let Some(badge) = reply.opens() {
        happen(service, keeper, world, Happening::Closed(badge));
    }
    Reply::done(reply.token(), errno.negated()).prepare()
}
