//! The half that runs in the guest: enter, lend memory to the library, jump.
//!
//! In order of time: `entry` (32-bit, from QEMU), [`loader_main`], `handoff` (into the kernel). All physical memory is
//! reached at its own address here, through the loader's identity map of the first 4 GiB.

mod entry;
mod handoff;
mod physical;
mod ports;

use core::{fmt::Write, panic::PanicInfo};

use direct_boot::{
    BootError,
    boot::{self, Launch, Machine},
    pvh::{self, MEMMAP_ENTRY_SIZE, MODULE_SIZE, START_INFO_SIZE, StartInfo},
};

use ports::Serial;

/// First Rust code, called by `entry` with the physical address of the PVH start info.
extern "C" fn loader_main(start_info: u64) -> ! {
    match load(start_info) {
        // SAFETY: `load` built `launch` for this machine.
        Ok(launch) => unsafe { handoff::enter(launch) },
        Err(error) => fail(format_args!("{error}")),
    }
}

fn load(start_info: u64) -> Result<Launch, BootError> {
    // SAFETY: nothing is written before `prepare`, which writes to no memory that these views show: its allocations
    // spare the archive and everything below 1 MiB, where QEMU leaves the start info and its lists.
    let view = |what, address, size| unsafe { physical::view(what, address, size) };
    let info = view("start info", start_info, START_INFO_SIZE as u64)?;
    let info = StartInfo::parse(info.first_chunk().ok_or(BootError::NotPvh)?)?;
    let memmap = view("memory map", info.memmap, u64::from(info.memmap_entries) * MEMMAP_ENTRY_SIZE as u64)?;
    if info.modules == 0 {
        return Err(BootError::NoInitrd);
    }
    let module = view("module list", info.module_list, MODULE_SIZE as u64)?;
    let initrd = pvh::module_span(module.first_chunk().ok_or(BootError::NoInitrd)?);
    let machine = Machine {
        firmware: pvh::memory_entries(memmap),
        loader: physical::loader_span(),
        initrd,
        archive: view("initrd", initrd.start, initrd.len())?,
        rsdp: Some(info.rsdp).filter(|&address| address != 0),
        now: ports::now,
    };
    boot::prepare(&machine, &mut physical::Physical)
}

/// Prints the one line that explains what went wrong, and ends QEMU with status 35.
fn fail(why: core::fmt::Arguments) -> ! {
    let mut serial = Serial::open();
    // Writing to the port cannot fail.
    let _ = writeln!(serial, "direct-boot: {why}");
    ports::exit()
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    match info.location() {
        Some(at) => fail(format_args!("mistake in the loader at {at}: {}; please report it", info.message())),
        None => fail(format_args!("mistake in the loader: {}; please report it", info.message())),
    }
}
