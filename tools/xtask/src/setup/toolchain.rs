//! The Rust side of setup: a core library for the bare-metal target, clippy, rustfmt.
//!
//! In this order: the target is there; rustup adds it; the compiler has its library source, and
//! core is built along with us (Debian's rustc-web does). The last one needs cargo's unstable
//! `-Zbuild-std`, so it is the last.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{host, progress};

/// What kernels, servers and programs are built for.
pub const TARGET: &str = "x86_64-unknown-none";

/// How this machine gets a core library for [`TARGET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Precompiled: plain stable cargo.
    Installed,
    /// Compiled from the library source, with an unlocked stable compiler.
    FromSource,
}

impl Core {
    /// Adds to a cargo command what building for the target takes here.
    pub fn apply(self, cargo: &mut Command) {
        cargo.args(["--target", TARGET]);
        if self == Core::FromSource {
            cargo.env("RUSTC_BOOTSTRAP", "1");
            cargo.arg("-Zbuild-std=core,alloc,compiler_builtins");
            cargo.arg("-Zbuild-std-features=compiler-builtins-mem");
        }
    }
}

/// Finds or installs a core library for the target.
pub fn ensure_core() -> Result<Core> {
    if let Some(core) = find_core() {
        return Ok(core);
    }
    bail!(
        "the Rust target {TARGET} is missing and rustup is not there to add it; \
         install rustup, or a rustc with its library source (Debian: rustc-web cargo-web rust-web-src)"
    )
}

fn find_core() -> Option<Core> {
    if target_is_installed() || add_with_rustup(&["target", "add", TARGET]) {
        return Some(Core::Installed);
    }
    library_source().map(|_| Core::FromSource)
}

/// Whether a precompiled core for the target is there.
pub fn target_is_installed() -> bool {
    let query = ["--print", "target-libdir", "--target", TARGET];
    let libdir = host::output(Command::new(rustc()).args(query)).unwrap_or_default();
    let entries = std::fs::read_dir(libdir.trim()).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| name.starts_with("libcore-"))
}

/// The standard library's source, if the compiler came with it.
pub fn library_source() -> Option<PathBuf> {
    let source = sysroot().ok()?.join("lib/rustlib/src/rust/library");
    source.join("core").is_dir().then_some(source)
}

/// Sees to it that `cargo fmt` and `cargo clippy` can run.
pub fn ensure_lints() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let works = || host::succeeds(host::cargo().args([subcommand, "--version"]));
        if works() {
            continue;
        }
        if !add_with_rustup(&["component", "add", component]) || !works() {
            bail!("`cargo {subcommand}` is missing; install the Rust component {component}");
        }
    }
    Ok(())
}

/// LLVM's objcopy from the toolchain, if the component is installed.
pub fn rust_objcopy() -> Option<PathBuf> {
    let host_tools = sysroot().ok()?.join("lib/rustlib").join(host_triple()?).join("bin");
    ["rust-objcopy", "llvm-objcopy"].map(|name| host_tools.join(name)).into_iter().find(|p| p.exists())
}

/// First line of `rustc --version`.
pub fn version() -> Result<String> {
    Ok(host::output(Command::new(rustc()).arg("--version"))?.trim().to_owned())
}

fn sysroot() -> Result<PathBuf> {
    let path = host::output(Command::new(rustc()).args(["--print", "sysroot"]))?;
    Ok(Path::new(path.trim()).to_owned())
}

fn host_triple() -> Option<String> {
    let verbose = host::output(Command::new(rustc()).arg("-vV")).ok()?;
    verbose.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

/// Lets rustup add something; false when there is no rustup or it cannot.
fn add_with_rustup(args: &[&str]) -> bool {
    if which::which("rustup").is_err() {
        return false;
    }
    let step = progress::step(format!("rustup {}", args.join(" ")));
    let added = host::output(Command::new("rustup").args(args)).context("rustup");
    drop(step);
    if let Err(error) = &added {
        eprintln!("xtask: {error:#}");
    }
    added.is_ok()
}
