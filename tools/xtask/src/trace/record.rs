//! Finding the measuring pair and stepping through what lies between.
//!
//! The benchmark reads the time stamp counter once when it starts and from then on in pairs around an
//! operation: first around nothing, to learn what the pair itself costs, then around the row's. So
//! breakpoints on its RDTSC instructions are all we need, and an operation that never enters the kernel is
//! the empty one. Where somebody else is woken, his reading ends the operation.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::{Recording, Space, Step, Who};
use crate::cmdline::HARDWARE;
use crate::elf_file::ElfFile;
use crate::guest::{Job, Rig};
use crate::kernel::Kernel;
use crate::qemu::{Place, Running, Stub};
use crate::results;

const PROGRAM: &str = "/bin/bench";
const RDTSC: &[u8] = &[0x0f, 0x31];
const SYSCALL: &[u8] = &[0x0f, 0x05];

/// Samples of the row to let pass: caches of every kind are warm by then, and each row has more.
const SETTLED: usize = 20;

/// Instructions of the longest operation that is worth stepping through.
const MOST: usize = 200_000;

/// Bytes of code by which a program is known.
const GLANCE: usize = 48;

/// Boots the kernel, steps through `operations` consecutive operations of the row, and lets the benchmark
/// finish. An error shows what the machine said.
pub fn record(rig: &Rig, kernel: Kernel, row: &str, operations: usize) -> Result<Recording> {
    let mut job = Job::new(rig, kernel, &[PROGRAM, row])?;
    job.deterministic = true;
    job.options.push(HARDWARE.into());
    let folder = rig.run_folder()?;
    // A socket's path has 108 bytes at most, and the target folder may be anywhere.
    let short = tempfile::tempdir().context("no temporary folder for the gdb socket")?;
    let socket = short.path().join("gdb");
    let mut machine = rig.machine(&job, folder.path())?;
    machine.gdb = Some(socket.clone());
    let mut running = Running::start(&machine, folder.path())?;
    running.wait_for_gdb(&socket)?;

    let mut recorder = Recorder::new(rig, Stub::connect(&socket)?)?;
    let recorded = recorder.row(operations);
    let Recorder { stub, spaces, empty, .. } = recorder;
    // After an error the machine may be gone already.
    let detached = stub.detach();
    let outcome = rig.attend(&mut running, folder.path(), job.timeout, &mut std::io::sink())?;
    let output = String::from_utf8_lossy(&outcome.stdout);
    let steps =
        recorded.map_err(|error| anyhow!("cannot trace {row}: {error:#}\n{}", rig.explain(kernel, &outcome)))?;
    detached?;
    let bench = results::parse(kernel, &output).with_context(|| rig.explain(kernel, &outcome))?;
    Ok(Recording { operations: steps, empty, spaces, bench })
}

struct Recorder {
    stub: Stub,
    /// Where the benchmark's file has the bytes of RDTSC; some may be the inside of other instructions.
    readings: BTreeSet<u64>,
    programs: Vec<(String, ElfFile)>,
    spaces: Vec<Space>,
    empty: usize,
}

impl Recorder {
    fn new(rig: &Rig, mut stub: Stub) -> Result<Recorder> {
        stub.step_through_interrupts()?;
        let mut programs = Vec::new();
        for (path, program) in rig.guest.programs() {
            let name = path.rsplit('/').next().unwrap_or(path);
            programs.push((name.to_owned(), ElfFile::read(&program.symbols)?));
        }
        let bench = programs.iter().find(|(name, _)| PROGRAM.ends_with(name.as_str()));
        let bench = &bench.context("the archive has no benchmark")?.1;
        let readings = occurrences(bench, RDTSC);
        run_to_entry(&mut stub, bench)?;
        for &address in &readings {
            stub.set_breakpoint(address)?;
        }
        Ok(Recorder { stub, readings, programs, spaces: Vec::new(), empty: 0 })
    }

    /// The row's operations, once it has settled.
    fn row(&mut self, operations: usize) -> Result<Vec<Vec<Step>>> {
        // The reading at the start is none of a pair.
        self.next_reading()?;
        self.next_reading()?;
        self.empty_operations()?;
        for _ in 0..SETTLED {
            self.next_reading()?;
            self.next_reading()?;
        }
        let mut recorded = Vec::new();
        for _ in 0..operations {
            recorded.push(self.operation()?.0);
            self.next_reading()?;
        }
        Ok(recorded)
    }

    /// Stands at a pair's first reading; leaves at the first one around an operation that enters the kernel.
    fn empty_operations(&mut self) -> Result<()> {
        loop {
            let begin = self.stub.place()?.address;
            let (steps, enters) = self.operation()?;
            if enters {
                return self.next_reading();
            }
            let end = self.stub.place()?.address;
            // An interrupt between the two readings says nothing about the pair: the next one is as good.
            if steps.iter().any(|step| step.who == Who::Kernel) {
                self.next_reading()?;
                continue;
            }
            self.empty = steps.len();
            // The loop goes on a thousand times: enough is seen of this pair.
            for address in [begin, end] {
                self.stub.clear_breakpoint(address)?;
                self.readings.remove(&address);
            }
            self.next_reading()?;
        }
    }

