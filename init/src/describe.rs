//! `svc log`, `svc policy`, and what a service died of: in words.

use core::fmt::{self, Write};

use parley_abi::Errno;
use parley_abi::call::Rights;
use parley_abi::info::topic;
use parley_abi::slot::service;

use crate::manifest::{Entry, From, Overrun, Start, Then};
use crate::report::Text;
use crate::server::Init;

impl Init {
    /// What `init::report` tells, into `self.text`. ENOENT: no such service. EINVAL: no such topic.
    pub(crate) fn write_report(&mut self, number: u32, what: u32) -> Result<(), Errno> {
        let service = self.services.get(number as usize).ok_or(Errno::ENOENT)?;
        let mut text = Text::default();
        // `Text` cannot fail: what does not fit is left out.
        let _ = match what {
            topic::LOG => service.history.lines().try_for_each(|line| text.write_str(line)),
            topic::DEATH => text.write_str(service.history.death.as_str()),
            topic::POLICY => policy(self.entry(number as u8), &mut text),
            _ => return Err(Errno::EINVAL),
        };
        self.text = text;
        Ok(())
    }
}

fn policy(entry: &Entry, out: &mut Text) -> fmt::Result {
    let start = match entry.start {
        Start::Boot => "at boot",
        Start::Load => "on request, as a driver",
    };
    writeln!(out, "   started: {start}, from {}, priority {}", entry.program, entry.priority)?;
    writeln!(out, "    memory: {} KiB, state that outlives it: {} KiB", entry.pages * 4, entry.state * 4)?;
    let rights = entry.rights();
    out.write_str(match (rights.contains(Rights::WRITE), rights.contains(Rights::READ)) {
        (true, true) => "      uses: the kernel log, which it reads as well",
        (true, false) => "      uses: the kernel log",
        (false, _) => "      uses: no kernel log",
    })?;
    for ports in &entry.ports {
        write!(out, ", ports {:#x} to {:#x}", ports.first, u32::from(ports.first) + u32::from(ports.count) - 1)?;
    }
    if entry.pm_timer {
        out.write_str(", the ACPI timer")?;
    }
    for interrupt in &entry.interrupts {
        write!(out, ", interrupt {}", interrupt.line)?;
    }
    out.write_str(if entry.archive { ", the boot archive\n" } else { "\n" })?;
    out.write_str("     calls:")?;
    for number in &entry.calls {
        write!(out, " {}", service::NAMES.get(usize::from(*number)).unwrap_or(&"?"))?;
    }
    out.write_str(if entry.calls.is_empty() { " nobody\n" } else { "\n" })?;
    match entry.heartbeat {
        0 => out.write_str(" heartbeat: none\n")?,
        period => writeln!(out, " heartbeat: every {} ms; killed after as long without an answer", period / 1_000_000)?,
    }
    out.write_str(match entry.overrun {
        Overrun::Restart => "   overrun: restarted when 15/16 of its memory are used\n",
        Overrun::Refuse => "   overrun: refuses what does not fit\n",
    })?;
    let from = match entry.restart.from {
        From::State => "where the one before ended",
        From::Fresh => "afresh",
    };
    let then = match entry.restart.then {
        Then::Fail => "its callers get ESTALE",
        Then::Halt => "the machine is switched off",
    };
    let (deaths, seconds) = (entry.restart.deaths, entry.restart.within / 1_000_000_000);
    writeln!(out, "   restart: {from}; after {deaths} deaths in {seconds} s {then}")?;
    if entry.needed {
        out.write_str("    needed: it cannot be stopped\n")?;
    }
    Ok(())
}
