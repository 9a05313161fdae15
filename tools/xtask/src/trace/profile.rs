//! Where the instructions of a long operation go: by program, and by function.
//!
//! A list in order, as [`super::table`] makes it, says nothing of an operation of a million instructions.

use std::collections::HashMap;

use super::table::{add, new, own_function};
use super::{Recording, Who};
use crate::symbols::Symbols;

/// Functions that are named; the others are summed up.
const SHOWN: usize = 60;

/// Sums over programs and over the functions in which instructions were written, the largest first.
pub fn profile(recording: &Recording, operation: usize, symbols: &mut Symbols) -> String {
    let mut places: HashMap<(Option<&str>, u64), usize> = HashMap::new();
    for step in &recording.operations[operation] {
        let program = match step.who {
            Who::Kernel => None,
            Who::Program(space) => Some(recording.spaces[space].name()),
        };
        *places.entry((program, step.address)).or_default() += 1;
    }
    let (mut programs, mut functions) = (HashMap::new(), HashMap::new());
    for ((program, address), count) in places {
        let function = symbols.locate(program.unwrap_or(""), address).map_or("?".to_owned(), |at| own_function(&at));
        let program = program.unwrap_or("kernel");
        *programs.entry(vec![program.to_owned()]).or_default() += count;
        *functions.entry(vec![program.to_owned(), function]).or_default() += count;
    }
    format!(
        "by program:\n{}\nby the function they were written in:\n{}",
        largest(&["instructions", "who"], programs),
        largest(&["instructions", "who", "function"], functions)
    )
}

fn largest(head: &[&str], sums: HashMap<Vec<String>, usize>) -> comfy_table::Table {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
    let mut table = new(head);
    for (key, count) in sums.iter().take(SHOWN) {
        add(&mut table, *count, &key.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let rest: usize = sums.iter().skip(SHOWN).map(|sum| sum.1).sum();
    if rest > 0 {
        add(&mut table, rest, &["others"]);
    }
    table
}
