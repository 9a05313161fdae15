//! Steps that make, share and destroy handles, memory and threads.

use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::PAGE;
use parley_abi::call::*;
use parley_abi::msg::POLL;
use parley_abi::row::Row;
use parley_abi::slot;
use parley_proto::calltable;

use super::{Fuzzer, PAGES_AT};
use crate::stubs;

/// Rows of the call tables that cells make.
const ROWS: usize = 24;
static TABLE: [AtomicU64; 2 * ROWS] = [const { AtomicU64::new(0) }; 2 * ROWS];

impl Fuzzer {
    /// One call without a message.
    fn plain(&mut self, number: u16, rdi: u64, words: [u64; 5]) -> i64 {
        let [a, b, c, d, e] = words;
        self.call(u64::from(number), rdi, [a, b, c, d, e, 0], 0, POLL).rax as i64
    }

    pub(super) fn handle(&mut self) {
        let (from, rights) = (self.slot(), self.random.of(&[0xff, 0xff, 0x7ff, 3, 0]));
        match self.random.below(12) {
            0..4 => self.plain(HANDLE_DROP, from, [0; 5]),
            4 | 5 => {
                let to = if self.random.below(2) == 0 { self.slot() } else { u64::MAX };
                self.plain(HANDLE_COPY, from, [to, rights, 0, 0, 0])
            }
            6..8 => {
                let (space, to) = (self.space(), self.slot());
                self.plain(HANDLE_GRANT, space, [from, to, rights, 0, 0])
            }
            8 => self.plain(HANDLE_INFO, from, [0; 5]),
            9 | 10 => {
                let quota = self.quota();
                self.plain(ENDPOINT_CREATE, quota, [0; 5])
            }
            _ => self.table(),
        };
    }

    /// Makes a call table of rows that lead to the common slots, or gives a space one.
    fn table(&mut self) -> i64 {
        if self.random.below(2) == 0 {
            let (space, table) = (self.mostly(kind::SPACE), self.mostly(kind::TABLE));
            return self.plain(SPACE_TABLE, space, [table, 0, 0, 0, 0]);
        }
        for words in TABLE.chunks_exact(2) {
            let row = self.row();
            let [low, high] = [row as u64, (row >> 64) as u64];
            words[0].store(low, Ordering::Relaxed);
            words[1].store(high, Ordering::Relaxed);
        }
        let (quota, at) = (self.quota(), TABLE.as_ptr().expose_provenance() as u64);
        let rows = self.random.below(ROWS as u64 + 1);
        self.plain(TABLE_CREATE, quota, [at, rows, 0, 0, 0])
    }

    /// A row of the real table with another slot; now and then with a bit changed.
    fn row(&mut self) -> u128 {
        let row = calltable::TABLE[self.random.below(calltable::TABLE.len() as u64) as usize];
        let bytes = Row { slot: self.slot() as u16, ..row }.to_bytes();
        let flip = if self.random.below(64) == 0 { 1u128 << self.random.below(128) } else { 0 };
        u128::from_le_bytes(bytes) ^ flip
    }

    pub(super) fn memory(&mut self) {
        let (quota, space) = (self.quota(), self.space());
        let (page, pages) = (PAGES_AT + self.random.below(16) * PAGE as u64, self.random.below(12));
        match self.random.below(24) {
            0..3 => self.plain(MEM_CREATE, quota, [pages, 0, 0, 0, 0]),
            3..9 => {
                let prot = self.random.of(&[prot::READ, 3, 3, 3, prot::READ | prot::EXECUTE, prot::WRITE, 7]);
                let (mem, from, count) = (self.mostly(kind::MEM), self.random.below(3), 1 + self.random.below(4));
                self.plain(MAP, space, [mem, page, prot, from, count])
            }
            9..13 => self.plain(UNMAP, space, [page, pages, 0, 0, 0]),
            13 | 14 => {
                let (at, length, offset) = (self.buffer(), self.length(), self.random.below(20_000));
                let number = self.random.of(&[MEM_WRITE, MEM_READ]);
                let mem = self.mostly(kind::MEM);
                self.plain(number, mem, [offset, at, length, 0, 0])
            }
            15 | 16 => self.plain(SPACE_CREATE, quota, [0; 5]),
            17..20 => {
                let size = self.random.below(60);
                self.plain(QUOTA_CREATE, quota, [size, 0, 0, 0, 0])
            }
            20 | 21 => {
                let destroyed = self.mostly(kind::QUOTA);
                self.plain(QUOTA_DESTROY, destroyed, [0; 5])
            }
            22 => self.plain(QUOTA_INFO, quota, [0; 5]),
            _ => {
                self.touch(page);
                0
            }
        };
    }

    /// Makes a call write to a page that may or may not be mapped.
    fn touch(&mut self, page: u64) {
        let at = page + self.random.below(PAGE as u64);
        self.plain(COUNTERS, at, [0; 5]);
    }

    pub(super) fn thread(&mut self) {
        let thread = self.mostly(kind::THREAD);
        let priority = self.random.below(9);
        match self.random.below(16) {
            0..5 => self.new_thread(),
            5..10 => self.plain(THREAD_START, thread, [0; 5]),
            10 | 11 => self.plain(THREAD_KILL, thread, [0; 5]),
            12 | 13 => self.plain(THREAD_PRIORITY, thread, [priority, 0, 0, 0, 0]),
            14 => {
                let (space, connection) = (self.mostly(kind::SPACE), self.mostly(kind::CONNECTION));
                self.plain(SPACE_FAULTS, space, [connection, 0, 0, 0, 0])
            }
            _ => self.plain(YIELD, 0, [0; 5]),
        };
    }

    /// Makes a thread that runs a stub, where there is this program, or faults.
    fn new_thread(&mut self) -> i64 {
        let (space, quota, argument) = (self.space(), self.quota(), self.slot());
        let entry = if self.random.below(8) == 0 { self.word() } else { self.random.of(&stubs::entries()) };
        let stack = self.random.of(&[0, PAGES_AT + PAGE as u64, 1 << 47, u64::MAX, 0x7fff_ffff_f000]);
        let priority = self.random.below(9);
        let made = self.plain(THREAD_CREATE, space, [quota, entry, stack, argument, priority]);
        if made >= i64::from(slot::FREE) && self.random.below(2) == 0 {
            self.plain(THREAD_START, made as u64, [0; 5]);
        }
        made
    }
}
