//! Reading what the benchmark program prints.
//!
//! `bench: row=getpid placement=ring3 unit=instructions n=1000 median=1 min=1 ...` for each
//! operation, `bench: timeline=crash_blackout_vfs 100:5 120:7 ...` where it was asked for, `bench: boot_instructions=N` once, `bench: done` at the end.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use serde_json::Number;

use super::{LOOPBACK, Memory, Row};
use crate::kernel::Kernel;

/// Everything one run of the benchmark said.
#[derive(Debug, PartialEq)]
pub struct Bench {
    /// Its rows, in order; those of the loop-back placement among them.
    pub rows: Vec<Row>,
    /// Instructions from reset to the benchmark's start, if it said so.
    pub boot_instructions: Option<u64>,
    /// What services keep.
    pub memories: Vec<Memory>,
    /// The requests around a disturbance, by row: when each began, and how long it took.
    pub timelines: Vec<(String, Vec<(i64, u64)>)>,
}

/// Reads the output of a run on `kernel`; an error names the line it does not understand.
pub fn parse(kernel: Kernel, output: &str) -> Result<Bench> {
    let mut bench = Bench { rows: Vec::new(), boot_instructions: None, memories: Vec::new(), timelines: Vec::new() };
    let mut done = false;
    for line in output.lines().filter_map(said) {
        if line == "done" {
            done = true;
        } else if let Some(count) = line.strip_prefix("boot_instructions=") {
            bench.boot_instructions = Some(count.parse().with_context(|| complaint(line))?);
        } else if let Some(rest) = line.strip_prefix("timeline=") {
            bench.timelines.push(timeline(rest).with_context(|| complaint(line))?);
        } else if line.starts_with("memory=") {
            bench.memories.push(memory(kernel, line).with_context(|| complaint(line))?);
        } else if line.starts_with("row=") {
            bench.rows.push(row(kernel, line).with_context(|| complaint(line))?);
        }
    }
    if !done {
        bail!("the benchmark stopped after {} rows without `bench: done`", bench.rows.len());
    }
    Ok(bench)
}

/// What the benchmark says in this line, if it does. The row on the console has written carriage
/// returns, which show nothing and end up in front of the next line.
fn said(line: &str) -> Option<&str> {
    line.trim_end().trim_start_matches('\r').strip_prefix("bench: ")
}

/// What a line says of a key.
fn fields<'l>(line: &'l str) -> impl Fn(&str) -> Result<&'l str> {
    let fields: HashMap<&'l str, &'l str> = line.split_whitespace().filter_map(|word| word.split_once('=')).collect();
    move |key| fields.get(key).copied().with_context(|| format!("no `{key}=`"))
}

fn memory(kernel: Kernel, line: &str) -> Result<Memory> {
    let text = fields(line);
    let bytes = |key: &str| -> Result<u64> { Ok(text(key)?.parse()?) };
    Ok(Memory {
        kernel,
        row: text("memory")?.to_owned(),
        granted: bytes("granted")?,
        records: bytes("records")?,
        contents: bytes("contents")?,
        log: bytes("log")?,
        process: bytes("process")?,
    })
}

fn row(kernel: Kernel, line: &str) -> Result<Row> {
    let text = fields(line);
    let figure = |key: &str| -> Result<Number> {
        let value = text(key)?;
        serde_json::from_str(value).with_context(|| format!("`{key}={value}` is no number"))
    };
    let column = if text("placement")? == LOOPBACK { LOOPBACK } else { kernel.name() };
    Ok(Row {
        kernel: column.to_owned(),
        row: text("row")?.to_owned(),
        unit: text("unit")?.to_owned(),
        n: figure("n")?,
        median: figure("median")?,
        min: figure("min")?,
        max: figure("max")?,
        median_collapsed: figure("median_collapsed")?,
        crossings: figure("crossings")?,
        space_switches: figure("space_switches")?,
        bytes_copied: figure("bytes_copied")?,
    })
}

fn timeline(line: &str) -> Result<(String, Vec<(i64, u64)>)> {
    let mut words = line.split_whitespace();
    let row = words.next().context("no row")?.to_owned();
    let request = |word: &str| {
        let (at, took) = word.split_once(':').with_context(|| format!("`{word}` is no request"))?;
        Ok((at.parse()?, took.parse()?))
    };
    Ok((row, words.map(request).collect::<Result<_>>()?))
}

fn complaint(line: &str) -> String {
    format!("the benchmark printed a line that is not understood: `bench: {line}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "bench: row=read_zero_1 placement=ring3 unit=instructions n=1000 median=512 min=510 \
        max=600 median_collapsed=500 crossings=4 space_switches=2 bytes_copied=1.5";

    #[test]
    fn a_whole_run() {
        let loopback = LINE.replace("ring3", "loopback");
        let output = format!("noise\n\r\r\rbench: boot_instructions=77\n{LINE}\r\n{loopback}\nbench: done\n");
        let bench = parse(Kernel::Micro, &output).unwrap();
        assert_eq!(bench.boot_instructions, Some(77));
        assert_eq!(bench.rows[0].kernel, "micro");
        assert_eq!(bench.rows[1].kernel, LOOPBACK);
        assert_eq!(bench.rows[0].median, Number::from(512));
        assert_eq!(bench.rows[0].bytes_copied.as_f64(), Some(1.5));
    }

    #[test]
    fn what_a_service_keeps() {
        let line = "bench: memory=memory_vfs granted=5 records=4 contents=3 log=2 process=1\nbench: done\n";
        let memories = parse(Kernel::Micro, line).unwrap().memories;
        let (kernel, row) = (Kernel::Micro, "memory_vfs".to_owned());
        assert_eq!(memories, [Memory { kernel, row, granted: 5, records: 4, contents: 3, log: 2, process: 1 }]);
    }

    #[test]
    fn a_timeline() {
        let bench = parse(Kernel::Micro, "bench: timeline=row -5:100 20:7\nbench: done\n").unwrap();
        assert_eq!(bench.timelines, [("row".to_owned(), vec![(-5, 100), (20, 7)])]);
        assert!(parse(Kernel::Micro, "bench: timeline=row 5\nbench: done\n").is_err());
    }

    #[test]
    fn a_run_that_stopped_early_is_an_error() {
        let error = parse(Kernel::Mono, LINE).unwrap_err().to_string();
        assert!(error.contains("after 1 rows"), "{error}");
    }

    #[test]
    fn a_field_that_is_missing_is_named() {
        let broken = LINE.replace("min=510", "") + "\nbench: done";
        let error = format!("{:#}", parse(Kernel::Mono, &broken).unwrap_err());
        assert!(error.contains("no `min=`"), "{error}");
    }
}
