//! The world as a service in ring 0 sees it: the core, through [`Host`].

use core::sync::atomic::Ordering::Relaxed;

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_abi::slot::service::NAMES;
use parley_core::Core;
use parley_core::ipc::lease::lent;
use parley_core::log::Level;
use parley_core::mem::slab::Ref;
use parley_core::object::table::Packed;
use parley_core::object::thread::{How, Kind, State, Thread};
use parley_core::uaccess::Claim;
use parley_seam::Host;

use crate::places::{ask, endpoint, place};
use crate::rows::is_sent_to;

/// What a service is asked from, while it runs.
pub struct Seat<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) number: u8,
    /// The row that is being served and is not written down, with its badge: a function was called for it.
    pub(crate) unwritten: Option<(Packed, u64)>,
}

impl Seat<'_> {
    /// From here on others may look at the request, or call upon the service: it is written down, and the service is
    /// busy.
    #[inline(always)]
    pub(crate) fn open_up(&mut self) {
        if let Some((row, badge)) = self.unwritten.take() {
            self.write_down(row, badge);
        }
    }

    #[inline(never)]
    fn write_down(&mut self, row: Packed, badge: u64) {
        place(self.number).busy.store(true, Relaxed);
        let (to, first) = (endpoint(self.number), is_sent_to(row) as u8);
        let caller = self.core.note_request((to, badge), How::in_registers(Kind::Posix, first), row);
        self.core.threads[caller].state = State::Awaiting;
    }

    /// A buffer of the request `token`: of the one that is being served, or of another.
    #[inline(always)]
    fn lease(&mut self, token: Token, number: u8, write: bool) -> Result<Claim, Errno> {
        let thread = self.core.threads.peek(self.core.current);
        match self.unwritten {
            Some((row, _)) if thread.token == token => lent(thread, row, is_sent_to(row) as u8, number as u64, write),
            _ => {
                let caller = self.caller(token)?;
                self.core.lease(caller, number as u64, write)
            }
        }
    }

    #[inline(never)]
    fn caller(&mut self, token: Token) -> Result<Ref<Thread>, Errno> {
        self.open_up();
        self.core.awaiting(endpoint(self.number), token)
    }
}

impl Host for Seat<'_> {
    fn now(&mut self) -> u64 {
        self.core.clock.now()
    }

    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let part = self.lease(token, lease, false)?.part(offset, into.len() as u64);
        let copied = part.copy_in(into, &mut self.core.leaves[1])?;
        self.core.count_copy(copied);
        Ok(copied.bytes)
    }

    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        let part = self.lease(token, lease, true)?.part(offset, from.len() as u64);
        let copied = part.copy_out(from, &mut self.core.leaves[1])?;
        self.core.count_copy(copied);
        Ok(copied.bytes)
    }

    fn reply(&mut self, token: Token, result: i64) {
        let Ok(caller) = self.caller(token) else { return };
        match self.core.complete(caller, 0, result, [result as u64, 0, 0, 0, 0, 0]) {
            // It is still inside the call that asked.
            Some(caller) if caller == self.core.current => self.core.resched = true,
            Some(caller) => self.core.wake(caller),
            None => {}
        }
    }

    fn call(&mut self, service: u8, label: u32, words: Words) -> Result<Words, Errno> {
        self.open_up();
        ask(self.core, service, label, &words)
    }

    fn set_alarm(&mut self, at: u64) {
        place(self.number).alarm.store(at, Relaxed);
        self.core.update_timer();
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        self.open_up();
        let name = NAMES[self.number as usize];
        self.core.log(Level::Info, format_args!("{name}: {line}"));
    }

    fn dump_threads(&mut self) {
        self.open_up();
        self.core.dump_threads();
    }

    fn read_log(&mut self, into: &mut [u8]) -> usize {
        self.core.log.claim(endpoint(self.number));
        self.core.log.take(into)
    }
}
