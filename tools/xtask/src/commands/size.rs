//! `size`: how large the crates and the images are, and where `unsafe` is.

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::build::Guest;
use crate::elf_file::ElfFile;
use crate::kernel::Kernel;
use crate::size::{Counts, Crate, crates, micro_core};
use crate::workspace::Workspace;

/// What the micro core must stay under.
const MOST_LINES: usize = 8_000;
const MOST_TEXT: u64 = 96 * 1024;

/// Count lines, functions and `unsafe` by crate, and the images' sizes
///
/// Lines are those that are neither blank nor comments nor below #[cfg(test)]. The micro core is
/// every crate of this tree that is linked into the micro kernel. `cargo xtask test` holds it to its limits.
#[derive(Args)]
pub struct Size {
    /// Fail when the micro core exceeds 8,000 lines or 96 KiB of text
    #[arg(long)]
    check: bool,
}

impl Size {
    pub fn run(self) -> Result<u8> {
        let workspace = Workspace::find()?;
        let guest = Guest::build(&workspace, &Kernel::ALL)?;
        let crates = crates(&workspace)?;
        println!("{}\n\n{}", crate_table(&crates), image_table(&guest)?);
        match check(&workspace, &guest) {
            Ok(held) => println!("{held}"),
            Err(error) if self.check => return Err(error),
            Err(error) => println!("{error:#}"),
        }
        Ok(0)
    }
}

/// The micro core's size in words; an error when it is over its limits.
fn check(workspace: &Workspace, guest: &Guest) -> Result<String> {
    Ok(format!("{} and {}", check_lines(workspace)?, check_text(guest)?))
}

/// The micro core's lines in words; an error when they are more than its limit.
pub fn check_lines(workspace: &Workspace) -> Result<String> {
    let core = micro_core(workspace)?;
    let counts = crates(workspace)?.into_iter().filter(|one| core.contains(&one.name)).map(|one| one.counts);
    let lines: usize = counts.map(|counts| counts.lines).sum();
    let said = format!("the micro core ({}) has {lines} of {MOST_LINES} lines", core.join(", "));
    ensure!(lines < MOST_LINES, "{said}: it must stay under that; what can leave ring 0?");
    Ok(said)
}

/// The size of the micro kernel's text in words; an error when it is over its limit.
pub fn check_text(guest: &Guest) -> Result<String> {
    let text = ElfFile::read(&guest.kernel(Kernel::Micro).symbols)?.sizes()?.text;
    ensure!(text <= MOST_TEXT, "the micro kernel has {text} of {MOST_TEXT} bytes of text: what can leave ring 0?");
    Ok(format!("{text} of {MOST_TEXT} bytes of text"))
}

fn crate_table(crates: &[Crate]) -> Table {
    let mut table =
        new(&["crate", "lines", "functions", "unsafe {}", "without SAFETY", "unsafe fn", "unsafe impl, extern"]);
    let mut sum = Counts::default();
    for Crate { name, counts } in crates {
        sum += *counts;
        add(&mut table, name, &figures(counts));
    }
    add(&mut table, "together", &figures(&sum));
    table
}

fn figures(counts: &Counts) -> [u64; 6] {
    let Counts { lines, functions, blocks, unexplained, unsafe_functions, unsafe_items } = *counts;
    [lines, functions, blocks, unexplained, unsafe_functions, unsafe_items].map(|figure| figure as u64)
}

fn image_table(guest: &Guest) -> Result<Table> {
    let mut table = new(&["image, bytes", "text", "rodata", "data", "bss"]);
    for kernel in guest.kernels() {
        let sizes = ElfFile::read(&guest.kernel(kernel).symbols)?.sizes()?;
        add(&mut table, kernel.name(), &[sizes.text, sizes.rodata, sizes.data, sizes.bss]);
    }
    Ok(table)
}

fn new(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(head.iter().copied());
    table
}

fn add(table: &mut Table, name: &str, figures: &[u64]) {
    let mut cells = vec![Cell::new(name)];
    cells.extend(figures.iter().map(|figure| Cell::new(figure).set_alignment(CellAlignment::Right)));
    table.add_row(cells);
}
