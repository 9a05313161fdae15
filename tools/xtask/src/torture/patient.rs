//! A machine under torture, which stops where the host can do something to it.
//!
//! It stops whenever the guest's program calls `torture_mark`, whenever a process begins (so that the page-table root
//! of each server is known) and, while somebody wants that, at every system call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::elf_file::ElfFile;
use crate::guest::{Job, Outcome, Rig, read_log};
use crate::kernel::Kernel;
use crate::qemu::{PROGRAM_COUNTER, Place, RAX, RDI, RDX, RSI, RSP, Running, Stub};

/// The guest's program.
pub const PROGRAM: &str = "/bin/ktest-torture";
/// The interval timer's command for rate mode on channel 0, and its ports (Intel 8254).
const RATE: u8 = 0b0011_0100;
const TIMER_COMMAND: u16 = 0x43;
const TIMER_DIVISOR: u16 = 0x40;
const SERVERS: [&str; 7] = ["time", "char", "tqueue", "vfs", "proc", "ping", "peer"];
/// A machine that does not stop for so long is stuck: its own deadlines are seconds of virtual time, and a busy second
/// takes several real ones; up to eighty in code on a page with a breakpoint, which QEMU translates one instruction at a
/// time (a server that spins there is ended by init after two such seconds).
const PATIENCE: Duration = Duration::from_secs(200);
/// How long a program may take to say what is wrong.
pub const LAST_WORDS: Duration = Duration::from_secs(3);

/// What the guest's program announces (`tests/kernels/src/torture/mark.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A round begins.
    Begin(u64),
    /// Harm is wanted.
    Strike(u64),
    /// A round has ended, with this code of its trouble; 0 is none.
    Round(u64, u64),
    /// The program gives up, with this code.
    End(u64),
    /// A line with this number is to be typed.
    Type(u64),
}

