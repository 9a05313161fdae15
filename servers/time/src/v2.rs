//! The time service in version 2 of its state: see `keep.rs`. For swaps there and back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_time::Time::over(parley_rt::durable::Lasting::of_process(), server_drivers::Cmos::new(), server_time::source::Core).in_version(2));
parley_rt::wants!(PORTS, STATE);
