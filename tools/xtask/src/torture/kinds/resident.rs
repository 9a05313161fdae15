//! The same two faults wherever a service lives: how often do they take the machine down?
//!
//! A service takes an exception at the beginning of one of its functions, or bits of its memory change. In ring 0 that is its
//! functions, its own memory, what that points to, and the kernel's stack; in ring 3 it is as in [`super::flips`]. A machine
//! has faults of one sort and in one ring only, which follow from its seed, so that its end has one cause. Nothing is
//! expected: it is counted.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::flips;
use crate::elf_file::{ElfFile, Symbol};
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::qemu::{End, PROGRAM_COUNTER};
use crate::torture::patient::{Mark, Patient, Stop};
use crate::torture::random::Random;
use crate::torture::{Case, Tally};

const OPERATIONS: &str = "12";
/// Bits that change at once.
const BITS: u64 = 16;
/// Functions at which the next exception waits; the one that is executed first has it.
const CANDIDATES: usize = 16;
/// The services' crates, as symbols have them.
const CRATES: [&str; 5] = ["server_vfs", "server_char", "server_time", "server_proc", "server_ping"];
/// What an image calls the memory of its services.
const HOMES: [&str; 3] = ["3VFS", "4CHAR", "4TIME"];
/// The processor's block: a guard page, then the kernel's stack.
const CPU: &str = "CPU";
const GUARD: u64 = 4096;
const STACK: u64 = 32 << 10;
/// Without a word of the program for so long, a machine is given up, though processes begin in it.
const PATIENCE: Duration = Duration::from_secs(240);
/// Where physical memory is mapped, in the core's half.
const WINDOW: std::ops::Range<u64> = 0xffff_8000_0000_0000..0xffff_ffff_8000_0000;

/// What is done to the services of one machine. Its text names counts in a [`Tally`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bits change; otherwise functions take exceptions.
    pub flips: bool,
    /// In services of this ring, 0 or 3.
    pub ring: u8,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 4] = [
        Fault { flips: false, ring: 3 },
        Fault { flips: false, ring: 0 },
        Fault { flips: true, ring: 3 },
        Fault { flips: true, ring: 0 },
    ];

    /// What a machine with this seed has. Only in hybrid there are services in both rings.
    pub fn of(case: &Case) -> Fault {
        let ring = match case.kernel {
            Kernel::Micro => 3,
            Kernel::Mono => 0,
            Kernel::Hybrid if (case.seed / 2).is_multiple_of(2) => 3,
            Kernel::Hybrid => 0,
        };
        Fault { flips: case.seed.is_multiple_of(2), ring }
    }

    /// The count of machines that had it.
    pub fn machines(self) -> String {
        format!("machines with {self}")
    }

    /// The count of those that went down.
    pub fn down(self) -> String {
        format!("machines down by {self}")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in ring {}", if self.flips { "flipped bits" } else { "exceptions" }, self.ring)
    }
}

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let (seed, rounds) = (case.seed.to_string(), case.size.to_string());
    let args = ["--seed", &seed, "--rounds", &rounds, "--operations", OPERATIONS, "--faults", "host", "--lenient"];
    let fault = Fault::of(case);
    let kernel = ElfFile::read(&rig.guest.kernel(case.kernel).symbols)?.symbols();
    let mut patient = Patient::new(rig, case.kernel, &args, |_| {})?;
    let (mut tally, mut random) = (Tally::default(), Random::new(case.seed));
    let (mut traps, mut is_struck) = (Traps::default(), false);
    tally.add(fault.machines(), 1);
    let mut heard = Instant::now();
    loop {
        let stop = patient.next();
        if let Ok(Stop::Mark(_)) = stop {
            heard = Instant::now();
        } else if heard.elapsed() > PATIENCE {
            tally.add("machines in which programs are stuck", 1);
            return Ok(tally);
        }
        match stop {
            // Once a round: a request that four servers in a row die of gets EIO, and deserves it.
            Ok(Stop::Mark(Mark::Strike(_))) if !fault.flips && is_struck => {}
            Ok(Stop::Mark(Mark::Strike(_))) if !fault.flips => {
                let sites = match fault.ring {
                    0 => functions(&kernel).map(|symbol| (None, symbol.address)).collect(),
                    _ => functions_of_servers(rig, &patient)?,
                };
                ensure!(!sites.is_empty(), "there are no services in ring {}", fault.ring);
                traps.set(&mut patient, &sites, &mut random)?;
            }
            Ok(Stop::Elsewhere) if traps.is_hit(&mut patient)? => {
                traps.clear(&mut patient)?;
                patient.stub.set_register(PROGRAM_COUNTER, 0)?;
                tally.add(fault.to_string(), 1);
                is_struck = true;
            }
            Ok(Stop::Mark(Mark::Strike(_))) => {
                match fault.ring {
                    0 => flip(&mut patient, case.kernel, &kernel, &mut random)?,
                    _ => flips::strike(&mut patient, &mut random, &mut tally, BITS)?,
                }
                tally.add(fault.to_string(), BITS);
            }
            Ok(Stop::Mark(Mark::Round(_, trouble))) => {
                tally.add(flips::outcome(trouble), 1);
                is_struck = false;
            }
            Ok(Stop::Mark(Mark::End(trouble))) => {
                tally.add(format!("machines ended by {}", flips::outcome(trouble)), 1);
                return Ok(tally);
            }
            Ok(_) => {}
            Err(_) => {
                let (end, is_down) = how_it_ended(&mut patient)?;
                tally.add(end, 1);
                tally.add(fault.down(), is_down.into());
                return Ok(tally);
            }
        }
    }
}

