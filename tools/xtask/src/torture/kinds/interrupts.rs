//! Interrupts that do not come, come late, come twice, or come where nobody waits for them.
//!
//! The serial port's are held back, and asked for again, with its own interrupt-enable register, through QEMU's
//! monitor; while somebody types. Non-maskable ones strike anywhere. The timer's are lost, or come once more: for the
//! local APIC can be reached by the processor only, that executes single instructions of the kernel's for the host.

use anyhow::{Context, Result, bail, ensure};

use super::failed;
use crate::elf_file::ElfFile;
use crate::guest::Rig;
use crate::qemu::{Console, PROGRAM_COUNTER};
use crate::torture::patient::{LAST_WORDS, Mark, Patient, Stop};
use crate::torture::random::Random;
use crate::torture::{Case, Tally, console};

/// COM1's interrupt-enable register, and the one whose reading takes an interrupt back.
const ENABLE: u16 = 0x3f9;
const IDENTIFY: u16 = 0x3fa;
/// The timer's vector, and the bytes between the stubs of two vectors (`vectors.rs` and `entry.rs` of the core).
const TIMER: u8 = 0xf0;
const VECTOR_STUB: u64 = 9;
/// The local APIC in the kernel's map of physical memory, and its registers (Intel SDM volume 3, table 11-1).
const APIC: u64 = 0xffff_8000_0000_0000 + 0xfee0_0000;
const END_OF_INTERRUPT: u64 = 0xb0;
const COMMAND: u64 = 0x300;
/// Of the command register: asserted, to this processor.
const TO_ITSELF: u32 = 0b01 << 18 | 1 << 14;

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let (seed, rounds) = (case.seed.to_string(), case.size.to_string());
    let args = ["--seed", &seed, "--rounds", &rounds, "--faults", "host", "--typed"];
    let mut patient = Patient::new(rig, case.kernel, &args, |machine| machine.console = Console::Pipes)?;
    let (keyboard, screen) = patient.running.pipes().context("the console is no pair of pipes")?;
    let mut console = crate::session::Console::new(keyboard, screen);
    let kernel = ElfFile::read(&rig.guest.kernel(case.kernel).symbols)?;
    let mut port = Port { random: Random::new(case.seed), held: None };
    let timer = Timer::new(&kernel)?;
    let mut tally = Tally::default();
    let ended = loop {
        match patient.next() {
            Ok(Stop::Mark(Mark::Strike(number))) => {
                tally.add(port.strike(&mut patient, number)?, 1);
                timer.strike(&mut patient, number)?;
            }
            Ok(Stop::Entry) => tally.add(timer.interrupt(&mut patient)?, 1),
            Ok(Stop::Elsewhere) => tally.add(timer.lose(&mut patient)?, 1),
            Ok(Stop::Mark(Mark::Type(number))) => {
                // A line is asked for once.
                let typed = tally.get("lines typed");
                ensure!(number == typed, "the machine stopped for line {number} after {typed} were typed");
                console.type_in(format!("typed {number:08}\r").as_bytes())?;
                tally.add("lines typed", 1);
            }
            Ok(Stop::Mark(Mark::Round(_, 0))) => tally.add("rounds", 1),
            Ok(Stop::Mark(Mark::Round(..) | Mark::End(_))) => break Err("a round failed".to_owned()),
            Ok(_) => {}
            Err(error) => break Ok(error),
        }
    };
    if ended.is_err() && patient.speak().is_ok() {
        // It says what is wrong.
        std::thread::sleep(LAST_WORDS);
    }
    let text = console.transcript();
    let seen = ended.and_then(|error| match text.contains(": ok\n") {
        true => console::check(&text),
        false => Err(format!("{error:#}")),
    });
    match seen {
        Ok(lines) => {
            tally.add("lines on the terminal", lines);
            ensure!(tally.get("rounds") == case.size, "{} of {} rounds", tally.get("rounds"), case.size);
            Ok(tally)
        }
        Err(why) => failed(rig, case.kernel, &format!("{why}\n{}", tail(&text)), patient),
    }
}

