//! What `bench` prints: a line a row for `compare`, or a table for a person.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use parley_abi::counters::Counters;

use super::stats::{Average, Spread};

/// Where the services of a row ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Behind a system call: wherever this kernel has them.
    Ring3,
    /// Linked into the benchmark: marshalling without protection.
    Loopback,
}

impl Placement {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Placement::Ring3 => "ring3",
            Placement::Loopback => "loopback",
        }
    }
}

/// What was measured of one row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Name of the row.
    pub row: &'static str,
    /// Where the services ran.
    pub placement: Placement,
    /// Samples taken.
    pub n: usize,
    /// Ticks of one operation.
    pub ticks: Spread,
    /// What `batch` operations added to the core's counters.
    pub counted: Counters,
    /// Operations that were counted.
    pub batch: u64,
}

impl Figures {
    fn average(&self, total: u64) -> Average {
        Average { total, count: self.batch }
    }
    /// Crossings between the rings, both ways.
    pub fn crossings(&self) -> Average {
        self.average(2 * self.counted.entries)
    }
    /// Changes of the page-table root.
    pub fn space_switches(&self) -> Average {
        self.average(self.counted.space_switches)
    }
    /// Bytes the core copied.
    pub fn bytes_copied(&self) -> Average {
        self.average(self.counted.bytes_copied)
    }
    /// The median with every `rep` instruction counted once.
    pub fn median_collapsed(&self) -> u64 {
        self.ticks.median.saturating_sub(self.average(self.counted.rep_extra).rounded())
    }
}

/// All figures, to be shown as lines that `compare` reads.
pub struct Lines<'a> {
    /// Name of the unit of the ticks.
    pub unit: &'a str,
    /// Time stamp counter when the benchmark began.
    pub boot: u64,
    /// The rows.
    pub figures: &'a [Figures],
    /// What services keep.
    pub memories: &'a [Memory],
    /// What was asked for with `--samples`.
    pub timelines: &'a [Timeline],
}

/// What a service keeps over its death, and what its process takes, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Name of the row.
    pub row: &'static str,
    /// Held for the state by init.
    pub granted: u32,
    /// Records and checkpoints in it.
    pub records: u32,
    /// Contents of files in it.
    pub contents: u32,
    /// What the undo log has taken of it at the most.
    pub log: u32,
    /// The process's own memory.
    pub process: u32,
}

impl fmt::Display for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Memory { row, granted, records, contents, log, process } = self;
        write!(out, "bench: memory={row} granted={granted} records={records} ")?;
        writeln!(out, "contents={contents} log={log} process={process}")
    }
}

/// The requests around a disturbance, one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timeline {
    /// The row of which this is one more measurement.
    pub row: &'static str,
    /// When the client wanted to call, in ticks since the disturbance was asked for, and how long it took from then to
    /// the answer.
    pub requests: Vec<(i64, u64)>,
}

impl fmt::Display for Timeline {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "bench: timeline={}", self.row)?;
        self.requests.iter().try_for_each(|(at, took)| write!(out, " {at}:{took}"))?;
        writeln!(out)
    }
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for figures in self.figures {
            line(out, self.unit, figures)?;
        }
        self.memories.iter().try_for_each(|memory| memory.fmt(out))?;
        self.timelines.iter().try_for_each(|timeline| timeline.fmt(out))?;
        writeln!(out, "bench: boot_instructions={}", self.boot)
    }
}

fn line(out: &mut fmt::Formatter<'_>, unit: &str, figures: &Figures) -> fmt::Result {
    let Spread { median, min, max } = figures.ticks;
    write!(out, "bench: row={} placement={} unit={unit} ", figures.row, figures.placement.name())?;
    write!(out, "n={} median={median} min={min} max={max} ", figures.n)?;
    write!(out, "median_collapsed={} crossings={} ", figures.median_collapsed(), figures.crossings())?;
    writeln!(out, "space_switches={} bytes_copied={}", figures.space_switches(), figures.bytes_copied())
}

