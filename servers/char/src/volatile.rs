//! The character devices as they would be if they did not outlive their process: for measuring what that costs them.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(server_char::Char::new(server_drivers::Uart16550::com1(), server_drivers::HardwareEntropy));
parley_rt::wants!(PORTS, INTERRUPTS, LOG);
