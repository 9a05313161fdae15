//! The client's memory: what the addresses in a call stand for.
//!
//! In the guest they are real addresses of the one program that client and servers are linked into
//! ([`Own`], the only unsafe code of this crate); tests bring a small array of their own that can fault.

use core::ptr;
use parley_abi::Errno;

/// Memory that a call's addresses point into.
pub trait Memory {
    /// Copies from `address` on. EFAULT: not all of it is there.
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// Copies from `address` on up to a NUL, and it too, or until `into` is full. Returns the bytes copied.
    /// EFAULT: not all of it is there.
    fn read_text(&mut self, address: u64, into: &mut [u8]) -> Result<usize, Errno>;

    /// Copies to `address` on. EFAULT: not all of it is there.
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), Errno>;
}

/// The program's own memory, by real addresses. Null is EFAULT; every other address is believed.
pub struct Own(());

impl Own {
    /// Memory access by address.
    ///
    /// # Safety
    /// Whatever is called through it passes, where a row of the call table has a buffer, null or the
    /// exposed address of memory that is valid for that access (for text: readable up to its NUL) until the
    /// call has been answered, and that no reference held by a server overlaps. The stubs of
    /// `parley_proto`, which make addresses from references, keep this.
    pub const unsafe fn new() -> Own {
        Own(())
    }
}

/// EFAULT for null.
fn check(address: u64) -> Result<usize, Errno> {
    if address == 0 { Err(Errno::EFAULT) } else { Ok(address as usize) }
}

impl Memory for Own {
    #[inline]
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let from = ptr::with_exposed_provenance::<u8>(check(address)?);
        // SAFETY: 1. whoever made `self` promised that `address` is readable for the length of the buffer,
        // which `into` does not exceed; 2. `into` is the server's, so the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn read_text(&mut self, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let from = ptr::with_exposed_provenance::<u8>(check(address)?);
        for (index, byte) in into.iter_mut().enumerate() {
            // SAFETY: whoever made `self` promised that text is readable up to its NUL, and the loop ends
            // there.
            *byte = unsafe { from.add(index).read() };
            if *byte == 0 {
                return Ok(index + 1);
            }
        }
        Ok(into.len())
    }

    #[inline]
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), Errno> {
        let into = ptr::with_exposed_provenance_mut::<u8>(check(address)?);
        // SAFETY: 1. whoever made `self` promised that `address` is writable for the length of the buffer,
        // which `from` does not exceed; 2. `from` is the server's, so the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), into, from.len()) };
        Ok(())
    }
}
