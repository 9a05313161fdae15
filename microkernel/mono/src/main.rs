//! Composition root of the monolithic kernel: every service in ring 0.
//!
//! The same libraries as everywhere; a system call reaches them by function calls, as in Linux.
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
static TQUEUE: Home<server_tqueue::TQueue> = Home::new();
static VFS: Home<server_vfs::Vfs> = Home::new();
static PROC: Home<server_proc::Proc> = Home::new();
static PING: Home<server_ping::Ping> = Home::new();

image!(Composition { name: "mono", heap: true, residents: &Linked(place) });

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
    settle(core, TQUEUE.prepare(service::TQUEUE, &[], server_tqueue::TQueue::new));
    settle(core, VFS.prepare(service::VFS, &[], || server_vfs::Vfs::new(given.archive)));
    settle(core, PROC.prepare(service::PROC, &[], || server_proc::Proc));
    settle(core, PING.prepare(service::PING, &[], server_ping::Ping::new));
}
