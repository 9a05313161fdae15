//! Threads: registers, a state, and the request that it is waiting for.

pub use parley_abi::State;
use parley_abi::{Errno, Token, USER_END, Words};

use crate::arch::tlb::Root;
use crate::arch::{fpu, frame::Frame};
use crate::kernel::Core;
use crate::mem::{Object, Phys, Ref, Slab};
use crate::object::{Connection, Endpoint, Packed, Quota, Space};

/// How a thread came to make a request: what its registers mean, and where the answer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Kind {
    /// A row of the call table: the answer is rax.
    #[default]
    Posix,
    /// The call primitive: the answer is label and words.
    Native,
    /// The core sends it in the thread's name: the answer is whether to go on.
    Fault,
}

/// How a request was made. Written as one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(4))]
pub struct How {
    /// What the caller's registers mean.
    pub kind: Kind,
    /// First register that is a word: 0 for a row with a fixed slot, 1 otherwise.
    pub first: u8,
    /// The words are in [`Request::words`], and not in the caller's registers.
    pub stored: bool,
    /// A slot and a connection are kept for the reply.
    pub reserved: bool,
}

impl How {
    /// A request whose words are in the registers from number `first` on.
    pub const fn in_registers(kind: Kind, first: u8) -> How {
        How { kind, first, stored: false, reserved: false }
    }
}

/// A request in progress. Its words are still in the caller's registers, unless `how` says otherwise.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Request {
    /// How it was made.
    pub how: How,
    /// Slot that is kept for the reply.
    pub slot: u32,
    /// Label and buffers.
    pub row: Packed,
    /// Badge of the connection it was sent on.
    pub badge: u64,
    /// Connection that is kept for the reply.
    pub connection: Ref<Connection>,
    /// Words of a fault, or of a forwarded request.
    pub words: Words,
}

/// A thread.
#[derive(Default)]
#[repr(C)]
pub struct Thread {
    /// Its registers while it is not running. First, for the entry code.
    pub frame: Frame,
    /// Page tables of its space.
    pub root: Root,
    /// Base of its thread-local storage; 0: it has none.
    pub fs_base: u64,
    /// Port bitmap of its space.
    pub map_base: u16,
    /// What it is doing.
    pub state: State,
    /// Priority it runs at: its own, or that of the client it serves.
    pub priority: u8,
    /// Priority it was given.
    pub base: u8,
    /// Names its request in progress, or the next one: moves on when a request ends, however it ends. So a
    /// token that is good names a request that was received and not yet answered.
    pub token: Token,
    /// The request that it was given last, good or not: it works for that caller, in the caller's turn.
    pub serving: Token,
    /// Names the closed connection that it was told of last.
    pub closed: Token,
    /// The thread that was given its request.
    pub served_by: Ref<Thread>,
    /// CR0 while it runs: whether its FPU instructions trap.
    pub cr0: u64,
    /// Where the pages of its space's handle table are listed, for the entry code.
    pub handle_pages: u64,
    /// What is left of a turn that was interrupted, in nanoseconds; 0: a whole one.
    pub slice: u64,
    /// Time that passed in its turns, in nanoseconds: its own, and what servers needed for its requests.
    pub cpu_time: u64,
    /// The request that its server was told to hurry with: a second notice would say nothing new.
    pub cancelled: u32,
    /// Its address space.
    pub space: Ref<Space>,
    /// The endpoint it waits on.
    pub waits_for: Ref<Endpoint>,
    /// The request it waits for.
    pub request: Request,
    /// When its waiting ends; 0: never. See [`crate::deadline`].
    pub deadline: u64,
    /// Where in the heap of deadlines, plus one; 0: nowhere.
    pub deadline_at: u32,
    /// FPU registers while another thread owns the FPU.
    pub fpu: Option<Phys>,
    /// Who pays.
    pub quota: Ref<Quota>,
}

