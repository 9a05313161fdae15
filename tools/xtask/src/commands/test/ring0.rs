//! What only the host can see or do: page tables walked, interrupts that strike between two instructions.
//!
//! The machine stands at its gdb socket. A breakpoint stops it at the first instruction of ring 0's entry, with
//! ring 3's stack still loaded; from there the host steps, asks QEMU's monitor for a non-maskable interrupt or a
//! machine check before each instruction, breaks the stack, and reads the tables that the processor reads.

mod tables;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::Case;
use crate::elf_file::ElfFile;
use crate::guest::{Job, Rig};
use crate::kernel::Kernel;
use crate::qemu::{End, Running, Stub};

/// Bytes between the stubs of two vectors (`STUB_SIZE` of the core).
const VECTOR_STUB: u64 = 9;
const NMI: u64 = 2;
/// Bytes that an exception pushes in 64-bit mode: instruction pointer, code segment, flags, stack.
const PUSHED: u64 = 40;
/// A system call's longest way through the core, in instructions.
const LONGEST: usize = 5000;
/// Instructions of one system call that are interrupted, and whole system calls that are wanted of so many: while
/// the system starts, most copy a program and take longer.
const INTERRUPTED: usize = 600;
const WHOLE: usize = 1;
const CALLS: usize = 20;

/// How a machine must end.
#[derive(Clone, Copy)]
enum Ending {
    /// As if nothing had happened.
    Well,
    /// In a panic that says this.
    Panic(&'static str),
}

/// All of them on one kernel.
pub fn cases(kernel: Kernel) -> Vec<Case<Rig>> {
    type Check = fn(&mut At) -> Result<()>;
    let checks: [(&str, Check, Ending); 4] = [
        ("page-tables", tables::check, Ending::Well),
        ("nmi-at-every-instruction", nmi_at_every_instruction, Ending::Well),
        ("machine-check-at-the-entry", machine_check_at_the_entry, Ending::Panic("machine check")),
        ("stack-overflow", stack_overflow, Ending::Panic("double fault")),
    ];
    let case = |(name, check, ending): (&str, Check, Ending)| {
        let run = move |rig: &Rig| At::entry(rig, kernel).and_then(|at| at.judge(check, ending));
        Case::one(format!("{kernel}/ring0/{name}"), move |rig: &Rig| run(rig).into())
    };
    checks.into_iter().map(case).collect()
}

/// A machine that stands at the entry of a system call.
struct At<'a> {
    rig: &'a Rig,
    kernel: Kernel,
    job: Job,
    folder: TempDir,
    running: Running,
    stub: Stub,
    symbols: ElfFile,
    // Dropped last: it holds the socket.
    _socket: TempDir,
}

