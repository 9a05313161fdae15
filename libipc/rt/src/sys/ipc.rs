//! Messages: call, reply and receive, forward, submit, notify, and copies through leases.

use parley_abi::Errno;
use parley_abi::call::{
    CALL, CANCEL, COPY_IN, COPY_OUT, FORWARD, MINT, NOTIFY, PUT_BACK, REPLY_RECV, REQUESTS, REVOKE, Rights, SUBMIT,
};
use parley_abi::msg::{Deadline, Flags, Token, Words, event, pack};

use super::{Registers, checked, raw, without_errno};

/// Sends a request on connection `handle` and waits for the reply: its label and words.
///
/// It lends nothing, so `flags` may hold [`Flags::ACCEPT_HANDLE`] only; others are EINVAL here (see
/// [`call_lending`]). Errors: see [`CALL`].
#[inline(always)]
pub fn call(handle: u32, flags: Flags, label: u32, words: Words, deadline: Deadline) -> Result<(u32, Words), Errno> {
    if Flags::ACCEPT_HANDLE.complement().intersects(flags) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: without lease flags the words are numbers, and the call touches no memory of ours.
    unsafe { call_lending(handle, flags, label, words, deadline) }
}

/// As [`call`], with any flags.
///
/// # Safety
/// The buffers that `flags` says the words describe are valid, and exclusively the caller's where they
/// are lent for writing.
#[inline(always)]
pub unsafe fn call_lending(
    handle: u32,
    flags: Flags,
    label: u32,
    words: Words,
    deadline: Deadline,
) -> Result<(u32, Words), Errno> {
    // SAFETY: the caller's promise.
    let after = unsafe { raw(pack(CALL, flags, label), u64::from(handle), words, 0, deadline) };
    without_errno(after.rax as i64).map(|label| (label as u32, after.words))
}

/// The reply half of [`reply_recv`].
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Whom to answer; [`Token::NONE`] answers nobody.
    pub token: Token,
    /// Label of the reply.
    pub label: u32,
    /// Words of the reply. Word 0 is the result of a POSIX call.
    pub words: Words,
    /// How words 1 and 2 are meant.
    pub with: With<'a>,
}

/// What a reply carries beside its words.
#[derive(Clone, Copy, Debug)]
pub enum With<'a> {
    /// Nothing.
    Nothing,
    /// Bytes for the caller's writable lease; how many fitted becomes the result.
    Data(&'a [u8]),
    /// A structure for the caller's writable lease, whole; the result is word 0.
    Fill(&'a [u8]),
    /// A connection with this badge; its slot becomes the result.
    Open {
        /// The badge.
        badge: u64,
        /// The new handle is dropped by exec.
        close_on_exec: bool,
    },
}

impl<'a> Reply<'a> {
    /// Answers nobody.
    pub const NONE: Reply<'static> = Reply::done(Token::NONE, 0);

    /// Answers with a result, or a negated errno.
    #[inline(always)]
    pub const fn done(token: Token, result: i64) -> Reply<'a> {
        Reply::words(token, [result as u64, 0, 0, 0, 0, 0])
    }
    /// Answers with words.
    #[inline(always)]
    pub const fn words(token: Token, words: Words) -> Reply<'a> {
        Reply { token, label: 0, words, with: With::Nothing }
    }
    /// Answers with bytes.
    #[inline(always)]
    pub const fn data(token: Token, bytes: &'a [u8]) -> Reply<'a> {
        Reply { with: With::Data(bytes), ..Reply::done(token, 0) }
    }
    /// Answers with a structure, and 0.
    #[inline(always)]
    pub const fn fill(token: Token, bytes: &'a [u8]) -> Reply<'a> {
        Reply { with: With::Fill(bytes), ..Reply::done(token, 0) }
    }
    /// Answers with a new connection.
    #[inline(always)]
    pub const fn open(token: Token, badge: u64, close_on_exec: bool) -> Reply<'a> {
        Reply { with: With::Open { badge, close_on_exec }, ..Reply::done(token, 0) }
    }

    /// The reply as it goes into the registers.
    #[inline(always)]
    pub fn prepare(&self) -> Prepared {
        let (mut flags, mut words) = (Flags::empty(), self.words);
        match self.with {
            With::Nothing => {}
            With::Data(bytes) | With::Fill(bytes) => {
                flags = if matches!(self.with, With::Data(_)) { Flags::DATA } else { Flags::FILL };
                (words[1], words[2]) = (bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64);
            }
            With::Open { badge, close_on_exec } => {
                flags = if close_on_exec { Flags::OPEN.union(Flags::CLOSE_ON_EXEC) } else { Flags::OPEN };
                words[1] = badge;
            }
        }
        Prepared { rax: pack(REPLY_RECV, flags, self.label), words, token: self.token }
    }
}

