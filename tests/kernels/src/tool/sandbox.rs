//! An address space for a few bytes of machine code, whose faults the test receives.
//!
//! Nothing but the core is involved, so a test can do anything in there.

use parley_abi::call::{Rights, prot};
use parley_abi::msg::{Token, Words, label};
use parley_abi::{Errno, PAGE};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, NewThread, Reply};

use super::machine::soon;
use super::scope::Scope;
use super::verdict::{Trouble, Verdict};

/// Where the code lies: one page, not writable.
pub const CODE_AT: u64 = 0x40_0000;
/// Where the data lies: one page, not executable, the stack at its end. Nothing is mapped around it.
pub const DATA_AT: u64 = 0x50_0000;
/// Badge of its fault connection.
const BADGE: u64 = 0xfa17;

/// The sandbox. Dropping it destroys it.
pub struct Sandbox {
    scope: Scope,
    /// Its address space.
    pub space: u32,
    /// Where its faults arrive.
    pub faults: u32,
    code: u32,
    data: u32,
    thread: Option<u32>,
}

/// A fault as the core reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of the thread.
    pub token: Token,
    /// Exception vector.
    pub vector: u64,
    /// Instruction pointer.
    pub at: u64,
    /// Stack pointer.
    pub stack: u64,
    /// Faulting address, of a page fault.
    pub address: u64,
}

impl Sandbox {
    /// An empty one.
    pub fn new() -> Result<Sandbox, Errno> {
        Sandbox::of(super::scope::PAGES)
    }

    /// An empty one that may use `pages` pages.
    pub fn of(pages: u64) -> Result<Sandbox, Errno> {
        let scope = Scope::of(pages)?;
        let space = scope.keep(sys::space_create(scope.quota()))?;
        let faults = scope.endpoint()?;
        let connection = scope.keep(sys::mint(faults, BADGE, Rights::CALL))?;
        sys::space_faults(space, connection)?;
        let code = scope.mem(1)?;
        sys::map(space, code, CODE_AT, 0, 1, prot::READ | prot::EXECUTE)?;
        let data = scope.mem(1)?;
        sys::map(space, data, DATA_AT, 0, 1, prot::READ | prot::WRITE)?;
        Ok(Sandbox { scope, space, faults, code, data, thread: None })
    }

    /// What pays for it.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Starts `code` and waits for its fault. A thread that ran before is killed.
    pub fn run(&mut self, code: &[u8]) -> Verdict<Fault> {
        self.start(code)?;
        self.fault()
    }

    /// Starts `code`. A thread that ran before is killed.
    pub fn start(&mut self, code: &[u8]) -> Result<(), Errno> {
        self.stop()?;
        sys::mem_write(self.code, 0, code)?;
        self.start_at(CODE_AT)
    }

    /// Starts a thread at `entry`. EINVAL: the core refuses that address.
    pub fn start_at(&mut self, entry: u64) -> Result<(), Errno> {
        self.stop()?;
        let new = NewThread { entry, stack: DATA_AT + PAGE as u64, argument: 0, priority: own_priority() };
        // SAFETY: the thread runs in an address space that holds nothing of Rust's.
        let thread = unsafe { sys::thread_create(self.space, self.scope.quota(), new) }?;
        self.thread = Some(thread);
        sys::thread_start(thread)
    }

    /// Handle of the thread that was started last, until it is killed.
    pub fn thread(&self) -> Option<u32> {
        self.thread
    }

    /// Copies what lies in the data page from `offset` on.
    pub fn read_data(&self, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        sys::mem_read(self.data, offset, into)
    }

    /// Lets the thread go on where it faulted, and waits for its next fault.
    pub fn resume(&mut self, fault: Fault) -> Verdict<Fault> {
        sys::reply(self.faults, &Reply::done(fault.token, 0))?;
        self.fault()
    }

    /// Kills the thread.
    pub fn stop(&mut self) -> Result<(), Errno> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let killed = sys::thread_kill(thread);
        sys::handle_drop(thread)?;
        killed
    }

    /// Waits for the next fault.
    pub fn fault(&mut self) -> Verdict<Fault> {
        loop {
            match sys::reply_recv(self.faults, &Reply::NONE, soon())? {
                Event::Request { token, badge: BADGE, label: label::FAULT, words } => {
                    return Ok(Fault::of(token, words));
                }
                // Of a thread that was killed.
                Event::Cancel { .. } => {}
                other => return Err(Trouble::Fail(alloc::format!("expected a fault, got {other:?}"))),
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A thread that is gone already is what is wanted.
        let _ = self.stop();
    }
}

impl Fault {
    fn of(token: Token, [vector, _, at, stack, address, _]: Words) -> Fault {
        Fault { token, vector, at, stack, address }
    }
}
