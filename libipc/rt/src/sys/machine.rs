//! Interrupts, ports, the kernel log, clocks and counters.

use parley_abi::Errno;
use parley_abi::call::{
    CHECK, CLOCK, COUNTERS, IRQ_ACK, IRQ_BIND, IRQ_CREATE, LOG, LOG_READ, MEM_INFO, MemInfo, PORT_GRANT, POWER,
    THREAD_INFO, THREADS_DUMP, TRACE, TRACE_READ, ThreadInfo,
};
use parley_abi::counters::Counters;
use parley_abi::slot;
use parley_abi::trace;

use super::{checked, plain};

/// For [`power`]: switch the machine off.
pub const POWER_OFF: u64 = 0;
/// For [`power`]: reset the machine.
pub const RESET: u64 = 1;

const SYSTEM: u64 = slot::SYSTEM as u64;

/// Makes a handle for global interrupt `gsi`; returns its slot. Errors: see [`IRQ_CREATE`].
pub fn irq_create(gsi: u32) -> Result<u32, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(IRQ_CREATE, [SYSTEM, u64::from(gsi), 0, 0, 0, 0]) }.map(|slot| slot as u32)
}

/// The interrupt sets `bits` of `endpoint`. Errors: see [`IRQ_BIND`].
pub fn irq_bind(irq: u32, endpoint: u32, bits: u64) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(IRQ_BIND, [u64::from(irq), u64::from(endpoint), bits, 0, 0, 0]) }.map(drop)
}

/// The interrupt was handled. Errors: see [`IRQ_ACK`].
pub fn irq_ack(irq: u32) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(IRQ_ACK, [u64::from(irq), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Grants `count` I/O ports from `first` on to `space`. Errors: see [`PORT_GRANT`].
pub fn port_grant(space: u32, first: u16, count: u16) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours; devices that can are the holder's responsibility.
    unsafe { checked(PORT_GRANT, [SYSTEM, u64::from(space), u64::from(first), u64::from(count), 0, 0]) }.map(drop)
}

/// Writes to the kernel log, a line a call; the core takes long lines in parts. Errors: see [`LOG`].
pub fn log(text: &str) -> Result<(), Errno> {
    for line in text.split_inclusive('\n') {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let at = rest.as_ptr().expose_provenance() as u64;
            // SAFETY: the core only reads `rest`, which is borrowed.
            let taken = unsafe { checked(LOG, [SYSTEM, at, rest.len() as u64, 0, 0, 0]) }?;
            rest = rest.get(taken.max(1) as usize..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Takes bytes of the kernel log; `endpoint` is told of new ones. Returns how many. Errors: see
/// [`LOG_READ`].
pub fn log_read(endpoint: u32, into: &mut [u8]) -> Result<usize, Errno> {
    let (at, length) = (into.as_mut_ptr().expose_provenance() as u64, into.len() as u64);
    // SAFETY: the core writes only into `into`, which is borrowed exclusively.
    unsafe { checked(LOG_READ, [SYSTEM, at, length, u64::from(endpoint), 0, 0]) }.map(|taken| taken as usize)
}

/// Switches the machine off or resets it: [`POWER_OFF`] or [`RESET`]. Errors: see [`POWER`].
pub fn power(how: u64) -> Result<(), Errno> {
    // SAFETY: a machine that stops breaks no rule of Rust's.
    unsafe { checked(POWER, [SYSTEM, how, 0, 0, 0, 0]) }.map(drop)
}

/// Nanoseconds since boot. [`crate::now`] is the same without a trap where it can be.
pub fn clock() -> u64 {
    // SAFETY: the call touches no memory of ours.
    unsafe { plain(CLOCK, [0; 6]) as u64 }
}

/// Fills in what the core counts. Errors: see [`COUNTERS`].
#[inline]
pub fn counters(counters: &mut Counters) -> Result<(), Errno> {
    let at = core::ptr::from_mut(counters).expose_provenance() as u64;
    // SAFETY: the core writes only into `counters`, which is plain and borrowed exclusively.
    unsafe { checked(COUNTERS, [at, 0, 0, 0, 0, 0]) }.map(drop)
}

/// Describes thread `number`; returns the number of the next, 0 after the last. Errors: see
/// [`THREAD_INFO`].
pub fn thread_info(number: u32, info: &mut ThreadInfo) -> Result<u32, Errno> {
    let at = core::ptr::from_mut(info).expose_provenance() as u64;
    // SAFETY: the core writes only into `info`, which is plain and borrowed exclusively.
    unsafe { checked(THREAD_INFO, [SYSTEM, u64::from(number), at, 0, 0, 0]) }.map(|next| next as u32)
}

/// Describes the machine's memory. Errors: see [`MEM_INFO`].
pub fn mem_info(info: &mut MemInfo) -> Result<(), Errno> {
    let at = core::ptr::from_mut(info).expose_provenance() as u64;
    // SAFETY: the core writes only into `info`, which is plain and borrowed exclusively.
    unsafe { checked(MEM_INFO, [SYSTEM, at, 0, 0, 0, 0]) }.map(drop)
}

/// Verifies the core's own invariants: 0, or the number of the first that fails. Errors: see [`CHECK`].
pub fn check() -> Result<u64, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(CHECK, [SYSTEM, 0, 0, 0, 0, 0]) }
}

/// Switches the trace: one of [`trace::mode`]. Errors: see [`TRACE`].
pub fn trace(mode: u64) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(TRACE, [SYSTEM, mode, 0, 0, 0, 0]) }.map(drop)
}

/// Takes the oldest events of the trace; how many, 0 at the end. Errors: see [`TRACE_READ`].
pub fn trace_read(into: &mut [trace::Event]) -> Result<usize, Errno> {
    let (at, most) = (into.as_mut_ptr().expose_provenance() as u64, into.len() as u64);
    // SAFETY: the core writes only whole events into `into`, which is borrowed exclusively.
    unsafe { checked(TRACE_READ, [SYSTEM, at, most, 0, 0, 0]) }.map(|count| count as usize)
}

/// Has the core write into the log what every thread does. Errors: see [`THREADS_DUMP`].
pub fn threads_dump() -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(THREADS_DUMP, [SYSTEM, 0, 0, 0, 0, 0]) }.map(drop)
}
