//! Finding what a command needs on this machine, and installing what is missing.
//!
//! Each command names its needs; all that are missing are installed by one `apt-get`, when we
//! are root or sudo asks for no password. Otherwise one line names the packages.

mod apt;
pub mod firmware;
pub mod nightly;
pub mod toolchain;

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Result, bail};

/// Something from the system that a command may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The emulator.
    Qemu,
    /// UEFI firmware for it.
    Ovmf,
    /// Makes the ISO.
    Xorriso,
    /// Assembles the Linux test programs (and builds Limine's host tool).
    Gcc,
    /// Takes the debug information out of guest programs.
    Binutils,
    /// The debugger.
    Gdb,
    /// Fetches Limine.
    Git,
}

impl Need {
    /// All of them, for `doctor`.
    pub const ALL: [Need; 7] = [Need::Qemu, Need::Ovmf, Need::Xorriso, Need::Gcc, Need::Binutils, Need::Gdb, Need::Git];

    /// The Debian package that brings it.
    pub fn package(self) -> &'static str {
        match self {
            Need::Qemu => "qemu-system-x86",
            Need::Ovmf => "ovmf",
            Need::Xorriso => "xorriso",
            Need::Gcc => "gcc",
            Need::Binutils => "binutils",
            Need::Gdb => "gdb",
            Need::Git => "git",
        }
    }

    /// What it is for, in a few words.
    pub fn purpose(self) -> &'static str {
        match self {
            Need::Qemu => "boots everything",
            Need::Ovmf => "UEFI boot (run --uefi, test)",
            Need::Xorriso => "ISO images (image, run --loader limine, test)",
            Need::Gcc => "Linux test programs (exec, test), Limine's host tool",
            Need::Binutils => "linking and stripping",
            Need::Gdb => "debugging (gdb)",
            Need::Git => "fetching Limine, the revision in results.json",
        }
    }

    /// Where it is on this machine, if it is.
    pub fn locate(self) -> Option<PathBuf> {
        match self {
            Need::Qemu => which::which(qemu_program()).ok(),
            Need::Ovmf => firmware::code(),
            Need::Xorriso => which::which("xorriso").ok(),
            Need::Gcc => which::which("gcc").ok(),
            Need::Binutils => which::which("ld").ok(),
            Need::Gdb => which::which("gdb").ok(),
            Need::Git => which::which("git").ok(),
        }
    }
}

/// The emulator: `PARLEY_QEMU` when it is set (another build of QEMU, or a stand-in in tests).
pub fn qemu_program() -> PathBuf {
    let program = std::env::var_os("PARLEY_QEMU").filter(|value| !value.is_empty());
    program.map_or_else(|| "qemu-system-x86_64".into(), PathBuf::from)
}

/// Sees to it that everything in `needs` is there. Tests that run side by side may want the same: apt serves one at a time.
pub fn ensure(needs: &[Need]) -> Result<()> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|need| need.package()).collect();
    apt::install(&packages)?;
    let still: Vec<_> = self::missing(needs).iter().map(|need| need.package()).collect();
    if !still.is_empty() {
        bail!("installed, but still not found: {}; is it in PATH?", still.join(" "));
    }
    Ok(())
}

/// As [`ensure`], for what a command can do without: whether it is there now.
pub fn try_ensure(needs: &[Need]) -> bool {
    match ensure(needs) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("xtask: going on without: {error:#}");
            false
        }
    }
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| need.locate().is_none()).collect()
}
