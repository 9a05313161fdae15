//! The page tables and descriptor tables that the processor uses, read from physical memory and judged.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::At;
use crate::qemu::Stub;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PAGE: u64 = 4096;
/// Where the core's half begins, and the core's image in it.
const CORE: u64 = 0xffff_8000_0000_0000;
const IMAGE: u64 = 0xffff_ffff_8000_0000;
/// Vectors with stacks of their own, and those that programs may raise by `int`.
const OWN_STACKS: [usize; 4] = [1, 2, 8, 18];
const OPEN: [usize; 2] = [3, 4];
/// No stack in the core is larger.
const LARGEST_STACK: u64 = 64 << 10;

/// A page, or a larger one, and what may be done with it.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    physical: u64,
    size: u64,
    writable: bool,
    executable: bool,
    user: bool,
}

/// All that is mapped, by address.
type Map = BTreeMap<u64, Mapping>;

pub fn check(at: &mut At<'_>) -> Result<()> {
    let registers = at.stub.monitor("info registers")?;
    protections(&registers)?;
    let root = at.stub.place()?.space & ADDRESS;
    let mut map = Map::new();
    walk(&mut at.stub, root, 4, 0, USER | WRITABLE, &mut map)?;
    ensure!(map.len() > 100, "only {} pages are mapped", map.len());
    nothing_is_written_and_executed(&map)?;
    halves_are_separate(&map)?;
    let block = at.symbol("CPU")?;
    ensure!(!is_mapped(&map, block), "the page below the kernel's stack is mapped");
    ensure!(is_mapped(&map, block + PAGE), "the kernel's stack is not mapped");
    interrupt_stacks_are_guarded(&mut at.stub, &registers, &map)?;
    gates(&mut at.stub, &registers)
}

/// The number behind `name` in what `info registers` prints, in hexadecimal.
fn number(registers: &str, name: &str, word: usize) -> Result<u64> {
    let line = registers.split(name).nth(1).with_context(|| format!("QEMU shows no {name}"))?;
    let digits = line.split_whitespace().nth(word).unwrap_or_default();
    u64::from_str_radix(digits, 16).with_context(|| format!("QEMU shows {name}{digits}"))
}

/// Write protection, no-execute, SMEP, SMAP and machine checks are on.
fn protections(registers: &str) -> Result<()> {
    let bits =
        [("CR0=", 16, "WP"), ("CR4=", 6, "MCE"), ("CR4=", 20, "SMEP"), ("CR4=", 21, "SMAP"), ("EFER=", 11, "NXE")];
    for (register, bit, name) in bits {
        ensure!(number(registers, register, 0)? & 1 << bit != 0, "{name} is off");
    }
    Ok(())
}

/// Collects what lies below the table at `physical`; `allowed` is what all entries above it allow.
fn walk(stub: &mut Stub, physical: u64, level: u32, base: u64, allowed: u64, map: &mut Map) -> Result<()> {
    let bytes = stub.physical(physical, PAGE as usize)?;
    let (entries, []) = bytes.as_chunks::<8>() else { anyhow::bail!("half a page table at {physical:#x}") };
    ensure!(entries.len() == 512, "no page table at {physical:#x}");
    for (index, entry) in entries.iter().map(|bytes| u64::from_le_bytes(*bytes)).enumerate() {
        if entry & PRESENT == 0 {
            continue;
        }
        let shift = 12 + 9 * (level - 1);
        let mut address = base | (index as u64) << shift;
        if level == 4 && index >= 256 {
            address |= 0xffff << 48;
        }
        let rights = (entry & allowed & (USER | WRITABLE)) | ((entry | allowed) & NO_EXECUTE);
        if level > 1 && entry & LARGE == 0 {
            walk(stub, entry & ADDRESS, level - 1, address, rights, map)?;
            continue;
        }
        let size = 1 << shift;
        let (writable, executable) = (rights & WRITABLE != 0, rights & NO_EXECUTE == 0);
        let physical = entry & ADDRESS & !(size - 1);
        map.insert(address, Mapping { physical, size, writable, executable, user: rights & USER != 0 });
    }
    Ok(())
}

fn is_mapped(map: &Map, address: u64) -> bool {
    map.range(..=address).next_back().is_some_and(|(start, mapping)| address - start < mapping.size)
}

/// No page is both, and no frame that the core executes can be written through another mapping of the core's.
fn nothing_is_written_and_executed(map: &Map) -> Result<()> {
    let both = map.iter().find(|(_, mapping)| mapping.writable && mapping.executable);
    ensure!(both.is_none(), "writable and executable: {both:x?}");
    let code: Vec<_> = map.iter().filter(|(_, mapping)| mapping.executable && !mapping.user).collect();
    ensure!(
        !code.is_empty() && code.iter().all(|(at, _)| **at >= IMAGE),
        "ring 0 executes outside its image: {code:x?}"
    );
    for (at, code) in code {
        let overlaps =
            |other: &Mapping| other.physical < code.physical + code.size && code.physical < other.physical + other.size;
        let alias = map.iter().find(|(_, other)| other.writable && overlaps(other));
        ensure!(alias.is_none(), "the core's code at {at:#x} can be written at {alias:x?}");
    }
    Ok(())
}

/// Ring 3 has the lower half without its first page, and nothing of the upper one.
fn halves_are_separate(map: &Map) -> Result<()> {
    let wrong = map.iter().find(|(at, mapping)| mapping.user != (**at < CORE));
    ensure!(wrong.is_none(), "a mapping in the wrong half: {wrong:x?}");
    ensure!(!is_mapped(map, 0), "the page at address 0 is mapped");
    Ok(())
}

/// Each has pages of its own, with a hole below them.
fn interrupt_stacks_are_guarded(stub: &mut Stub, registers: &str, map: &Map) -> Result<()> {
    let task = number(registers, "TR =", 1)?;
    // The stacks are listed from byte 36 of the task state on (Intel SDM, 64-bit TSS).
    let list = stub.memory(task + 36, 8 * OWN_STACKS.len())?;
    let tops: Vec<u64> = list.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    ensure!(tops.len() == OWN_STACKS.len(), "the task state cannot be read");
    for top in tops {
        ensure!(is_mapped(map, top - 8), "there is no stack below {top:#x}");
        let hole = (1..=LARGEST_STACK / PAGE).find(|page| !is_mapped(map, top - page * PAGE));
        ensure!(hole.is_some(), "there is no hole below the interrupt stack that ends at {top:#x}");
    }
    Ok(())
}

/// Every vector has a gate into ring 0; four have stacks of their own, and two are open to `int`.
fn gates(stub: &mut Stub, registers: &str) -> Result<()> {
    let table = stub.memory(number(registers, "IDT=", 0)?, 256 * 16)?;
    let gates = table.as_chunks::<16>().0;
    ensure!(gates.len() == 256, "the interrupt table cannot be read");
    let mut stacks = Vec::new();
    for (vector, gate) in gates.iter().enumerate() {
        let (stack, kind) = (gate[4] & 7, gate[5]);
        ensure!(kind & 0x9f == 0x8e, "vector {vector} has no interrupt gate: {gate:x?}");
        ensure!((kind >> 5 & 3 == 3) == OPEN.contains(&vector), "vector {vector} is open to the wrong ring");
        ensure!((stack != 0) == OWN_STACKS.contains(&vector), "vector {vector} uses interrupt stack {stack}");
        stacks.extend(Some(stack).filter(|&stack| stack != 0));
    }
    stacks.sort_unstable();
    ensure!(stacks == [1, 2, 3, 4], "two vectors share an interrupt stack: {stacks:?}");
    Ok(())
}
