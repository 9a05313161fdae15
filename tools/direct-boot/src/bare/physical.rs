//! Physical memory as bytes: where addresses become references.

use core::slice;

use direct_boot::{
    BootError,
    memory::{Claim, Frames, Span},
};

/// End of the loader's identity map.
const REACH: u64 = 4 << 30;

unsafe extern "C" {
    static __loader_start: u8;
    static __loader_end: u8;
}

/// Where the linker put the loader.
pub fn loader_span() -> Span {
    Span { start: (&raw const __loader_start).addr() as u64, end: (&raw const __loader_end).addr() as u64 }
}

/// The `size` bytes at physical `address`, which are called `what` in the error message.
///
/// # Errors
/// [`BootError::OutOfReach`] where they are not in the identity map, or at the null pointer.
///
/// # Safety
/// Nobody may write to these bytes as long as the slice is in use.
pub unsafe fn view(what: &'static str, address: u64, size: u64) -> Result<&'static [u8], BootError> {
    if address == 0 || size > REACH || address > REACH - size {
        return Err(BootError::OutOfReach { what, address });
    }
    // SAFETY: mapped by the check above; unwritten by the caller's promise; any byte is a valid u8.
    Ok(unsafe { slice::from_raw_parts(address as *const u8, size as usize) })
}

/// Lends the guest's memory. One value is made, for the one memory map.
pub struct Physical;

impl Frames<'static> for Physical {
    fn lend(&mut self, claim: Claim) -> &'static mut [u8] {
        let span = claim.span();
        // SAFETY: 1. a claim lies between 1 MiB and 4 GiB, hence in the identity map;
        // 2. its map takes every span out of the free ones at once and cannot be cloned, and `load` makes one map, so
        //    no two claims overlap, and `lend` consumes the claim;
        // 3. the map knows the loader's image and the archive as taken, so neither is behind this slice.
        unsafe { slice::from_raw_parts_mut(span.start as *mut u8, span.len() as usize) }
    }
}