impl Thread {
    /// Its request is answered, or will not be: the token is good no more.
    #[inline(always)]
    pub fn end_request(&mut self) {
        self.token = Token::new(self.token.thread(), self.token.generation().wrapping_add(1));
    }

    /// The words of its request.
    #[inline(always)]
    pub fn words(&self) -> Words {
        match self.request.how.stored {
            false => self.frame.words(self.request.how.first as usize),
            true => self.request.words,
        }
    }
}

/// What ring 3 says a new thread shall be.
pub struct NewThread {
    /// Where it runs.
    pub space: Ref<Space>,
    /// Who pays.
    pub quota: Ref<Quota>,
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
    /// Its rdi.
    pub argument: u64,
    /// Priority, 0 to 31.
    pub priority: u8,
}

impl Object for Thread {
    const WINDOW: u64 = 0;
}

impl Core {
    /// Makes a stopped thread. EINVAL: a kernel or non-canonical entry, or a priority out of range.
    pub fn create_thread(&mut self, new: NewThread) -> Result<Ref<Thread>, Errno> {
        if new.entry >= USER_END || new.priority as usize >= crate::sched::PRIORITIES {
            return Err(Errno::EINVAL);
        }
        let space = self.spaces.get(new.space).ok_or(Errno::EBADF)?;
        if space.is_dying() {
            return Err(Errno::ESTALE);
        }
        let (root, handle_pages) = (space.root, space.handles.pages_at());
        let map_base = self.map_base(new.space);
        self.deadlines.make_room(self.threads.count() + 1, &mut self.frames)?;
        let made = Thread {
            frame: Frame::starting(new.entry, new.stack, new.argument),
            root,
            map_base,
            handle_pages,
            priority: new.priority,
            base: new.priority,
            cr0: fpu::locked(self.cr0),
            space: new.space,
            quota: new.quota,
            ..Thread::default()
        };
        let (cost, make) = (Slab::<Thread>::COST, |slot: &mut Thread| *slot = Thread { token: slot.token, ..made });
        let at = self.quotas.pay_for(new.quota, cost, &mut self.threads, &mut self.frames, make)?;
        let thread = self.threads.live(at);
        thread.token = Token::new(at.place, thread.token.generation().wrapping_add(1));
        self.thread_joined(new.space);
        Ok(at)
    }

    /// Lets a stopped thread run. EINVAL: it is not stopped.
    pub fn start_thread(&mut self, at: Ref<Thread>) -> Result<(), Errno> {
        let thread = self.threads.get(at).ok_or(Errno::ESRCH)?;
        if thread.state != State::Stopped {
            return Err(Errno::EINVAL);
        }
        self.wake(at);
        Ok(())
    }

    /// Takes a thread out of whatever it is doing. If it is the current one, another runs next.
    pub fn stop_thread(&mut self, at: Ref<Thread>) {
        self.deadlines.clear(&mut self.threads, at);
        let Thread { state, waits_for, priority, .. } = self.threads[at];
        match state {
            State::Stopped => return,
            State::Ready if at == self.current => self.resched = true,
            State::Ready => self.ready.remove(&mut self.threads, at, priority),
            State::Receiving => {
                if let Some(endpoint) = self.endpoints.get_mut(waits_for) {
                    endpoint.remove_receiver(&mut self.threads, at);
                }
            }
            State::Calling | State::Awaiting => self.abandon_request(at),
        }
        self.threads[at].state = State::Stopped;
    }

    /// Ends a thread and frees its block.
    pub fn destroy_thread(&mut self, at: Ref<Thread>) {
        self.stop_thread(at);
        if self.fpu_owner == at {
            self.fpu_owner = Ref::NONE;
        }
        let Thread { fpu, quota, space, .. } = self.threads[at];
        if let Some(page) = fpu {
            self.frames.put(page);
            self.quotas.refund(quota, parley_abi::PAGE as u64);
        }
        self.threads.remove(at);
        self.quotas.refund(quota, Slab::<Thread>::COST);
        self.thread_left(space);
    }
}
