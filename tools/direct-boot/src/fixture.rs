//! Test inputs made by hand: archives, kernels, requests, a page table walker.

use crate::{
    memory::{Firmware, Kind, Span},
    protocol::{COMMON_MAGIC, Feature},
};

/// A small deterministic generator (xorshift), so that a failure repeats.
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The memory map that QEMU's `pc` machine reports, for a guest of `size` bytes.
pub fn qemu_memory(size: u64) -> [Firmware; 6] {
    let entry = |start, end, kind| Firmware { span: Span { start, end }, kind };
    [
        entry(0, 0x9_fc00, Kind::Usable),
        entry(0x9_fc00, 0xa_0000, Kind::Reserved),
        entry(0xf_0000, 0x10_0000, Kind::Reserved),
        entry(0x10_0000, size - 0x2_0000, Kind::Usable),
        entry(size - 0x2_0000, size, Kind::Reserved),
        entry(0xfffc_0000, 1 << 32, Kind::Reserved),
    ]
}

/// A ustar archive of `entries`.
pub fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, data) in entries {
        file.extend(tar_header(name, data.len()));
        file.extend_from_slice(data);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file.resize(file.len() + 1024, 0);
    file
}

fn tar_header(name: &str, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A loadable segment to put into [`elf`].
#[derive(Clone, Copy)]
pub struct ElfSegment<'a> {
    pub address: u64,
    pub memory: u64,
    pub flags: u32,
    pub data: &'a [u8],
}

/// A static x86-64 ELF file.
pub fn elf(entry: u64, segments: &[ElfSegment]) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0];
    file.extend(words(&[entry, if segments.is_empty() { 0 } else { 64 }, 0]));
    for half in [0, 0, 64, 56, segments.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = 64 + 56 * segments.len() as u64;
    for segment in segments {
        let size = segment.data.len() as u64;
        file.extend([1_u32.to_le_bytes(), segment.flags.to_le_bytes()].concat());
        file.extend(words(&[offset, segment.address, segment.address, size, segment.memory, 4096]));
        offset += size;
    }
    segments.iter().for_each(|segment| file.extend_from_slice(segment.data));
    file
}

/// `values` as little-endian bytes.
pub fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A request with its argument word.
pub fn request(feature: Feature, argument: u64) -> [u64; 7] {
    let [a, b] = feature.id();
    [COMMON_MAGIC[0], COMMON_MAGIC[1], a, b, 0, 0, argument]
}

/// What a page table walk ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    pub physical: u64,
    pub writable: bool,
    pub executable: bool,
}

/// Translates `address` as the processor would, from tables at `root`; `memory` starts at physical address `base`.
pub fn walk(memory: &[u8], base: u64, root: u64, address: u64) -> Option<Walk> {
    let (mut table, mut writable, mut executable) = (root, true, true);
    for shift in [39, 30, 21, 12] {
        let at = (table - base + (address >> shift) % 512 * 8) as usize;
        let entry = u64::from_le_bytes(memory[at..at + 8].try_into().unwrap());
        if entry & 1 == 0 {
            return None;
        }
        writable &= entry & 2 != 0;
        executable &= entry >> 63 == 0;
        table = entry & 0x000f_ffff_ffff_f000;
        if shift == 12 || entry & 0x80 != 0 {
            return Some(Walk { physical: table | address & ((1 << shift) - 1), writable, executable });
        }
    }
    None
}
