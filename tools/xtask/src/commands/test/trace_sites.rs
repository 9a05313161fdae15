//! What the trace costs while it is off: at each place that asks whether it is on, two instructions of the image.
//!
//! The places are found in the core's source, and their instructions by the image's line tables.

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

/// All places in one image.
pub fn case(kernel: Kernel) -> Case<Rig> {
    Case::one(format!("{kernel}/trace-sites"), move |rig: &Rig| check(rig, kernel).into())
}

fn check(rig: &Rig, kernel: Kernel) -> Result<()> {
    let mut sites = Vec::new();
    find(&rig.workspace.root.join(SOURCE), &mut sites)?;
    ensure!(!sites.is_empty(), "no file of {SOURCE} has `{QUESTION}`: nothing records events");
    let image = &rig.guest.kernel(kernel).symbols;
    let mut objdump = Command::new("objdump");
    let listed = host::output(objdump.args(["-d", "-l", "--no-show-raw-insn"]).arg(image))?;
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
    fn instructions_belong_to_the_line_above() {
        let listed = "f():\n/a.rs:48\n  10:\tpush rbp\n/a.rs:486\n  11:\tcmp x\n  12:\tjne y\n/a.rs:48\n  13:\tret\n\
                      /a.rs:48 (discriminator 2)\n  14:\tnop\n";
        assert_eq!(["/a.rs:48", "/a.rs:486", "/a.rs:4"].map(|site| instructions(listed, site)), [3, 2, 0]);
    }
}
