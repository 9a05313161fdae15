//! What makes a manifest wrong, in words that say what to do.

use alloc::format;
use alloc::string::String;

use parley_abi::PAGE;
use parley_abi::call::Rights;
use parley_abi::slot::service;

use crate::{Entry, From, Manifest, Start};

/// Deaths that a policy can count.
pub const DEATHS: u8 = 8;
/// init's own priority: what it watches must be below.
pub const HIGHEST: u8 = 31;
/// Fewer pages are no process.
const FEWEST: u64 = 64;
/// Shortest heartbeat, in nanoseconds: a server may be that long at work.
const SHORTEST: u64 = 100_000_000;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Index of the service; `None`: the programs, or the whole.
    pub service: Option<usize>,
    /// The key, in the words of the TOML file.
    pub key: &'static str,
    /// What is wrong with it and what to do.
    pub what: String,
}

type Checked = Result<(), (&'static str, String)>;

impl Manifest {
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Wrong> {
        let lowest = self.services.iter().map(|entry| entry.priority).min().unwrap_or(HIGHEST);
        if !(1..lowest).contains(&self.programs.priority) {
            let what = format!("must be at least 1 and below every service's, the lowest of which is {lowest}");
            return Err(Wrong { service: None, key: "programs.priority", what });
        }
        for (index, entry) in self.services.iter().enumerate() {
            let before = &self.services[..index];
            entry.check(before).map_err(|(key, what)| Wrong { service: Some(index), key, what })?;
        }
        match service::NAMES.iter().find(|name| !self.services.iter().any(|entry| entry.name == **name)) {
            Some(name) => {
                let what = format!("no [[service]] is named `{name}`; libipc/abi (slot::service) has it, so add one");
                Err(Wrong { service: None, key: "service", what })
            }
            None => Ok(()),
        }
    }
}

impl Entry {
    fn check(&self, before: &[Entry]) -> Checked {
        self.check_name(before)?;
        if !(1..HIGHEST).contains(&self.priority) {
            return Err(("priority", format!("must be 1 to {}: init, which watches, has {HIGHEST}", HIGHEST - 1)));
        }
        if self.pages < FEWEST {
            let least = FEWEST as usize * PAGE / 1024;
            return Err(("memory_kib", format!("is too little for a process; at least {least}")));
        }
        self.check_handles(before)?;
        self.check_restart()?;
        match self.heartbeat {
            0 => Ok(()),
            period if period < SHORTEST => {
                Err(("heartbeat_ms", format!("must be 0 (never) or at least {}", SHORTEST / 1_000_000)))
            }
            _ => Ok(()),
        }
    }

    fn check_name(&self, before: &[Entry]) -> Checked {
        if service::NAMES.get(usize::from(self.number)) != Some(&self.name.as_str()) {
            let known = service::NAMES.join(", ");
            return Err(("name", format!("`{}` is no service; libipc/abi (slot::service) knows {known}", self.name)));
        }
        if before.iter().any(|other| other.number == self.number) {
            return Err(("name", format!("`{}` is there twice; remove one", self.name)));
        }
        match (self.start, self.needed) {
            (Start::Load, true) => Err(("start", "a service that programs need must be started at boot".into())),
            _ => Ok(()),
        }
    }

    fn check_handles(&self, before: &[Entry]) -> Checked {
        for ports in &self.ports {
            if ports.count == 0 || u32::from(ports.first) + u32::from(ports.count) > 0x1_0000 {
                return Err(("ports", format!("{:#x} and {} more are no ports", ports.first, ports.count)));
            }
        }
        if let Some(wrong) = self.interrupts.iter().find(|interrupt| interrupt.bit > 31) {
            return Err(("interrupts", format!("bit {} is not 0 to 31; the others are init's", wrong.bit)));
        }
        for number in &self.calls {
            if !before.iter().any(|below| below.number == *number) {
                let name = service::NAMES.get(usize::from(*number)).unwrap_or(&"?");
                return Err(("calls", format!("`{name}` is not above: services call only what was started before")));
            }
        }
        match Rights::from_bits(self.system) {
            Some(rights) if !rights.intersects(Rights::EXECUTE) => Ok(()),
            _ => Err(("system", "a service may have log and read, and no more of the system".into())),
        }
    }

    fn check_restart(&self) -> Checked {
        let restart = &self.restart;
        if !(1..=DEATHS).contains(&restart.deaths) {
            return Err(("restart.deaths", format!("must be 1 to {DEATHS}")));
        }
        match restart.from {
            _ if restart.within == 0 => Err(("restart.within_ms", "must be at least 1".into())),
            From::State if self.state == 0 => {
                Err(("restart.from", "\"state\" needs memory that outlives a process: set state_kib".into()))
            }
            From::Fresh if self.state != 0 => {
                Err(("restart.from", "\"fresh\" has no use for state_kib; use \"state\", or remove that".into()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Damage, Interrupt, Overrun, Ports, Programs, Restart, Then};
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let entry = |number: u8| Entry {
            name: service::NAMES[usize::from(number)].try_into().unwrap(),
            number,
            program: "svc/x".try_into().unwrap(),
            start: Start::Boot,
            priority: 16,
            pages: 128,
            state: 0,
            system: Rights::WRITE.bits(),
            ports: Default::default(),
            pm_timer: false,
            interrupts: Default::default(),
            archive: false,
            calls: Default::default(),
            needed: true,
            restart: Restart { from: From::Fresh, deaths: 5, within: 1_000, then: Then::Fail },
            heartbeat: 0,
            overrun: Overrun::Restart,
        };
        let services = (0..service::COUNT as u8).map(entry).collect();
        Manifest { programs: Programs { pages: 1024, priority: 8 }, services }
    }

    fn key(change: impl FnOnce(&mut Manifest)) -> Option<&'static str> {
        let mut manifest = manifest();
        change(&mut manifest);
        manifest.check().err().map(|wrong| wrong.key)
    }

    #[test]
    fn each_mistake_is_named() {
        assert_eq!(key(|_| {}), None);
        assert_eq!(key(|all| all.programs.priority = 16), Some("programs.priority"));
        assert_eq!(key(|all| all.services[1].name = "vsf".try_into().unwrap()), Some("name"));
        assert_eq!(key(|all| all.services[1] = all.services[0].clone()), Some("name"));
        assert_eq!(key(|all| drop(all.services.pop())), Some("service"));
        assert_eq!(key(|all| all.services[2].priority = 31), Some("priority"));
        assert_eq!(key(|all| all.services[2].pages = 3), Some("memory_kib"));
        assert_eq!(key(|all| all.services[2].start = Start::Load), Some("start"));
        assert_eq!(
            key(|all| all.services[2].ports = [Ports { first: 0xffff, count: 2 }].into_iter().collect()),
            Some("ports")
        );
        assert_eq!(
            key(|all| all.services[2].interrupts = [Interrupt { line: 4, bit: 63 }].into_iter().collect()),
            Some("interrupts")
        );
        assert_eq!(key(|all| all.services[0].calls = [1].into_iter().collect()), Some("calls"));
        assert_eq!(key(|all| all.services[0].system = Rights::EXECUTE.bits()), Some("system"));
        assert_eq!(key(|all| all.services[0].restart.deaths = 9), Some("restart.deaths"));
        assert_eq!(key(|all| all.services[0].restart.from = From::State), Some("restart.from"));
        assert_eq!(key(|all| all.services[0].state = 4), Some("restart.from"));
        assert_eq!(key(|all| all.services[0].heartbeat = 1), Some("heartbeat_ms"));
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = manifest().encode().unwrap();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest()));
        assert_eq!(Manifest::decode(b"[[service]]"), Err(Damage::NoManifest));
        assert_eq!(Manifest::decode(&bytes[..bytes.len() - 5]), Err(Damage::Checksum));
    }

    proptest! {
        #[test]
        fn one_changed_bit_is_found(place in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = manifest().encode().unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(Manifest::decode(&bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Manifest::decode(&[super::super::MAGIC, &bytes[..]].concat());
        }
    }
}
