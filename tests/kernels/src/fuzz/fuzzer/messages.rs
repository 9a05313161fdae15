//! Steps that send, receive, answer and copy.

use parley_abi::call::{CALL, CANCEL, COPY_IN, COPY_OUT, FORWARD, MINT, NOTIFY, REPLY_RECV, REVOKE, SUBMIT, kind};
use parley_abi::msg::{Flags, POLL, event};

use super::{Fuzzer, Request};

/// Flags of calls: the lending ones alone and together, and one that does not belong there.
const CALL_FLAGS: [Flags; 7] = [
    Flags::empty(),
    Flags::LEND_READ,
    Flags::LEND_WRITE,
    Flags::ACCEPT_HANDLE,
    Flags::LEND_READ.union(Flags::LEND_WRITE_2),
    Flags::LEND_WRITE.union(Flags::LEND_READ_2).union(Flags::ACCEPT_HANDLE),
    Flags::DATA,
];
/// Flags of replies.
const REPLY_FLAGS: [Flags; 8] = [
    Flags::empty(),
    Flags::empty(),
    Flags::DATA,
    Flags::FILL,
    Flags::OPEN,
    Flags::OPEN.union(Flags::CLOSE_ON_EXEC),
    Flags::NO_RECEIVE,
    Flags::DATA.union(Flags::FILL),
];

/// Steps that a request gets before the thread does something else.
const SERVED: u32 = 3;

impl Fuzzer {
    pub(super) fn message(&mut self) {
        match self.random.below(40) {
            0..12 => self.send(),
            12..28 => self.receive(),
            28..31 => self.copy(),
            31 => self.forward(),
            32 => self.submit(),
            33..36 => self.mint(),
            36 | 37 => self.notify(),
            _ => self.cancel(),
        }
    }

    /// A step for a request that came just now.
    pub(super) fn serve(&mut self) {
        match self.random.below(8) {
            0..4 => self.copy(),
            4 => self.forward(),
            _ => self.receive(),
        }
    }

    /// The bits of rax above the number.
    fn flags(&mut self, choices: &[Flags]) -> u64 {
        u64::from(self.random.of(choices).bits()) << 16 | self.random.below(8) << 32
    }

    fn connection(&mut self) -> u64 {
        self.mostly(kind::CONNECTION)
    }

    fn endpoint(&mut self) -> u64 {
        self.mostly(kind::ENDPOINT)
    }

    fn send(&mut self) {
        let (to, flags) = (self.connection(), self.flags(&CALL_FLAGS));
        let words = [self.buffer(), self.length(), self.buffer(), self.random.below(200), 0, 0];
        let deadline = self.deadline();
        self.call(u64::from(CALL) | flags, to, words, 0, deadline);
    }

    fn receive(&mut self) {
        let request = self.request();
        let (flags, deadline) = (self.flags(&REPLY_FLAGS), self.deadline());
        let words = [self.random.below(3), self.buffer(), self.length(), 0, 0, 0];
        let got = self.call(u64::from(REPLY_RECV) | flags, request.endpoint, words, request.token, deadline);
        if got.r13 != 0 && got.rax as i64 >= 0 {
            self.requests.rotate_right(1);
            self.requests[0] = Request { endpoint: request.endpoint, token: got.r13 };
            self.fresh = if got.rax as u32 == event::REQUEST { SERVED } else { 0 };
        }
    }

    /// What is to be answered or copied: mostly the latest, sometimes none, an old one, or nonsense.
    fn request(&mut self) -> Request {
        let known = self.random.of(&self.requests);
        match self.random.below(16) {
            0..3 => Request { endpoint: self.endpoint(), token: 0 },
            3 => Request { token: known.token.wrapping_add(1 << 32), ..known },
            4 => Request { endpoint: self.endpoint(), token: self.random.next() },
            5 | 6 => known,
            _ if self.requests[0].endpoint == 0 => Request { endpoint: self.endpoint(), token: 0 },
            _ => self.requests[0],
        }
    }

    fn copy(&mut self) {
        let (number, Request { endpoint, token }) = (self.random.of(&[COPY_IN, COPY_OUT]), self.request());
        let lease = self.random.of(&[0, 0, 0, 1, 2]);
        let words = [token, self.buffer(), lease, self.random.below(5000), self.length(), 0];
        self.call(u64::from(number), endpoint, words, 0, POLL);
    }

    fn forward(&mut self) {
        let (Request { endpoint, token }, to) = (self.request(), self.connection());
        self.call(u64::from(FORWARD), endpoint, [to, 1, 2, 3, 4, 0], token, 0);
    }

    fn submit(&mut self) {
        let (to, cookie) = (self.connection(), self.random.next());
        self.call(u64::from(SUBMIT), to, [1, 2, 3, 4, 5, 6], cookie, 0);
    }

    fn mint(&mut self) {
        let (on, badge) = (self.endpoint(), self.random.below(4));
        let number = self.random.of(&[MINT, MINT, MINT, REVOKE]);
        self.call(u64::from(number), on, [badge, 3, 0, 0, 0, 0], 0, POLL);
    }

    fn notify(&mut self) {
        let kind = self.random.of(&[kind::CONNECTION, kind::ENDPOINT]);
        let (to, bits) = (self.mostly(kind), self.random.next());
        self.call(u64::from(NOTIFY), to, [bits, 0, 0, 0, 0, 0], 0, POLL);
    }

    fn cancel(&mut self) {
        let thread = self.mostly(kind::THREAD);
        self.call(u64::from(CANCEL), thread, [0; 6], 0, POLL);
    }
}
