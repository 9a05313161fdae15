//! The end: registers and a backtrace on the console, and a failure status for the emulator.
//!
//! Nothing here relies on the state of the core. Addresses are printed raw; the host tool knows the names.

use core::arch::asm;
use core::fmt::Write;
use core::panic::PanicInfo;

use parley_abi::exception;

use crate::arch::frame::Frame;
use crate::arch::serial::{COM1, COM2};
use crate::arch::{fpu, ports, vectors};

/// The debug exit of QEMU, and what is written to it after a panic and after an orderly shutdown.
pub const DEBUG_EXIT: u16 = 0xf4;
/// Status of a panic: the emulator exits with 35.
pub const PANICKED: u32 = 0x11;
/// Status of an orderly shutdown: the emulator exits with 33.
pub const ORDERLY: u32 = 0x10;

/// Longest backtrace.
const MAX_FRAMES: usize = 32;
/// Kernel addresses begin here: a frame pointer below is the end of a backtrace.
const KERNEL: u64 = 0xffff_8000_0000_0000;

/// Both serial ports at once: the log may be on either.
struct Ports;

impl Write for Ports {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        COM1.write(text.as_bytes());
        COM2.write(text.as_bytes());
        Ok(())
    }
}

/// What the images' panic handlers do.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Ports, "\nkernel panic: {}", info.message());
    if let Some(place) = info.location() {
        let _ = writeln!(Ports, "  in {}:{}", place.file(), place.line());
        name_resident(place.file());
    }
    let pointer: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) pointer, options(nomem, nostack)) };
    backtrace(pointer);
    halt()
}

/// An exception in ring 0: always a bug of the core.
pub fn kernel_exception(frame: &Frame) -> ! {
    let vector = frame.kind as u8;
    let _ = writeln!(Ports, "\nkernel panic: {} in ring 0, error {:#x}", exception::name(vector.into()), frame.number);
    if vector == vectors::PAGE_FAULT {
        let _ = writeln!(Ports, "  address {:#018x}", fpu::fault_address());
    }
    print_registers(frame);
    let _ = writeln!(Ports, "  at {:#018x}", frame.rip);
    backtrace(frame.rbp);
    halt()
}

/// Says whose bug it is, if the panic is in the source of a service that is linked into the kernel.
fn name_resident(file: &str) {
    if let Some((name, _)) = file.strip_prefix("servers/").and_then(|rest| rest.split_once('/')) {
        let _ = writeln!(Ports, "  in service {name}, which is resident in ring 0: its fault is the kernel's");
    }
}

fn print_registers(frame: &Frame) {
    let Frame { rip, rsp, rbp, rflags, rax, rbx, rcx, r11, r13, r14, r15, cs, ss, .. } = *frame;
    let [rdi, rsi, rdx, r10, r8, r9, r12] = frame.args;
    let names = [
        "rip", "rsp", "rbp", "rflags", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15", "cs", "ss",
    ];
    let values = [rip, rsp, rbp, rflags, rax, rbx, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, cs, ss];
    for (number, (name, value)) in names.iter().zip(values).enumerate() {
        let end = if number % 4 == 3 { "\n" } else { "" };
        let _ = write!(Ports, "  {name:>6} {value:016x}{end}");
    }
}

/// Follows the frame pointers, as far as they look like some.
fn backtrace(mut pointer: u64) {
    for _ in 0..MAX_FRAMES {
        if pointer < KERNEL || !pointer.is_multiple_of(8) {
            return;
        }
        let frame: *const [u64; 2] = core::ptr::with_exposed_provenance(pointer as usize);
        // SAFETY: the core is built with frame pointers; the chain of a kernel stack leads upward on that
        // stack and ends in 0 or in a user address, which was tested for.
        let [next, back] = unsafe { frame.read() };
        if back < KERNEL {
            return;
        }
        let _ = writeln!(Ports, "  at {back:#018x}");
        if next <= pointer {
            return;
        }
        pointer = next;
    }
}

fn halt() -> ! {
    ports::out32(DEBUG_EXIT, PANICKED);
    stop()
}

/// Nothing runs any more.
pub fn stop() -> ! {
    loop {
        // SAFETY: stops this processor for good, with interrupts off.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