    /// From a pair's first reading to the second, and whether the benchmark made a system call in between, or
    /// somebody was woken.
    fn operation(&mut self) -> Result<(Vec<Step>, bool)> {
        let first = self.stub.place()?;
        let mut place = first;
        let mut steps = Vec::new();
        let (mut before, mut enters) = (None, false);
        loop {
            // The next round of a repeated instruction is at the same place.
            if before != Some(place) {
                steps.push(Step { address: place.address, who: self.who(place)? });
            }
            ensure!(steps.len() < MOST, "no end of the operation after {MOST} instructions");
            self.stub.step()?;
            let last = std::mem::replace(&mut place, self.stub.place()?);
            before = Some(last);
            if last.ring == 3 && place.ring == 0 {
                match self.stub.memory(last.address, SYSCALL.len())? == SYSCALL {
                    true => enters |= last.space == first.space,
                    false => _ = steps.pop(), // an interrupt came before it
                }
            }
            // Not even the first reading is made when an interrupt came before it.
            if place == first && steps.first().is_none_or(|step| step.who == Who::Kernel) {
                steps.clear();
            } else if self.is_woken(place)? {
                return Ok((steps, true));
            } else if self.is_reading(place) {
                return Ok((steps, enters));
            }
        }
    }

    /// Whether somebody whom the benchmark made, and woke, reads the counter: that ends an operation as well.
    fn is_woken(&mut self, place: Place) -> Result<bool> {
        if place.ring != 3 || self.spaces.first().is_some_and(|space| space.root == place.space) {
            return Ok(false);
        }
        let nameless = matches!(self.who(place)?, Who::Program(index) if self.spaces[index].program.is_none());
        Ok(nameless && self.stub.memory(place.address, RDTSC.len())? == RDTSC)
    }

    /// On to the next time that the benchmark reads the counter.
    fn next_reading(&mut self) -> Result<()> {
        let last = self.stub.place()?;
        // Where it stands now is a reading that is still to be made, and an interrupt may come first.
        let mut made = !self.is_reading(last);
        loop {
            if !made && self.stub.place()? == last {
                self.stub.step()?;
                made = self.stub.place()?.ring == 3;
            }
            self.stub.go()?;
            let place = self.stub.place()?;
            // Other programs have other instructions at these addresses.
            if self.spaces.is_empty() && place.ring == 3 && self.program_at(place)?.as_deref() == Some("bench") {
                self.who(place)?;
            }
            if self.is_reading(place) && made {
                return Ok(());
            }
        }
    }

    fn is_reading(&self, place: Place) -> bool {
        let bench = self.spaces.first().is_some_and(|space| space.root == place.space);
        bench && place.ring == 3 && self.readings.contains(&place.address)
    }

    fn who(&mut self, place: Place) -> Result<Who> {
        match place.ring {
            0 => return Ok(Who::Kernel),
            3 => {}
            ring => bail!("an instruction in ring {ring} at {:#x}", place.address),
        }
        if let Some(known) = self.spaces.iter().position(|space| space.root == place.space) {
            return Ok(Who::Program(known));
        }
        let program = self.program_at(place)?;
        self.spaces.push(Space { root: place.space, program });
        Ok(Who::Program(self.spaces.len() - 1))
    }

    /// The file whose code is here.
    fn program_at(&mut self, place: Place) -> Result<Option<String>> {
        let code = self.stub.memory(place.address, GLANCE)?;
        let same = |(_, file): &&(String, ElfFile)| !code.is_empty() && file.has_code(place.address, &code);
        Ok(self.programs.iter().find(same).map(|(name, _)| name.clone()))
    }
}

/// Lets the machine run until a program begins as the benchmark does. Other programs have other code where its readings are, at
/// which the machine would stop again and again while the services start; and its clock runs on when it stops.
fn run_to_entry(stub: &mut Stub, bench: &ElfFile) -> Result<()> {
    let entry = bench.entry();
    stub.set_breakpoint(entry)?;
    loop {
        stub.go()?;
        let place = stub.place()?;
        let code = if place.ring == 3 { stub.memory(place.address, GLANCE)? } else { Vec::new() };
        if place.address == entry && !code.is_empty() && bench.has_code(entry, &code) {
            return stub.clear_breakpoint(entry);
        }
    }
}

/// The addresses at which the file has these bytes among its code.
fn occurrences(file: &ElfFile, bytes: &[u8]) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for (start, code) in file.code() {
        let hits = code.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes);
        found.extend(hits.map(|(offset, _)| start + offset as u64));
    }
    found
}
