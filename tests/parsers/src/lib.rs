//! Everything that parses, each with a property that no bytes may break.
//!
//! A property is a function of bytes that panics when the parser breaks its promise, not only when the
//! parser itself panics. `tests/random.rs` feeds it random bytes and damaged samples with every `cargo
//! test`; the programs in `fuzz/` feed it what a coverage-guided fuzzer finds (`cargo xtask fuzz --host`).

mod archives;
mod images;
mod records;
mod samples;
mod text;

/// A parser under test.
pub struct Property {
    /// What it parses; also the name of its fuzzing program.
    pub name: &'static str,
    /// Panics if these bytes break it.
    pub check: fn(&[u8]),
    /// Input that is accepted, to start from.
    pub sample: fn() -> Vec<u8>,
}

/// All of them.
pub const ALL: [Property; 8] = [
    Property { name: "program", check: images::program, sample: samples::program },
    Property { name: "kernel", check: images::kernel, sample: samples::kernel },
    Property { name: "requests", check: images::requests, sample: samples::requests },
    Property { name: "archive", check: archives::archive, sample: samples::archive },
    Property { name: "outer", check: archives::outer, sample: samples::outer },
    Property { name: "row", check: records::row, sample: samples::row },
    Property { name: "dirents", check: records::dirents, sample: samples::dirents },
    Property { name: "text", check: text::text, sample: samples::text },
];

/// Checks the property called `name`, for the fuzzing programs.
pub fn check(name: &str, bytes: &[u8]) {
    let property = ALL.iter().find(|property| property.name == name).expect("a property has that name");
    (property.check)(bytes);
}
