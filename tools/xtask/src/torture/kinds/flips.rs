//! Single bits of servers' memory change under them.
//!
//! Nothing can make that harmless: the question is what it breaks. The core must stand; a server that dies of it must
//! come back; and whatever a program sees that is wrong is counted, by the model of the guest's program.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{explain, failed};
use crate::guest::Rig;
use crate::qemu::End;
use crate::torture::pages::{self, Use};
use crate::torture::patient::{Mark, Patient, Stop};
use crate::torture::random::Random;
use crate::torture::{Case, Tally};

/// Operations of each worker in a round.
const OPERATIONS: &str = "12";
/// Bits that change at once, by the seed.
const BITS: [u64; 2] = [64, 256];
const PAGE: u64 = 4096;
/// How often a machine that does not stop is looked at, and how long it runs in between.
const LOOKS: u32 = 20;
pub const BETWEEN: Duration = Duration::from_millis(20);

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let (seed, rounds) = (case.seed.to_string(), case.size.to_string());
    let args = ["--seed", &seed, "--rounds", &rounds, "--operations", OPERATIONS, "--faults", "host", "--lenient"];
    let mut patient = Patient::new(rig, case.kernel, &args, |_| {})?;
    let (mut tally, mut random) = (Tally::default(), Random::new(case.seed));
    let bits = BITS[case.seed as usize % BITS.len()];
    let mut begun = false;
    loop {
        match patient.next() {
            Ok(Stop::Mark(Mark::Begin(_))) => begun = true,
            Ok(Stop::Mark(Mark::Strike(_))) => strike(&mut patient, &mut random, &mut tally, bits)?,
            Ok(Stop::Process(Some(_))) if begun => tally.add("instances begun", 1),
            Ok(Stop::Mark(Mark::Round(_, trouble))) => tally.add(outcome(trouble), 1),
            Ok(Stop::Mark(Mark::End(trouble))) => {
                tally.add(format!("machines ended by {}", outcome(trouble)), 1);
                return Ok(tally);
            }
            Ok(_) => {}
            Err(_) => return at_the_end(rig, case, patient, tally),
        }
    }
}

/// Rounds so far.
fn rounds(tally: &Tally) -> u64 {
    (0..=4).filter(|&trouble| trouble != 3).map(|trouble| tally.get(outcome(trouble))).sum()
}

/// What a round came to.
pub fn outcome(trouble: u64) -> &'static str {
    match trouble {
        0 => "rounds unharmed",
        1 => "rounds with an error said",
        2 => "rounds with wrong data",
        3 => "rounds stuck",
        _ => "rounds with something left over",
    }
}

/// Changes so many bits of one server, in places of one kind: most hit nothing that is in use.
pub fn strike(patient: &mut Patient, random: &mut Random, tally: &mut Tally, bits: u64) -> Result<()> {
    let servers: Vec<u64> = patient.servers.values().copied().collect();
    let Some(&root) = random.pick(&servers) else { return Ok(()) };
    let pages = pages::all(&mut patient.stub, root)?;
    let first = random.below(Use::ALL.len() as u64) as usize;
    let such = |usage| pages.iter().filter(|page| page.usage == usage).collect::<Vec<_>>();
    // A server without a heap or a kept state has other pages.
    let mut uses = Use::ALL.into_iter().cycle().skip(first).take(Use::ALL.len());
    let Some(usage) = uses.find(|usage| !such(*usage).is_empty()) else { return Ok(()) };
    for _ in 0..bits {
        let Some(page) = random.pick(&such(usage)).copied() else { return Ok(()) };
        let at = page.physical + random.below(PAGE);
        let byte = patient.stub.physical(at, 1)?;
        let Some(&byte) = byte.first() else { bail!("no memory at {at:#x}, of page {:#x}", page.address) };
        patient.stub.set_physical(at, &[byte ^ 1 << random.below(8)])?;
    }
    tally.add(format!("flips in {}", usage.name()), bits);
    tally.add("flips", bits);
    Ok(())
}

/// The machine has ended, or does not stop any more. Only a core that is down is an error.
fn at_the_end(rig: &Rig, case: &Case, mut patient: Patient, mut tally: Tally) -> Result<Tally> {
    // Its end is known a moment after its socket is closed.
    std::thread::sleep(BETWEEN);
    match patient.running.try_end()? {
        Some(End::Orderly) => {
            // Before its time: a service that everybody needs could not be kept, and init said so.
            tally.add("machines given up by init", u64::from(rounds(&tally) < case.size));
            Ok(tally)
        }
        Some(_) => {
            let outcome = patient.autopsy(rig)?;
            bail!("the core is down\n{}", explain(rig, case.kernel, &outcome))
        }
        None => {
            if a_server_spins(&mut patient)? {
                tally.add("machines in which a server spins", 1);
                return Ok(tally);
            }
            failed(rig, case.kernel, "the core neither ends nor lets anybody run", patient)
        }
    }
}

/// Whether somebody in ring 3 gets on in a machine that does not stop any more.
pub fn a_server_spins(patient: &mut Patient) -> Result<bool> {
    for _ in 0..LOOKS {
        patient.stub.interrupt()?;
        if patient.stub.place()?.ring == 3 {
            return Ok(true);
        }
        patient.stub.resume()?;
        std::thread::sleep(BETWEEN);
    }
    Ok(false)
}
