//! The table of one operation: its functions in order, its inlined functions by weight, its phases.

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::parts::{Instruction, Phase, instructions};
use super::{Recording, Who};
use crate::symbols::{Located, Symbols, Written};

/// The inlined functions that are named; the others are summed up.
const SHOWN: usize = 24;

/// Where each instruction of the operation goes.
pub fn table(recording: &Recording, operation: usize, symbols: &mut Symbols) -> String {
    let all = instructions(recording, operation, symbols);
    let sum = recording.count(operation);
    let empty = recording.empty;
    format!(
        "in order:\n{}\nthe kernel's, by the function they were written in:\n{}\nsummed up:\n{}\n\
         {sum} instructions; {empty} more are the measuring pair's own. A repeated instruction counts once.\n",
        in_order(recording, &all),
        by_function(&all),
        by_phase(recording, &all)
    )
}

/// Runs of instructions of one function and phase.
fn in_order(recording: &Recording, all: &[Instruction]) -> Table {
    let mut table = new(&["instructions", "who", "phase", "function"]);
    let key = |one: &Instruction| (one.step.who, one.phase, one.located.as_ref().map(|located| located.symbol.clone()));
    for run in all.chunk_by(|one, two| key(one) == key(two)) {
        let function = run[0].located.as_ref().map_or("?", |located| short(&located.symbol));
        add(&mut table, run.len(), &[who(recording, &run[0]), run[0].phase.name(), function]);
    }
    table
}

/// Sums over inlined functions, the largest first.
fn by_function(all: &[Instruction]) -> Table {
    let mut sums: Vec<(String, Phase, usize)> = Vec::new();
    for one in all.iter().filter(|one| one.step.who == Who::Kernel) {
        let name = one.located.as_ref().map_or_else(|| "?".to_owned(), own_function);
        match sums.iter_mut().find(|sum| sum.0 == name && sum.1 == one.phase) {
            Some(sum) => sum.2 += 1,
            None => sums.push((name, one.phase, 1)),
        }
    }
    sums.sort_by(|one, two| two.2.cmp(&one.2).then_with(|| one.0.cmp(&two.0)));
    let mut table = new(&["instructions", "phase", "function"]);
    for (name, phase, count) in sums.iter().take(SHOWN) {
        add(&mut table, *count, &[phase.name(), name]);
    }
    let rest = &sums[sums.len().min(SHOWN)..];
    if !rest.is_empty() {
        let others = format!("{} others", rest.len());
        add(&mut table, rest.iter().map(|sum| sum.2).sum(), &["", &others]);
    }
    table
}

fn by_phase(recording: &Recording, all: &[Instruction]) -> Table {
    let mut table = new(&["instructions", "what"]);
    for phase in [Phase::Entry, Phase::Work, Phase::Switch, Phase::Exit] {
        let count = all.iter().filter(|one| one.phase == phase).count();
        add(&mut table, count, &[phase.name()]);
    }
    for (index, space) in recording.spaces.iter().enumerate() {
        let count = all.iter().filter(|one| one.step.who == Who::Program(index)).count();
        // The benchmark's first instruction is the pair's own.
        add(&mut table, if index == 0 { count.saturating_sub(recording.empty) } else { count }, &[space.name()]);
    }
    table
}

fn who<'a>(recording: &'a Recording, instruction: &Instruction) -> &'a str {
    match instruction.step.who {
        Who::Kernel => "kernel",
        Who::Program(space) => recording.spaces[space].name(),
    }
}

/// The innermost function of ours: what Rust's library does is done for its caller.
fn own_function(located: &Located) -> String {
    match located.inlined.iter().find(|function| function.is_ours()) {
        Some(Written { name, file }) => {
            format!("{name}  {}", file.strip_prefix("microkernel/core/src/").unwrap_or(file))
        }
        None => short(&located.symbol).to_owned(),
    }
}

/// A path without what all have in common.
fn short(path: &str) -> &str {
    path.strip_prefix("parley_core::").unwrap_or(path)
}

fn new(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(head.iter().copied());
    table
}

fn add(table: &mut Table, count: usize, texts: &[&str]) {
    let mut cells = vec![Cell::new(count).set_alignment(CellAlignment::Right)];
    cells.extend(texts.iter().map(Cell::new));
    table.add_row(cells);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_library_works_for_its_caller() {
        let written = |name: &str, file: &str| Written { name: name.to_owned(), file: file.to_owned() };
        let library = written("map", "library/core/src/option.rs");
        let ours = written("next", "microkernel/core/src/sched.rs");
        let mut located = Located { symbol: "parley_core::on_posix".to_owned(), offset: 0, inlined: vec![library] };
        assert_eq!(own_function(&located), "on_posix");
        located.inlined.push(ours);
        assert_eq!(own_function(&located), "next  sched.rs");
    }
}
