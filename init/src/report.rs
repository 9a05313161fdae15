//! What a person is told about a fault.
//!
//! The text goes to the kernel log and to the console; the host tool turns its addresses into names.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use parley_abi::exception::{self, PAGE_FAULT};
use parley_abi::msg::Words;

/// Frames that are followed at most.
const FRAMES: usize = 32;
/// A caller's frame is at most this far above its callee's, in bytes.
const REACH: u64 = 1 << 20;

/// A fault as the core reports it ([`parley_abi::msg::label::FAULT`]).
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Exception vector.
    pub vector: u64,
    /// Error code, or 0.
    pub error: u64,
    /// Instruction pointer.
    pub rip: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Faulting address of a page fault.
    pub address: u64,
    /// Frame pointer.
    pub rbp: u64,
}

impl From<&Words> for Fault {
    fn from(words: &Words) -> Fault {
        let [vector, error, rip, rsp, address, rbp] = *words;
        Fault { vector, error, rip, rsp, address, rbp }
    }
}

impl Fault {
    /// The exit status of the process that it killed.
    pub fn status(&self) -> i32 {
        256 + (self.vector & 0xff) as i32
    }

    /// The report, with the return addresses that `read` finds in the process's memory. `read` copies
    /// the 16 bytes at an address.
    pub fn describe(&self, name: &str, pid: u32, read: impl FnMut(u64) -> Option<[u8; 16]>) -> Text {
        let mut text = Text::default();
        // `Text` cannot fail: what does not fit is left out.
        let _ = self.write(&mut text, name, pid, read);
        text
    }

    fn write(
        &self,
        out: &mut Text,
        name: &str,
        pid: u32,
        mut read: impl FnMut(u64) -> Option<[u8; 16]>,
    ) -> fmt::Result {
        let Fault { vector, error, rip, rsp, address, rbp } = *self;
        write!(
            out,
            "init: {name} (pid {pid}) killed: {} (vector {vector}, error {error:#x})",
            exception::name(vector)
        )?;
        if vector == PAGE_FAULT {
            write!(out, " at address {address:#x}")?;
        }
        writeln!(out, ", rip {rip:#x}, rsp {rsp:#x}")?;
        writeln!(out, "  at {rip:#x} ({name})")?;
        let mut frame = rbp;
        for _ in 0..FRAMES {
            let Some((next, caller)) = step(frame, &mut read) else { break };
            writeln!(out, "  at {caller:#x} ({name})")?;
            frame = next;
        }
        Ok(())
    }
}

/// The caller's frame and the return address into it. `None` at the end of the chain, or where it is no
/// chain: frames lie one above the other.
fn step(frame: u64, read: &mut impl FnMut(u64) -> Option<[u8; 16]>) -> Option<(u64, u64)> {
    if frame == 0 || !frame.is_multiple_of(8) {
        return None;
    }
    let words = u128::from_le_bytes(read(frame)?);
    let (next, caller) = (words as u64, (words >> 64) as u64);
    let rising = next > frame && next - frame < REACH;
    (caller != 0).then_some((if rising { next } else { 0 }, caller))
}

/// Text on the heap that is cut, instead of panicking, where the heap ends.
#[derive(Default, Debug, Clone)]
pub struct Text(Vec<u8>);

impl Text {
    /// What was written.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("?")
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.try_reserve(text.len()).is_ok() {
            self.0.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn memory(words: &'static [(u64, u64, u64)]) -> impl Fn(u64) -> Option<[u8; 16]> {
        move |address| {
            let &(_, next, caller) = words.iter().find(|frame| frame.0 == address)?;
            Some((u128::from(caller) << 64 | u128::from(next)).to_le_bytes())
        }
    }

    #[test]
    fn a_page_fault_reads_like_this() {
        let fault = Fault::from(&[14, 4, 0x40_1000, 0x7000, 0, 0x7100]);
        let frames = memory(&[(0x7100, 0x7200, 0x40_2000), (0x7200, 0, 0x40_3000)]);
        let text = fault.describe("sh", 7, frames);
        let want = "init: sh (pid 7) killed: page fault (vector 14, error 0x4) at address 0x0, rip 0x401000, rsp 0x7000\n  \
                    at 0x401000 (sh)\n  at 0x402000 (sh)\n  at 0x403000 (sh)\n";
        assert_eq!((text.as_str(), fault.status()), (want, 270));
    }

    #[test]
    fn a_chain_that_turns_back_ends() {
        let fault = Fault::from(&[13, 0, 1, 2, 0, 0x7100]);
        let text = fault.describe("x", 2, memory(&[(0x7100, 0x7100, 0x99)]));
        assert_eq!(text.as_str().matches("0x99").count(), 1);
        assert!(!text.as_str().contains("address"));
    }

    proptest! {
        #[test]
        fn no_memory_panics_or_loops(words in any::<[u64; 6]>(), bytes in any::<[u8; 16]>()) {
            let text = Fault::from(&words).describe("x", 2, |_| Some(bytes));
            prop_assert!(text.as_str().lines().count() <= 2 + FRAMES);
        }
    }
}
