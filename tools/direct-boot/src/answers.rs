//! Writes the answer to each request, one row a feature.
//!
//! Layouts are the protocol's response structures, as rows of 64-bit words; two 32-bit fields share a word, the first
//! in its low half.

use heapless::Vec;

use crate::{
    BootError,
    arena::Arena,
    memory::{MAX_REGIONS, Region},
    protocol::{Feature, HHDM},
    requests::Requests,
};

const FIRMWARE_BIOS: u64 = 0;

/// A file in page-aligned memory.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Physical address of its first byte.
    pub address: u64,
    /// Length in bytes.
    pub size: u64,
    /// Its path, with a leading slash.
    pub path: &'a [u8],
    /// The text that goes with it.
    pub text: &'a [u8],
}

/// All that the answers are made of.
pub struct Facts<'a> {
    /// The kernel's command line.
    pub cmdline: &'a [u8],
    /// The finished memory map.
    pub regions: &'a [Region],
    /// The kernel's file, if it was asked for.
    pub kernel: Option<File<'a>>,
    /// The boot archive.
    pub module: File<'a>,
    /// Physical address of the loaded kernel.
    pub physical_base: u64,
    /// Virtual address of the loaded kernel.
    pub virtual_base: u64,
    /// Physical address of the ACPI root pointer, if there is one.
    pub rsdp: Option<u64>,
    /// Seconds since 1970, if the clock could be read.
    pub now: Option<i64>,
}

/// How much arena the answers to `cmdline` and a full memory map take at most, in bytes.
#[must_use]
pub const fn bytes_needed(cmdline: &[u8]) -> u64 {
    // 24 bytes a region and 8 for the pointer to it; the command line appears alone and with the kernel file.
    (MAX_REGIONS * 32 + 2 * cmdline.len() + 2048) as u64
}

/// Answers every request that can be answered from `facts`.
///
/// # Errors
/// [`BootError::Internal`] where the arena is too small.
pub fn answer_all(requests: &mut Requests, arena: &mut Arena, facts: &Facts) -> Result<(), BootError> {
    use Feature::{
        BootloaderInfo, Cmdline, DateAtBoot, EntryPoint, ExecutableAddress, ExecutableFile, FirmwareType, Hhdm,
        MemoryMap, Modules, Rsdp, StackSize,
    };
    type Writer = fn(&mut Arena, &Facts) -> Result<Option<u64>, BootError>;
    let table: [(Feature, Writer); 12] = [
        (BootloaderInfo, bootloader_info),
        (Cmdline, cmdline),
        (FirmwareType, |arena, _| arena.words(&[0, FIRMWARE_BIOS]).map(Some)),
        (StackSize, |arena, _| arena.words(&[0]).map(Some)),
        (Hhdm, |arena, _| arena.words(&[0, HHDM]).map(Some)),
        (MemoryMap, memory_map),
        (EntryPoint, |arena, _| arena.words(&[0]).map(Some)),
        (ExecutableFile, executable_file),
        (ExecutableAddress, |arena, facts| arena.words(&[0, facts.physical_base, facts.virtual_base]).map(Some)),
        (Modules, modules),
        // Up to base revision 2 this is an address in the direct map, not a physical one.
        (Rsdp, |arena, facts| facts.rsdp.map(|rsdp| arena.words(&[0, HHDM + rsdp])).transpose()),
        (DateAtBoot, |arena, facts| facts.now.map(|now| arena.words(&[0, now.cast_unsigned()])).transpose()),
    ];
    for (feature, write) in table {
        if requests.wants(feature)
            && let Some(response) = write(arena, facts)?
        {
            requests.answer(feature, response);
        }
    }
    Ok(())
}

fn bootloader_info(arena: &mut Arena, _: &Facts) -> Result<Option<u64>, BootError> {
    let name = arena.string(env!("CARGO_PKG_NAME").as_bytes())?;
    let version = arena.string(env!("CARGO_PKG_VERSION").as_bytes())?;
    arena.words(&[0, name, version]).map(Some)
}

fn cmdline(arena: &mut Arena, facts: &Facts) -> Result<Option<u64>, BootError> {
    let text = arena.string(facts.cmdline)?;
    arena.words(&[0, text]).map(Some)
}

fn memory_map(arena: &mut Arena, facts: &Facts) -> Result<Option<u64>, BootError> {
    let mut entries: Vec<u64, MAX_REGIONS> = Vec::new();
    for region in facts.regions {
        let entry = arena.words(&[region.span.start, region.span.len(), region.kind as u64])?;
        entries.push(entry).map_err(|_| BootError::Internal("memory map"))?;
    }
    let list = arena.words(&entries)?;
    arena.words(&[0, entries.len() as u64, list]).map(Some)
}

fn executable_file(arena: &mut Arena, facts: &Facts) -> Result<Option<u64>, BootError> {
    let Some(kernel) = facts.kernel else { return Ok(None) };
    let file = file(arena, kernel)?;
    arena.words(&[0, file]).map(Some)
}

fn modules(arena: &mut Arena, facts: &Facts) -> Result<Option<u64>, BootError> {
    // Revision 1 would promise the kernel's own list of internal modules.
    let file = file(arena, facts.module)?;
    let list = arena.words(&[file])?;
    arena.words(&[0, 1, list]).map(Some)
}

/// A file structure. Media type generic, no network, no partition, no UUIDs: it came from no disk.
fn file(arena: &mut Arena, file: File) -> Result<u64, BootError> {
    let path = arena.string(file.path)?;
    let text = arena.string(file.text)?;
    let mut words = [0; 14];
    words[1..5].copy_from_slice(&[HHDM + file.address, file.size, path, text]);
    arena.words(&words)
}
