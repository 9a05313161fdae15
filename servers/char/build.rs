//! Links the ring-3 program at its place in the address space. The host's linker needs no telling.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../libipc/rt/program.ld");
    println!("cargo::rerun-if-changed={script}");
    for argument in [&format!("-T{script}"), "-zmax-page-size=4096", "--gc-sections", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
