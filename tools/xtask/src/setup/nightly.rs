//! What only a nightly toolchain can do: Miri and coverage-guided fuzzing.
//!
//! Nothing that is built or run in the guest needs it, so it is never installed by itself: a command says
//! what is missing and how to get it.

use std::process::Command;

use crate::host;

/// How to get the tools.
const MIRI: &str = "needs a nightly toolchain with Miri: `rustup toolchain install nightly --component miri,rust-src`";
const FUZZ: &str =
    "needs a nightly toolchain and cargo-fuzz: `rustup toolchain install nightly`, `cargo install cargo-fuzz`";

/// The nightly's cargo, whatever toolchain runs us.
pub fn cargo() -> Command {
    let mut cargo = Command::new("rustup");
    cargo.args(["run", "nightly", "cargo"]);
    for ours in ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(ours);
    }
    cargo
}

/// `Err` says why Miri cannot run here.
pub fn miri() -> Result<(), &'static str> {
    // `rustup run` would install a toolchain that is missing, so ask for it first.
    if is_installed() && host::succeeds(cargo().args(["miri", "--version"])) { Ok(()) } else { Err(MIRI) }
}

/// `Err` says why cargo-fuzz cannot run here.
pub fn fuzz() -> Result<(), &'static str> {
    if is_installed() && host::succeeds(cargo().args(["fuzz", "--version"])) { Ok(()) } else { Err(FUZZ) }
}

fn is_installed() -> bool {
    let listed = host::output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let undated = |name: &str| name.strip_prefix("nightly-").is_some_and(|rest| !rest.starts_with("20"));
    listed.lines().any(undated)
}