/// A [`Reply`] in the form of registers. It no longer says how long the bytes of [`With::Data`] and
/// [`With::Fill`] live.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    rax: u64,
    words: Words,
    token: Token,
}

impl Prepared {
    /// Whom it answers.
    pub const fn token(&self) -> Token {
        self.token
    }

    /// The same, and the connection that this thread was told is closed is forgotten.
    pub const fn forgotten(self) -> Prepared {
        Prepared { rax: self.rax | (Flags::FORGOTTEN.bits() as u64) << 16, ..self }
    }

    /// It has words only, so that the core cannot refuse it.
    pub const fn carries_nothing(&self) -> bool {
        self.rax & (Flags::DATA.union(Flags::FILL).union(Flags::OPEN).bits() as u64) << 16 == 0
    }

    /// The badge of the connection that it opens, if it does.
    pub const fn opens(&self) -> Option<u64> {
        if self.rax & (Flags::OPEN.bits() as u64) << 16 != 0 { Some(self.words[1]) } else { None }
    }

    /// As [`reply_recv`].
    ///
    /// # Safety
    /// The bytes that the reply carries are still there, and nobody writes to them.
    #[inline(always)]
    pub unsafe fn reply_recv(&self, endpoint: u32, deadline: Deadline) -> Result<Event, Errno> {
        // SAFETY: the only memory that the core reads is what the reply carries, by the caller's promise.
        let after = unsafe { raw(self.rax, u64::from(endpoint), self.words, self.token.0, deadline) };
        without_errno(after.rax as i64)?;
        Ok(Event::from(after))
    }
}

/// Everything that a server can learn.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A request on one of the endpoint's connections, or a fault.
    Request {
        /// To be answered, once.
        token: Token,
        /// Of the connection that was called.
        badge: u64,
        /// Which row, or [`parley_abi::msg::label::FAULT`].
        label: u32,
        /// Arguments.
        words: Words,
    },
    /// A call sent with [`submit`] was answered.
    Done {
        /// What `submit` was given.
        cookie: u64,
        /// Label of the reply.
        label: u32,
        /// Words of the reply.
        words: Words,
    },
    /// The last handle to a connection is gone, and then a request.
    ClosedAndRequest {
        /// As of [`Event::Closed`].
        closed: u64,
        /// As of [`Event::Request`].
        token: Token,
        /// As of [`Event::Request`].
        badge: u64,
        /// As of [`Event::Request`].
        label: u32,
        /// As of [`Event::Request`].
        words: Words,
    },
    /// The last handle to a connection is gone.
    ///
    /// The next receipt says so when the server has forgotten what it was: [`Prepared::forgotten`], [`forgotten`].
    Closed {
        /// Of the connection.
        badge: u64,
    },
    /// The caller no longer waits, or wants to be answered early.
    Cancel {
        /// Of its request.
        token: Token,
    },
    /// Notification bits were set.
    Notified {
        /// Which.
        bits: u64,
    },
    /// The deadline passed.
    Timeout,
}

impl Event {
    /// Reads what `reply_recv` left in the registers.
    #[inline(always)]
    fn from(after: Registers) -> Event {
        let (token, label) = (Token(after.r13), (after.rax >> 32) as u32);
        match after.rax as u32 {
            event::REQUEST => Event::Request { token, badge: after.r15, label, words: after.words },
            event::CLOSED_AND_REQUEST => {
                Event::ClosedAndRequest { closed: after.r14, token, badge: after.r15, label, words: after.words }
            }
            event::DONE => Event::Done { cookie: after.r13, label, words: after.words },
            event::CLOSED => Event::Closed { badge: after.r15 },
            event::CANCEL => Event::Cancel { token },
            event::NOTIFIED => Event::Notified { bits: after.words[0] },
            _ => Event::Timeout,
        }
    }
}

/// Answers, and receives the next event on `endpoint`.
///
/// An error of a reply with data or a connection means that nothing was delivered and that the token is
/// still good: answer again, with the errno. Other errors: see [`REPLY_RECV`].
#[inline(always)]
pub fn reply_recv(endpoint: u32, reply: &Reply<'_>, deadline: Deadline) -> Result<Event, Errno> {
    // SAFETY: the bytes are borrowed by `reply`.
    unsafe { reply.prepare().reply_recv(endpoint, deadline) }
}

