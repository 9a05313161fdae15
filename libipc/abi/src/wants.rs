//! What a server's program says that it needs, in a note of its ELF file.
//!
//! init reads it before it lets another program take over a service, so that one that could not work there is refused
//! with a reason, while the old one serves. A program without the note says nothing, and is taken at its word.

/// I/O ports.
pub const PORTS: u64 = 1 << 0;
/// An interrupt.
pub const INTERRUPTS: u64 = 1 << 1;
/// The boot archive.
pub const ARCHIVE: u64 = 1 << 2;
/// To read the kernel log.
pub const LOG: u64 = 1 << 3;
/// Memory that outlives its process.
pub const STATE: u64 = 1 << 4;

/// Their names, by bit.
pub const NAMES: [&str; 5] =
    ["I/O ports", "an interrupt", "the boot archive", "to read the kernel log", "memory that outlives it"];

/// The note (System V ABI, "Note Section"), as it lies in the file.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Note {
    /// Bytes of `name`, of `wants`, and the kind of note: its version.
    pub head: [u32; 3],
    /// Whose note it is.
    pub name: [u8; 8],
    /// The bits above: low half, high half.
    pub wants: [u32; 2],
}

/// Bytes of a [`Note`].
pub const SIZE: usize = size_of::<Note>();

impl Note {
    /// The note of a program that wants this.
    pub const fn new(wants: u64) -> Note {
        Note { head: [8, 8, 1], name: *b"Parley\0\0", wants: [wants as u32, (wants >> 32) as u32] }
    }

    /// What a note of a file says, if it is one of these.
    pub fn read(bytes: &[u8; SIZE]) -> Option<u64> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let is_ours = [word(0), word(4), word(8)] == [8, 8, 1] && &bytes[12..20] == b"Parley\0\0";
        is_ours.then(|| u64::from(word(20)) | u64::from(word(24)) << 32)
    }
}

const _: () = assert!(SIZE == 28);
