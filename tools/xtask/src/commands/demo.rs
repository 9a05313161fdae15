//! `demo`: the same bug of a driver on two kernels, one of which goes on.

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::{Cell, ContentArrangement, Table, presets};

use crate::build::Guest;
use crate::guest::{Job, Outcome, Rig};
use crate::kernel::Kernel;
use crate::qemu::End;
use crate::setup::{self, Need};
use crate::symbols::Symbols;
use crate::workspace::Workspace;

/// What runs on both.
pub const PROGRAM: [&str; 1] = ["/bin/bug"];
/// Lines of the log that are shown at most.
const LOG_LINES: usize = 10;
/// Columns of the table, in characters.
const WIDTH: u16 = 150;

/// Let a driver run past the end of its buffer, on the micro and the mono kernel
///
/// The driver is /dev/tqueue, the same source on both. On the micro kernel it is a process: it dies, is started again
/// from its state, and the machine goes on. On the mono kernel it is part of the kernel, which panics and says so.
#[derive(Args)]
pub struct Demo {}

impl Demo {
    pub fn run(self) -> Result<u8> {
        setup::ensure(&[Need::Qemu])?;
        let workspace = Workspace::find()?;
        let kernels = [Kernel::Micro, Kernel::Mono];
        let guest = Guest::build(&workspace, &kernels)?;
        let rig = Rig { workspace, guest, limine: None };
        let mut columns = Vec::new();
        for kernel in kernels {
            let outcome = rig.run(&Job::new(&rig, kernel, &PROGRAM)?, &mut std::io::sink())?;
            judge(kernel, &outcome)?;
            columns.push(column(&rig, kernel, &outcome));
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        table.set_header(kernels.map(|kernel| Cell::new(format!("{kernel} kernel"))));
        table.add_row(columns);
        println!("{table}");
        Ok(0)
    }
}

/// What a person would have seen: the console, the log, the end.
fn column(rig: &Rig, kernel: Kernel, outcome: &Outcome) -> String {
    let log: Vec<&str> = outcome.log.lines().filter(|line| !line.contains(" info] ")).collect();
    let log = log[..log.len().min(LOG_LINES)].join("\n");
    let log = Symbols::new(&rig.guest, kernel).annotate(&log);
    let console = String::from_utf8_lossy(&outcome.stdout);
    // init repeats each backtrace on the console; once, in the log, is enough here.
    let console: Vec<&str> = console.lines().filter(|line| !line.starts_with("  at 0x")).collect();
    format!("{}\n\nlog:\n{log}\nend: {}", console.join("\n"), outcome.end.describe())
}

/// Whether it was what it should be: on each kernel that has the driver in a process the program ends well, and the
/// mono kernel panics and names the driver.
pub fn judge(kernel: Kernel, outcome: &Outcome) -> Result<()> {
    let stdout = String::from_utf8_lossy(&outcome.stdout);
    if kernel == Kernel::Mono {
        ensure!(outcome.end == End::Panicked, "the mono kernel survived a bug of one of its drivers");
        let named = "in service tqueue, which is resident in ring 0";
        ensure!(outcome.log.contains(named), "the panic does not name the driver");
        return Ok(());
    }
    ensure!(outcome.end == End::Orderly && outcome.status == Some(0), "the machine did not go on");
    ensure!(stdout.contains("the queue still has: kept"), "the queue has lost its bytes");
    Ok(())
}
