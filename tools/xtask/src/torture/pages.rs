//! The pages of a process, read from the tables that the processor uses.

use anyhow::{Result, ensure};

use crate::qemu::Stub;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PAGE: u64 = 4096;
/// Entries of the highest table that are a process's own.
const LOWER_HALF: usize = 256;

/// The kept state is mapped here (`libipc/rt/src/durable/memory.rs`), what else init maps in between, and the stack
/// ends here (`init/src/stack.rs`).
const STATE: std::ops::Range<u64> = 0x38_0000_0000..0x40_0000_0000;
const HEAP: std::ops::Range<u64> = 0x10_0000_0000..0x20_0000_0000;
const STACK: std::ops::Range<u64> = 0x7ff0_0000_0000..0x7ffe_0000_0000;

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Code,
    Constants,
    Data,
    Heap,
    Stack,
    State,
}

impl Use {
    /// All, as they are struck in turn.
    pub const ALL: [Use; 6] = [Use::Code, Use::Constants, Use::Data, Use::Heap, Use::Stack, Use::State];

    /// For the summary.
    pub fn name(self) -> &'static str {
        match self {
            Use::Code => "code",
            Use::Constants => "constants",
            Use::Data => "data",
            Use::Heap => "heap",
            Use::Stack => "stack",
            Use::State => "state",
        }
    }

    fn of(address: u64, entry: u64) -> Use {
        match address {
            address if STATE.contains(&address) => Use::State,
            address if STACK.contains(&address) => Use::Stack,
            address if HEAP.contains(&address) => Use::Heap,
            _ if entry & NO_EXECUTE == 0 => Use::Code,
            _ if entry & WRITABLE != 0 => Use::Data,
            _ => Use::Constants,
        }
    }
}

/// A page of a process.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub address: u64,
    pub physical: u64,
    pub usage: Use,
}

/// All pages of the process whose tables begin at `root`, except what it maps beyond 4 GiB and is none of the uses above
/// (the boot archive).
pub fn all(stub: &mut Stub, root: u64) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    walk(stub, root & ADDRESS, 4, 0, &mut pages)?;
    Ok(pages)
}

fn walk(stub: &mut Stub, table: u64, level: u32, base: u64, pages: &mut Vec<Page>) -> Result<()> {
    let bytes = stub.physical(table, PAGE as usize)?;
    let entries = bytes.as_chunks::<8>().0;
    ensure!(entries.len() == 512, "no page table at {table:#x}");
    let own = if level == 4 { LOWER_HALF } else { entries.len() };
    for (index, entry) in entries[..own].iter().map(|bytes| u64::from_le_bytes(*bytes)).enumerate() {
        let address = base | (index as u64) << (12 + 9 * (level - 1));
        if entry & PRESENT == 0 || entry & USER == 0 || entry & LARGE != 0 && level > 1 {
            continue;
        }
        match level {
            1 if address < 1 << 32 || [&STATE, &HEAP, &STACK].iter().any(|range| range.contains(&address)) => {
                pages.push(Page { address, physical: entry & ADDRESS, usage: Use::of(address, entry) });
            }
            1 => {}
            _ => walk(stub, entry & ADDRESS, level - 1, address, pages)?,
        }
    }
    Ok(())
}
