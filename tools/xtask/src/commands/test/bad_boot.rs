//! Boot archives that are broken: each ends with a clear message, never in a hang.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Case;
use crate::archive::Archive;
use crate::guest::{Job, Outcome, Rig};
use crate::kernel::Kernel;
use crate::qemu::End;

/// Far more than booting takes: whoever needs it hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A way to break the archive.
#[derive(Clone, Copy)]
struct Breakage {
    name: &'static str,
    /// A word that the message must have.
    word: &'static str,
    /// In mono this service is part of ring 0: there the system simply runs.
    harmless_in_mono: bool,
    spoil: fn(Archive) -> Result<Vec<u8>>,
}

const BREAKAGES: [Breakage; 9] = [
    Breakage { name: "truncated", word: "archive", harmless_in_mono: false, spoil: truncated },
    Breakage { name: "foreign", word: "archive", harmless_in_mono: false, spoil: |_| Ok(noise(64 * 1024)) },
    Breakage { name: "empty", word: "archive", harmless_in_mono: false, spoil: |_| Ok(Vec::new()) },
    Breakage { name: "no-init", word: "init", harmless_in_mono: false, spoil: |archive| without(archive, "init") },
    Breakage { name: "no-vfs", word: "vfs", harmless_in_mono: true, spoil: |archive| without(archive, "svc/vfs") },
    Breakage { name: "init-no-elf", word: "init", harmless_in_mono: false, spoil: init_is_text },
    Breakage { name: "init-dies", word: "init died", harmless_in_mono: false, spoil: init_dies },
    Breakage {
        name: "no-manifest",
        word: "svc/manifest",
        harmless_in_mono: false,
        spoil: |archive| without(archive, "svc/manifest"),
    },
    Breakage { name: "bad-manifest", word: "checksum", harmless_in_mono: false, spoil: manifest_is_damaged },
];

/// All of them on one kernel.
pub fn cases(kernel: Kernel) -> Vec<Case<Rig>> {
    let case = |breakage: Breakage| {
        let name = format!("{kernel}/bad-boot/{}", breakage.name);
        Case::one(name, move |rig: &Rig| check(rig, kernel, breakage).into())
    };
    BREAKAGES.into_iter().map(case).collect()
}

fn check(rig: &Rig, kernel: Kernel, breakage: Breakage) -> Result<()> {
    // With a program to run, a system that boots all the same ends by itself.
    let mut job = Job::new(rig, kernel, &["/bin/linux-hello"])?;
    job.archive = (breakage.spoil)(rig.guest.archive())?;
    job.timeout = LIMIT;
    let outcome = rig.run(&job, &mut std::io::sink())?;
    if breakage.harmless_in_mono && kernel == Kernel::Mono && outcome.status == Some(0) {
        return Ok(());
    }
    let ended = matches!(outcome.end, End::Orderly | End::Panicked);
    ensure!(ended, "no end with a message\n{}", rig.explain(kernel, &outcome));
    ensure!(
        says(&outcome, breakage.word),
        "no message with the word `{}`\n{}",
        breakage.word,
        rig.explain(kernel, &outcome)
    );
    Ok(())
}

/// Whether a line that announces trouble has the word; `init` alone is in many a good line.
fn says(outcome: &Outcome, word: &str) -> bool {
    let console = String::from_utf8_lossy(&outcome.stdout);
    let trouble =
        ["panic", "error", "cannot", "no ", "not ", "missing", "truncated", "empty", "bad", "broken", "damaged"];
    outcome.log.lines().chain(console.lines()).any(|line| {
        let line = line.to_lowercase();
        line.contains(word) && trouble.iter().any(|sign| line.contains(sign))
    })
}

fn truncated(archive: Archive) -> Result<Vec<u8>> {
    let mut bytes = archive.to_bytes()?;
    // Not at a block's end, so that a header or contents are cut in the middle.
    bytes.truncate(bytes.len() / 2 + 100);
    Ok(bytes)
}

fn without(mut archive: Archive, path: &str) -> Result<Vec<u8>> {
    ensure!(archive.remove(path), "the archive has no `{path}` to leave out");
    archive.to_bytes()
}

fn init_is_text(mut archive: Archive) -> Result<Vec<u8>> {
    archive.insert("init", b"#!/bin/sh\necho not an ELF file\n".to_vec());
    archive.to_bytes()
}

/// A server as the first process: it has no endpoint, and says so with an exception.
fn init_dies(mut archive: Archive) -> Result<Vec<u8>> {
    let server = archive.contents("svc/proc").context("the archive has no svc/proc")?.to_vec();
    archive.insert("init", server);
    archive.to_bytes()
}

/// One bit of it is another.
fn manifest_is_damaged(mut archive: Archive) -> Result<Vec<u8>> {
    let mut bytes = archive.contents(parley_manifest::PATH).context("the archive has no manifest")?.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    archive.insert(parley_manifest::PATH, bytes);
    archive.to_bytes()
}

/// The same noise each time (xorshift64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| byte()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_archive_ends_inside_something() {
        let mut archive = Archive::default();
        archive.insert("init", vec![7; 5000]);
        let bytes = truncated(archive).unwrap();
        assert_ne!(bytes.len() % 512, 0);
    }

    #[test]
    fn only_a_message_of_trouble_counts() {
        let mut outcome =
            Outcome { end: End::Panicked, status: None, stdout: Vec::new(), log: "starting init\n".into() };
        assert!(!says(&outcome, "init"));
        outcome.log.push_str("panic: the archive has no init\n");
        assert!(says(&outcome, "init"));
    }
}
