//! `Core`: all the state of ring 0, and the few moves that change who runs.
//!
//! There is one value, and the entry code lends it to one handler at a time. Handlers never block: they
//! change states and queues, and whoever is current when they return is who ring 0 leaves for.

use parley_abi::{Counters, Token};

use crate::IMAGE;
use crate::arch::apic::Apic;
use crate::arch::clock::Clock;
use crate::arch::descriptors::{PORT_BITMAPS, clear_selectors};
use crate::arch::entry::CpuLocal;
use crate::arch::frame::Frame;
use crate::arch::tlb::Root;
use crate::arch::{fpu, paging, vectors};
use crate::boot::Power;
use crate::deadline::Deadlines;
use crate::dump::Dump;
use crate::ipc::LONGEST_CHAIN;
use crate::log::Log;
use crate::mem::{Frames, Phys, Ref, Slab};
use crate::object::{Connection, Endpoint, Irq, Memory, Quota, Region, Space, State, Submission, Table, Thread};
use crate::sched::Ready;
use crate::trace::Trace;
use crate::uaccess::{Claim, Copied};

/// Everything ring 0 knows.
pub struct Core {
    /// The thread that runs, or [`Ref::NONE`] while the machine idles.
    pub current: Ref<Thread>,
    /// The first thread: without it there is no system.
    pub init: Ref<Thread>,
    /// Somebody more urgent than the current thread became ready, or it can't go on.
    pub resched: bool,
    /// Where a waiting server has not heard of closed connections, when that is due, in nanoseconds, and how urgent it is
    /// at most.
    pub unheard: Option<(Ref<Endpoint>, u64, u8)>,
    /// The page tables that are loaded.
    pub root: Root,
    /// Whose registers the FPU holds.
    pub fpu_owner: Ref<Thread>,
    /// CR0 that is loaded.
    pub cr0: u64,
    /// Page tables of the last copies between two programs: those of the server, and those of its client.
    pub leaves: [paging::Leaf; 2],
    /// Whether the processor has instructions for segment bases.
    pub fast_bases: bool,
    /// Whether the [short cuts](crate::arch::shortcut) are taken. Without them everything goes the long way, which
    /// comes to the same: tests compare both.
    pub short_cuts: bool,
    /// The same for interrupts, which have none either while the trace is on.
    pub fast_irqs: bool,
    /// Threads, and what else handles lead to.
    pub threads: Slab<Thread>,
    /// See [`Space`].
    pub spaces: Slab<Space>,
    /// See [`Connection`].
    pub connections: Slab<Connection>,
    /// See [`Endpoint`].
    pub endpoints: Slab<Endpoint>,
    /// See [`Table`].
    pub tables: Slab<Table>,
    /// See [`Quota`].
    pub quotas: Slab<Quota>,
    /// See [`Memory`].
    pub memories: Slab<Memory>,
    /// See [`Region`].
    pub regions: Slab<Region>,
    /// See [`Submission`].
    pub submissions: Slab<Submission>,
    /// Objects without handles that are still to be taken apart.
    pub doomed: crate::object::doomed::Doomed,
    /// Interrupt lines, by number.
    pub irqs: [Irq; vectors::IRQS],
    /// Threads that could run.
    pub ready: Ready,
    /// Threads whose waiting ends by itself.
    pub deadlines: Deadlines,
    /// When the current thread has to let its equals run, in nanoseconds.
    pub slice_end: u64,
    /// Since when the time that passes has not been accounted for, in nanoseconds.
    pub accounted: u64,
    /// What `compare` counts.
    pub counters: Counters,
    /// Free frames.
    pub frames: Frames,
    /// Root of the page tables that every space copies its upper half from.
    pub kernel_root: Phys,
    /// Port bitmaps in use.
    pub port_bitmaps: [bool; PORT_BITMAPS],
    /// Time.
    pub clock: Clock,
    /// Interrupt controllers.
    pub apic: Apic,
    /// The kernel log.
    pub log: Log,
    /// Events, while somebody records them.
    pub trace: Trace,
    /// A list of all threads on its way into the log.
    pub dump: Dump,
    /// How to switch the machine off.
    pub power: Power,
    /// What the entry code shares with us.
    pub cpu: &'static mut CpuLocal,
    /// POSIX numbers that were called in vain and have been logged.
    pub unknown_calls: [u64; 64],
    /// Registers of "nobody runs".
    pub idle: Frame,
}

impl Core {
    /// The running thread.
    #[inline(always)]
    pub fn thread(&mut self) -> &mut Thread {
        self.threads.live(self.current)
    }

    /// The running thread's address space.
    #[inline(always)]
    pub fn current_space(&self) -> Ref<Space> {
        self.threads.peek(self.current).space
    }

    /// A claim of the running thread to its own memory.
    #[inline(always)]
    pub fn claim(&self, address: u64, len: u64) -> Claim {
        Claim::new(self.root, address, len)
    }

    /// Accounts for a copy.
    #[inline(always)]
    pub fn count_copy(&mut self, copied: Copied) {
        self.counters.bytes_copied += copied.bytes as u64;
        self.counters.rep_extra += copied.rep_extra;
    }

