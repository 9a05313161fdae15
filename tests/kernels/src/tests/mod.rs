//! The table of tests: a file for each thing that the system promises.

mod answers;
mod bomb_survival;
mod bombs;
mod calls;
mod cleanup;
mod clocks;
mod console;
mod deadlines;
mod descriptors;
mod elf;
mod endings;
mod endpoints;
mod fairness;
mod faults;
mod files;
mod fuzz;
mod handles;
mod inheritance;
mod latency;
mod leaks;
mod leases;
mod lengths;
mod mapping;
mod messages;
mod misbehaviour;
mod paths;
mod payers;
mod placements;
mod pointers;
mod poll;
mod processes;
mod quotas;
mod recovery;
mod regions;
mod registers;
mod scheduling;
mod segments;
mod services;
mod spies;
mod submissions;
mod swaps;
mod tqueue;
mod trace;
mod traps_addresses;
mod traps_flags;
mod traps_fpu;
mod traps_segments;
mod traps_tlb;
mod traps_vectors;
mod victims;

use crate::tool::verdict::Test;

/// The files, what is simplest first and the check of the core's invariants last.
const FILES: &[&[Test]] = &[
    calls::TESTS,
    handles::TESTS,
    mapping::TESTS,
    quotas::TESTS,
    payers::TESTS,
    regions::TESTS,
    messages::TESTS,
    answers::TESTS,
    endpoints::TESTS,
    placements::TESTS,
    deadlines::TESTS,
    leases::TESTS,
    registers::TESTS,
    scheduling::TESTS,
    inheritance::TESTS,
    fairness::TESTS,
    faults::TESTS,
    segments::TESTS,
    traps_flags::TESTS,
    traps_addresses::TESTS,
    traps_segments::TESTS,
    traps_vectors::TESTS,
    traps_tlb::TESTS,
    traps_fpu::TESTS,
    tqueue::TESTS,
    poll::TESTS,
    trace::TESTS,
    spies::TESTS,
    clocks::TESTS,
    files::TESTS,
    descriptors::TESTS,
    paths::TESTS,
    pointers::TESTS,
    lengths::TESTS,
    console::TESTS,
    processes::TESTS,
    victims::TESTS,
    endings::TESTS,
    elf::TESTS,
    fuzz::TESTS,
    bombs::TESTS,
    bomb_survival::TESTS,
    submissions::TESTS,
    misbehaviour::TESTS,
    latency::TESTS,
    leaks::TESTS,
    recovery::TESTS,
    services::TESTS,
    swaps::TESTS,
    cleanup::TESTS,
];

/// Every test, in order.
pub fn all() -> impl Iterator<Item = &'static Test> {
    FILES.iter().flat_map(|tests| tests.iter())
}
