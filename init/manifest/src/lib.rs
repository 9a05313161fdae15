//! The manifest: what each service gets, and what becomes of it when it fails.
//!
//! A person writes `init/services.toml`. The build reads it, checks it here ([`Manifest::check`]) and puts it into the
//! boot archive as `postcard` with a checksum ([`Manifest::encode`]); init reads that and nothing else. So a mistake is
//! found by whoever makes it, with file and line, and what is damaged on the way is found at boot.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod check;

use crc::{CRC_32_ISO_HDLC, Crc};
use heapless::{String, Vec};
use parley_abi::call::Rights;
use serde::{Deserialize, Serialize};

pub use check::{DEATHS, HIGHEST, Wrong};

/// The file in the boot archive.
pub const PATH: &str = "svc/manifest";
/// The file begins with this, which changes with what follows.
const MAGIC: &[u8; 8] = b"PARLEYM2";
/// Largest file, in bytes.
const LARGEST: usize = 16 << 10;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// All services, lowest first: each finds those that it calls running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What programs get.
    pub programs: Programs,
    /// The services.
    pub services: Vec<Entry, 24>,
}

/// What every program gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// Pages, unless memory is short.
    pub pages: u64,
    /// Priority, below that of every service.
    pub priority: u8,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name, as in [`parley_abi::slot::service::NAMES`].
    pub name: String<16>,
    /// Its place in that list.
    pub number: u8,
    /// Its program in the boot archive.
    pub program: String<32>,
    /// When it is started.
    pub start: Start,
    /// Priority, 1 to 30.
    pub priority: u8,
    /// Pages it may use.
    pub pages: u64,
    /// Pages of state that outlive an instance; 0: each starts afresh.
    pub state: u64,
    /// Bits of [`Rights`] to the system object; each may write to the kernel log, to say why it died.
    pub system: u8,
    /// I/O ports.
    pub ports: Vec<Ports, 4>,
    /// It may read the ACPI power management timer, if there is one.
    pub pm_timer: bool,
    /// Interrupts.
    pub interrupts: Vec<Interrupt, 4>,
    /// It gets the boot archive.
    pub archive: bool,
    /// Numbers of the services that it calls.
    pub calls: Vec<u8, 8>,
    /// Without it, no program can do anything useful; it cannot be stopped.
    pub needed: bool,
    /// What follows from its death.
    pub restart: Restart,
    /// It must answer init at least this often, in nanoseconds; 0: it is not asked.
    pub heartbeat: u64,
    /// What becomes of it when its memory is nearly used up.
    pub overrun: Overrun,
}

/// When a service is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the machine.
    Boot,
    /// On request: `svc load`. It is a driver, whose devices come and go with it.
    Load,
}

/// A range of I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// How many.
    pub count: u16,
}

/// An interrupt and the notification bit that it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interrupt {
    /// Global system interrupt.
    pub line: u32,
    /// Number of the bit, 0 to 31.
    pub bit: u8,
}

/// What follows from a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Where the next instance begins.
    pub from: From,
    /// Deaths within [`Restart::within`] after which it is given up, 1 to [`DEATHS`].
    pub deaths: u8,
    /// Nanoseconds.
    pub within: u64,
    /// What happens then.
    pub then: Then,
}

/// Where the next instance begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// Where the one before ended: its state outlives it.
    State,
    /// At the beginning.
    Fresh,
}

/// What becomes of a service that dies too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Calls to it fail with ESTALE.
    Fail,
    /// The machine is switched off.
    Halt,
}

/// What becomes of a service whose memory is nearly used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overrun {
    /// Nothing: it answers ENOMEM or ENOSPC, as its interface says. For services that keep things for others.
    Refuse,
    /// It has a leak: it is started again.
    Restart,
}

/// Why a file is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It does not begin as one.
    NoManifest,
    /// It was changed since it was built, or cut off.
    Checksum,
}

/// The checksum of some bytes, by the file's rule: what tells one program from another.
pub fn checksum(bytes: &[u8]) -> u32 {
    CHECKSUM.checksum(bytes)
}

impl Manifest {
    /// The file. `None`: it would be longer than 16 KiB.
    pub fn encode(&self) -> Option<alloc::vec::Vec<u8>> {
        let mut bytes = alloc::vec![0; LARGEST];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        let used = postcard::to_slice_crc32(self, &mut bytes[MAGIC.len()..], CHECKSUM.digest()).ok()?.len();
        bytes.truncate(MAGIC.len() + used);
        Some(bytes)
    }

    /// Reads what [`Manifest::encode`] wrote.
    pub fn decode(file: &[u8]) -> Result<Manifest, Damage> {
        let bytes = file.strip_prefix(MAGIC).ok_or(Damage::NoManifest)?;
        postcard::from_bytes_crc32(bytes, CHECKSUM.digest()).map_err(|_| Damage::Checksum)
    }

    /// The service of this number, if there is one.
    pub fn entry(&self, number: u8) -> Option<&Entry> {
        self.services.iter().find(|entry| entry.number == number)
    }
}

impl Entry {
    /// Rights to the system object.
    pub fn rights(&self) -> Rights {
        Rights::from_bits_truncate(self.system)
    }
}