/// The end of what the terminal showed.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// The timer's interrupts. These are places in the kernel's code.
struct Timer {
    /// Where they arrive.
    arrival: u64,
    /// An instruction that writes `eax` to where `rdi` points, and one that ends an interrupt.
    write: u64,
    back: u64,
}

impl Timer {
    fn new(kernel: &ElfFile) -> Result<Timer> {
        let code = |bytes: [u8; 2]| {
            let found = kernel
                .code()
                .into_iter()
                .find_map(|(start, code)| Some(start + code.windows(2).position(|window| window == bytes)? as u64));
            found.with_context(|| format!("the kernel has no instruction {bytes:x?}"))
        };
        let vectors = kernel.address_of("parley_vectors").context("the kernel has no parley_vectors")?;
        let arrival = vectors + u64::from(TIMER) * VECTOR_STUB;
        Ok(Timer { arrival, write: code([0x89, 0x07])?, back: code([0x48, 0xcf])? })
    }

    /// Every second time the next interrupt is lost, and otherwise one comes out of turn: late, or once too often.
    fn strike(&self, patient: &mut Patient, number: u64) -> Result<()> {
        if !number.is_multiple_of(2) {
            return patient.await_entry();
        }
        patient.watch(self.arrival, true)
    }

    /// At a system call: an interrupt comes.
    fn interrupt(&self, patient: &mut Patient) -> Result<&'static str> {
        patient.end_entry()?;
        patient.execute(self.write, APIC + COMMAND, TO_ITSELF | u32::from(TIMER))?;
        Ok("timer interrupts out of turn")
    }

    /// The machine stands where an interrupt arrives: it is lost.
    fn lose(&self, patient: &mut Patient) -> Result<&'static str> {
        patient.watch(self.arrival, false)?;
        patient.execute(self.write, APIC + END_OF_INTERRUPT, 0)?;
        patient.stub.set_register(PROGRAM_COUNTER, self.back)?;
        Ok("timer interrupts lost")
    }
}

/// The serial port, and what its interrupts were before they were held back.
struct Port {
    random: Random,
    held: Option<u8>,
}

impl Port {
    /// Every second time lets go what the time before may have held back, so that nothing is at the end of a round.
    /// Returns what was done.
    fn strike(&mut self, patient: &mut Patient, number: u64) -> Result<&'static str> {
        if let Some(enabled) = self.held.take() {
            write(patient, ENABLE, enabled)?;
            return Ok("interrupts let go");
        }
        if !number.is_multiple_of(2) {
            patient.stub.monitor("nmi")?;
            return Ok("non-maskable interrupts");
        }
        match self.random.below(4) {
            0 | 1 => {
                self.held = Some(read(patient, ENABLE)?);
                write(patient, ENABLE, 0)?;
                Ok("interrupts held back")
            }
            2 => {
                let enabled = read(patient, ENABLE)?;
                for _ in 0..3 {
                    write(patient, ENABLE, 0)?;
                    write(patient, ENABLE, enabled | 2)?;
                }
                write(patient, ENABLE, enabled)?;
                Ok("interrupts repeated")
            }
            _ => {
                read(patient, IDENTIFY)?;
                Ok("interrupts taken back")
            }
        }
    }
}

fn write(patient: &mut Patient, port: u16, value: u8) -> Result<()> {
    patient.stub.monitor(&format!("o /b {port:#x} {value:#x}")).map(drop)
}

fn read(patient: &mut Patient, port: u16) -> Result<u8> {
    let said = patient.stub.monitor(&format!("i /b {port:#x}"))?;
    // `portb[0x03f9] = 0x05`
    match said.rsplit("0x").next().map(str::trim).map(|digits| u8::from_str_radix(digits, 16)) {
        Some(Ok(value)) => Ok(value),
        _ => bail!("QEMU says `{said}` of port {port:#x}"),
    }
}
