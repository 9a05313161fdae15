//! The functions that a service in ring 0 is called through: made from a [`Service`], each for one type.
//!
//! While one of them runs, nothing else of the kernel does: the core is not preempted. So a service is borrowed
//! twice only if it calls others and they call it, or tell it something. Before a service can reach others its seat
//! marks it as busy ([`Seat::open_up`]), and the core calls no service that is.

use core::sync::atomic::Ordering::Relaxed;

use parley_abi::Errno;
use parley_abi::msg::event::{CANCEL, NOTIFIED};
use parley_abi::msg::{Token, Words};
use parley_abi::row::{Op, Shape};
use parley_core::Core;
use parley_core::ipc::call::Sent;
use parley_core::mem::slab::Ref;
use parley_core::object::endpoint::Event;
use parley_core::object::table::Packed;
use parley_core::object::thread::{Kind, State, Thread};
use parley_core::uaccess::{Claim, Copied, copy, to_page_end};
use parley_seam::{Cx, Outcome, RowSink, RowType, Service};

use crate::Seat;
use crate::places::{Ops, endpoint, find, place, serve, tenant};
use crate::rows::{LEFT, Rows, anywhere};

/// The functions of any service.
pub fn ops<S: Service>() -> &'static Ops {
    const {
        &Ops {
            start: start::<S>,
            request: request::<S>,
            call: call::<S>,
            event: event::<S>,
            closed: closed::<S>,
            alarm: alarm::<S>,
        }
    }
}

/// The functions of a service for rows.
pub fn rows<S: Service>(service: &'static mut S, number: u8) -> Rows {
    struct Functions<S>(Rows, core::marker::PhantomData<S>);
    impl<S: Service> RowSink for Functions<S> {
        fn add<R: RowType>(&mut self) {
            self.0.add(&R::ROW, row::<S, R>);
        }
    }
    let place = core::ptr::from_mut(service).cast();
    let mut functions = Functions::<S>(Rows::new(place, number), core::marker::PhantomData);
    S::rows(&mut functions);
    functions.0
}

/// Lets a service do something that may reach others.
fn occupied<S: Service, T>(core: &mut Core, number: u8, work: impl FnOnce(&mut S, &mut Core) -> T) -> T {
    place(number).busy.store(true, Relaxed);
    // SAFETY: 1. `Home::settle` made these functions and that pointer for the same type; 2. it leads to static memory
    // that was lent for ever; 3. it is not borrowed: a service that runs and has reached this is busy, and the
    // core does not call one that is.
    let service = unsafe { &mut *tenant(number).rows.service.cast::<S>() };
    let done = work(service, core);
    place(number).busy.store(false, Relaxed);
    done
}

fn seat(core: &mut Core, number: u8) -> Seat<'_> {
    Seat { core, number, unwritten: None }
}

fn start<S: Service>(core: &mut Core, number: u8) -> Result<(), Errno> {
    occupied::<S, _>(core, number, |service, core| service.start(&mut seat(core, number)))
}

fn alarm<S: Service>(core: &mut Core, number: u8) {
    occupied::<S, _>(core, number, |service, core| service.alarm(&mut seat(core, number)));
}

fn event<S: Service>(core: &mut Core, number: u8, event: &Event) {
    occupied::<S, _>(core, number, |service, core| match event.kind {
        NOTIFIED => service.notified(&mut seat(core, number), event.words[0]),
        CANCEL => service.cancelled(&mut seat(core, number), event.token),
        _ => {}
    });
}

fn closed<S: Service>(core: &mut Core, number: u8, badge: u64) {
    occupied::<S, _>(core, number, |service, core| service.closed(&mut seat(core, number), badge));
}

/// Another service asks, in the course of its own work.
fn call<S: Service>(core: &mut Core, number: u8, label: u32, words: &Words) -> Result<Words, Errno> {
    occupied::<S, _>(core, number, |service, core| {
        let mut cx = Cx { host: &mut seat(core, number), token: Token::NONE, badge: 0 };
        match service.request(&mut cx, label, words) {
            Outcome::Words(words) => Ok(words),
            Outcome::Done(result) => Errno::check(result).map(|result| [result as u64, 0, 0, 0, 0, 0]),
            _ => Err(Errno::EINVAL),
        }
    })
}

/// Serves a request that is written down.
fn request<S: Service>(core: &mut Core, number: u8, caller: Ref<Thread>) -> Sent {
    occupied::<S, _>(core, number, |service, core| {
        let thread = core.threads.live(caller);
        thread.state = State::Awaiting;
        let (row, badge, token, root) = (thread.request.row, thread.request.badge, thread.token, thread.root);
        let mut words = thread.words();
        if row.begins_with_text() {
            core.lay_text(root, &mut words);
        }
        let outcome = service.request(&mut Cx { host: &mut seat(core, number), token, badge }, row.label(), &words);
        conclude(core, number, caller, outcome)
    })
}

