//! A thread that makes one call, so that the test can play the server.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::Errno;
use parley_abi::call::CALL;
use parley_abi::msg::{Deadline, FOREVER, Flags, Token, Words, pack};
use parley_rt::sys::{self, Event, Reply};

use super::machine::soon;
use super::thread::Thread;
use super::verdict::{Trouble, Verdict};

/// What a client sends.
#[derive(Clone, Copy)]
pub struct Message {
    /// The connection it calls.
    pub connection: u32,
    /// Flags, those that lend buffers included.
    pub flags: Flags,
    /// Label.
    pub label: u32,
    /// Words.
    pub words: Words,
    /// How long it waits.
    pub deadline: Deadline,
}

impl Message {
    /// Plain words, waiting for ever.
    pub fn new(connection: u32, words: Words) -> Message {
        Message { connection, flags: Flags::empty(), label: 0, words, deadline: FOREVER }
    }
}

/// A client and, later, what it got.
pub struct Client {
    thread: Thread,
    /// The call's rax and words.
    got: Arc<[AtomicU64; 7]>,
}

impl Client {
    /// Starts a thread that sends `message`. Buffers that it lends are leaked or otherwise live on.
    pub fn start(message: Message) -> Result<Client, Errno> {
        let got: Arc<[AtomicU64; 7]> = Arc::new([const { AtomicU64::new(0) }; 7]);
        let result = got.clone();
        let thread = Thread::start(move || send(message, &result))?;
        Ok(Client { thread, got })
    }

    /// Handle of its thread.
    pub fn thread(&self) -> u32 {
        self.thread.handle()
    }

    /// Waits for the end of the call: label and words, or the errno.
    pub fn result(self) -> Verdict<Result<(u32, Words), Errno>> {
        self.thread.join()?;
        let word = |index: usize| self.got[index].load(Ordering::Acquire);
        let label = Errno::check(word(0) as i64);
        Ok(label.map(|label| (label as u32, core::array::from_fn(|index| word(index + 1)))))
    }
}

fn send(message: Message, result: &[AtomicU64; 7]) {
    let Message { connection, flags, label, words, deadline } = message;
    // SAFETY: buffers that the words describe outlive the call, and only atomics and raw reads of the
    // test look at them meanwhile.
    let after = unsafe { sys::raw(pack(CALL, flags, label), u64::from(connection), words, 0, deadline) };
    let values = [after.rax].into_iter().chain(after.words);
    values.zip(result).for_each(|(value, slot)| slot.store(value, Ordering::Release));
}

/// A request that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// To be answered.
    pub token: Token,
    /// Of the connection.
    pub badge: u64,
    /// Label.
    pub label: u32,
    /// Words.
    pub words: Words,
}

/// Receives the next request on `endpoint`; anything else fails the test.
pub fn receive(endpoint: u32) -> Verdict<Request> {
    match event(endpoint)? {
        Event::Request { token, badge, label, words } => Ok(Request { token, badge, label, words }),
        other => Err(Trouble::Fail(alloc::format!("expected a request, got {other:?}"))),
    }
}

/// Receives the next event on `endpoint`, or that there is none.
pub fn event(endpoint: u32) -> Verdict<Event> {
    Ok(sys::reply_recv(endpoint, &Reply::NONE, soon())?)
}

/// Takes notice that the last handle to the connection with that badge is gone.
pub fn forget(endpoint: u32, closed: &Event, expected: u64) -> Verdict {
    let Event::Closed { badge } = *closed else { fail!("expected CLOSED, got {closed:?}") };
    ensure_eq!(badge, expected, "badge of what is closed");
    Ok(sys::forgotten(endpoint)?)
}

/// Answers `token` with words.
pub fn answer(endpoint: u32, token: Token, words: Words) -> Result<(), Errno> {
    sys::reply(endpoint, &Reply::words(token, words))
}
