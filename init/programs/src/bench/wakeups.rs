//! Waking somebody more urgent in another address space: by a notification, and by a device's interrupt.
//!
//! Both rows end at the first instruction of whoever is woken, which reads the time stamp counter. It has an
//! address space of its own ([`crate::isolated`]) and writes down what it read in a page that both see. The
//! figures of the core's counters are those of the whole round, the way back to waiting included.
//!
//! The interrupt is that of the second serial port: with nothing to send, allowing its "transmitter empty" raises
//! it at once. So the row begins with an `out` and ends in the driver, with nothing in between but ring 0. For that
//! the benchmark needs interrupts and ports (`hardware` on the kernel's command line); without, there is no row.

use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::call::{NOTIFY, REPLY_RECV, prot};
use parley_abi::msg::{Flags, pack};
use parley_abi::{Errno, slot};
use parley_rt::{Trap, sys};

use super::below;
use super::meter::{Failure, InRow, Meter, ticks};
use crate::isolated::{Isolated, Prepared};
use crate::threads::own_priority;

/// The notification.
pub const NOTIFIED: &[&str] = &["notify_switch"];
/// The interrupt.
pub const INTERRUPTED: &[&str] = &["irq_to_driver"];

/// Where the page that both see is: here, and in the other address space.
const SEEN_AT: u64 = 0x2f_0000_0000;
const SHOWN_AT: u32 = 0x50_0000;
/// The second serial port's interrupt enable register, and "transmitter empty" in it.
const ENABLE: u16 = 0x2f9;
const EMPTY: u8 = 2;
/// Its interrupt.
const LINE: u32 = 3;
/// Readings of the page before the benchmark gives up: without instruction counting, interrupts take a while.
const PATIENCE: u32 = 1_000_000;

/// What it does between two waits: reads the counter and writes it down; a driver silences its device as well.
const fn code(driver: bool) -> [u8; 43] {
    let [a, b, c, d] = (REPLY_RECV as u32).to_le_bytes();
    let [e, f, g, h] = slot::ENDPOINT.to_le_bytes();
    let [i, j, k, l] = SHOWN_AT.to_le_bytes();
    let [m, n, o, p] = (SHOWN_AT + 4).to_le_bytes();
    let [q, r] = ENABLE.to_le_bytes();
    let out = if driver { 0xee } else { 0x90 };
    [
        0xbf, e, f, g, h, //             mov edi, ENDPOINT
        0x45, 0x31, 0xed, //             xor r13d, r13d      no token to answer
        0x45, 0x31, 0xf6, //             xor r14d, r14d      no deadline
        0xb8, a, b, c, d, //       next: mov eax, REPLY_RECV
        0x0f, 0x05, //                   syscall
        0x0f, 0x31, //                   rdtsc
        0x89, 0x04, 0x25, i, j, k, l, // mov [SHOWN_AT], eax
        0x89, 0x14, 0x25, m, n, o, p, // mov [SHOWN_AT + 4], edx
        0x66, 0xba, q, r, //             mov dx, ENABLE
        0x31, 0xc0, //                   xor eax, eax
        out,  //                          out dx, al          or nop
        0xeb, 0xe0, //                   jmp next
    ]
}

/// Measures [`NOTIFIED`].
pub fn notified(meter: &mut Meter<'_>, _: &mut Trap) -> Result<(), Failure> {
    let [row] = NOTIFIED else { return Ok(()) };
    let waiter = Waiter::start(false, |_| Ok(())).in_row(row)?;
    let to = u64::from(waiter.thread.endpoint());
    below::run(|| {
        meter.one_way(row, || {
            let begin = ticks();
            // SAFETY: the call touches no memory of ours.
            let answer = unsafe { sys::raw(pack(NOTIFY, Flags::empty(), 0), to, [1, 0, 0, 0, 0, 0], 0, 0) };
            Errno::check(answer.rax as i64)?;
            waiter.woken_after(begin)
        })
    })
    .in_row(row)?
}

/// Measures [`INTERRUPTED`].
pub fn interrupted(meter: &mut Meter<'_>, _: &mut Trap) -> Result<(), Failure> {
    let [row] = INTERRUPTED else { return Ok(()) };
    let irq = match sys::irq_create(LINE) {
        Err(Errno::EPERM) if !meter.is_named(row) => return Ok(()),
        irq => irq.in_row(row)?,
    };
    let driver = Waiter::start(true, |driver| {
        sys::port_grant(driver.space, ENABLE, 1)?;
        sys::port_grant(slot::SPACE, ENABLE, 1)?;
        sys::irq_bind(irq, driver.endpoint, 1)
    });
    let measured = driver.in_row(row).and_then(|driver| {
        below::run(|| {
            meter.one_way(row, || {
                let begin = ticks();
                // SAFETY: the port was granted, and its device belongs to nobody else: the core's log, if it goes
                // there, does not use its interrupts.
                unsafe { core::arch::asm!("out dx, al", in("dx") ENABLE, in("al") EMPTY, options(nostack)) };
                driver.woken_after(begin)
            })
        })
        .in_row(row)?
    });
    sys::handle_drop(irq).in_row(row)?;
    measured
}

/// Waits to be woken.
struct Waiter {
    thread: Isolated,
}

impl Waiter {
    /// Starts one at this thread's priority.
    fn start(driver: bool, prepare: impl FnOnce(&Prepared) -> Result<(), Errno>) -> Result<Waiter, Errno> {
        let page = sys::mem_create(slot::QUOTA, 1)?;
        let both = prot::READ | prot::WRITE;
        let seen = sys::map(slot::SPACE, page, SEEN_AT, 0, 1, both);
        let thread = seen.and_then(|_| {
            Isolated::start(&code(driver), own_priority(), |new| {
                sys::map(new.space, page, u64::from(SHOWN_AT), 0, 1, both)?;
                prepare(new)
            })
        });
        sys::handle_drop(page)?;
        Ok(Waiter { thread: thread? })
    }

    /// Ticks from `begin` to its first instruction. EIO: it was not woken.
    fn woken_after(&self, begin: u64) -> Result<u64, Errno> {
        let place = core::ptr::with_exposed_provenance::<AtomicU64>(SEEN_AT as usize);
        // SAFETY: the page was mapped by `start`, and is while `self` lives; only this thread and the other
        // one, one at a time, use it.
        let woken = unsafe { &*place };
        for _ in 0..PATIENCE {
            let end = woken.load(Ordering::Relaxed);
            if end > begin {
                return Ok(end - begin);
            }
        }
        Err(Errno::EIO)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // SAFETY: the page is this value's alone. If it is not there, nothing was mapped.
        let _ = unsafe { sys::unmap(slot::SPACE, SEEN_AT, 1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_goes_back_to_its_beginning() {
        let code = code(true);
        let target = code.len() as i8 + code[code.len() - 1] as i8;
        assert_eq!(code[target as usize], 0xb8);
        assert_eq!(code[code.len() - 2], 0xeb);
    }
}
