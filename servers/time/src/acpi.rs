//! The time service by another clock: the ACPI power management timer, which init lets it read besides the clock chip.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use parley_rt::durable::Lasting;
use server_drivers::{Cmos, PmTimer};
use server_time::Time;
use server_time::source::Counted;

parley_rt::server!(durable Time::over(Lasting::of_process(), Cmos::new(), Counted::new(PmTimer::new(port()))));
parley_rt::wants!(PORTS, STATE);

/// Panics where the firmware names no such timer: then the service by the core's count goes on.
fn port() -> u16 {
    match parley_rt::Args::of_process().and_then(|args| args.auxiliary(parley_rt::auxv::PARLEY_PM_TIMER)) {
        Some(port) if port != 0 => port as u16,
        _ => panic!("this machine has no power management timer"),
    }
}
