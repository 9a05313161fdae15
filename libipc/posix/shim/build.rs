//! Names the shim's own linker script. The host's linker needs no telling: there it is only type-checked.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo::rerun-if-changed=link.ld");
    for argument in [&format!("-T{package}/link.ld"), "-zmax-page-size=4096", "--gc-sections", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
