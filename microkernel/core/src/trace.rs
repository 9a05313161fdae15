//! The trace: a ring of typed events, recorded where ring 0 is entered and left.
//!
//! While it is off, system calls, messages and switches have no event sites at all: switching it on points
//! LSTAR at another entry ([`crate::arch::entry::choose_syscall_entry`]), which takes no short cut and comes
//! here. Exceptions and interrupts have one site each, a compare and a jump. What was sent and who runs now
//! is read off the threads on the way out, so that neither the handlers nor the short cuts know of it.
//!
//! Its memory belongs to the root quota, from the first `ON` to the next `OFF`.

use parley_abi::call::{FIRST, REPLY_RECV};
use parley_abi::trace::{EVENTS, Event, NOBODY, kind, mode};
use parley_abi::{Errno, PAGE};

use crate::arch::entry::{self, Posix};
use crate::arch::frame::SYSCALL;
use crate::arch::vectors;
use crate::boot::ROOT_QUOTA;
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Memory, Thread};

/// Events in a page.
const PER_PAGE: usize = PAGE / size_of::<Event>();
/// Pages of the ring.
const PAGES: usize = EVENTS / PER_PAGE;

/// The ring.
#[derive(Default)]
pub struct Trace {
    /// Whether events are recorded.
    pub on: bool,
    /// Where they lie.
    memory: Ref<Memory>,
    /// Events written and read since it was switched on.
    written: u64,
    read: u64,
}

impl Core {
    /// Where event number `number` lies.
    fn event(&mut self, number: u64) -> Option<*mut Event> {
        let at = number as usize % EVENTS;
        let page = self.memories.get_mut(self.trace.memory)?.frame((at / PER_PAGE) as u64, &mut self.frames)?;
        Some(page.pointer::<Event>().wrapping_add(at % PER_PAGE))
    }

    /// The oldest event that was not read.
    fn next_recorded(&mut self) -> Option<Event> {
        let Trace { written, read, .. } = self.trace;
        let oldest = written.saturating_sub(EVENTS as u64);
        if read < oldest {
            self.trace.read = oldest;
            return Some(Event { kind: kind::LOST, thread: NOBODY, words: [oldest - read, 0], ..Event::default() });
        }
        let place = self.event(read).filter(|_| read < written)?;
        self.trace.read += 1;
        // SAFETY: the place is in a page that is the ring's alone, and was written.
        Some(unsafe { place.read() })
    }

    /// Switches the trace. EINVAL: no such mode. ENOMEM: no memory for the ring.
    pub fn switch_trace(&mut self, to: u64) -> Result<(), Errno> {
        match to {
            mode::ON => {
                if self.memories.get(self.trace.memory).is_none() {
                    self.trace.memory = self.create_memory(ROOT_QUOTA, PAGES as u64)?;
                }
                self.trace = Trace { on: true, memory: self.trace.memory, written: 0, read: 0 };
            }
            mode::PAUSE => self.trace.on = false,
            mode::OFF => {
                let memory = core::mem::take(&mut self.trace).memory;
                while self.free_memory_step(memory) {}
            }
            _ => return Err(Errno::EINVAL),
        }
        self.choose_entries();
        Ok(())
    }

    /// From now on short cuts are taken, or not.
    pub fn take_short_cuts(&mut self, are: bool) {
        self.short_cuts = are;
        self.choose_entries();
    }

    fn choose_entries(&mut self) {
        self.fast_irqs = self.short_cuts && !self.trace.on;
        entry::choose_syscall_entry(self.trace.on, self.short_cuts);
    }

    /// Takes the oldest events out; how many.
    pub fn take_events(&mut self, into: &mut [Event]) -> usize {
        let taken = into.iter_mut().map_while(|place| self.next_recorded().map(|event| *place = event));
        taken.count()
    }

    fn record(&mut self, thread: Ref<Thread>, kind: u32, words: [u64; 2]) {
        let thread = if thread == Ref::NONE { NOBODY } else { thread.place };
        let event = Event { time: self.clock.now(), thread, kind, words };
        if let Some(place) = self.event(self.trace.written).filter(|_| self.trace.on) {
            // SAFETY: the place is in a page that is the ring's alone.
            unsafe { place.write(event) };
            self.trace.written += 1;
        }
    }

    /// A system call, of either kind, with all registers saved.
    #[cold]
    pub fn traced_call(&mut self, rax: u64) {
        let (caller, number) = (self.current, rax as u16);
        let Thread { ref frame, ref mut waits_for, .. } = self.threads[caller];
        *waits_for = Ref::NONE; // a request that is sent says where
        let sends = number != REPLY_RECV;
        let (first, token, answer) = (frame.args[0], frame.r13, frame.args[1]);
        self.record(caller, kind::CALL, [rax, first]);
        if number == REPLY_RECV && token != 0 {
            self.record(caller, kind::REPLY, [token, answer]);
        }
        if number >= FIRST {
            entry::on_native(self, rax);
        } else if let Posix { result, switched: 0 } = entry::on_posix(self, number) {
            self.thread().frame.rax = result as u64;
        }
        if let Some(thread) = self.threads.get(caller).filter(|thread| sends && thread.waits_for != Ref::NONE) {
            let (label, endpoint) = (thread.request.row.label() as u64, thread.waits_for.place as u64);
            self.record(caller, kind::MESSAGE, [label | endpoint << 32, thread.request.badge]);
        }
        self.record_exit(caller);
    }

    /// A vector that struck in ring 3.
    #[cold]
    pub fn traced_vector(&mut self) {
        let before = self.current;
        let frame = &self.threads[before].frame;
        let (vector, error, rip) = (frame.kind as u8, frame.number, frame.rip);
        match vector >= vectors::IRQ {
            true => self.record(before, kind::INTERRUPT, [vector as u64, 0]),
            false => self.record(before, kind::FAULT, [vector as u64 | error << 32, rip]),
        }
        self.vector_from_ring_3();
        self.record_exit(before);
    }

    /// An interrupt that ended the idle loop.
    #[cold]
    pub fn traced_idle_interrupt(&mut self, vector: u8) {
        self.record(Ref::NONE, kind::INTERRUPT, [vector as u64, 0]);
        self.interrupt_while_idle(vector);
        self.record_exit(Ref::NONE);
    }

    /// Who leaves ring 0, and with what.
    fn record_exit(&mut self, before: Ref<Thread>) {
        let now = self.current;
        if now != before {
            self.record(now, kind::SWITCH, [if before == Ref::NONE { NOBODY } else { before.place } as u64, 0]);
        }
        if let Some(frame) = self.threads.get(now).map(|thread| &thread.frame).filter(|frame| frame.kind == SYSCALL) {
            self.record(now, kind::RETURN, [frame.rax, frame.r13]);
        }
    }
}
