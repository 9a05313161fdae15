//! Composition root of the monolithic kernel: every service in ring 0.
//!
//! The same libraries as everywhere; a system call reaches them by function calls, as in Linux.
#![no_std]
#![no_main]

extern crate parley_mem as _;

use parley_abi::slot::service;
use parley_core::{Composition, Core, Given, image};
use parley_residents::{Heap, Home};
use server_drivers::{Cmos, HardwareEntropy, Uart16550};

#[global_allocator]
static HEAP: Heap = Heap::new();

static CHAR: Home<server_char::Char<Uart16550, HardwareEntropy>> = Home::new();
static TIME: Home<server_time::Time<Cmos>> = Home::new();
static TQUEUE: Home<server_tqueue::TQueue> = Home::new();
static VFS: Home<server_vfs::Vfs> = Home::new();
static PROC: Home<server_proc::Proc> = Home::new();
static PING: Home<server_ping::Ping> = Home::new();

image!(Composition { name: "mono", heap: true, place: Some(place) });

/// Who lives in ring 0, lowest first: one line a service.
fn place(core: &mut Core, given: Given) {
    HEAP.provide(given.heap);
    core.place(CHAR.settle(service::CHAR, &[(4, server_char::INTERRUPT_BIT)], || {
        server_char::Char::new(Uart16550::com1(), HardwareEntropy)
    }));
    core.place(TIME.settle(service::TIME, &[], || server_time::Time::new(Cmos::new())));
    core.place(TQUEUE.settle(service::TQUEUE, &[], server_tqueue::TQueue::new));
    core.place(VFS.settle(service::VFS, &[], || server_vfs::Vfs::new(given.archive)));
    core.place(PROC.settle(service::PROC, &[], || server_proc::Proc));
    core.place(PING.settle(service::PING, &[], server_ping::Ping::new));
}
