//! What each instruction of an operation was for: entry, work, switch or exit.
//!
//! The core is one program after link-time optimisation, so a symbol says little: which function an
//! instruction came from, inlined or not, is in the line tables.

use super::{Recording, Step, Who};
use crate::symbols::{Located, Symbols};

/// What an instruction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ring 3.
    Program,
    /// The kernel's way in.
    Entry,
    /// Checks, and what the call is about.
    Work,
    /// Making another thread the current one.
    Switch,
    /// The kernel's way out.
    Exit,
}

impl Phase {
    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Program => "program",
            Phase::Entry => "entry",
            Phase::Work => "checks+work",
            Phase::Switch => "switch",
            Phase::Exit => "exit",
        }
    }
}

/// An instruction with everything known about it.
pub struct Instruction {
    /// The instruction.
    pub step: Step,
    /// What it is for.
    pub phase: Phase,
    /// The function around it, if there are symbols.
    pub located: Option<Located>,
}

/// The operation's instructions, in order.
pub fn instructions(recording: &Recording, operation: usize, symbols: &mut Symbols) -> Vec<Instruction> {
    let mut instructions = Vec::new();
    for &step in &recording.operations[operation] {
        let located = match step.who {
            Who::Kernel => symbols.locate("", step.address),
            Who::Program(space) => {
                recording.spaces[space].program.as_ref().and_then(|name| symbols.locate(name, step.address))
            }
        };
        instructions.push(Instruction { step, phase: Phase::Program, located });
    }
    for visit in instructions.chunk_by_mut(|one, two| (one.step.who == Who::Kernel) == (two.step.who == Who::Kernel)) {
        if visit[0].step.who == Who::Kernel {
            phases(visit);
        }
    }
    instructions
}

/// Assembly says by its symbols what it is for: `entry` (and `vectors`) before anything else, `exit`, `switch`.
/// The entry's own code after everything else leaves again. Rust that was inlined from a function that switches
/// is the switch.
fn phases(visit: &mut [Instruction]) {
    let enters =
        |one: &Instruction| assembly(one).is_some_and(|name| name.contains("entry") || name.contains("vectors"));
    let leaves = |one: &Instruction| enters(one) || assembly(one).is_some_and(|name| name.contains("exit"));
    let first = visit.iter().position(|one| !enters(one)).unwrap_or(visit.len());
    let last = visit.iter().rposition(|one| !leaves(one)).unwrap_or(visit.len());
    for (index, instruction) in visit.iter_mut().enumerate() {
        instruction.phase = match () {
            () if index < first => Phase::Entry,
            () if index > last || (leaves(instruction) && !enters(instruction)) => Phase::Exit,
            () if switches(instruction) => Phase::Switch,
            () => Phase::Work,
        };
    }
}

/// The symbol, if it is one of the core's assembly: its names have no path.
fn assembly(instruction: &Instruction) -> Option<&str> {
    let symbol = instruction.located.as_ref()?.symbol.as_str();
    (!symbol.contains("::")).then_some(symbol)
}

fn switches(instruction: &Instruction) -> bool {
    let mut chain = instruction.located.iter().flat_map(|located| &located.inlined);
    let inlined = chain.any(|function| function.is_ours() && function.name.contains("switch"));
    inlined || assembly(instruction).is_some_and(|name| name.contains("switch"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Written;

    fn at(symbol: &str, inlined: &[&str]) -> Instruction {
        let written =
            |&name: &&str| Written { name: name.to_owned(), file: "microkernel/core/src/kernel.rs".to_owned() };
        let inlined = inlined.iter().map(written).collect();
        Instruction {
            step: Step { address: 0, who: Who::Kernel },
            phase: Phase::Program,
            located: Some(Located { symbol: symbol.to_owned(), offset: 0, inlined }),
        }
    }

    #[test]
    fn a_visit_to_the_kernel_falls_into_phases() {
        let rust = "core::entry::on_native";
        let mut visit = [
            at("parley_syscall_entry", &[]),
            at(rust, &[]),
            at("memcpy", &[]),
            at(rust, &["switch_to"]),
            at("parley_syscall_entry", &[]),
            at("parley_exit", &[]),
        ];
        phases(&mut visit);
        let found = visit.map(|instruction| instruction.phase);
        assert_eq!(found, [Phase::Entry, Phase::Work, Phase::Work, Phase::Switch, Phase::Exit, Phase::Exit]);
    }

    #[test]
    fn a_visit_may_be_assembly_from_end_to_end() {
        let mut visit = ["parley_syscall_entry", "parley_fast_call", "parley_fast_switch", "parley_fast_exit"]
            .map(|name| at(name, &[]));
        phases(&mut visit);
        let found = visit.map(|instruction| instruction.phase);
        assert_eq!(found, [Phase::Entry, Phase::Work, Phase::Switch, Phase::Exit]);
    }
}
