//! direct-boot: boots a Limine-protocol kernel from QEMU's `-kernel`.
//!
//! It needs no disk and no download. Only `bare` runs in the guest; on the host this program says how to build it,
//! which lets `cargo build` pass there.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod bare;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("direct-boot: runs as a guest only; build it with `--target x86_64-unknown-none`");
    std::process::exit(1);
}
