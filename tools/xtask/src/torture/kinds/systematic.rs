//! A death at every place in turn: the guest's program does the same thing again and again, and each time a server dies
//! one place further.
//!
//! A server dies by jumping to address 0, where nothing is: an exception like any other, which costs the core nothing.

use anyhow::{Result, ensure};

use super::{begin, failed};
use crate::guest::Rig;
use crate::qemu::{PROGRAM_COUNTER, RAX, RCX};
use crate::torture::patient::{Mark, Patient, Stop};
use crate::torture::{Case, Tally};

/// Passes that no script needs.
const PASSES: &str = "1000000";
/// Operations of each kind of work in a pass.
const OPERATIONS: &str = "6";
/// A system call that nobody has.
const NO_CALL: u64 = 0xfff;
/// Instructions of ring 0 and of the program before the server works.
const WAY: usize = 5000;

/// How the server dies at a system call.
#[derive(Clone, Copy)]
enum Manner {
    /// It is not made.
    Instead,
    /// It is made, and the server does not live to see what it gave.
    After,
}

/// At each system call of a server in one pass.
pub fn boundaries(rig: &Rig, case: &Case) -> Result<Tally> {
    let seed = case.seed.to_string();
    let args = ["--script", "everything", "--seed", &seed, "--operations", OPERATIONS, "--rounds", PASSES];
    let mut patient = Patient::new(rig, case.kernel, &args, |_| {})?;
    let mut tally = Tally::default();
    for index in (0..).step_by(case.size as usize) {
        for manner in [Manner::Instead, Manner::After] {
            match pass(&mut patient, index, manner) {
                Ok(Some(server)) => tally.add(format!("deaths of {server} at its calls"), 1),
                Ok(None) => {
                    ensure!(index > 0, "no server made a call");
                    tally.add("boundaries of a pass", index);
                    return Ok(tally);
                }
                Err(error) => return failed(rig, case.kernel, &format!("call {index}: {error:#}"), patient),
            }
        }
    }
    unreachable!("a range without an end")
}

/// One pass, with a death at call number `index`. `None`: there are fewer.
fn pass(patient: &mut Patient, index: u64, manner: Manner) -> Result<Option<&'static str>> {
    begin(patient)?;
    patient.watch_calls(true)?;
    let (mut calls, mut died) = (0, None);
    loop {
        match patient.next()? {
            Stop::Call(server) if calls == index && died.is_none() => {
                if let Manner::Instead = manner {
                    patient.stub.set_register(RAX, NO_CALL)?;
                }
                // Where it would go on.
                patient.stub.set_register(RCX, 0)?;
                patient.watch_calls(false)?;
                died = Some(server);
            }
            Stop::Call(_) => calls += 1,
            Stop::Mark(Mark::Round(_, trouble)) => {
                patient.watch_calls(false)?;
                ensure!(trouble == 0, "the pass failed with trouble {trouble} ({died:?} died)");
                return Ok(died);
            }
            Stop::Mark(Mark::End(_)) => anyhow::bail!("the program gave up ({died:?} died)"),
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
