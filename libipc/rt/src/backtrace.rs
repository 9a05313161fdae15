//! Return addresses by frame pointers.
//!
//! Everything in the guest is built with frame pointers: at rbp lies the caller's rbp, above it the
//! return address. The host tool turns the addresses into names.

use core::ptr;

/// Frames that are followed at most; a chain that is longer is most likely a loop.
const FRAMES: usize = 32;
/// A caller's frame is at most this far above its callee's, in bytes: the size of the largest stack.
const REACH: u64 = 1 << 20;

/// Calls `each` with the return addresses of the calling thread, innermost first.
#[inline(never)]
pub fn each(mut each: impl FnMut(u64)) {
    let mut frame: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    for _ in 0..FRAMES {
        let Some((next, address)) = step(frame) else { return };
        each(address);
        if !plausible(frame, next) {
            return;
        }
        frame = next;
    }
}

/// The caller's frame, and the return address into it. `None` at the end of the chain.
fn step(frame: u64) -> Option<(u64, u64)> {
    if frame == 0 || !frame.is_multiple_of(8) {
        return None;
    }
    let at = ptr::with_exposed_provenance::<u64>(frame as usize);
    // SAFETY: the first frame is the register of a running function, each further one was found above
    // the one before on the same stack, so both words lie within it.
    let (next, address) = unsafe { (*at, *at.add(1)) };
    (address != 0).then_some((next, address))
}

/// Frames lie one above the other; anything else is not a frame.
fn plausible(frame: u64, next: u64) -> bool {
    next > frame && next - frame < REACH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_upward_and_not_far() {
        assert!(plausible(0x1000, 0x1040));
        assert!(!plausible(0x1000, 0x1000), "a loop");
        assert!(!plausible(0x1000, 0), "the end");
        assert!(!plausible(0x1000, 0x1000 + REACH));
    }
}
