//! The time service in ring 3. init grants it the clock's ports, 0x70 and 0x71.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_time::Time::new(server_drivers::Cmos::new()));
parley_rt::wants!(PORTS, STATE);
