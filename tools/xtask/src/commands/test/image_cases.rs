//! What is in the images, and what is not: read off their instructions.
//!
//! While the trace is off, each place that asks for it costs two instructions: the places are found in the core's source,
//! and their instructions by the line tables. The entry code, short cuts included, reads no clock.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Case;
use crate::guest::Rig;
use crate::host;
use crate::kernel::Kernel;

const SOURCE: &str = "microkernel/core/src";
/// The trace itself, which runs when it is on, and is switched.
const ITSELF: &str = "trace.rs";
/// How a place asks.
const QUESTION: &str = ".trace.on";
/// Instructions that a place may have.
const MOST: usize = 2;

/// What the symbols of the entry code begin with. Rust's have paths, which begin otherwise.
const ENTRY_CODE: &str = "parley_";
/// A symbol that must be among them.
const SHORT_CUT: &str = "parley_fast_call";
const CLOCK: &str = "\trdtsc";

/// All of one image.
pub fn cases(kernel: Kernel) -> [Case<Rig>; 2] {
    [
        Case::one(format!("{kernel}/trace-sites"), move |rig: &Rig| trace_sites(rig, kernel).into()),
        Case::one(format!("{kernel}/short-cuts-read-no-clock"), move |rig: &Rig| no_clock(rig, kernel).into()),
    ]
}

fn disassembled(rig: &Rig, kernel: Kernel) -> Result<String> {
    let mut objdump = Command::new("objdump");
    host::output(objdump.args(["-d", "-l", "--no-show-raw-insn"]).arg(&rig.guest.kernel(kernel).symbols))
}

fn no_clock(rig: &Rig, kernel: Kernel) -> Result<()> {
    let listed = disassembled(rig, kernel)?;
    ensure!(listed.contains(CLOCK), "{kernel}: nothing reads the clock: this test looks for the wrong thing");
    ensure!(listed.contains(&format!("<{SHORT_CUT}>:")), "{kernel}: there is no {SHORT_CUT}");
    let reader = in_entry_code(&listed, CLOCK);
    ensure!(reader.is_none(), "{kernel}: {} reads the clock", reader.unwrap_or_default());
    Ok(())
}

/// The first function of the entry code that has this in an instruction.
fn in_entry_code<'a>(listed: &'a str, instruction: &str) -> Option<&'a str> {
    let mut function = "";
    listed.lines().find_map(|line| {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            function = name;
        }
        (function.starts_with(ENTRY_CODE) && line.contains(instruction)).then_some(function)
    })
}

fn trace_sites(rig: &Rig, kernel: Kernel) -> Result<()> {
    let mut sites = Vec::new();
    find(&rig.workspace.root.join(SOURCE), &mut sites)?;
    ensure!(!sites.is_empty(), "no file of {SOURCE} has `{QUESTION}`: nothing records events");
    let listed = disassembled(rig, kernel)?;
    for site in sites {
        let count = instructions(&listed, &site);
        ensure!(
            (1..=MOST).contains(&count),
            "{kernel}: {site} asks whether the trace is on in {count} instructions; it may take 1 to {MOST}"
        );
    }
    Ok(())
}

/// Adds the places below `folder`, as `path:line`.
fn find(folder: &Path, sites: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, sites)?;
        } else if path.file_name().is_some_and(|name| name != ITSELF) {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines = (1..).zip(text.lines()).filter(|(_, line)| line.contains(QUESTION));
            sites.extend(lines.map(|(number, _)| format!("{}:{number}", path.display())));
        }
    }
    Ok(())
}

/// Instructions that the listing of an image has for `path:line`.
fn instructions(listed: &str, site: &str) -> usize {
    let (mut here, mut count) = (false, 0);
    for line in listed.lines() {
        match line.contains(":\t") {
            true => count += usize::from(here),
            false => here = line.split(" (discriminator").next() == Some(site),
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_begin_with_their_names() {
        let listed = "00 <now>:\n  10:\trdtsc\n20 <parley_fast_call>:\n  20:\tret\n30 <parley_other>:\n  30:\trdtsc\n";
        assert_eq!(in_entry_code(listed, CLOCK), Some("parley_other"));
        assert_eq!(in_entry_code(listed, "\tpush"), None);
    }

    #[test]
    fn instructions_belong_to_the_line_above() {
        let listed = "f():\n/a.rs:48\n  10:\tpush rbp\n/a.rs:486\n  11:\tcmp x\n  12:\tjne y\n/a.rs:48\n  13:\tret\n\
                      /a.rs:48 (discriminator 2)\n  14:\tnop\n";
        assert_eq!(["/a.rs:48", "/a.rs:486", "/a.rs:4"].map(|site| instructions(listed, site)), [3, 2, 0]);
    }
}
