//! Names the linker script that every ring-3 program shares.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let manifest = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let script = format!("{manifest}/../../libipc/rt/program.ld");
    println!("cargo::rerun-if-changed={script}");
    for argument in [&format!("-T{script}"), "-no-pie", "-zmax-page-size=4096", "--gc-sections"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