/// Where it has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The program says something.
    Mark(Mark),
    /// A process begins; its name, if it is a server.
    Process(Option<&'static str>),
    /// A system call of this server, at the first instruction of ring 0.
    Call(&'static str),
    /// A system call of anybody, likewise.
    Entry,
    /// A breakpoint of somebody else's.
    Elsewhere,
}

/// How far the clock goes on at most when the machine stops, as a divisor of 1,193,182 Hz. What is short makes idle
/// machines slow.
#[derive(Clone, Copy, Debug)]
pub enum Tick {
    /// Where it stops some hundred times in a heartbeat.
    Millisecond = 1193,
    /// Where it stops at each instruction.
    Short = 60,
}

/// The machine.
pub struct Patient {
    pub stub: Stub,
    pub running: Running,
    /// Page-table roots of the servers that have begun last.
    pub servers: BTreeMap<&'static str, u64>,
    folder: TempDir,
    mark: u64,
    start: u64,
    entry: u64,
    calls: bool,
    entries: bool,
    ticks: bool,
    others: BTreeSet<u64>,
    // Dropped last: it holds the socket.
    _socket: TempDir,
}

impl Patient {
    /// A machine that is about to execute its first instruction.
    pub fn new(
        rig: &Rig,
        kernel: Kernel,
        args: &[&str],
        change: impl FnOnce(&mut crate::qemu::Machine),
    ) -> Result<Patient> {
        let mut job = Job::new(rig, kernel, &[&[PROGRAM], args].concat())?;
        job.deterministic = true;
        let folder = rig.run_folder()?;
        // A socket's path has 108 bytes at most, and the target folder may be anywhere.
        let short = tempfile::tempdir().context("no temporary folder for the gdb socket")?;
        let socket = short.path().join("gdb");
        let mut machine = rig.machine(&job, folder.path())?;
        machine.gdb = Some(socket.clone());
        change(&mut machine);
        let mut running = Running::start(&machine, folder.path())?;
        running.wait_for_gdb(&socket)?;
        let mut stub = Stub::connect(&socket)?;
        stub.set_patience(PATIENCE)?;
        let program = symbols(rig, PROGRAM)?;
        let mark = program.address_of("torture_mark").context("the program has no symbol torture_mark")?;
        let start = program.address_of("_start").context("the program has no symbol _start")?;
        let kernel = ElfFile::read(&rig.guest.kernel(kernel).symbols)?;
        let entry = kernel.address_of("parley_syscall_entry").context("the kernel has no entry")?;
        stub.set_breakpoint(mark)?;
        stub.set_breakpoint(start)?;
        Ok(Patient {
            stub,
            running,
            servers: BTreeMap::new(),
            folder,
            mark,
            start,
            entry,
            calls: false,
            entries: false,
            ticks: false,
            others: BTreeSet::new(),
            _socket: short,
        })
    }

    /// Lets it run to the next stop.
    pub fn next(&mut self) -> Result<Stop> {
        loop {
            self.stub.go()?;
            if let Some(stop) = self.here()? {
                return Ok(stop);
            }
        }
    }

    /// The stop at which it stands, if it is one.
    pub fn here(&mut self) -> Result<Option<Stop>> {
        let place = self.stub.place()?;
        Ok(match place {
            Place { address, ring: 3, .. } if address == self.mark => self.mark()?.map(Stop::Mark),
            Place { address, ring: 3, space } if address == self.start => {
                if !self.ticks {
                    self.set_tick(Tick::Millisecond)?;
                }
                let name = self.name()?;
                // A root may be one that an earlier process had.
                self.servers.retain(|_, root| *root != space);
                name.map(|name| self.servers.insert(name, space));
                Some(Stop::Process(name))
            }
            Place { address, ring: 0, .. } if self.entries && address == self.entry => Some(Stop::Entry),
            Place { address, ring: 0, space } if self.calls && address == self.entry => {
                self.server(space).map(Stop::Call)
            }
            Place { address, .. } if self.others.contains(&address) => Some(Stop::Elsewhere),
            _ => None,
        })
    }

    /// How far the clock goes on at most when the machine stops.
    ///
    /// QEMU then takes the processor for idle, and its clock goes on to the next alarm of any device (`-icount sleep=off`).
    /// So the interval timer, whose interrupts nobody takes, has one every `tick`.
    pub fn set_tick(&mut self, tick: Tick) -> Result<()> {
        let [low, high] = (tick as u16).to_le_bytes();
        for (port, value) in [(TIMER_COMMAND, RATE), (TIMER_DIVISOR, low), (TIMER_DIVISOR, high)] {
            self.stub.monitor(&format!("o /b {port:#x} {value:#x}"))?;
        }
        self.ticks = true;
        Ok(())
    }

    /// What has been written to the kernel's log.
    pub fn log(&self) -> String {
        read_log(&self.folder.path().join("com2"))
    }

    /// The server with this page-table root.
    pub fn server(&self, root: u64) -> Option<&'static str> {
        self.servers.iter().find(|(_, known)| **known == root).map(|(name, _)| *name)
    }

    /// Stops at the next system call, whoever makes it.
    pub fn await_entry(&mut self) -> Result<()> {
        if !self.entries {
            self.stub.set_breakpoint(self.entry)?;
        }
        self.entries = true;
        Ok(())
    }

    /// No longer.
    pub fn end_entry(&mut self) -> Result<()> {
        self.entries = false;
        self.stub.clear_breakpoint(self.entry)
    }

    /// Stops at this address from now on, or no longer.
    pub fn watch(&mut self, address: u64, watched: bool) -> Result<()> {
        match (watched, self.others.contains(&address)) {
            (true, false) => self.stub.set_breakpoint(address)?,
            (false, true) => self.stub.clear_breakpoint(address)?,
            _ => return Ok(()),
        }
        if watched {
            self.others.insert(address)
        } else {
            self.others.remove(&address)
        };
        Ok(())
    }

    /// Executes a move of ring 0 between `rax` and the 32-bit word at `address`: the one that the kernel's code
    /// has at `code`. It must stand in ring 0. Returns `rax`; all registers are as before.
    pub fn execute(&mut self, code: u64, address: u64, value: u32) -> Result<u32> {
        let [rax, rdi, counter] = self.stub.words([RAX, RDI, PROGRAM_COUNTER])?;
        self.stub.set_register(RAX, value.into())?;
        self.stub.set_register(RDI, address)?;
        self.stub.set_register(PROGRAM_COUNTER, code)?;
        self.stub.step()?;
        let [found] = self.stub.words([RAX])?;
        self.stub.set_register(RAX, rax)?;
        self.stub.set_register(RDI, rdi)?;
        self.stub.set_register(PROGRAM_COUNTER, counter)?;
        Ok(found as u32)
    }

    /// Stops at system calls from now on, or no longer.
    pub fn watch_calls(&mut self, calls: bool) -> Result<()> {
        match (self.calls, calls) {
            (false, true) => self.stub.set_breakpoint(self.entry)?,
            (true, false) => self.stub.clear_breakpoint(self.entry)?,
            _ => {}
        }
        self.calls = calls;
        Ok(())
    }

    /// Has the function at whose first instruction it stands return this at once.
    pub fn return_now(&mut self, value: u64) -> Result<()> {
        let [stack] = self.stub.words([RSP])?;
        let back = self.stub.memory(stack, 8)?;
        let back = back.first_chunk().context("no stack to return from")?;
        self.stub.set_register(RAX, value)?;
        self.stub.set_register(RSP, stack + 8)?;
        self.stub.set_register(PROGRAM_COUNTER, u64::from_le_bytes(*back))
    }

    /// What there is to know about a machine with which something is wrong. It gets some time to say what.
    pub fn autopsy(mut self, rig: &Rig) -> Result<Outcome> {
        // It may be gone, or not answer.
        let limit = if self.speak().is_ok() { self.running.age() + LAST_WORDS } else { Duration::ZERO };
        rig.attend(&mut self.running, self.folder.path(), limit, &mut std::io::sink())
    }

    /// Lets it run without any more stops.
    pub fn speak(&mut self) -> Result<()> {
        self.watch_calls(false)?;
        self.stub.clear_breakpoint(self.mark)?;
        self.stub.clear_breakpoint(self.start)?;
        self.stub.resume()
    }

    fn mark(&mut self) -> Result<Option<Mark>> {
        let [kind, number, code] = self.stub.words([RDI, RSI, RDX])?;
        Ok(Some(match kind {
            1 => Mark::Begin(number),
            2 => Mark::Strike(number),
            3 => Mark::Round(number, code),
            4 => Mark::End(code),
            5 => Mark::Type(number),
            // Another program has other code there.
            _ => return Ok(None),
        }))
    }

    /// The server whose first instruction is about to be executed: its name is its first argument.
    fn name(&mut self) -> Result<Option<&'static str>> {
        let [stack] = self.stub.words([RSP])?;
        let quad = |bytes: Vec<u8>| bytes.first_chunk().map(|word| u64::from_le_bytes(*word));
        let Some(argument) = quad(self.stub.memory(stack + 8, 8)?) else { bail!("a process without a stack begins") };
        let text = self.stub.memory(argument, 8)?;
        let name = text.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(SERVERS.into_iter().find(|server| server.as_bytes() == name))
    }
}

/// The symbols of a program in the archive, by its path there.
pub fn symbols(rig: &Rig, path: &str) -> Result<ElfFile> {
    let mut programs = rig.guest.programs();
    let found = programs.find(|(known, _)| path.trim_start_matches('/') == *known);
    ElfFile::read(&found.with_context(|| format!("the archive has no {path}"))?.1.symbols)
}
