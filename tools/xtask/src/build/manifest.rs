//! `init/services.toml`: read, checked, and made into what init reads.
//!
//! What is wrong is told with file, line and what to do, before anything boots. What can be wrong is in `init/manifest`;
//! here is only how a person writes it.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use parley_abi::PAGE;
use parley_abi::call::Rights;
use parley_abi::slot::service;
use parley_manifest::{Entry, From, Interrupt, Manifest, Overrun, Ports, Programs, Restart, Start, Then, Wrong};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

/// The file, from the top of the tree.
pub const FILE: &str = "init/services.toml";

/// Reads the file and checks it; `has` says whether the boot archive has a program.
pub fn read(path: &Path, has: impl Fn(&str) -> bool) -> Result<Manifest> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text, has).map_err(|(line, what)| anyhow!("{FILE}:{line}: {what}"))
}

/// As [`read`]; an error has its line.
fn parse(text: &str, has: impl Fn(&str) -> bool) -> Result<Manifest, (usize, String)> {
    let written: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        (line, error.message().to_owned())
    })?;
    let names: Vec<String> = written.service.iter().map(|service| service.name.clone()).collect();
    let place = |service, key: &str| locate(text, service, key);
    let services = written.service.into_iter().enumerate().map(|(index, service)| {
        service.entry(&names).map_err(|(key, what)| (place(Some(index), key), format!("{key}: {what}")))
    });
    let programs = Programs { pages: pages(written.programs.memory_kib), priority: written.programs.priority };
    let services = services.collect::<Result<Vec<_>, _>>()?;
    let services = fits("service", services).map_err(|(key, what)| (place(None, key), format!("{key}: {what}")))?;
    let manifest = Manifest { programs, services };
    manifest.check().map_err(|Wrong { service, key, what }| (place(service, key), format!("{key} {what}")))?;
    for (index, entry) in manifest.services.iter().enumerate() {
        if !has(&entry.program) {
            let what = format!("program: the boot archive has no `{}`; is it built?", entry.program);
            return Err((place(Some(index), "program"), what));
        }
    }
    Ok(manifest)
}

/// What goes into the boot archive.
pub fn encode(manifest: &Manifest) -> Result<Vec<u8>> {
    match manifest.encode() {
        Some(bytes) => Ok(bytes),
        None => bail!("{FILE}: more than 16 KiB when encoded; shorten it"),
    }
}

/// The line of a key, or else of its service, or else the first.
fn locate(text: &str, service: Option<usize>, key: &str) -> usize {
    let find = || {
        let table = DeTable::parse(text).ok()?;
        let mut here = match service {
            Some(index) => table.get_ref().get("service")?.get_ref().get(index)?.get_ref().as_table()?,
            None => table.get_ref(),
        };
        let mut place = match service {
            Some(index) => table.get_ref().get("service")?.get_ref().get(index)?.span().start,
            None => 0,
        };
        for part in key.split('.') {
            let Some(value) = here.get(part) else { break };
            place = value.span().start;
            match value.get_ref() {
                DeValue::Table(inner) => here = inner,
                _ => break,
            }
        }
        Some(place)
    };
    line_of(text, find().unwrap_or(0))
}

fn line_of(text: &str, place: usize) -> usize {
    1 + text.bytes().take(place).filter(|&byte| byte == b'\n').count()
}

fn pages(kib: u64) -> u64 {
    kib.saturating_mul(1024).div_ceil(PAGE as u64)
}

const MILLISECOND: u64 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    programs: WrittenPrograms,
    service: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrograms {
    memory_kib: u64,
    priority: u8,
}

