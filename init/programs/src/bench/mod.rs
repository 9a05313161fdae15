//! `bench`: the same measurements on every kernel.
//!
//! A row is one operation with a stable name. Rows that are prepared alike are a [`Family`], in a file
//! of their own; to add one, write the file and name it in [`ring3`] or, if it is a POSIX call and runs
//! in the loop-back placement too, in [`posix`]. [`meter`] says how a row is measured.

use parley_posix::{eprintln, print, println};
use parley_proto::Caller;
use parley_rt::{Trap, sys};

mod below;
mod blackout;
mod clocks;
mod copying;
mod core_calls;
mod deadline;
mod devices;
mod durability;
mod files;
mod ipc;
mod loopback;
mod memory;
mod meter;
mod open;
mod options;
mod process;
mod report;
mod stats;
mod wakeups;

use meter::{Failure, InRow, Meter};
pub use meter::{counts_instructions, ticks};
use options::{Options, USAGE};
use report::{Lines, Placement, Table};

/// Rows that are prepared together.
pub struct Family<C> {
    /// Their names.
    pub rows: &'static [&'static str],
    /// Prepares, measures those that are wanted, and cleans up.
    pub measure: fn(&mut Meter<'_>, &mut C) -> Result<(), Failure>,
}

/// What only exists behind a system call.
fn ring3() -> [Family<Trap>; 5] {
    [
        Family { rows: core_calls::ROWS, measure: core_calls::measure },
        Family { rows: wakeups::NOTIFIED, measure: wakeups::notified },
        Family { rows: wakeups::INTERRUPTED, measure: wakeups::interrupted },
        Family { rows: ipc::ROUND_TRIPS, measure: ipc::round_trips },
        Family { rows: ipc::SERVED, measure: ipc::served },
    ]
}

/// POSIX calls, whatever carries them.
fn posix<C: Caller>() -> [Family<C>; 6] {
    [
        Family { rows: process::ROWS, measure: process::measure },
        Family { rows: clocks::ROWS, measure: clocks::measure },
        Family { rows: devices::PLAIN, measure: devices::plain },
        Family { rows: files::ROWS, measure: files::measure },
        Family { rows: files::NAMES, measure: files::names },
        Family { rows: devices::CONSOLE, measure: devices::console },
    ]
}

/// What lasts, or changes who serves, so that it comes last.
fn disturbing() -> [Family<Trap>; 5] {
    [
        Family { rows: deadline::ROWS, measure: deadline::measure },
        Family { rows: copying::ROWS, measure: copying::measure },
        Family { rows: memory::ROWS, measure: memory::measure },
        Family { rows: durability::ROWS, measure: durability::measure },
        Family { rows: blackout::ROWS, measure: blackout::measure },
    ]
}

/// Runs the benchmark. Returns its exit status.
pub fn run(args: &[&str]) -> i32 {
    let boot = meter::ticks();
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(arg) => {
            eprintln!("bench: {arg}: unknown, or something is missing after it\n{USAGE}");
            return 2;
        }
    };
    if options.list {
        names().for_each(|row| println!("{row}"));
        return 0;
    }
    if let Some(unknown) = options.rows.iter().find(|row| names().all(|name| name != **row)) {
        eprintln!("bench: {unknown}: no such row (try bench --list)");
        return 2;
    }
    finish(&options, boot, measure(&options))
}

/// Names of all rows.
fn names() -> impl Iterator<Item = &'static str> {
    let ring3 = ring3().map(|family| family.rows);
    let posix = posix::<Trap>().map(|family| family.rows);
    let disturbing = disturbing().map(|family| family.rows);
    ring3.into_iter().chain(posix).chain(disturbing).flatten().copied()
}

/// Measures everything that is wanted.
fn measure<'a>(options: &'a Options<'a>) -> Result<Meter<'a>, Failure> {
    have_thread_local_storage()?;
    let mut meter = Meter::new(options)?;
    families(&mut meter, &mut Trap, ring3())?;
    families(&mut meter, &mut Trap, posix())?;
    loopback::measure(&mut meter)?;
    meter.set_placement(Placement::Ring3);
    families(&mut meter, &mut Trap, disturbing())?;
    Ok(meter)
}

fn families<C, const N: usize>(meter: &mut Meter<'_>, via: &mut C, families: [Family<C>; N]) -> Result<(), Failure> {
    for family in families {
        if meter.wants_any(family.rows) {
            (family.measure)(meter, via)?;
        }
    }
    Ok(())
}

/// Gives the thread a TLS base, as real programs have: a kernel must not forget to keep it.
fn have_thread_local_storage() -> Result<(), Failure> {
    static BLOCK: [u64; 8] = [0; 8];
    // SAFETY: nothing here uses thread-local storage.
    unsafe { sys::set_fs_base(BLOCK.as_ptr().addr() as u64) }.in_row("set_fs_base")
}

/// Prints what came out.
fn finish(options: &Options<'_>, boot: u64, measured: Result<Meter<'_>, Failure>) -> i32 {
    let mut meter = match measured {
        Ok(meter) => meter,
        Err(Failure { row, errno }) => {
            println!("bench: FAIL {row}: {errno}");
            if let parley_abi::Errno::EPERM = errno {
                println!(
                    "bench: only the machine's first program may do that: \
                     cargo xtask exec --icount --option hardware -- /bin/bench {row}"
                );
            }
            return 1;
        }
    };
    // In the order of the list, which is not always the one they had to be measured in.
    meter.sort_by(|row| names().position(|name| name == row));
    match options.human {
        true => {
            let (figures, memories) = (meter.figures(), meter.memories());
            print!("{}", Table { unit: options.unit, figures, memories, named: &options.rows });
        }
        false => {
            print!(
                "{}",
                Lines {
                    unit: options.unit,
                    boot,
                    figures: meter.figures(),
                    memories: meter.memories(),
                    timelines: meter.timelines()
                }
            )
        }
    }
    println!("bench: done");
    0
}
