//! The whole boot as a list, up to a kernel ready to enter.
//!
//! [`prepare`] decides and fills in; it needs a machine only as memory to write to, lent through [`Frames`].

use crate::{
    BootError,
    answers::{self, Facts, File},
    archive::Outer,
    arena::Arena,
    image::Plan,
    memory::{Claim, Firmware, Frames, Kind, MemoryMap, Span},
    paging::{self, PageTables},
    protocol::{Feature, HHDM, STACK_MINIMUM},
    requests::Requests,
};

/// What the loader finds when it starts.
pub struct Machine<'a, E> {
    /// The firmware's memory map.
    pub firmware: E,
    /// Where the loader itself is.
    pub loader: Span,
    /// Where the outer archive is.
    pub initrd: Span,
    /// Its bytes.
    pub archive: &'a [u8],
    /// Physical address of the ACPI root pointer, if there is one.
    pub rsdp: Option<u64>,
    /// Reads the wall clock: seconds since 1970.
    pub now: fn() -> Option<i64>,
}

/// What it takes to enter the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Physical address of the root page table.
    pub root: u64,
    /// Virtual address of the first byte above the stack, 16-byte aligned.
    pub stack_top: u64,
    /// Virtual address of the first instruction.
    pub entry: u64,
}

/// Loads the kernel and its module, builds its page tables, and answers its requests.
///
/// # Errors
/// Any [`BootError`] but those of the start info.
pub fn prepare<'m, E>(machine: &Machine<E>, frames: &mut impl Frames<'m>) -> Result<Launch, BootError>
where
    E: Iterator<Item = Firmware> + Clone,
{
    let outer = Outer::parse(machine.archive)?;
    let plan = Plan::new(outer.kernel)?;

    let mut map = MemoryMap::from_firmware(machine.firmware.clone())?;
    map.mark(machine.loader, Kind::Loader)?;
    map.mark(machine.initrd, Kind::Initrd)?;

    let image = map.allocate(plan.span.len(), Kind::Kernel, "kernel")?;
    let physical_base = image.span().start;
    let image = frames.lend(image);
    plan.place(outer.kernel, image)?;
    let mut requests = Requests::scan(initialised(&plan, image))?;

    let module = keep(&mut map, frames, outer.module, Kind::Kernel, "boot archive")?;
    let kernel_file = if requests.wants(Feature::ExecutableFile) {
        Some(keep(&mut map, frames, outer.kernel, Kind::Loader, "kernel file")?)
    } else {
        None
    };
    let stack = map.allocate(stack_size(&requests), Kind::Loader, "stack")?;
    let root = build_tables(&mut map, frames, &plan, physical_base)?;
    let answers = map.allocate(answers::bytes_needed(outer.cmdline), Kind::Loader, "answers")?;
    map.finish();

    let facts = Facts {
        cmdline: outer.cmdline,
        regions: map.regions(),
        kernel: kernel_file.map(|at| file(at, outer.kernel, b"/kernel", outer.cmdline)),
        module: file(module, outer.module, b"/boot.tar", b""),
        physical_base,
        virtual_base: plan.span.start,
        rsdp: machine.rsdp,
        now: if requests.wants(Feature::DateAtBoot) { (machine.now)() } else { None },
    };
    let mut arena = arena(frames, answers);
    answers::answer_all(&mut requests, &mut arena, &facts)?;

    let entry = plan.checked_entry(requests.argument(Feature::EntryPoint).unwrap_or(plan.entry))?;
    Ok(Launch { root, stack_top: HHDM + stack.span().end, entry })
}

/// The part of the image that can hold requests, whole words.
fn initialised<'i>(plan: &Plan, image: &'i mut [u8]) -> &'i mut [u8] {
    let end = plan.initialised().next_multiple_of(8).min(image.len());
    &mut image[..end]
}

/// Copies `bytes` to pages of their own and returns their physical address.
fn keep<'m>(
    map: &mut MemoryMap,
    frames: &mut impl Frames<'m>,
    bytes: &[u8],
    kind: Kind,
    what: &'static str,
) -> Result<u64, BootError> {
    let claim = map.allocate(bytes.len() as u64, kind, what)?;
    let address = claim.span().start;
    let (used, rest) = frames.lend(claim).split_at_mut(bytes.len());
    used.copy_from_slice(bytes);
    rest.fill(0);
    Ok(address)
}

fn stack_size(requests: &Requests) -> u64 {
    requests.argument(Feature::StackSize).unwrap_or(0).max(STACK_MINIMUM)
}

fn build_tables<'m>(
    map: &mut MemoryMap,
    frames: &mut impl Frames<'m>,
    plan: &Plan,
    physical_base: u64,
) -> Result<u64, BootError> {
    let size = paging::bytes_needed(paging::direct_spans(map.regions())?, plan.span);
    let claim = map.allocate(size, Kind::Loader, "page tables")?;
    let base = claim.span().start;
    let mut tables = PageTables::new(frames.lend(claim), base)?;
    tables.map_direct(paging::direct_spans(map.regions())?)?;
    tables.map_kernel(plan, physical_base)?;
    Ok(tables.root())
}

fn arena<'m>(frames: &mut impl Frames<'m>, claim: Claim) -> Arena<'m> {
    let base = claim.span().start;
    Arena::new(frames.lend(claim), base)
}

fn file<'a>(address: u64, bytes: &[u8], path: &'a [u8], text: &'a [u8]) -> File<'a> {
    File { address, size: bytes.len() as u64, path, text }
}

#[cfg(test)]
mod tests;
