//! Servers killed, swapped, hung and corrupted while programs use them and check what they see.
//!
//! The guest's part is `tests/kernels/src/torture`. A [`Case`] is one machine with one kind of fault and a seed;
//! [`kinds`] has a function for each kind. [`patient`] is a machine that stands at its gdb socket, so that the host can
//! do what no program can: stop a server between two instructions, change its memory, hold back its interrupts.

mod console;
mod kinds;
mod pages;
mod patient;
mod random;
pub mod record;
mod tally;

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::guest::Rig;
use crate::kernel::Kernel;
pub use kinds::resident::Fault;
pub use record::Run;
pub use tally::Tally;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Kills, restarts and swaps at random instants, under full load.
    Random,
    /// The same, and services that run in circles or wait for ever, until init finds out.
    Hangs,
    /// A death, an endless loop and an endless wait at each boundary of a system call of a server, one at a time: instead
    /// of the call, and right after it.
    Boundaries,
    /// A swap at each boundary of a system call of anybody, one at a time, for every service.
    Swaps,
    /// A death at each instruction of a server's handling of one write, one at a time.
    Instructions,
    /// An allocation of the core fails, for whomever it is, one at a time.
    Allocations,
    /// Bits flipped in the code, constants, data, stack and kept state of servers.
    Flips,
    /// Interrupts of the serial port dropped, delayed and repeated; non-maskable ones.
    Interrupts,
    /// The same faults in services that are processes and in those that are part of the kernel: who takes the machine down?
    Resident,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 9] = [
        Kind::Random,
        Kind::Hangs,
        Kind::Boundaries,
        Kind::Swaps,
        Kind::Instructions,
        Kind::Allocations,
        Kind::Flips,
        Kind::Interrupts,
        Kind::Resident,
    ];

    /// What makes a run of a minute or less.
    pub fn usual(self) -> u64 {
        match self {
            Kind::Random => 60,
            Kind::Hangs => 30,
            Kind::Boundaries => 8,
            Kind::Swaps => 2,
            Kind::Instructions => 8,
            Kind::Allocations => 4,
            Kind::Flips => 40,
            Kind::Interrupts => 40,
            Kind::Resident => 20,
        }
    }

    /// Whether there is anything to do: in the mono kernel no service can be killed alone. Only the core
    /// of the micro kernel, which is compiled for size, has functions of their own that allocate.
    pub fn suits(self, kernel: Kernel) -> bool {
        match self {
            Kind::Interrupts | Kind::Resident => true,
            Kind::Allocations => kernel == Kernel::Micro,
            _ => kernel != Kernel::Mono,
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Random => "random",
            Kind::Hangs => "hangs",
            Kind::Boundaries => "boundaries",
            Kind::Swaps => "swaps",
            Kind::Instructions => "instructions",
            Kind::Allocations => "allocations",
            Kind::Flips => "flips",
            Kind::Interrupts => "interrupts",
            Kind::Resident => "resident",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One machine.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its kernel.
    pub kernel: Kernel,
    /// What is done to it.
    pub kind: Kind,
    /// From which all choices follow.
    pub seed: u64,
    /// How much: rounds of the guest's program, or, of what is systematic, one in so many (1: everything).
    pub size: u64,
}

impl Case {
    /// Runs it. An error says what went wrong, and how to see it again.
    pub fn run(&self, rig: &Rig) -> Result<Tally> {
        kinds::run(rig, self).map_err(|error| error.context(format!("make it again: {}", self.command())))
    }

    /// How a person makes it again.
    pub fn command(&self) -> String {
        let Case { kernel, kind, seed, size } = self;
        format!("cargo xtask torture --kernel {kernel} --kind {kind} --seed {seed} --size {size} --cases 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_everything_that_matters() {
        let case = Case { kernel: Kernel::Hybrid, kind: Kind::Flips, seed: 7, size: 40 };
        let command = "cargo xtask torture --kernel hybrid --kind flips --seed 7 --size 40 --cases 1";
        assert_eq!(case.command(), command);
    }
}
