//! Allocations that fail, one at a time: the guest's program does the same thing again and again, and each time the core
//! is short of memory at one place further.
//!
//! Whatever the core allocates it takes from somebody's quota or from the free frames, by two functions; the host has one
//! of them say that there is none. So the caller of the system call may be a program, a server that wants memory, or init.
//! A call may then be refused with ENOMEM; it must have had no effect, and nothing may be left over.

use anyhow::{Context, Result, bail, ensure};

use super::failed;
use crate::elf_file::ElfFile;
use crate::guest::Rig;
use crate::torture::patient::{Mark, Patient, Stop};
use crate::torture::{Case, Tally};

/// Passes that no script needs, and operations of each kind of work in one.
const PASSES: &str = "1000000";
const OPERATIONS: &str = "12";
/// Functions of the core, as their names end where the compiler puts them, and what they return when there is nothing:
/// `Err(ENOMEM)` of a quota, `None` of the frames.
const SOURCES: [(&str, u64); 2] = [("6charge17h", 12), ("11take_zeroed17h", 0)];

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let sources = sources(&ElfFile::read(&rig.guest.kernel(case.kernel).symbols)?);
    ensure!(!sources.is_empty(), "the core has no function of its own that allocates: they are inlined");
    let (seed, mut tally) = (case.seed.to_string(), Tally::default());
    let args = ["--script", "everything", "--seed", &seed, "--operations", OPERATIONS, "--rounds", PASSES, "--lenient"];
    let mut patient = Patient::new(rig, case.kernel, &args, |_| {})?;
    for index in (case.seed % case.size..).step_by(case.size as usize) {
        match pass(&mut patient, &sources, index) {
            Ok(Some(outcome)) => {
                tally.add("allocations that failed", 1);
                tally.add(outcome, 1);
            }
            Ok(None) => {
                ensure!(tally.get("allocations that failed") > 0, "a pass has at most {index} allocations");
                tally.add("allocations of a pass", index);
                return Ok(tally);
            }
            Err(error) => return failed(rig, case.kernel, &format!("allocation {index}: {error:#}"), patient),
        }
    }
    unreachable!("a range without an end")
}

/// Where the functions are, and what each returns.
fn sources(kernel: &ElfFile) -> Vec<(u64, u64)> {
    let symbols = kernel.symbols();
    let of = |(name, nothing): (&str, u64)| {
        let found = symbols.iter().filter(move |symbol| symbol.is_function && symbol.name.contains(name));
        found.map(move |symbol| (symbol.address, nothing)).collect::<Vec<_>>()
    };
    SOURCES.into_iter().flat_map(of).collect()
}

/// One pass, in which allocation number `index` fails, and what came of it. `None`: there are fewer.
fn pass(patient: &mut Patient, sources: &[(u64, u64)], index: u64) -> Result<Option<&'static str>> {
    super::begin(patient)?;
    watch(patient, sources, true)?;
    let (mut count, mut has_failed) = (0, false);
    loop {
        let outcome = match patient.next()? {
            Stop::Elsewhere => {
                if count == index {
                    let at = patient.stub.place()?.address;
                    let source = sources.iter().find(|(address, _)| *address == at);
                    patient.return_now(source.context("a breakpoint of nobody's")?.1)?;
                    has_failed = true;
                    watch(patient, sources, false)?;
                }
                count += 1;
                continue;
            }
            Stop::Mark(Mark::Round(_, 0)) => "passes that nobody refused",
            Stop::Mark(Mark::Round(_, 1)) => "passes with a call refused",
            Stop::Mark(Mark::Round(_, trouble)) => bail!("the pass failed with trouble {trouble}"),
            Stop::Mark(Mark::End(_)) => bail!("the program gave up"),
            _ => continue,
        };
        watch(patient, sources, false)?;
        return Ok(has_failed.then_some(outcome));
    }
}

fn watch(patient: &mut Patient, sources: &[(u64, u64)], watched: bool) -> Result<()> {
    sources.iter().try_for_each(|(address, _)| patient.watch(*address, watched))
}
