//! The table: what each design costs, side by side, for the terminal and for a document.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Number;

use super::{LOOPBACK, Report, Row, faults, memory};
use crate::kernel::Kernel;

/// The report for the terminal.
pub fn terminal(report: &Report) -> String {
    let operations = report.operations();
    let lines = operations.into_iter().map(|operation| line(report, operation, "\n"));
    let table = grid(std::iter::once(head(report)).chain(lines));
    let mut text = format!("{}\n{table}\n{}", conditions(report), legend(report));
    for (lines, legend) in further(report) {
        text.push_str(&format!("\n{}\n{legend}", grid(lines)));
    }
    text
}

/// The small tables below the large one, each with what it means.
fn further(report: &Report) -> impl Iterator<Item = (Vec<Vec<String>>, String)> {
    let memory = memory::table(&report.memories).map(|lines| (lines, memory::LEGEND.to_owned()));
    memory.into_iter().chain(faults::table(&report.faults))
}

/// A table for the terminal; the first line is its head.
fn grid(lines: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    let mut lines = lines.into_iter();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(lines.next().unwrap_or_default());
    for line in lines {
        table.add_row(line.into_iter().enumerate().map(|(column, text)| {
            let alignment = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(text).set_alignment(alignment)
        }));
    }
    table
}

/// The same for a document.
fn pipes(lines: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = String::new();
    for (index, line) in lines.into_iter().enumerate() {
        text.push_str(&format!("| {} |\n", line.join(" | ")));
        if index == 0 {
            text.push_str(&format!("|---{}|\n", "|---:".repeat(line.len() - 1)));
        }
    }
    text
}

/// One line above the table: what a person must know to repeat it.
fn conditions(report: &Report) -> String {
    let header = &report.header;
    format!(
        "{}, {}, revision {}\n{} from reset to the benchmark: {}",
        header.qemu_version,
        header.accelerator,
        header.git_revision,
        header.unit,
        header.boots()
    )
}

/// The report as a document of its own.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from("# What each design costs\n\n");
    for (name, value) in report.header.lines().iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("- {name}: {value}\n"));
    }
    let operations = report.operations();
    let lines = operations.into_iter().map(|operation| line(report, operation, "<br>"));
    let table = pipes(std::iter::once(head(report)).chain(lines));
    text.push_str(&format!("\n{table}\n{}", legend(report)));
    for (lines, legend) in further(report) {
        text.push_str(&format!("\n{}\n{legend}", pipes(lines)));
    }
    text
}

fn head(report: &Report) -> Vec<String> {
    let ours = ["operation", "micro", "hybrid", "mono", "loop-back", "micro/mono"].map(str::to_owned);
    ours.into_iter().chain(report.references.iter().map(|reference| reference.name.clone())).collect()
}

fn line(report: &Report, operation: &str, newline: &str) -> Vec<String> {
    let cell = |kernel: &str| match report.find(kernel, operation) {
        Some(row) => figure(row, newline),
        None => "-".to_owned(),
    };
    let [micro, hybrid, mono] = Kernel::ALL.map(|kernel| cell(kernel.name()));
    let ours = [operation.to_owned(), micro, hybrid, mono, cell(LOOPBACK), ratio(report, operation)];
    ours.into_iter().chain(report.references.iter().map(|reference| reference.cell(operation))).collect()
}

/// `612  4/2/8`, and below it the spread where there is one.
fn figure(row: &Row, newline: &str) -> String {
    let costs = [&row.crossings, &row.space_switches, &row.bytes_copied].map(short);
    let mut text = format!("{}  {}", short(&row.median), costs.join("/"));
    if row.min != row.max {
        text.push_str(&format!("{newline}{}..{}", short(&row.min), short(&row.max)));
    }
    text
}

fn ratio(report: &Report, operation: &str) -> String {
    let median = |kernel: Kernel| report.find(kernel.name(), operation)?.median.as_f64();
    match (median(Kernel::Micro), median(Kernel::Mono)) {
        (Some(micro), Some(mono)) if mono > 0.0 => format!("{:.2}", micro / mono),
        _ => "-".to_owned(),
    }
}

/// A number as short as it is exact: no decimals on whole numbers, at most two.
fn short(number: &Number) -> String {
    let Some(value) = number.as_f64() else { return number.to_string() };
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn legend(report: &Report) -> String {
    let unit = &report.header.unit;
    let mut text = format!(
        "A cell such as `612  4/2/8`: 612 {unit} an operation (median), during which the processor crossed\n\
         between user and kernel 4 times, switched address spaces 2 times, and 8 bytes were copied.\n\
         Below it, where the measurements differed: least..most. loop-back: the same messages made and\n\
         taken apart inside one program, without protection. micro/mono: how many times more micro needs.\n"
    );
    for reference in &report.references {
        text.push_str(&format!("{}: {}.\n", reference.name, reference.how));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Header, Reference};

    fn row(kernel: &str, median: u64, max: u64) -> Row {
        let number = Number::from;
        Row {
            kernel: kernel.into(),
            row: "getpid".into(),
            unit: "instructions".into(),
            n: number(1000),
            median: number(median),
            min: number(median),
            max: number(max),
            median_collapsed: number(median),
            crossings: Number::from_f64(4.0).unwrap(),
            space_switches: number(2),
            bytes_copied: number(0),
        }
    }

    fn report() -> Report {
        let header = Header {
            qemu_version: "QEMU emulator version 7".into(),
            cpu_model: "max".into(),
            accelerator: "tcg".into(),
            git_revision: "abc-dirty".into(),
            unit: "instructions".into(),
            flags: "-icount shift=0".into(),
            date: "2026-01-01T00:00:00Z".into(),
            rustc: "rustc 1".into(),
            boot_instructions: [("micro".to_owned(), 5)].into(),
        };
        let linux = Reference {
            name: "Linux".into(),
            how: "as it comes".into(),
            instructions: [("getpid".to_owned(), 307)].into(),
            collapsed: [("getpid".to_owned(), 300)].into(),
        };
        Report {
            header,
            rows: vec![row("micro", 300, 310), row("mono", 120, 120)],
            references: vec![linux],
            memories: Vec::new(),
            faults: Vec::new(),
        }
    }

    #[test]
    fn the_document_has_header_figures_and_ratio() {
        let text = markdown(&report());
        assert!(text.contains("- revision: abc-dirty\n"), "{text}");
        let line = "| getpid | 300  4/2/0<br>300..310 | - | 120  4/2/0 | - | 2.50 | 307 (300) |";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("|---|---:|---:|---:|---:|---:|---:|\n") && text.contains("Linux: as it comes.\n"),
            "{text}"
        );
    }

    #[test]
    fn the_terminal_s_table_says_what_the_figures_mean() {
        let text = terminal(&report());
        assert!(text.contains("micro/mono") && text.contains("300  4/2/0"), "{text}");
        assert!(text.contains("612 instructions an operation"));
    }

    #[test]
    fn the_json_has_the_promised_shape() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["header"]["accelerator"], "tcg");
        assert_eq!(json["rows"][0]["median_collapsed"], 300);
    }
}