/// What became of a machine that does not stop any more, and whether that is its end.
fn how_it_ended(patient: &mut Patient) -> Result<(&'static str, bool)> {
    std::thread::sleep(flips::BETWEEN);
    Ok(match patient.running.try_end()? {
        Some(End::Orderly) => ("machines that stood to the end", false),
        Some(End::Panicked) => ("machines with a panic", true),
        Some(_) => ("machines that ended without a word", true),
        None if flips::a_server_spins(patient)? => ("machines in which a server spins", false),
        None => ("machines in which ring 0 does not return", true),
    })
}

/// Functions at which an exception waits, each in ring 0 or in a server.
#[derive(Default)]
struct Traps(Vec<(Option<&'static str>, u64)>);

impl Traps {
    /// At some of these from now on.
    fn set(&mut self, patient: &mut Patient, sites: &[(Option<&'static str>, u64)], random: &mut Random) -> Result<()> {
        self.clear(patient)?;
        self.0 = (0..CANDIDATES).filter_map(|_| random.pick(sites)).copied().collect();
        self.0.iter().try_for_each(|(_, address)| patient.watch(*address, true))
    }

    fn clear(&mut self, patient: &mut Patient) -> Result<()> {
        self.0.drain(..).try_for_each(|(_, address)| patient.watch(address, false))
    }

    /// The machine stands at one of them. Programs have other code at the same addresses.
    fn is_hit(&self, patient: &mut Patient) -> Result<bool> {
        let place = patient.stub.place()?;
        let home = if place.ring == 0 { None } else { patient.server(place.space) };
        Ok((place.ring == 0 || home.is_some()) && self.0.contains(&(home, place.address)))
    }
}

fn functions(symbols: &[Symbol]) -> impl Iterator<Item = &Symbol> {
    let of_service = |symbol: &&Symbol| symbol.is_function && CRATES.iter().any(|name| symbol.name.contains(name));
    symbols.iter().filter(of_service)
}

/// The functions of all services that are processes.
fn functions_of_servers(rig: &Rig, patient: &Patient) -> Result<Vec<(Option<&'static str>, u64)>> {
    let mut sites = Vec::new();
    for (path, program) in rig.guest.programs() {
        let server = patient.servers.keys().find(|name| path.strip_prefix("svc/") == Some(name));
        if let Some(&server) = server {
            let symbols = ElfFile::read(&program.symbols)?.symbols();
            sites.extend(functions(&symbols).map(|symbol| (Some(server), symbol.address)));
        }
    }
    Ok(sites)
}

/// Changes bits of the memory of services in ring 0, in places of one kind.
fn flip(patient: &mut Patient, kernel: Kernel, symbols: &[Symbol], random: &mut Random) -> Result<()> {
    let (name, length) = (kernel.name(), kernel.name().len());
    let is_home = |symbol: &&Symbol| HOMES.iter().any(|home| symbol.name.contains(&format!("{length}{name}{home}")));
    let homes: Vec<_> = symbols.iter().filter(is_home).collect();
    ensure!(!homes.is_empty(), "the image has no services in it");
    let ranges = match random.below(4) {
        0 => functions(symbols).map(|symbol| (symbol.address, symbol.size)).collect(),
        1 => homes.iter().map(|symbol| (symbol.address, symbol.size)).collect(),
        2 => {
            let block = symbols.iter().find(|symbol| symbol.name == CPU).context("the kernel has no block CPU")?;
            vec![(block.address + GUARD, STACK)]
        }
        _ => heap(patient, &homes)?,
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
