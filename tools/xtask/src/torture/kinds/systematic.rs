//! A fault at every place in turn: the guest's program does the same thing again and again, and each time a server dies
//! or hangs one place further.
//!
//! A server dies by jumping to address 0, where nothing is: an exception like any other, which costs the core nothing.
//! It hangs by jumping to where `svc hang` and `svc stall` would lead it.

use anyhow::{Context, Result, ensure};

use super::{begin, failed};
use crate::guest::Rig;
use crate::qemu::{PROGRAM_COUNTER, RAX, RCX};
use crate::torture::patient::{self, Mark, Patient, Stop, Tick};
use crate::torture::{Case, Tally};

/// Passes that no script needs.
const PASSES: &str = "1000000";
/// Operations of each kind of work in a pass.
const OPERATIONS: &str = "6";
/// A system call that nobody has.
const NO_CALL: u64 = 0xfff;
/// Instructions of ring 0 and of the program before the server works.
const WAY: usize = 5000;

/// What becomes of a server at a system call.
#[derive(Clone, Copy)]
enum Fault {
    /// It takes an exception.
    Dies,
    /// It runs in circles.
    Spins,
    /// It waits for what never comes.
    Stalls,
}

impl Fault {
    const ALL: [Fault; 3] = [Fault::Dies, Fault::Spins, Fault::Stalls];

    fn name(self) -> &'static str {
        match self {
            Fault::Dies => "deaths",
            Fault::Spins => "endless loops",
            Fault::Stalls => "endless waits",
        }
    }

    /// Its function of the run time, if it has one, as the compiler names it.
    fn function(self) -> Option<&'static str> {
        match self {
            Fault::Dies => None,
            Fault::Spins => Some("10supervised4spin17h"),
            Fault::Stalls => Some("10supervised5stall17h"),
        }
    }

    /// Where this server goes to have it.
    fn address(self, rig: &Rig, server: &str) -> Result<u64> {
        let Some(name) = self.function() else { return Ok(0) };
        let symbols = patient::symbols(rig, &format!("svc/{server}"))?.symbols();
        let found = symbols.iter().find(|symbol| symbol.name.contains(name));
        Ok(found.with_context(|| format!("{server} has no function {name}"))?.address)
    }
}

/// At each system call of a server in one pass.
pub fn boundaries(rig: &Rig, case: &Case) -> Result<Tally> {
    let seed = case.seed.to_string();
    let args = ["--script", "everything", "--seed", &seed, "--operations", OPERATIONS, "--rounds", PASSES];
    let mut patient = Patient::new(rig, case.kernel, &args, |_| {})?;
    let mut tally = Tally::default();
    let mut hangs = 0;
    for index in (0..).step_by(case.size as usize) {
        for (fault, is_made) in Fault::ALL.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
            match pass(rig, &mut patient, index, fault, is_made) {
                Ok(Some(server)) => {
                    tally.add(format!("{} of {server} at its calls", fault.name()), 1);
                    hangs += u64::from(fault.function().is_some());
                }
                Ok(None) => {
                    ensure!(index > 0, "no server made a call");
                    tally.add("boundaries of a pass", index);
                    let seen = patient.log().matches("hangs: no heartbeat").count() as u64;
                    ensure!(seen >= hangs, "init noticed {seen} of {hangs} services that hung");
                    return Ok(tally);
                }
                Err(error) => {
                    let why = format!("call {index}, {}, made: {is_made}: {error:#}", fault.name());
                    return failed(rig, case.kernel, &why, patient);
                }
            }
        }
    }
    unreachable!("a range without an end")
}

/// One pass, with a fault at call number `index`: instead of the call, or if that `is_made` before the server sees what
/// it gave. Returns the server; `None`: there are fewer calls.
fn pass(rig: &Rig, patient: &mut Patient, index: u64, fault: Fault, is_made: bool) -> Result<Option<&'static str>> {
    begin(patient)?;
    patient.watch_calls(true)?;
    let (mut calls, mut struck) = (0, None);
    loop {
        match patient.next()? {
            Stop::Call(server) if calls == index && struck.is_none() => {
                if !is_made {
                    patient.stub.set_register(RAX, NO_CALL)?;
                }
                // Where it would go on.
                patient.stub.set_register(RCX, fault.address(rig, server)?)?;
                patient.watch_calls(false)?;
                struck = Some(server);
            }
            Stop::Call(_) => calls += 1,
            Stop::Mark(Mark::Round(_, trouble)) => {
                patient.watch_calls(false)?;
                ensure!(trouble == 0, "the pass failed with trouble {trouble} ({struck:?} was struck)");
                return Ok(struck);
            }
            Stop::Mark(Mark::End(_)) => anyhow::bail!("the program gave up ({struck:?} was struck)"),
            _ => {}
        }
    }
}

/// At each instruction of the vfs while it serves a write.
pub fn instructions(rig: &Rig, case: &Case) -> Result<Tally> {
    let mut patient = Patient::new(rig, case.kernel, &["--script", "write", "--rounds", PASSES], |_| {})?;
    let mut tally = Tally::default();
    if !patient_has(&mut patient, "vfs")? {
        return Ok(tally); // resident: it cannot be killed alone
    }
    // The seed chooses which ones, where not all are wanted.
    for index in (case.seed % case.size..).step_by(case.size as usize) {
        match instruction(&mut patient, index) {
            Ok(true) => tally.add("deaths of vfs within a write", 1),
            Ok(false) => {
                tally.add("instructions of a write", index);
                return Ok(tally);
            }
            Err(error) => return failed(rig, case.kernel, &format!("instruction {index}: {error:#}"), patient),
        }
    }
    unreachable!("a range without an end")
}

/// Whether this server is a process. Runs to the first pass.
fn patient_has(patient: &mut Patient, server: &str) -> Result<bool> {
    begin(patient)?;
    Ok(patient.servers.contains_key(server))
}

/// Lets the vfs die at its instruction number `index` after the pass began. False: the write was over before.
fn instruction(patient: &mut Patient, index: u64) -> Result<bool> {
    let root = patient.servers["vfs"];
    let (mut seen, mut others) = (0, 0);
    patient.set_tick(Tick::Short)?;
    let died = loop {
        patient.stub.step()?;
        let place = patient.stub.place()?;
        if place.ring == 3 && place.space == root {
            if seen == index {
                patient.stub.set_register(PROGRAM_COUNTER, 0)?;
                break true;
            }
            (seen, others) = (seen + 1, 0);
        } else {
            others += 1;
            // It has served and waits for more, or the next call came.
            if others > WAY || seen > 0 && place.ring == 3 {
                break false;
            }
        }
    };
    patient.set_tick(Tick::Millisecond)?;
    loop {
        match patient.next()? {
            Stop::Mark(Mark::Round(_, trouble)) => {
                ensure!(trouble == 0, "the pass failed");
                break;
            }
            Stop::Mark(Mark::End(_)) => anyhow::bail!("the program gave up"),
            _ => {}
        }
    }
    begin(patient)?;
    Ok(died)
}
