//! Numbers: those that mean nothing are refused, whatever comes with them.

use parley_abi::Errno;
use parley_abi::call::{self, FIRST};
use parley_abi::linux::nr;
use parley_abi::row::Op;
use parley_abi::slot;
use parley_proto::calltable::TABLE;
use parley_rt::sys;

use crate::tool::machine::core_call;
use crate::tool::verdict::Verdict;

tests![null_call, unknown_core_numbers, unknown_posix_numbers, posix_with_garbage, closed_handles, wrong_kinds];

/// Last number of the range that is tried.
const LAST: u16 = FIRST + 0xff;
/// Calls that take no handle in rdi.
const NO_HANDLE: [u16; 7] =
    [call::NULL, call::REAP, call::SET_FS_BASE, call::THREAD_EXIT, call::YIELD, call::CLOCK, call::COUNTERS];
/// Values that no slot of this process has: closed, out of range, and one that is a slot when cut to
/// 32 bits.
const NO_SLOTS: [u64; 7] = [900, 4095, 4096, 0xffff_ffff, 1 << 32 | slot::SPACE as u64, 1 << 63, u64::MAX];
/// Rows that would end this process or the machine.
const DANGEROUS: [u16; 3] = [nr::EXIT, nr::EXIT_GROUP, nr::OWN + 5];

fn null_call() -> Verdict {
    ensure_eq!(sys::null(), 0, "null");
    Ok(())
}

fn known(number: u16) -> bool {
    call::TABLE.iter().any(|(known, _)| *known == number)
}

fn unknown_core_numbers() -> Verdict {
    for number in (FIRST..=LAST).filter(|&number| !known(number)).chain([0x1fff, 0x7fff, 0xffff]) {
        // SAFETY: numbers that mean nothing do nothing.
        let result = unsafe { core_call(number, [u64::MAX; 6]) };
        ensure_eq!(result, Errno::ENOSYS.negated(), "core call {number:#x}");
    }
    Ok(())
}

fn unknown_posix_numbers() -> Verdict {
    let row = |number: u16| TABLE.get(number as usize).map_or(Op::None, |row| row.op);
    for number in (0..FIRST).filter(|&number| row(number) == Op::None) {
        ensure_eq!(sys::posix(number, [u64::MAX; 6]), Errno::ENOSYS.negated(), "call {number}");
    }
    Ok(())
}

fn posix_with_garbage() -> Verdict {
    let numbers = 0..TABLE.len() as u16;
    for number in numbers.filter(|number| TABLE[*number as usize].op != Op::None && !DANGEROUS.contains(number)) {
        for garbage in [u64::MAX, 1 << 63, 0xffff_8000_0000_0000, 0x0000_8000_0000_0000, 4096] {
            let result = sys::posix(number, [garbage; 6]);
            // Below -4095 lie results again, such as a sum of ping.
            let sane = !(-4095..0).contains(&result) || Errno::from_number(-result).is_some();
            ensure!(sane, "call {number} with {garbage:#x}: {result}");
        }
    }
    Ok(())
}

fn closed_handles() -> Verdict {
    for &(number, name) in call::TABLE.iter().filter(|(number, _)| !NO_HANDLE.contains(number)) {
        for slot in NO_SLOTS {
            // SAFETY: a call on no handle does nothing.
            let result = unsafe { core_call(number, [slot, 1, 1, 1, 1, 1]) };
            ensure_eq!(result, Errno::EBADF.negated(), "{name} on slot {slot:#x}");
        }
    }
    Ok(())
}

/// A handle that exists but is of the wrong kind is as bad as none.
fn wrong_kinds() -> Verdict {
    let endpoint_calls = [call::REPLY_RECV, call::MINT, call::REVOKE, call::FORWARD, call::COPY_IN];
    let others = [call::CALL, call::NOTIFY, call::MEM_CREATE, call::MEM_WRITE, call::THREAD_START, call::IRQ_ACK];
    for number in endpoint_calls.into_iter().chain(others) {
        // SAFETY: none of them does anything to an address space.
        let result = unsafe { core_call(number, [u64::from(slot::SPACE), 1, 0, 0, 0, 0]) };
        ensure_eq!(result, Errno::EBADF.negated(), "call {number:#x} on an address space");
    }
    Ok(())
}