impl<'a> At<'a> {
    fn entry(rig: &'a Rig, kernel: Kernel) -> Result<At<'a>> {
        let mut job = Job::new(rig, kernel, &["/bin/linux-hello"])?;
        job.deterministic = true;
        let folder = rig.run_folder()?;
        // A socket's path has 108 bytes at most, and the target folder may be anywhere.
        let short = tempfile::tempdir().context("no temporary folder for the gdb socket")?;
        let socket = short.path().join("gdb");
        let mut machine = rig.machine(&job, folder.path())?;
        machine.gdb = Some(socket.clone());
        let mut running = Running::start(&machine, folder.path())?;
        running.wait_for_gdb(&socket)?;
        let symbols = ElfFile::read(&rig.guest.kernel(kernel).symbols)?;
        let mut at = At { rig, kernel, job, folder, running, stub: Stub::connect(&socket)?, symbols, _socket: short };
        let entry = at.symbol("parley_syscall_entry")?;
        at.stub.set_breakpoint(entry)?;
        at.stub.go_on()?;
        ensure!(at.stub.place()?.address == entry, "the machine stands elsewhere than at the entry");
        at.stub.clear_breakpoint(entry)?;
        Ok(at)
    }

    fn symbol(&self, name: &str) -> Result<u64> {
        self.symbols.address_of(name).with_context(|| format!("the kernel has no symbol {name}"))
    }

    /// Does the check, and lets the machine run to its end, which must be that one.
    fn judge(mut self, check: impl FnOnce(&mut At) -> Result<()>, ending: Ending) -> Result<()> {
        let checked = check(&mut self);
        let At { rig, kernel, job, folder, mut running, stub, .. } = self;
        // After an error the machine may be gone already.
        let gone_on = stub.let_go();
        let outcome = rig.attend(&mut running, folder.path(), job.timeout, &mut std::io::sink())?;
        let explained = rig.explain(kernel, &outcome);
        checked.and(gone_on).with_context(|| explained.clone())?;
        match ending {
            Ending::Well => ensure!(outcome.end == End::Orderly && outcome.status == Some(0), "{explained}"),
            Ending::Panic(word) => {
                ensure!(outcome.end == End::Panicked, "no panic\n{explained}");
                ensure!(outcome.log.contains(word), "a panic that does not say `{word}`\n{explained}");
            }
        }
        Ok(())
    }
}

/// A non-maskable interrupt before each instruction from the entry of a system call to the first instruction
/// behind it: it is taken on its own stack, and everything is as it was afterwards.
fn nmi_at_every_instruction(at: &mut At) -> Result<()> {
    let vector = at.symbol("parley_vectors")? + NMI * VECTOR_STUB;
    let entry = at.symbol("parley_syscall_entry")?;
    let (mut own_stack, mut whole) = (None, 0);
    for _ in 0..CALLS {
        let mut steps = 0;
        while steps < INTERRUPTED && at.stub.place()?.ring == 0 {
            interrupt(&mut at.stub, vector, &mut own_stack)?;
            at.stub.step()?;
            steps += 1;
        }
        whole += (steps < INTERRUPTED) as usize;
        if whole == WHOLE {
            return Ok(());
        }
        at.stub.set_breakpoint(entry)?;
        at.stub.go_on()?;
        at.stub.clear_breakpoint(entry)?;
    }
    bail!("of {CALLS} system calls only {whole} ended within {INTERRUPTED} instructions")
}

/// One of them, at the instruction where the machine stands.
fn interrupt(stub: &mut Stub, vector: u64, own_stack: &mut Option<u64>) -> Result<()> {
    let (place, before) = (stub.place()?, stub.registers()?);
    stub.monitor("nmi")?;
    stub.set_breakpoint(vector)?;
    stub.go_on()?;
    stub.clear_breakpoint(vector)?;
    let reached = stub.place()?;
    ensure!(reached.address == vector, "the NMI before {:#x} led to {:#x}", place.address, reached.address);
    let stack = stub.stack()?;
    let same = *own_stack.get_or_insert(stack);
    ensure!(stack == same, "the NMI before {:#x} was taken at stack {stack:#x}, another at {same:#x}", place.address);
    let pushed = stub.memory(stack, PUSHED as usize)?;
    let back = pushed.first_chunk().map(|word| u64::from_le_bytes(*word));
    ensure!(back == Some(place.address), "the NMI before {:#x} returns to {back:x?}", place.address);
    stub.set_breakpoint(place.address)?;
    stub.go_on()?;
    stub.clear_breakpoint(place.address)?;
    let after = stub.registers()?;
    ensure!(after == before, "registers changed over an NMI before {:#x}", place.address);
    Ok(())
}

/// The stack is still ring 3's, and the machine is broken: a panic that says so, not a reset.
fn machine_check_at_the_entry(at: &mut At) -> Result<()> {
    // Uncorrected, enabled, valid, in bank 0.
    let said = at.stub.monitor("mce 0 0 0xb200000000000000 0x4 0 0")?;
    ensure!(said.trim().is_empty(), "QEMU injects no machine check: {said}");
    Ok(())
}

/// Ring 0 runs off its stack: the guard page makes that a double fault, which has a stack of its own.
fn stack_overflow(at: &mut At) -> Result<()> {
    let block = at.symbol("CPU")?;
    let stack = block + 0x1000..=block + 0x1000 + 32 * 1024;
    for _ in 0..LONGEST {
        if stack.contains(&at.stub.stack()?) {
            return at.stub.set_stack(stack.start() + 8);
        }
        at.stub.step()?;
    }
    bail!("the system call never came to the kernel's stack")
}
