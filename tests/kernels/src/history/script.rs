//! What is played: the next call, by chance, most often one that makes sense.

use alloc::vec::Vec;
use parley_abi::call::{
    CALL, COPY_IN, COPY_OUT, FORWARD, HANDLE_DROP, NOTIFY, NULL, PUT_BACK, REPLY_RECV, REQUESTS, SUBMIT, YIELD,
};
use parley_abi::msg::{Flags, POLL, pack};
use parley_abi::row::{LeaseRow, Op, Row, Shape};

use crate::actor::{BUFFER, BUFFER_AT, CALLS, Desk, LAST, LOADED};
use crate::stage::{CONNECTIONS, ENDPOINTS, connection_slot, endpoint_slot};
use crate::tool::random::Random;

const READ: LeaseRow = LeaseRow { shape: Shape::Read, word: 0, size: 0 };
const WRITE: LeaseRow = LeaseRow { shape: Shape::Write, word: 0, size: 0 };

/// Rows of the call table.
const ROWS: usize = 7;

/// The call table of all address spaces: rows to a slot in rdi or their own, with a buffer or without, and one that opens.
pub fn table() -> [Row; ROWS] {
    let to = |label, lease| Row { op: Op::SendTo, label, leases: [lease, LeaseRow::default()], ..Row::NONE };
    let slot = connection_slot(1) as u16;
    [
        to(1, LeaseRow::default()),
        to(2, WRITE),
        to(3, READ),
        Row { op: Op::Send, slot, label: 4, ..Row::NONE },
        Row { op: Op::Send, slot, label: 5, leases: [WRITE, LeaseRow::default()], ..Row::NONE },
        Row { opens: 1, ..to(6, LeaseRow::default()) },
        Row { op: Op::Yield, ..Row::NONE },
    ]
}

/// What has been seen and can be used again.
#[derive(Default)]
pub struct Known {
    /// Tokens by endpoint, the newest last.
    pub tokens: [Vec<u64>; ENDPOINTS],
}

impl Known {
    /// A request was received.
    pub fn token(&mut self, endpoint: usize, token: u64) {
        self.tokens[endpoint].push(token);
        if self.tokens[endpoint].len() > 4 {
            self.tokens[endpoint].remove(0);
        }
    }

    fn some_token(&mut self, random: &mut Random, endpoint: usize) -> u64 {
        let tokens = &mut self.tokens[endpoint];
        match random.next() % 8 {
            0 => 0,
            1 => tokens.first().copied().unwrap_or(0),
            2 => tokens.last().copied().unwrap_or(0),
            3..6 => LAST,
            6 => u64::from(tokens.last().copied().unwrap_or(0) as u32) | 1 << 40,
            _ => tokens.pop().unwrap_or(0),
        }
    }
}

/// The next calls of the actor at `desk`, and on which endpoint each receives, if it does. Half of the lists are those of
/// a server that answers what it received last.
pub fn next(random: &mut Random, known: &mut Known, desk: Desk) -> Vec<Call> {
    let len = 1 + random.next() % CALLS as u64;
    match random.next() % 2 {
        0 => (0..len).map(|_| any(random, known, desk)).collect(),
        _ => {
            let endpoint = (random.next() % ENDPOINTS as u64) as usize;
            (0..len).map(|_| served(random, desk, endpoint, LAST)).collect()
        }
    }
}

/// Registers, and the endpoint on which it receives.
pub type Call = ([u64; LOADED], Option<usize>);

fn call_of(rax: u64, rdi: u64, args: [u64; 6], r13: u64, r14: u64) -> Call {
    let [rsi, rdx, r10, r8, r9, r12] = args;
    ([rax, rdi, rsi, rdx, r10, r8, r9, r12, r13, r14], None)
}

/// An address in the actor's buffer and a length, mostly short.
fn buffer(random: &mut Random, desk: Desk) -> (u64, u64) {
    let [a, b, c, ..] = random.words();
    let len = b % (BUFFER - 64);
    (desk.address() + BUFFER_AT + a % 64, if c.is_multiple_of(4) { len } else { len % 64 })
}