/// All figures, to be shown as a table for a person.
pub struct Table<'a> {
    /// Name of the unit of the ticks.
    pub unit: &'a str,
    /// The rows.
    pub figures: &'a [Figures],
    /// What services keep.
    pub memories: &'a [Memory],
    /// What was asked for by name.
    pub named: &'a [&'a str],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (row, place) = ("row", "placement");
        writeln!(out, "median, min, max: {} an operation; the rest: how often an operation", self.unit)?;
        writeln!(
            out,
            "{row:<17} {place:<9} {:>8} {:>8} {:>8} {:>9} {:>8} {:>6}",
            "median", "min", "max", "crossings", "switches", "bytes"
        )?;
        self.figures.iter().try_for_each(|figures| table_line(out, figures))?;
        for Memory { row, granted, records, contents, log, process } in self.memories {
            let [granted, records, contents, log, process] =
                [granted, records, contents, log, process].map(|bytes| bytes.div_ceil(1024));
            writeln!(
                out,
                "{row}: {granted} KiB that outlive the process (records {records}, contents {contents}, log {log}), and \
                 {process} of its own"
            )?;
        }
        let measured = self.figures.iter().map(|it| it.row).chain(self.memories.iter().map(|it| it.row));
        let is_missing = |row: &&&str| !measured.clone().any(|name| name == **row);
        let mut missing = self.named.iter().filter(is_missing);
        missing.try_for_each(|row| writeln!(out, "{row}: not here: the service is part of this kernel"))
    }
}

fn table_line(out: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    let Spread { median, min, max } = figures.ticks;
    let (row, place) = (figures.row, figures.placement.name());
    write!(out, "{row:<17} {place:<9} {median:>8} {min:>8} {max:>8}")?;
    let (crossings, switches) = (figures.crossings(), figures.space_switches());
    writeln!(out, " {:>9} {:>8} {:>6}", text(crossings), text(switches), text(figures.bytes_copied()))
}

/// An average as text, so that it can be padded.
fn text(average: Average) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{average}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let ticks = Spread { median: 180, min: 170, max: 900 };
        let counted = Counters { entries: 100, space_switches: 50, bytes_copied: 0, rep_extra: 1500 };
        Figures { row: "getpid", placement: Placement::Ring3, n: 1000, ticks, counted, batch: 100 }
    }

    #[test]
    fn the_line_that_compare_reads() {
        let lines =
            Lines { unit: "instructions", boot: 77, figures: &[figures()], memories: &[], timelines: &[] }.to_string();
        assert_eq!(
            lines,
            "bench: row=getpid placement=ring3 unit=instructions n=1000 median=180 min=170 max=900 \
             median_collapsed=165 crossings=2 space_switches=0.5 bytes_copied=0\nbench: boot_instructions=77\n"
        );
    }

    #[test]
    fn the_line_that_says_what_a_service_keeps() {
        let memory = Memory { row: "memory_vfs", granted: 5, records: 4, contents: 3, log: 2, process: 1 };
        let line = "bench: memory=memory_vfs granted=5 records=4 contents=3 log=2 process=1\n";
        assert_eq!(memory.to_string(), line);
    }

    #[test]
    fn the_line_that_plot_reads() {
        let timeline = Timeline { row: "crash_blackout_vfs", requests: vec![(-20, 3), (0, 4)] };
        assert_eq!(timeline.to_string(), "bench: timeline=crash_blackout_vfs -20:3 0:4\n");
    }

    #[test]
    fn the_table_is_aligned() {
        let table = Table { unit: "ticks", figures: &[figures(), figures()], memories: &[], named: &[] }.to_string();
        let widths: Vec<usize> = table.lines().skip(1).map(str::len).collect();
        assert!(widths.iter().all(|&width| width == widths[0] && width <= 80), "{table}");
    }

    #[test]
    fn a_person_sees_what_is_kept_and_what_is_not_there() {
        let memory = Memory { row: "memory_vfs", granted: 8192, records: 1, contents: 0, log: 4096, process: 65536 };
        let table =
            Table { unit: "ticks", figures: &[], memories: &[memory], named: &["memory_vfs", "ping"] }.to_string();
        assert!(table.contains("memory_vfs: 8 KiB that outlive the process (records 1, contents 0, log 4), and 64 of"));
        assert!(table.ends_with("ping: not here: the service is part of this kernel\n"), "{table}");
    }
}
