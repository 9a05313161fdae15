//! A cell: a quota with address spaces and threads that do as they like, watched from outside.
//!
//! The parent's thread is more urgent than the cell's, and it waits for four things: that a thread says
//! that the block is done, that a thread faults, that nothing has moved for a while, or that the time is up.
//! Whatever it was, the quota is destroyed with all that is in it, in the middle of whatever it does.

use core::ffi::CStr;
use core::sync::atomic::AtomicU64;
use parley_abi::call::{Rights, prot};
use parley_abi::linux::open::{CREAT, RDWR};
use parley_abi::msg::{Token, label};
use parley_abi::slot::{self, service};
use parley_abi::{Errno, PAGE};
use parley_posix as posix;
use parley_proto::calltable;
use parley_rt::sys::{self, Event, NewThread, Reply};

use crate::fuzzer::{self, paths};
use crate::health;
use crate::image::Image;
use crate::progress;
use crate::random::Random;
use crate::scope::Scope;
use crate::trouble::Trouble;

/// Slot in each space of the connection by which the cell says that the block is done.
pub const DONE: u32 = slot::FREE + 100;
/// Descriptors that each space begins with.
pub const FILES: u32 = 3;

/// Pages of a cell, and of the quota in it that the cell itself may use and destroy.
const PAGES: u64 = 480;
const OWN_PAGES: u64 = 240;
/// Threads of each of the two spaces.
const THREADS: [usize; 2] = [3, 2];
const ALL_THREADS: usize = THREADS[0] + THREADS[1];
/// Priority of the least urgent; all are below the parent's 8.
const PRIORITY: u8 = 4;
/// Services whose connections the cell gets. Not init: it would take the parent's word for the cell's.
const SERVICES: [u8; 5] = [service::PROC, service::VFS, service::CHAR, service::TIME, service::PING];

/// How long the parent waits before it looks whether anything has moved, and how often that may fail,
/// in nanoseconds and in times.
const LOOK: u64 = 4_000_000;
const PATIENCE: u32 = 3;
/// A block takes no longer than so many looks.
const LOOKS: u32 = 400;
/// Faults that the parent still answers.
const FAULTS: u32 = 200;

const STACK: usize = 2 * PAGE;
/// The stacks of the threads, of which each space has its own copy. The parent never uses them; that they
/// are atomic makes them writable.
#[repr(C, align(4096))]
struct Stack([AtomicU64; STACK / 8]);
static STACKS: [Stack; ALL_THREADS] = [const { Stack([const { AtomicU64::new(0) }; STACK / 8]) }; ALL_THREADS];

/// A cell that runs.
pub struct Cell {
    scope: Scope,
    faults: u32,
    progress: u32,
    spaces: [u32; 2],
    threads: [u32; ALL_THREADS],
    random: Random,
}

impl Cell {
    /// Makes a block of `steps` steps. Returns how many were begun.
    pub fn run(image: &Image, seed: u64, steps: u64) -> Result<u64, Trouble> {
        let mut cell = Cell::new(image, Random::new(seed), steps)?;
        for number in 0..ALL_THREADS {
            cell.start(number)?;
        }
        cell.watch(steps)?;
        health::invariants()?; // in the middle of everything
        Ok(cell.begun()?.min(steps))
    }

    fn new(image: &Image, random: Random, steps: u64) -> Result<Cell, Errno> {
        let scope = Scope::of(PAGES)?;
        let progress = scope.mem(1)?;
        sys::mem_write(progress, 8, &steps.to_le_bytes())?;
        let faults = scope.endpoint()?;
        let spaces = [scope.keep(sys::space_create(scope.quota()))?, scope.keep(sys::space_create(scope.quota()))?];
        let cell = Cell { scope, faults, progress, spaces, threads: [0; ALL_THREADS], random };
        for space in spaces {
            image.map(space, &cell.scope)?;
            sys::map(space, progress, progress::AT, 0, 1, prot::READ | prot::WRITE)?;
        }
        cell.equip()?;
        Ok(cell)
    }

