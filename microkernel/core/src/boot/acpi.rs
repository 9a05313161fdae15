//! ACPI tables: where the interrupt controllers are, what clock there is, how to power off.

use core::ptr::NonNull;

use acpi::fadt::Fadt;
use acpi::madt::{Madt, MadtEntry};
use acpi::{AcpiHandler, AcpiTables, HpetInfo, PhysicalMapping};

use crate::arch::apic::Controllers;
use crate::arch::clock::Clock;
use crate::kernel::Core;
use crate::log::Level;
use crate::mem::Phys;

/// Physical memory is all mapped: there is nothing to map or unmap.
#[derive(Clone)]
struct DirectMap;

impl AcpiHandler for DirectMap {
    unsafe fn map_physical_region<T>(&self, address: usize, size: usize) -> PhysicalMapping<Self, T> {
        let at = NonNull::new(Phys(address as u64).pointer()).expect("the direct map does not begin at zero");
        // SAFETY: the direct map shows the region for as long as the core runs.
        unsafe { PhysicalMapping::new(address, at, size, size, DirectMap) }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}
}

/// Reads the tables and sets up what they describe. Without a MADT the machine cannot run.
pub fn set_up(core: &mut Core, rsdp: u64, began: u64) {
    // SAFETY: the loader says that the root pointer lies there.
    let tables = unsafe { AcpiTables::from_rsdp(DirectMap, rsdp as usize) };
    let tables = tables.unwrap_or_else(|_| panic!("boot: the ACPI tables are broken"));
    let controllers = controllers(&tables);
    core.apic.set_up(&controllers);
    let hpet = HpetInfo::new(&tables).ok().map(|hpet| hpet.base_address as u64);
    core.clock = Clock::calibrate(began, &core.apic, hpet);
    core.log(
        Level::Info,
        format_args!("clock: {} kHz, by the {}", core.clock.hz / 1000, hpet.map_or("PIT", |_| "HPET")),
    );
    if let Ok(fadt) = tables.find_table::<Fadt>() {
        core.power.control = fadt.pm1a_control_block().map_or(0, |block| block.address as u16);
        core.power.timer = fadt.pm_timer_block().ok().flatten().map_or(0, |block| block.address as u16);
        core.power.reset = fadt.reset_register().map_or(0, |register| register.address as u16);
        core.power.reset_value = fadt.reset_value;
    }
    if let Ok(dsdt) = tables.dsdt() {
        let at: *const u8 = Phys(dsdt.address as u64).pointer::<u8>().cast_const();
        // SAFETY: the table lies there, and has this length.
        let code = unsafe { core::slice::from_raw_parts(at, dsdt.length as usize) };
        core.power.sleep_type = super::power::sleep_type(code).unwrap_or(0);
    }
}

fn controllers(tables: &AcpiTables<DirectMap>) -> Controllers {
    let madt = tables.find_table::<Madt>();
    let madt =
        madt.unwrap_or_else(|_| panic!("boot: no interrupt controllers: the ACPI table MADT is missing or broken"));
    let madt = madt.get();
    let local = madt.local_apic_address as u64;
    let mut found = Controllers { local, io: 0, first: 0, overrides: heapless::Vec::new() };
    for entry in madt.entries() {
        match entry {
            MadtEntry::IoApic(io) if found.io == 0 => {
                (found.io, found.first) = (io.io_apic_address as u64, io.global_system_interrupt_base);
            }
            MadtEntry::InterruptSourceOverride(line) => {
                let flags = line.flags;
                let _ = found.overrides.push((line.global_system_interrupt, flags & 3 == 3, flags >> 2 & 3 == 3));
            }
            MadtEntry::LocalApicAddressOverride(address) => found.local = address.local_apic_address,
            _ => {}
        }
    }
    assert!(found.io != 0, "boot: the MADT names no I/O APIC");
    found
}
