//! Fetching the pinned Limine release, once, and checking every byte that is used.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{host, progress};

/// The release branch's tag. Base revision 2, which the kernels ask for, is served by it.
pub const TAG: &str = "v8.2.0-binary";

const REPOSITORY: &str = "https://github.com/limine-bootloader/limine.git";

/// An unreachable network must not eat the time of the tests that need none.
const LIMIT: Duration = Duration::from_secs(60);

/// SHA-256 of every file we use from the release, the host tool's source included.
const PINNED: [(&str, &str); 6] = [
    ("limine-bios.sys", "8382e36ff9d51e52e9160842f834a346028edf9e0319b1c728d290e3044a44a7"),
    ("limine-bios-cd.bin", "3b889bf946b1f248c93efa90fd1718aad79f867e8184f9167a0b9875a0c41191"),
    ("limine-uefi-cd.bin", "1801a9034420fb1b17bdcdedee11f29c946169abac103b161e7bfd01d98caf29"),
    ("BOOTX64.EFI", "7bf99f9ffdbce1443bd7f148f01bee47d4a587f58fb170e42dab29790e6d831a"),
    ("limine.c", "201ac3e7f47b34305f2208066ebb204118a7debf90d6fd7d28f4799905ca7f70"),
    ("limine-bios-hdd.h", "95929ac04f603483f72781508f35f07854e1933188bc7558d89c0e7710c5749b"),
];

/// The cached release, if it is complete and what it should be.
pub fn cached(workspace: &Workspace) -> Option<PathBuf> {
    let folder = folder(workspace);
    verify(&folder).is_ok().then_some(folder)
}

/// Fetches the release into the cache.
pub fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    setup::ensure(&[Need::Git])?;
    let step = progress::step(format!("fetching Limine {TAG}"));
    let folder = folder(workspace);
    let partial = workspace.folder("limine")?.join("partial");
    std::fs::remove_dir_all(&partial).ok();
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--depth", "1", "--branch", TAG, REPOSITORY]).arg(&partial);
    git.env("GIT_TERMINAL_PROMPT", "0");
    let why = match host::capture_within(&mut git, LIMIT) {
        Ok(captured) if captured.success => None,
        Ok(captured) => Some(captured.stderr.lines().last().unwrap_or("git failed").to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = why {
        bail!("Limine is not here and cannot be fetched ({why}); set LIMINE_DIR to a copy of it");
    }
    verify(&partial)?;
    std::fs::remove_dir_all(&folder).ok();
    std::fs::rename(&partial, &folder).context("cannot move Limine into the cache")?;
    drop(step);
    Ok(folder)
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("limine").join(TAG)
}

fn verify(folder: &Path) -> Result<()> {
    for (name, pinned) in PINNED {
        let bytes = std::fs::read(folder.join(name)).with_context(|| format!("no {name}"))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != pinned {
            bail!("Limine's {name} has SHA-256 {found}, expected {pinned}; not used");
        }
    }
    Ok(())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(PINNED[0].0), b"something else").unwrap();
        let error = verify(folder.path()).unwrap_err().to_string();
        assert!(error.contains("limine-bios.sys has SHA-256"), "{error}");
    }

    #[test]
    fn checksums_are_lower_case_hex() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(&Sha256::digest(b"")), empty);
    }
}
