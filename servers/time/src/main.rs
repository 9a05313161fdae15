//! The time service in ring 3. init grants it the clock's ports, 0x70 and 0x71.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_time::Time::over(parley_rt::durable::Lasting::of_process(), server_drivers::Cmos::new(), server_time::source::Core));
parley_rt::wants!(PORTS, STATE);
