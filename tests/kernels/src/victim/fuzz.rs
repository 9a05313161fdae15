//! Nonsense by the thousand: core calls with random numbers, handles and words.
//!
//! The arguments mix values that mean something (slots in use, addresses of the program, small numbers)
//! with values that never can. Whatever becomes of this process, the system must not mind.

use parley_abi::call::{FIRST, HANDLE_DROP, QUOTA_DESTROY, SPACE_FAULTS, SPACE_TABLE, THREAD_EXIT};
use parley_abi::msg::POLL;
use parley_abi::{USER_END, slot};
use parley_rt::sys;

const CALLS: u64 = 4000;
/// Calls by which a process could take away from itself what it ends with, so that its parent would wait
/// for ever: that harms nobody else, but the test would never see the end.
const NEVER: [u16; 5] = [THREAD_EXIT, HANDLE_DROP, QUOTA_DESTROY, SPACE_FAULTS, SPACE_TABLE];
/// Numbers tried from [`FIRST`] on: all that exist, and some that do not.
const NUMBERS: u64 = 80;

/// Makes the calls. Returns 0 if the process lives to see the end.
pub fn run(seed: u64) -> i32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..CALLS {
        let number = u64::from(FIRST) + random() % NUMBERS;
        if NEVER.contains(&(number as u16)) {
            continue;
        }
        let flags = if random() % 4 == 0 { random() & 0xffff_ffff_ffff_0000 } else { 0 };
        let handle = word(random(), random());
        let words = core::array::from_fn(|_| word(random(), random()));
        let token = word(random(), random());
        // SAFETY: none: this process may well destroy itself here, and its parent expects that.
        unsafe { sys::raw(number | flags, handle, words, token, POLL) };
    }
    0
}

/// An argument that is plausible in one of several ways, or not at all.
fn word(kind: u64, value: u64) -> u64 {
    match kind % 8 {
        0 => value % 8,
        1 => u64::from(slot::SPACE) + value % 40,
        2 => value % u64::from(slot::END + 8),
        3 => 0x40_0000 + value % 0x2_0000,
        4 => USER_END.wrapping_sub(2048).wrapping_add(value % 4096),
        5 => 0xffff_8000_0000_0000 | value,
        6 => u64::MAX - value % 16,
        _ => value,
    }
}
