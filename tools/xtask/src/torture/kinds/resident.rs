//! The same faults where the services live in ring 0: how often do they take the machine down?
//!
//! With an even seed bits of the services' functions, of their own memory, of their heap and of the kernel's stack change,
//! as in [`super::flips`]; with an odd one a service takes an exception in one of its functions, as in
//! [`super::systematic`]. Nothing is expected: it is counted.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::elf_file::{ElfFile, Symbol};
use crate::guest::Rig;
use crate::qemu::{End, PROGRAM_COUNTER};
use crate::torture::patient::{Mark, Patient, Stop};
use crate::torture::random::Random;
use crate::torture::{Case, Tally};

const OPERATIONS: &str = "12";
/// Bits that change at once.
const BITS: u64 = 16;
/// The services' crates, and the homes that the image gives them, in symbols.
const CRATES: [&str; 5] = ["server_vfs", "server_char", "server_time", "server_proc", "server_ping"];
const HOMES: [&str; 3] = ["4mono3VFS", "4mono4CHAR", "4mono4TIME"];
/// The processor's block: a guard page, then the kernel's stack.
const CPU: &str = "CPU";
const GUARD: u64 = 4096;
const STACK: u64 = 32 << 10;
/// Where physical memory is mapped, in the core's half.
const WINDOW: std::ops::Range<u64> = 0xffff_8000_0000_0000..0xffff_ffff_8000_0000;
/// How long the machine gets to end after its socket is closed.
const MOMENT: Duration = Duration::from_millis(50);

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let (seed, rounds) = (case.seed.to_string(), case.size.to_string());
    let args = ["--seed", &seed, "--rounds", &rounds, "--operations", OPERATIONS, "--faults", "host", "--lenient"];
    let kernel = ElfFile::read(&rig.guest.kernel(case.kernel).symbols)?;
    let symbols = kernel.symbols();
    let mut patient = Patient::new(rig, case.kernel, &args, |_| {})?;
    let (mut tally, mut random) = (Tally::default(), Random::new(case.seed));
    loop {
        let stop = match patient.next() {
            Ok(Stop::Mark(Mark::Strike(_))) if case.seed.is_multiple_of(2) => {
                flip(&mut patient, &symbols, &mut random, &mut tally)?;
                continue;
            }
            Ok(Stop::Mark(Mark::Strike(_))) => {
                tally.add("exceptions in a service", 1);
                let died = strike(&mut patient, &symbols, &mut random);
                died.and_then(|()| patient.next())
            }
            stop => stop,
        };
        match stop {
            Ok(Stop::Mark(Mark::Round(_, trouble))) => tally.add(super::flips::outcome(trouble), 1),
            Ok(Stop::Mark(Mark::End(_))) => {
                tally.add("machines in which programs are stuck", 1);
                return Ok(tally);
            }
            Ok(_) => {}
            Err(_) => {
                tally.add(how_it_ended(&mut patient)?, 1);
                return Ok(tally);
            }
        }
    }
}

/// What became of a machine that does not stop any more.
fn how_it_ended(patient: &mut Patient) -> Result<&'static str> {
    std::thread::sleep(MOMENT);
    Ok(match patient.running.try_end()? {
        Some(End::Orderly) => "machines that stood to the end",
        Some(End::Panicked) => "machines down with a panic",
        Some(_) => "machines down without a word",
        None => "machines down: ring 0 does not return",
    })
}

/// Lets a service fail at the beginning of one of its functions: the first that is executed of some.
fn strike(patient: &mut Patient, symbols: &[Symbol], random: &mut Random) -> Result<()> {
    let functions = functions(symbols);
    let chosen: Vec<u64> = (0..16).filter_map(|_| random.pick(&functions)).map(|symbol| symbol.address).collect();
    for &address in &chosen {
        patient.stub.set_breakpoint(address)?;
    }
    patient.stub.go()?;
    for &address in &chosen {
        patient.stub.clear_breakpoint(address)?;
    }
    if chosen.contains(&patient.stub.place()?.address) {
        patient.stub.set_register(PROGRAM_COUNTER, 0)?;
    }
    Ok(())
}

fn functions(symbols: &[Symbol]) -> Vec<&Symbol> {
    let of_service = |symbol: &&Symbol| symbol.is_function && CRATES.iter().any(|name| symbol.name.contains(name));
    symbols.iter().filter(of_service).collect()
}

/// Changes bits of the services' memory, in places of one kind.
fn flip(patient: &mut Patient, symbols: &[Symbol], random: &mut Random, tally: &mut Tally) -> Result<()> {
    let homes: Vec<_> = symbols.iter().filter(|symbol| HOMES.iter().any(|home| symbol.name.contains(home))).collect();
    ensure!(!homes.is_empty(), "the image has no services in it");
    let (usage, ranges) = match random.below(4) {
        0 => ("code", functions(symbols).into_iter().map(|symbol| (symbol.address, symbol.size)).collect()),
        1 => ("data", homes.iter().map(|symbol| (symbol.address, symbol.size)).collect()),
        2 => {
            let block = symbols.iter().find(|symbol| symbol.name == CPU).context("the kernel has no block CPU")?;
            ("stack", vec![(block.address + GUARD, STACK)])
        }
        _ => ("heap", heap(patient, &homes)?),
    };
    // By their length, so that each byte is as likely as any other.
    let total: u64 = ranges.iter().map(|(_, size)| size).sum();
    for _ in 0..BITS {
        let mut offset = random.below(total.max(1));
        for &(start, size) in &ranges {
            if offset < size {
                let at = start + offset;
                if let Some(&byte) = patient.stub.memory(at, 1)?.first() {
                    patient.stub.set_memory(at, &[byte ^ 1 << random.below(8)])?;
                }
                break;
            }
            offset -= size;
        }
    }
    tally.add(format!("flips in {usage}"), BITS);
    tally.add("flips", BITS);
    Ok(())
}

/// The pages that the services' own memory points into.
fn heap(patient: &mut Patient, homes: &[&Symbol]) -> Result<Vec<(u64, u64)>> {
    let mut pages = std::collections::BTreeSet::new();
    for home in homes {
        let bytes = patient.stub.memory(home.address, home.size as usize)?;
        let words = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        pages.extend(words.filter(|word| WINDOW.contains(word)).map(|word| word & !4095));
    }
    Ok(pages.into_iter().map(|page| (page, 4096)).collect())
}
