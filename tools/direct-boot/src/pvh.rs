//! Reads what QEMU tells a PVH guest: memory map, initrd, ACPI root.
//!
//! Layout: Xen's `public/arch-x86/hvm/start_info.h`. The caller fetches the bytes; here they become values.

use crate::{
    BootError,
    memory::{Firmware, Kind, Span},
};

/// Size of the start-info block of version 1, in bytes.
pub const START_INFO_SIZE: usize = 56;
/// Size of one memory map entry, in bytes.
pub const MEMMAP_ENTRY_SIZE: usize = 24;
/// Size of one module list entry, in bytes.
pub const MODULE_SIZE: usize = 32;

const MAGIC: u32 = 0x336e_c578;

/// The start-info block. Addresses are physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartInfo {
    /// How many modules there are; the initrd is the first.
    pub modules: u32,
    /// Where the module list is.
    pub module_list: u64,
    /// Where the ACPI root pointer is, 0 where there is none.
    pub rsdp: u64,
    /// Where the memory map is.
    pub memmap: u64,
    /// How many entries it has.
    pub memmap_entries: u32,
}

impl StartInfo {
    /// Decodes a start-info block.
    ///
    /// # Errors
    /// [`BootError::NotPvh`] where the magic number or the version (1 brought the memory map) is wrong.
    pub fn parse(block: &[u8; START_INFO_SIZE]) -> Result<Self, BootError> {
        if word32(block, 0) != MAGIC || word32(block, 4) < 1 {
            return Err(BootError::NotPvh);
        }
        Ok(Self {
            modules: word32(block, 12),
            module_list: word64(block, 16),
            rsdp: word64(block, 32),
            memmap: word64(block, 40),
            memmap_entries: word32(block, 48),
        })
    }
}

/// Decodes the memory map. A trailing partial entry is ignored.
pub fn memory_entries(bytes: &[u8]) -> impl Iterator<Item = Firmware> + Clone {
    bytes.as_chunks::<MEMMAP_ENTRY_SIZE>().0.iter().map(|entry| {
        let start = word64(entry, 0);
        let kind = match word32(entry, 16) {
            1 => Kind::Usable,
            3 => Kind::AcpiReclaimable,
            4 => Kind::AcpiNvs,
            5 => Kind::Bad,
            _ => Kind::Reserved,
        };
        Firmware { span: Span { start, end: start.saturating_add(word64(entry, 8)) }, kind }
    })
}

/// Decodes one module list entry into the bytes that the module occupies.
#[must_use]
pub fn module_span(entry: &[u8; MODULE_SIZE]) -> Span {
    let start = word64(entry, 0);
    Span { start, end: start.saturating_add(word64(entry, 8)) }
}

fn word32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().copied().map_or(0, u32::from_le_bytes)
}

fn word64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().copied().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> [u8; START_INFO_SIZE] {
        let mut block = [0; START_INFO_SIZE];
        block[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        block[4] = 1;
        block[12] = 1;
        block[16..24].copy_from_slice(&0x1000_u64.to_le_bytes());
        block[32..40].copy_from_slice(&0xf5a0_u64.to_le_bytes());
        block[40..48].copy_from_slice(&0x2000_u64.to_le_bytes());
        block[48] = 7;
        block
    }

    #[test]
    fn reads_every_field() {
        let info = StartInfo::parse(&block()).unwrap();
        let want = StartInfo { modules: 1, module_list: 0x1000, rsdp: 0xf5a0, memmap: 0x2000, memmap_entries: 7 };
        assert_eq!(info, want);
    }

    #[test]
    fn refuses_another_magic_and_version_0() {
        let mut wrong = block();
        wrong[0] ^= 1;
        assert_eq!(StartInfo::parse(&wrong), Err(BootError::NotPvh));
        let mut old = block();
        old[4] = 0;
        assert_eq!(StartInfo::parse(&old), Err(BootError::NotPvh));
    }

    #[test]
    fn maps_xen_types_and_survives_overflow() {
        let mut bytes = [0_u8; MEMMAP_ENTRY_SIZE * 2 + 5];
        bytes[16] = 4;
        bytes[24..40].fill(0xff);
        bytes[40] = 9;
        let got: Vec<_> = memory_entries(&bytes).collect();
        assert_eq!(got[0].kind, Kind::AcpiNvs);
        assert_eq!(got[1], Firmware { span: Span { start: u64::MAX, end: u64::MAX }, kind: Kind::Reserved });
        assert_eq!(got.len(), 2);
    }
}