/// A service, as a person writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    program: String,
    priority: u8,
    memory_kib: u64,
    #[serde(default)]
    state_kib: u64,
    #[serde(default = "at_boot")]
    start: Start,
    #[serde(default = "log_only")]
    system: Vec<SystemRight>,
    #[serde(default)]
    ports: Vec<Ports>,
    #[serde(default)]
    pm_timer: bool,
    #[serde(default)]
    interrupts: Vec<Interrupt>,
    #[serde(default)]
    archive: bool,
    #[serde(default)]
    calls: Vec<String>,
    #[serde(default = "yes")]
    needed: bool,
    #[serde(default = "second")]
    heartbeat_ms: u64,
    #[serde(default = "leak")]
    overrun: Overrun,
    #[serde(default)]
    restart: WrittenRestart,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum SystemRight {
    Log,
    Read,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenRestart {
    from: From,
    deaths: u8,
    within_ms: u64,
    then: Then,
}

impl Default for WrittenRestart {
    fn default() -> WrittenRestart {
        WrittenRestart { from: From::Fresh, deaths: 5, within_ms: 10_000, then: Then::Fail }
    }
}

fn at_boot() -> Start {
    Start::Boot
}
fn log_only() -> Vec<SystemRight> {
    vec![SystemRight::Log]
}
fn yes() -> bool {
    true
}
fn second() -> u64 {
    1000
}
fn leak() -> Overrun {
    Overrun::Restart
}

impl Written {
    /// The service as init sees it. An error has its key.
    fn entry(self, names: &[String]) -> Result<Entry, (&'static str, String)> {
        let number = |name: &str| service::NAMES.iter().position(|known| *known == name).map(|number| number as u8);
        let Some(own) = number(&self.name) else {
            let known = service::NAMES.join(", ");
            return Err(("name", format!("`{}` is no service; libipc/abi (slot::service) knows {known}", self.name)));
        };
        let calls = self.calls.iter().map(|name| match number(name) {
            Some(number) if names.contains(name) => Ok(number),
            _ => Err(("calls", format!("`{name}` is no service of this file"))),
        });
        let system = self.system.iter().map(|right| match right {
            SystemRight::Log => Rights::WRITE,
            SystemRight::Read => Rights::READ,
        });
        let WrittenRestart { from, deaths, within_ms, then } = self.restart;
        Ok(Entry {
            number: own,
            start: self.start,
            priority: self.priority,
            pages: pages(self.memory_kib),
            state: pages(self.state_kib),
            system: system.fold(Rights::empty(), Rights::union).bits(),
            calls: fits("calls", calls.collect::<Result<Vec<_>, _>>()?)?,
            ports: fits("ports", self.ports)?,
            pm_timer: self.pm_timer,
            interrupts: fits("interrupts", self.interrupts)?,
            archive: self.archive,
            needed: self.needed,
            restart: Restart { from, deaths, within: within_ms.saturating_mul(MILLISECOND), then },
            heartbeat: self.heartbeat_ms.saturating_mul(MILLISECOND),
            overrun: self.overrun,
            name: self.name.as_str().try_into().map_err(|_| ("name", "too long".into()))?,
            program: self.program.as_str().try_into().map_err(|_| ("program", "too long; at most 32 bytes".into()))?,
        })
    }
}

/// A list as init reads it, which has no heap for it.
fn fits<T: Clone, const N: usize>(
    key: &'static str,
    list: Vec<T>,
) -> Result<heapless::Vec<T, N>, (&'static str, String)> {
    heapless::Vec::from_slice(&list).map_err(|_| (key, format!("has more than {N} elements")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        std::fs::read_to_string(root.join(FILE)).unwrap()
    }

    #[test]
    fn ours_is_right() {
        let manifest = parse(&real(), |_| true).unwrap();
        assert_eq!(manifest.services.len(), service::COUNT);
        assert_eq!(Manifest::decode(&encode(&manifest).unwrap()), Ok(manifest));
    }

    /// The line and the beginning of the text of what is wrong after `old` became `new`.
    fn wrong(old: &str, new: &str) -> (usize, String) {
        let text = real();
        assert!(text.contains(old), "{old}");
        parse(&text.replacen(old, new, 1), |program| program != "svc/nonesuch").unwrap_err()
    }

    #[test]
    fn mistakes_have_a_line() {
        let line = |needle: &str| 1 + real().lines().position(|line| line.starts_with(needle)).unwrap();
        let char = real().lines().position(|line| line == "name = \"char\"").unwrap() + 1;
        for (old, new, at, what) in [
            ("priority = 8", "priority = 17", line("priority = 8"), "programs.priority must be"),
            ("priority = 8", "priority = \"high\"", line("priority = 8"), "invalid type"),
            ("name = \"char\"", "name = \"chra\"", char, "name: `chra` is no service"),
            ("archive = true", "archve = true", line("archive = true"), "unknown field `archve`"),
            ("archive = true", "archive = ", line("archive = true"), ""),
            (
                "calls = [\"time\", \"char\", \"tqueue\"]",
                "calls = [\"proc\"]",
                line("calls = [\"time\", \"char\", \"tqueue\"]"),
                "calls `proc` is not above",
            ),
            ("program = \"svc/char\"", "program = \"svc/nonesuch\"", char + 1, "program: the boot archive has no"),
            ("state_kib = 10240 # files that are written live in it\n", "", line("restart = { from"), "restart.from"),
        ] {
            let (line, text) = wrong(old, new);
            assert!(text.starts_with(what), "{new}: {text}");
            if what != "restart.from" {
                assert_eq!(line, at, "{new}: {text}");
            } else {
                assert!(line > at, "{new}: {text}");
            }
        }
    }
}
