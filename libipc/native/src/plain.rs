//! Structures that travel as their bytes.

/// A structure that may be sent as its bytes: `repr(C)`, integers only, no padding.
///
/// # Safety
/// The implementor has no padding and every bit pattern is a valid value.
pub unsafe trait Plain: Copy + Default + 'static {
    /// The bytes of the value, as they lie in memory.
    fn bytes(&self) -> &[u8] {
        // SAFETY: 1. the implementor promises that there is no padding, so every byte is initialised;
        // 2. the slice covers exactly the value and borrows it.
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
    /// The bytes of the value, to be filled in.
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; 3. the implementor promises that any bit pattern is valid.
        unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(self).cast(), size_of::<Self>()) }
    }
}

// SAFETY: four 64-bit integers.
unsafe impl Plain for crate::counters::Counters {}
