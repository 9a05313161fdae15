//! The server loop, whole.
//!
//! It drives a [`Service`] in ring 3 as the core drives it in ring 0: events in, outcomes out, one system
//! call for the answer and the next event together. [`Ring3`] is what the service sees of the world.

use parley_abi::Errno;
use parley_abi::msg::{Flags, Token, Words};
use parley_abi::row::LEASES;
use parley_abi::slot;
use parley_proto::{Cx, Host, Outcome, Service, calltable};

use crate::args::Args;
use crate::log::Line;
use crate::supervised::{self, say_ready, violation};
use crate::sys::{self, Event, Prepared, Reply};

/// Serves the process's endpoint for ever.
///
/// Panics, and so ends the server, if the service cannot start or the endpoint is gone: there is nothing
/// left to serve.
pub fn serve<S: Service + ?Sized>(service: &mut S) -> ! {
    let mut host = Ring3 { alarm: 0 };
    if let Err(errno) = service.start(&mut host) {
        panic!("cannot start: {errno}");
    }
    take_over();
    say_ready();
    let mut reply = Reply::NONE.prepare();
    loop {
        // SAFETY: bytes in `reply` are borrowed from the service, which nobody has touched since.
        let event = match unsafe { reply.reply_recv(slot::ENDPOINT, host.alarm) } {
            Ok(event) => event,
            Err(errno) => {
                reply = refused(service, &mut host, reply, errno);
                continue;
            }
        };
        // An endpoint that is never idle never times out, so the clock is read too.
        if matches!(event, Event::Timeout) || host.alarm != 0 && crate::now() >= host.alarm {
            host.ring(service);
        }
        reply = match event {
            Event::Request { token, badge, label, words } => {
                supervised::count_request();
                match service.at_hand(badge, label, &words) {
                    Some(outcome) => answer(token, outcome),
                    None => work(service, &mut host, (token, badge), label, &words),
                }
            }
            Event::ClosedAndRequest { closed, token, badge, label, words } => {
                supervised::count_request();
                service.closed(&mut host, closed);
                work(service, &mut host, (token, badge), label, &words).forgotten()
            }
            other => attend(service, &mut host, other),
        };
    }
}

/// Takes over from an instance that is gone, if there was one. This one remembers nothing of what that one did:
/// requests that can be repeated are, and others fail with EIO.
pub(crate) fn take_over() {
    adopt(|token, label| match calltable::method(label) {
        Some(row) if !row.repeats => {
            // ESTALE: nobody waits any more.
            let _ = sys::reply(slot::ENDPOINT, &Reply::done(token, Errno::EIO.negated()));
        }
        _ => {
            let _ = sys::put_back(slot::ENDPOINT, token);
        }
    });
}

/// Hands each request in progress to `each`, with its label. Connections that are closing are reported again.
pub(crate) fn adopt(mut each: impl FnMut(Token, u32)) {
    let _ = sys::put_back(slot::ENDPOINT, Token::NONE);
    let mut first = 0;
    while let Ok(Event::Request { token, label, .. }) = sys::requests(slot::ENDPOINT, first) {
        each(token, label);
        first = token.thread() + 1;
    }
}

/// Carries out a request. Returns its answer.
#[inline(always)]
fn work<S: Service + ?Sized>(
    service: &mut S,
    host: &mut Ring3,
    of: (Token, u64),
    label: u32,
    words: &Words,
) -> Prepared {
    let (token, badge) = of;
    answer(token, service.request(&mut Cx { host, token, badge }, label, words))
}

/// What the service is told without a result being due. Returns what the core is told with the next receipt.
fn attend<S: Service + ?Sized>(service: &mut S, host: &mut Ring3, event: Event) -> Prepared {
    let nothing = Reply::NONE.prepare();
    match event {
        Event::Closed { badge } => {
            service.closed(host, badge);
            return nothing.forgotten();
        }
        Event::Notified { bits } => match supervised::attend(bits) {
            0 => {}
            bits => service.notified(host, bits),
        },
        Event::Cancel { token } => service.cancelled(host, token),
        // The alarm has been fired already, requests are not for here, and no service submits calls.
        _ => {}
    }
    nothing
}

/// The reply that carries out an outcome.
#[inline(always)]
pub(crate) fn answer(token: Token, outcome: Outcome<'_>) -> Prepared {
    match outcome {
        Outcome::Done(result) => Reply::done(token, result),
        Outcome::Data(bytes) => Reply::data(token, bytes),
        Outcome::Fill(bytes) => Reply::fill(token, bytes),
        Outcome::Words(words) => Reply::words(token, words),
        Outcome::Open { badge, close_on_exec } => Reply::open(token, badge, close_on_exec),
        Outcome::Later => Reply::NONE,
        Outcome::Forward { service, label, words } => {
            match sys::forward(slot::ENDPOINT, slot::of_service(service), token, label, words) {
                Ok(()) => Reply::NONE,
                Err(errno) => Reply::done(token, errno.negated()),
            }
        }
    }
    .prepare()
}

/// The core did not deliver a reply, and the request is still to be answered: takes back what the reply
/// stood for and answers with the errno.
#[cold]
fn refused<S: Service + ?Sized>(service: &mut S, host: &mut Ring3, reply: Prepared, errno: Errno) -> Prepared {
    if reply.carries_nothing() {
        panic!("cannot receive on the endpoint: {errno}");
    }
    if let Some(badge) = reply.opens() {
        service.closed(host, badge);
    }
    Reply::done(reply.token(), errno.negated()).prepare()
}

/// The surroundings of a service in ring 3.
pub(crate) struct Ring3 {
    /// When [`Service::alarm`] is wanted, 0 for never: the deadline of the next receive.
    pub(crate) alarm: u64,
}

impl Ring3 {
    /// Fires the alarm once.
    #[cold]
    fn ring<S: Service + ?Sized>(&mut self, service: &mut S) {
        self.alarm = 0;
        service.alarm(self);
    }
}

/// The number of a buffer that a request can have.
#[inline(always)]
fn checked(lease: u8) -> u8 {
    if usize::from(lease) >= LEASES {
        violation("a copy outside all leases");
    }
    lease
}

impl Host for Ring3 {
    #[inline]
    fn now(&mut self) -> u64 {
        crate::now()
    }

    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        sys::copy_in(slot::ENDPOINT, token, checked(lease), offset, into)
    }

    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        sys::copy_out(slot::ENDPOINT, token, checked(lease), offset, from)
    }

    fn reply(&mut self, token: Token, result: i64) {
        if token == Token::NONE {
            violation("a reply to nobody");
        }
        // ESTALE means that nobody waits any more, which is no concern of the service's.
        let _ = sys::reply(slot::ENDPOINT, &Reply::done(token, result));
    }

    /// Word 0 of every reply is a result, so an errno there is the callee's answer.
    fn call(&mut self, service: u8, label: u32, words: Words) -> Result<Words, Errno> {
        let (_, words) = sys::call(slot::of_service(service), Flags::empty(), label, words, parley_abi::msg::FOREVER)?;
        Errno::check(words[0] as i64)?;
        Ok(words)
    }

    fn set_alarm(&mut self, at: u64) {
        self.alarm = at;
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        let name = Args::of_process().map_or("server", |args| args.name());
        // Without the right to log there is nobody to tell.
        let _ = sys::log(Line::new(name, line).text());
    }

    fn dump_threads(&mut self) {
        // Without the right to log there is nobody to tell.
        let _ = sys::threads_dump();
    }

    fn read_log(&mut self, into: &mut [u8]) -> usize {
        sys::log_read(slot::ENDPOINT, into).unwrap_or(0)
    }
}
