//! Interrupts that do not come, come late, come twice, or come where nobody waits for them.
//!
//! The serial port's are held back, and asked for again, with its own interrupt-enable register, through QEMU's
//! monitor; while somebody types. Non-maskable ones strike anywhere.

use anyhow::{Context, Result, bail, ensure};

use super::failed;
use crate::guest::Rig;
use crate::qemu::Console;
use crate::torture::patient::{LAST_WORDS, Mark, Patient, Stop};
use crate::torture::random::Random;
use crate::torture::{Case, Tally, console};

/// COM1's interrupt-enable register, and the one whose reading takes an interrupt back.
const ENABLE: u16 = 0x3f9;
const IDENTIFY: u16 = 0x3fa;

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let (seed, rounds) = (case.seed.to_string(), case.size.to_string());
    let args = ["--seed", &seed, "--rounds", &rounds, "--faults", "host", "--typed"];
    let mut patient = Patient::new(rig, case.kernel, &args, |machine| machine.console = Console::Pipes)?;
    let (keyboard, screen) = patient.running.pipes().context("the console is no pair of pipes")?;
    let mut console = crate::session::Console::new(keyboard, screen);
    let mut port = Port { random: Random::new(case.seed), held: None };
    let mut tally = Tally::default();
    let ended = loop {
        match patient.next() {
            Ok(Stop::Mark(Mark::Strike(number))) => tally.add(port.strike(&mut patient, number)?, 1),
            Ok(Stop::Mark(Mark::Type(number))) => {
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