    /// Makes a thread the current one. It is in no queue.
    #[inline(always)]
    pub fn switch_to(&mut self, next: Ref<Thread>) {
        self.current = next;
        let thread = self.threads.live(next);
        thread.state = State::Ready;
        self.cpu.set_frame(&raw mut thread.frame);
        if thread.root != self.root {
            self.root = thread.root;
            self.counters.space_switches += 1;
            self.cpu.tss.hardware.iomap_base = thread.map_base;
            paging::activate(thread.root);
        }
        // Not only if they differ: ring 3 can change the registers.
        fpu::load_bases(thread.fs_base, self.fast_bases);
        if thread.cr0 != self.cr0 {
            self.cr0 = thread.cr0;
            fpu::load_cr0(thread.cr0);
        }
    }

    /// Lets a thread run when its turn comes; one that has some of a turn left, before its equals.
    pub fn wake(&mut self, at: Ref<Thread>) {
        self.threads[at].state = State::Ready;
        let priority = self.queue(at);
        self.has_become_ready(priority);
    }

    fn queue(&mut self, at: Ref<Thread>) -> u8 {
        let Thread { priority, slice, .. } = self.threads[at];
        let push = if slice == 0 { Ready::push } else { Ready::push_front };
        push(&mut self.ready, &mut self.threads, at, priority);
        priority
    }

    /// A thread of this priority is in the ready queue now: it goes first if it is more urgent, and its
    /// equals let it have a turn.
    pub fn has_become_ready(&mut self, priority: u8) {
        match self.threads.get(self.current) {
            Some(current) if priority < current.priority => {}
            Some(current) if priority == current.priority => self.update_timer(),
            _ => self.resched = true,
        }
    }

    /// The current thread does not go on: what was kept for later is told, and the most urgent ready thread runs.
    pub fn schedule(&mut self) {
        self.spread_news();
        self.run_next();
    }

    /// Makes the most urgent ready thread the current one; with none, the machine idles.
    fn run_next(&mut self) {
        self.resched = false;
        let now = self.account();
        match self.ready.pop(&mut self.threads) {
            Some(next) => {
                let thread = &mut self.threads[next];
                let left = core::mem::take(&mut thread.slice);
                self.slice_end = now + if left == 0 { self.ready.slice(thread.priority) } else { left };
                if self.threads[next].root != self.root {
                    clear_selectors();
                }
                self.switch_to(next);
            }
            None => {
                self.current = Ref::NONE;
                self.idle.kind = 0; // left by iretq, which forgets how it was entered
                self.cpu.set_frame(&raw mut self.idle);
            }
        }
        self.update_timer();
    }

    /// The time since the last account goes to the thread in whose turn it passed: the current one, or at the other
    /// end of a chain of requests whoever made the first. Messages on the short cuts go on in the same turn, so
    /// they need no account. Returns the time.
    pub fn account(&mut self) -> u64 {
        self.account_for(self.current)
    }

    /// As [`Core::account`], if `at` is at this end of the chain.
    pub fn account_for(&mut self, mut at: Ref<Thread>) -> u64 {
        let now = self.clock.now();
        let passed = now - core::mem::replace(&mut self.accounted, now);
        for _ in 0..LONGEST_CHAIN {
            let serving = self.threads.get(at).map_or(Token::NONE, |thread| thread.serving);
            match self.threads.at_place(serving.thread()) {
                Some(caller) if serving != Token::NONE && self.threads[caller].token == serving => at = caller,
                _ => break,
            }
        }
        if let Some(payer) = self.threads.get_mut(at) {
            payer.cpu_time += passed;
        }
        now
    }

    /// At the end of a handler: somebody else goes on if he is more urgent, or the current thread can't.
    pub fn settle(&mut self) {
        if !self.resched {
            return;
        }
        IMAGE.residents.settle(self);
        let current = self.threads.get(self.current).filter(|current| current.state == State::Ready);
        match current.map(|current| current.priority) {
            None => self.schedule(),
            Some(priority) if self.ready.above(priority) => {
                self.threads[self.current].slice = self.left_of_turn();
                self.queue(self.current);
                self.run_next();
            }
            Some(_) => self.resched = false,
        }
    }

    /// What is left of the current turn, in nanoseconds.
    pub fn left_of_turn(&self) -> u64 {
        self.slice_end.saturating_sub(self.clock.now())
    }

    /// Lets the current thread's equals run, if there are any.
    pub fn yield_now(&mut self) {
        self.thread().frame.rax = 0;
        let priority = self.thread().priority;
        if self.ready.occupied_at(priority) {
            self.ready.push(&mut self.threads, self.current, priority);
            self.schedule();
        }
    }

    /// Entry for a vector that struck in ring 3.
    pub fn vector_from_ring_3(&mut self) {
        let vector = self.thread().frame.kind as u8;
        if vector >= vectors::IRQ {
            self.interrupt(vector);
        } else {
            self.exception(vector);
        }
        self.settle();
    }

    /// Entry for an interrupt that ended the idle loop.
    pub fn interrupt_while_idle(&mut self, vector: u8) {
        self.interrupt(vector);
        if self.current == Ref::NONE {
            self.schedule();
        }
    }

    fn interrupt(&mut self, vector: u8) {
        match vector {
            vectors::TIMER => self.timer_fired(),
            vectors::SPURIOUS => {}
            _ if (vector as usize) < vectors::IRQ as usize + vectors::IRQS => self.irq_arrived(vector - vectors::IRQ),
            _ => self.apic.acknowledge(),
        }
    }
}
