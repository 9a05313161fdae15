//! Composition root of the microkernel: the core, and nothing else in ring 0.
//!
//! Every service runs in ring 3, in an address space of its own; init starts them from the boot archive.
#![no_std]
#![no_main]

use parley_core::ipc::resident::Nobody;
use parley_core::{Composition, image};

image!(Composition { name: "micro", heap: false, residents: &Nobody });