/// Serves row `R` of the current thread without writing it down, as far as it goes. The label is known here, so that what is
/// left of [`Service::at_hand`] and [`Service::request`] is the row's own part.
///
/// # Safety
/// `rows` are those that this function is in.
unsafe extern "sysv64" fn row<S: Service, R: RowType>(core: &mut Core, rows: &Rows, badge: u64) -> i64 {
    // SAFETY: 1. `rows` made this function and that pointer for the same type; 2. as in `occupied`; 3. it was entered
    // from ring 3, so no service runs.
    let service = unsafe { &mut *rows.service.cast::<S>() };
    if R::ROW.opens != 0 {
        return opening::<S, R>(core, rows.number, service, badge);
    }
    if !S::has_at_hand() {
        return with_seat::<S, R>(core, rows.number, service, badge);
    }
    let words = core.threads.peek(core.current).frame.words(first::<R>());
    match service.at_hand(badge, R::ROW.label, &words) {
        Some(Outcome::Done(result)) => result,
        Some(Outcome::Data(bytes)) if writable::<R>().is_some() => give::<R>(core, &words, bytes),
        _ => in_full::<S, R>(core, rows.number, service, badge),
    }
}

/// As [`with_seat`]. A function of its own, so that what is at hand costs no stack.
#[inline(never)]
fn in_full<S: Service, R: RowType>(core: &mut Core, number: u8, service: &mut S, badge: u64) -> i64 {
    with_seat::<S, R>(core, number, service, badge)
}

/// Serves a row with all that a service can ask for.
#[inline(always)]
fn with_seat<S: Service, R: RowType>(core: &mut Core, number: u8, service: &mut S, badge: u64) -> i64 {
    let packed = const { anywhere(Packed::new(&R::ROW)) };
    let (token, words) = message::<R>(core);
    let mut seat = Seat { core, number, unwritten: Some((packed, badge)) };
    let outcome = service.request(&mut Cx { host: &mut seat, token, badge }, R::ROW.label, &words);
    match (seat.unwritten, outcome) {
        (Some(_), Outcome::Done(result)) => result,
        (Some(_), Outcome::Data(bytes)) if writable::<R>().is_some() => give::<R>(core, &words, bytes),
        (_, outcome) => {
            seat.open_up();
            finish(core, number, outcome)
        }
    }
}

/// Serves a row that may open something, with room for it.
#[inline(always)]
fn opening<S: Service, R: RowType>(core: &mut Core, number: u8, service: &mut S, badge: u64) -> i64 {
    let packed = const { anywhere(Packed::new(&R::ROW)) };
    let endpoint = endpoint(number);
    let room = match core.make_room(endpoint) {
        Ok(room) => room,
        Err(errno) => return errno.negated(),
    };
    let (caller, space) = (core.current, core.current_space());
    let (token, words) = message::<R>(core);
    let mut seat = Seat { core, number, unwritten: Some((packed, badge)) };
    let outcome = service.request(&mut Cx { host: &mut seat, token, badge }, R::ROW.label, &words);
    match (seat.unwritten, outcome) {
        (Some(_), Outcome::Open { badge, close_on_exec }) => {
            core.open_in(space, room, endpoint, badge, close_on_exec).unwrap_or_else(Errno::negated)
        }
        (Some(_), Outcome::Done(result)) => {
            core.free_connection(room.1);
            result
        }
        (_, outcome) => {
            seat.open_up();
            core.keep_room(caller, room);
            finish(core, number, outcome)
        }
    }
}

/// The current thread's message.
#[inline(always)]
fn message<R: RowType>(core: &mut Core) -> (Token, Words) {
    let thread = core.threads.peek(core.current);
    let (token, mut words) = (thread.token, thread.frame.words(first::<R>()));
    if const { Packed::new(&R::ROW).begins_with_text() } {
        core.lay_text(core.root, &mut words);
    }
    (token, words)
}

/// First register that is a word.
const fn first<R: RowType>() -> usize {
    matches!(R::ROW.op, Op::SendTo) as usize
}

/// The word with the address of a row's first buffer that may be written, and the buffer's size if it is fixed.
const fn writable<R: RowType>() -> Option<(usize, Option<u64>)> {
    let [a, b] = R::ROW.leases;
    match (a.shape, b.shape) {
        (Shape::Write, _) => Some((a.word as usize, None)),
        (Shape::WriteFixed, _) => Some((a.word as usize, Some(a.size as u64))),
        (_, Shape::Write) => Some((b.word as usize, None)),
        (_, Shape::WriteFixed) => Some((b.word as usize, Some(b.size as u64))),
        _ => None,
    }
}

