//! The three kernels, and how a person picks among them.
//!
//! The names are those of the packages (`parley-micro`), of the binaries (`micro`), of the
//! columns in the table and of the `kernel` field in results.json.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One of the three kernel images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// The core alone: every service is a ring-3 server.
    Micro,
    /// char and time in ring 0, VFS in ring 3.
    Hybrid,
    /// Every service in ring 0.
    Mono,
}

impl Kernel {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Kernel; 3] = [Kernel::Micro, Kernel::Hybrid, Kernel::Mono];

    /// The binary's name, which is also the column's.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Micro => "micro",
            Kernel::Hybrid => "hybrid",
            Kernel::Mono => "mono",
        }
    }

    /// The cargo package that builds it.
    pub fn package(self) -> String {
        format!("parley-{}", self.name())
    }

    /// The kernel of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Kernel> {
        Kernel::ALL.into_iter().find(|kernel| kernel.name() == name)
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// `--kernel` of the commands that can take all three at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KernelChoice {
    /// The core alone: every service is a ring-3 server.
    Micro,
    /// char and time in ring 0, VFS in ring 3.
    Hybrid,
    /// Every service in ring 0.
    Mono,
    /// One after the other.
    All,
}

impl KernelChoice {
    /// The kernels meant.
    pub fn kernels(self) -> Vec<Kernel> {
        match self {
            KernelChoice::Micro => vec![Kernel::Micro],
            KernelChoice::Hybrid => vec![Kernel::Hybrid],
            KernelChoice::Mono => vec![Kernel::Mono],
            KernelChoice::All => Kernel::ALL.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_kernels() {
        for kernel in Kernel::ALL {
            assert_eq!(Kernel::from_name(kernel.name()), Some(kernel));
        }
        assert_eq!(Kernel::from_name("loopback"), None);
    }
}
