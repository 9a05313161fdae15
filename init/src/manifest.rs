//! What each service needs: the one place that says so.
//!
//! In the order in which they are started: a service finds those below it running. A service that is
//! resident in ring 0 is not started, and then its line says nothing.

use parley_abi::call::Rights;
use parley_abi::slot::service;

use crate::supervise::Policy;

/// A range of I/O ports.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// How many.
    pub count: u16,
}

/// An interrupt and the notification bits it sets.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt {
    /// Global system interrupt.
    pub gsi: u32,
    /// Bits of the service's endpoint.
    pub bits: u64,
}

/// One service.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name, for people.
    pub name: &'static str,
    /// Its number, of [`service`].
    pub number: u8,
    /// Its program in the boot archive.
    pub file: &'static str,
    /// Pages it may use.
    pub pages: u64,
    /// Pages of state that outlive an instance; 0: each starts afresh.
    pub state: u64,
    /// Priority, 0 to 31.
    pub priority: u8,
    /// Rights to the system object; each may write to the kernel log, to say why it died.
    pub system: Rights,
    /// Ports it may use.
    pub ports: Option<Ports>,
    /// It may read the power management timer, if there is one.
    pub pm_timer: bool,
    /// Interrupt it is told of.
    pub interrupt: Option<Interrupt>,
    /// It gets the boot archive.
    pub archive: bool,
    /// Services it calls.
    pub calls: &'static [u8],
    /// Without it, no program can do anything useful; it cannot be stopped.
    pub needed: bool,
    /// When it is started again after a death.
    pub restart: Policy,
}

const PLAIN: Entry = Entry {
    name: "",
    number: 0,
    file: "",
    pages: 128,
    state: 0,
    priority: 16,
    system: Rights::WRITE,
    ports: None,
    pm_timer: false,
    interrupt: None,
    archive: false,
    calls: &[],
    needed: true,
    restart: Policy { deaths: 5, within: 10_000_000_000 },
};

/// Every service, lowest first.
pub const SERVICES: &[Entry] = &[
    Entry {
        name: "time",
        number: service::TIME,
        file: "svc/time",
        state: 16,
        priority: 20,
        ports: Some(Ports { first: 0x70, count: 2 }), // the real-time clock: index and data
        pm_timer: true,                               // for `time-acpi`
        ..PLAIN
    },
    Entry {
        name: "char",
        number: service::CHAR,
        file: "svc/char",
        pages: 256,
        state: 16,
        priority: 20,
        system: Rights::READ.union(Rights::WRITE), // it brings the kernel log to the console
        ports: Some(Ports { first: 0x3f8, count: 8 }), // COM1
        interrupt: Some(Interrupt { gsi: 4, bits: 1 }), // of COM1
        ..PLAIN
    },
    Entry {
        name: "vfs",
        number: service::VFS,
        file: "svc/vfs",
        pages: 256,
        state: 2560, // files that are written live in it
        archive: true,
        calls: &[service::TIME, service::CHAR],
        ..PLAIN
    },
    Entry { name: "proc", number: service::PROC, file: "svc/proc", ..PLAIN },
    Entry { name: "ping", number: service::PING, file: "svc/ping", state: 8, needed: false, ..PLAIN },
    Entry { name: "peer", number: service::PEER, file: "svc/ping", state: 8, needed: false, ..PLAIN },
];

/// Pages that pay for what outlives the instances of a service: its endpoint, and news for it.
pub const BASE_PAGES: u64 = 64;
/// Pages of a program, unless memory is short.
pub const PROGRAM_PAGES: u64 = 1024;
/// Priority of programs: below every service.
pub const PROGRAM_PRIORITY: u8 = 8;
/// Rights of programs to the system object: `ps`, `mem` and the counters.
pub const PROGRAM_SYSTEM: Rights = Rights::READ;
/// Rights of what init itself starts for a person, the shell: the trace as well.
pub const PERSON_SYSTEM: Rights = Rights::READ.union(Rights::MANAGE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_call_only_what_was_started_before() {
        for (index, entry) in SERVICES.iter().enumerate() {
            let started = |number: &u8| SERVICES[..index].iter().any(|below| below.number == *number);
            assert!(entry.calls.iter().all(started), "{} calls upward", entry.name);
        }
    }

    #[test]
    fn each_number_has_its_name_once() {
        assert_eq!(SERVICES.len(), service::COUNT);
        for entry in SERVICES {
            assert_eq!(service::NAMES[usize::from(entry.number)], entry.name);
            assert_eq!(SERVICES.iter().filter(|other| other.number == entry.number).count(), 1);
        }
    }
}