/// Copies to the current thread's buffer. Bytes copied, or a negated errno.
#[inline(always)]
fn give<R: RowType>(core: &mut Core, words: &Words, bytes: &[u8]) -> i64 {
    let Some((word, size)) = writable::<R>() else { return Errno::EACCES.negated() };
    copy_to_current(core, words[word], size.unwrap_or_else(|| words[(word + 1) % words.len()]), bytes)
}

/// Copies `from` to the current thread's memory, as far as the shorter of the two goes. A fault after some bytes is
/// a short copy. Bytes copied, or EFAULT, negated.
#[inline(always)]
fn copy_to_current(core: &mut Core, address: u64, len: u64, from: &[u8]) -> i64 {
    let bytes = len.min(from.len() as u64) as usize;
    if bytes <= to_page_end(address)
        && let Some(to) = core.leaves[1].lookup(core.root, address, true)
    {
        // SAFETY: a user page in the direct map, which ring 3 may write; `bytes` reaches past neither the page nor the
        // source, and memory of services and user pages never overlap.
        let rep_extra = unsafe { copy(to, from.as_ptr(), bytes) };
        core.count_copy(Copied { bytes, rep_extra });
        return bytes as i64;
    }
    copy_by_pages(core, core.claim(address, len), from)
}

#[inline(never)]
fn copy_by_pages(core: &mut Core, to: Claim, from: &[u8]) -> i64 {
    let Ok(copied) = to.copy_out(from, &mut core.leaves[1]) else { return Errno::EFAULT.negated() };
    core.count_copy(copied);
    copied.bytes as i64
}

/// The end of a row that has been written down: its result, unless the thread waits or somebody else may go first.
#[inline(never)]
fn finish(core: &mut Core, number: u8, outcome: Outcome<'_>) -> i64 {
    let caller = core.current;
    let sent = conclude(core, number, caller, outcome);
    place(number).busy.store(false, Relaxed);
    match sent {
        Sent::Answered(result) if !core.resched => result,
        Sent::Answered(result) => {
            core.thread().frame.rax = result as u64;
            LEFT
        }
        Sent::Waiting => LEFT,
    }
}

/// Does what a handler's outcome says, for a request that is written down.
fn conclude(core: &mut Core, number: u8, caller: Ref<Thread>, outcome: Outcome<'_>) -> Sent {
    let result = match outcome {
        Outcome::Done(result) => result,
        Outcome::Data(bytes) => give_data(core, caller, bytes),
        Outcome::Fill(bytes) => match give_data(core, caller, bytes) {
            copied if copied == bytes.len() as i64 => 0,
            copied if copied >= 0 => Errno::EFAULT.negated(),
            errno => errno,
        },
        Outcome::Open { badge, close_on_exec } => {
            core.open(caller, endpoint(number), badge, close_on_exec).unwrap_or_else(Errno::negated)
        }
        Outcome::Words(words) => {
            core.complete(caller, 0, words[0] as i64, words);
            return Sent::Answered(words[0] as i64);
        }
        Outcome::Later => {
            if caller == core.current {
                core.resched = true;
            }
            core.threads[caller].served_by = Ref::NONE;
            return Sent::Waiting;
        }
        Outcome::Forward { service, label, words } => {
            return forward(core, number, caller, service, label, words);
        }
    };
    Sent::Answered(settle_request(core, caller, result))
}

/// Ends a request that was answered at once; a POSIX caller's result is returned and not stored.
fn settle_request(core: &mut Core, caller: Ref<Thread>, result: i64) -> i64 {
    let thread = core.threads.live(caller);
    thread.state = State::Ready;
    let how = thread.request.how;
    if how.kind != Kind::Posix || how.reserved {
        core.complete(caller, 0, result, [0; 6]);
    }
    result
}

/// Ends a request of `caller` that is written down with an error.
pub fn refuse(core: &mut Core, caller: Ref<Thread>, errno: Errno) -> Sent {
    Sent::Answered(settle_request(core, caller, errno.negated()))
}

/// Copies to the buffer of a request that is written down. Bytes copied, or a negated errno.
fn give_data(core: &mut Core, caller: Ref<Thread>, bytes: &[u8]) -> i64 {
    let to = match core.writable_lease(caller) {
        Ok(to) => to,
        Err(errno) => return errno.negated(),
    };
    let Ok(copied) = to.copy_out(bytes, &mut core.leaves[1]) else { return Errno::EFAULT.negated() };
    core.count_copy(copied);
    copied.bytes as i64
}

fn forward(core: &mut Core, from: u8, caller: Ref<Thread>, to: u8, label: u32, words: [u64; 4]) -> Sent {
    let Some(tenant) = find(to).filter(|_| to != from) else { return refuse(core, caller, Errno::ENXIO) };
    core.readdress(caller, tenant.endpoint, label, words);
    serve(core, to, caller)
}
