//! Links the image where the core runs, with the core's own linker script.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/kernel.ld");
    println!("cargo:rerun-if-changed={script}");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        for argument in ["-T", script, "-zmax-page-size=4096", "--gc-sections", "-no-pie"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
