//! The character devices in version 2 of their state: see `keep.rs`. For swaps there and back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable parley_rt::durable::Checkpointed::new(
    parley_rt::durable::Lasting::of_process(),
    server_char::Char::new(server_drivers::Uart16550::com1(), server_drivers::HardwareEntropy).in_version(2),
));
parley_rt::wants!(PORTS, INTERRUPTS, LOG, STATE);