/// Only answers. ESTALE: the caller no longer waits. EFAULT, EACCES: as [`reply_recv`].
pub fn reply(endpoint: u32, reply: &Reply<'_>) -> Result<(), Errno> {
    let Prepared { rax, words, token } = reply.prepare();
    let only_reply = (Flags::NO_RECEIVE.bits() as u64) << 16;
    // SAFETY: the bytes that it carries are borrowed by `reply`.
    let after = unsafe { raw(rax | only_reply, u64::from(endpoint), words, token.0, 0) };
    without_errno(after.rax as i64).map(drop)
}

/// The connection that this thread was told is closed, on `endpoint`, is forgotten.
pub fn forgotten(endpoint: u32) -> Result<(), Errno> {
    let flags = Flags::FORGOTTEN.union(Flags::NO_RECEIVE);
    // SAFETY: the call touches no memory of ours.
    let after = unsafe { raw(pack(REPLY_RECV, flags, 0), u64::from(endpoint), [0; 6], Token::NONE.0, 0) };
    without_errno(after.rax as i64).map(drop)
}

/// Hands request `token` of `endpoint` on to `connection`. Errors: see [`FORWARD`].
pub fn forward(endpoint: u32, connection: u32, token: Token, label: u32, words: [u64; 4]) -> Result<(), Errno> {
    let [a, b, c, d] = words;
    let (rax, words) = (pack(FORWARD, Flags::empty(), label), [u64::from(connection), a, b, c, d, 0]);
    // SAFETY: the call touches no memory of ours.
    let after = unsafe { raw(rax, u64::from(endpoint), words, token.0, 0) };
    without_errno(after.rax as i64).map(drop)
}

/// Sends a request whose answer arrives as [`Event::Done`] with `cookie`. Errors: see [`SUBMIT`].
pub fn submit(connection: u32, label: u32, words: Words, cookie: u64) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    let after = unsafe { raw(pack(SUBMIT, Flags::empty(), label), u64::from(connection), words, cookie, 0) };
    without_errno(after.rax as i64).map(drop)
}

/// Sets notification bits of an endpoint, or of the one behind a connection. Errors: see [`NOTIFY`].
pub fn notify(handle: u32, bits: u64) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(NOTIFY, [u64::from(handle), bits, 0, 0, 0, 0]) }.map(drop)
}

/// Copies from a lease of request `token`; returns the bytes copied. Errors: see [`COPY_IN`].
pub fn copy_in(endpoint: u32, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let (at, length) = (into.as_mut_ptr().expose_provenance() as u64, into.len() as u64);
    // SAFETY: the core writes only into `into`, which is borrowed exclusively.
    unsafe { checked(COPY_IN, [u64::from(endpoint), token.0, at, u64::from(lease), offset, length]) }
        .map(|copied| copied as usize)
}

/// Copies to a lease of request `token`; returns the bytes copied. Errors: see [`COPY_OUT`].
pub fn copy_out(endpoint: u32, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
    let (at, length) = (from.as_ptr().expose_provenance() as u64, from.len() as u64);
    // SAFETY: the core only reads `from`, which is borrowed.
    unsafe { checked(COPY_OUT, [u64::from(endpoint), token.0, at, u64::from(lease), offset, length]) }
        .map(|copied| copied as usize)
}

/// Interrupts the pending call of a thread. Errors: see [`CANCEL`].
pub fn cancel(thread: u32) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(CANCEL, [u64::from(thread), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Makes a connection to `endpoint`; returns its slot. Errors: see [`MINT`].
pub fn mint(endpoint: u32, badge: u64, rights: Rights) -> Result<u32, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(MINT, [u64::from(endpoint), badge, u64::from(rights.bits()), 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Closes the connections of `endpoint` that have `badge`. Errors: see [`REVOKE`].
pub fn revoke(endpoint: u32, badge: u64) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(REVOKE, [u64::from(endpoint), badge, 0, 0, 0, 0]) }.map(drop)
}

/// The first request in progress on `endpoint` of a thread numbered `first` or higher, as an [`Event::Request`].
/// ENOENT: there is none. Other errors: see [`REQUESTS`].
pub fn requests(endpoint: u32, first: u32) -> Result<Event, Errno> {
    let rax = pack(REQUESTS, Flags::empty(), 0);
    // SAFETY: the call touches no memory of ours.
    let after = unsafe { raw(rax, u64::from(endpoint), [u64::from(first), 0, 0, 0, 0, 0], 0, 0) };
    without_errno(after.rax as i64)?;
    Ok(Event::from(after))
}

/// Queues a request in progress again. Errors: see [`PUT_BACK`].
pub fn put_back(endpoint: u32, token: Token) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(PUT_BACK, [u64::from(endpoint), token.0, 0, 0, 0, 0]) }.map(drop)
}