/// `reply_recv`, with everything that it can carry.
fn served(random: &mut Random, desk: Desk, endpoint: usize, token: u64) -> Call {
    let (buffer, len) = buffer(random, desk);
    let [a, b, c, d, ..] = random.words();
    let (flags, args) = match random.next() % 16 {
        0..3 => (Flags::DATA, [c, buffer, len, 0, 0, d]),
        3..5 => (Flags::FILL, [c, buffer, len, 0, 0, d]),
        5 => (Flags::OPEN, [c, d % 8, 0, 0, 0, 0]),
        6 => (Flags::NO_RECEIVE, [c, a, b, d, a, b]),
        7 => (Flags::NO_RECEIVE.union(Flags::DATA), [c, buffer, len, 0, 0, d]),
        _ => (Flags::empty(), [c % 4096, a, b, d, a, b]),
    };
    let wait = if random.next().is_multiple_of(8) { POLL } else { 0 };
    let rax = pack(REPLY_RECV, flags, d as u32 % 1000);
    (call_of(rax, u64::from(endpoint_slot(endpoint)), args, token, wait).0, Some(endpoint))
}

/// Any call.
fn any(random: &mut Random, known: &mut Known, desk: Desk) -> Call {
    let endpoint = (random.next() % ENDPOINTS as u64) as usize;
    let here = u64::from(endpoint_slot(endpoint));
    let connection = u64::from(connection_slot((random.next() % CONNECTIONS as u64) as usize));
    let [a, b, c, d, ..] = random.words();
    let (buffer, len) = buffer(random, desk);
    let call = |flags| pack(CALL, flags, d as u32 % 1000);
    let plain = |number| pack(number, Flags::empty(), d as u32 % 1000);
    match random.next() % 100 {
        0..22 => call_of(call(Flags::empty()), connection, random.words(), 0, 0),
        22..25 => call_of(call(Flags::LEND_READ), connection, [buffer, len, c, d, a, b], 0, 0),
        25..28 => call_of(call(Flags::LEND_WRITE), connection, [buffer, len, c, d, a, b], 0, 0),
        28 => call_of(call(Flags::ACCEPT_HANDLE), connection, random.words(), 0, 0),
        29..52 => {
            let to = if c.is_multiple_of(16) { d % 5000 } else { connection };
            let number = d % ROWS as u64;
            let (rdi, rsi, rdx) = if number == 4 { (buffer, len, c) } else { (to, buffer, len) };
            call_of(number, rdi, [rsi, rdx, c, d, a, b], a, b)
        }
        52..72 => {
            let token = known.some_token(random, endpoint);
            served(random, desk, endpoint, token)
        }
        72..86 => {
            let to = if c.is_multiple_of(3) { connection } else { here };
            call_of(plain(NOTIFY), to, [b % 16, c, d, a, b, c], a, b)
        }
        86..88 => {
            call_of(plain(COPY_IN), here, [known.some_token(random, endpoint), buffer, a % 2, c % 64, len, 0], 0, 0)
        }
        88..90 => {
            call_of(plain(COPY_OUT), here, [known.some_token(random, endpoint), buffer, a % 2, c % 64, len, 0], 0, 0)
        }
        90..94 => call_of(plain(HANDLE_DROP), connection, [0; 6], 0, 0),
        94 => call_of(plain(FORWARD), here, [connection, a, b, c, d, 0], known.some_token(random, endpoint), 0),
        95 => call_of(plain(SUBMIT), connection, [a, b, c, d, a, b], c % 1000, 0),
        96 => call_of(plain(YIELD), 0, [0; 6], 0, 0),
        97 => call_of(plain(REQUESTS), here, [0; 6], 0, 0),
        98 => call_of(plain(PUT_BACK), here, [known.some_token(random, endpoint), 0, 0, 0, 0, 0], 0, 0),
        _ => call_of(plain(NULL), a, [a, b, c, d, a, b], c, d),
    }
}
