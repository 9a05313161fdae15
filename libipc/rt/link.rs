//! The build script of everything that runs in ring 3: names the linker script that all of it shares.
//!
//! A package asks for it with `build = "../../libipc/rt/link.rs"`. The host's linker needs no telling: there
//! such a binary is only type-checked.

use std::path::Path;

/// The linker script, from the top of the tree.
const SCRIPT: &str = "libipc/rt/program.ld";

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let above = Path::new(&package).ancestors().map(|folder| folder.join(SCRIPT));
    let script = above.into_iter().find(|script| script.exists()).expect("the package is in this tree");
    println!("cargo::rerun-if-changed={}", script.display());
    for argument in [&format!("-T{}", script.display()), "-zmax-page-size=4096", "--gc-sections", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
