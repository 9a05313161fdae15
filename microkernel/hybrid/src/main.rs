//! Composition root of the hybrid kernel: drivers in ring 0, the file system in ring 3.
//!
//! The placement that NT and XNU made famous: char and time are function calls away from the core, vfs and
//! the rest keep their own address spaces.
#![no_std]
#![no_main]

extern crate parley_mem as _;

use parley_abi::slot::service;
use parley_core::{Composition, Core, Given, image};
use parley_residents::{Heap, Home, Linked, settle};
use server_drivers::{Cmos, HardwareEntropy, Uart16550};

#[global_allocator]
static HEAP: Heap = Heap::new();

static CHAR: Home<server_char::Char<Uart16550, HardwareEntropy>> = Home::new();
static TIME: Home<server_time::Time<Cmos>> = Home::new();

image!(Composition { name: "hybrid", heap: true, residents: &Linked(place) });

/// Who lives in ring 0, lowest first: one line a service.
fn place(core: &mut Core, given: Given) {
    HEAP.provide(given.heap);
    settle(
        core,
        CHAR.prepare(service::CHAR, &[(4, server_char::INTERRUPT_BIT)], || {
            server_char::Char::new(Uart16550::com1(), HardwareEntropy)
        }),
    );
    settle(core, TIME.prepare(service::TIME, &[], || server_time::Time::new(Cmos::new())));
}