    /// Gives both spaces the handles with which they begin.
    fn equip(&self) -> Result<(), Errno> {
        let scope = &self.scope;
        let quota = scope.keep(sys::quota_create(scope.quota(), OWN_PAGES))?;
        let table = scope.keep(sys::table_create(scope.quota(), &calltable::TABLE))?;
        let [one, two] = [scope.endpoint()?, scope.endpoint()?];
        let gifts = [one, two, scope.connection(one, 1)?, scope.connection(two, 2)?, scope.connection(one, 3)?];
        let mem = scope.mem(8)?;
        let done = scope.connection(self.faults, 1)?;
        for (index, &space) in self.spaces.iter().enumerate() {
            let neighbour = self.spaces[1 - index];
            let fixed = [(space, slot::SPACE), (quota, slot::QUOTA), (one, slot::ENDPOINT), (done, DONE)];
            let free = gifts.into_iter().chain([mem, neighbour]).zip(slot::FREE..);
            fixed.into_iter().chain(free).try_for_each(|(from, to)| give(space, from, to))?;
            sys::space_table(space, table)?;
            sys::space_faults(space, done)?;
            services(space)?;
            descriptors(space)?;
        }
        Ok(())
    }

    /// Starts thread `number`, for the first time or again.
    fn start(&mut self, number: usize) -> Result<(), Errno> {
        let space = self.spaces[usize::from(number >= THREADS[0])];
        let stack = STACKS.as_ptr().expose_provenance() + (number + 1) * STACK;
        let new = NewThread {
            entry: fuzzer::begin as *const () as u64,
            stack: stack as u64 - 8,
            argument: self.random.next(),
            priority: PRIORITY + (number % 4) as u8,
        };
        // SAFETY: the stack is the copy of that space, which only this thread uses.
        let thread = unsafe { sys::thread_create(space, self.scope.quota(), new) }?;
        self.threads[number] = thread;
        sys::thread_start(thread)
    }

    fn watch(&mut self, steps: u64) -> Result<(), Errno> {
        let (mut begun, mut still, mut faults) = (0, 0, 0);
        for _ in 0..LOOKS + FAULTS {
            match sys::reply_recv(self.faults, &Reply::NONE, sys::clock() + LOOK)? {
                Event::Request { token, label: label::FAULT, .. } if faults < FAULTS => {
                    faults += 1;
                    self.fault(token)?;
                }
                Event::Request { .. } | Event::Cancel { .. } => {}
                Event::Timeout if self.begun()? != begun => (begun, still) = (self.begun()?, 0),
                Event::Timeout if still < PATIENCE => still += 1,
                _ => break,
            }
            if self.begun()? >= steps {
                break;
            }
        }
        Ok(())
    }

    /// A thread faulted: it goes on, it begins anew, or it waits for the end of the cell.
    fn fault(&mut self, token: Token) -> Result<(), Errno> {
        if self.random.below(4) == 0 {
            // Stale if another thread of the cell killed it meanwhile.
            let _ = sys::reply(self.faults, &Reply::done(token, 0));
            return Ok(());
        }
        let own = |&thread: &u32| sys::handle_info(thread).is_ok_and(|(_, _, number)| number == token.thread());
        let Some(number) = self.threads.iter().position(own) else { return Ok(()) };
        let before = self.threads[number];
        // Dead already, if another thread of the cell was faster.
        let _ = sys::thread_kill(before);
        sys::handle_drop(before)?;
        self.threads[number] = 0;
        // No memory for another: the others go on.
        let _ = self.start(number);
        Ok(())
    }

    fn begun(&self) -> Result<u64, Errno> {
        let mut count = [0; 8];
        sys::mem_read(self.progress, 0, &mut count)?;
        Ok(u64::from_le_bytes(count))
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // Where something is missing, starting it has failed.
        let _ = self.scope.destroy();
        for thread in self.threads {
            let _ = sys::handle_drop(thread);
        }
    }
}

fn give(space: u32, from: u32, to: u32) -> Result<(), Errno> {
    sys::handle_grant(space, from, to, Rights::all())
}

/// The connections to services, and the system object for reading.
fn services(space: u32) -> Result<(), Errno> {
    for number in SERVICES {
        give(space, slot::of_service(number), slot::of_service(number))?;
    }
    sys::handle_grant(space, slot::SYSTEM, slot::SYSTEM, Rights::READ)
}

/// The files that each space has open at first.
fn descriptors(space: u32) -> Result<(), Errno> {
    const OPEN: [(&CStr, u32); FILES as usize] =
        [(c"/dev/null", RDWR), (c"/dev/zero", RDWR), (paths::PARENTS, RDWR | CREAT)];
    for ((path, flags), to) in OPEN.into_iter().zip(0..) {
        let fd = posix::open(path, flags, 0o644)?;
        let given = give(space, fd, to);
        posix::close(fd)?;
        given?;
    }
    Ok(())
}
