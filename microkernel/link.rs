//! The build script of the three images: links them with the core's linker script where the core runs.
//!
//! A package asks for it with `build = "../link.rs"`. The path is read when the script runs and not when it
//! is compiled: two checkouts may share a target folder, and then they share the compiled script.

use std::path::PathBuf;

fn main() {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let script = package.parent().expect("an image lies beside the core").join("core/kernel.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        for argument in [&format!("-T{}", script.display()), "-zmax-page-size=4096", "--gc-sections", "-no-pie"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
