//! Starts the first process: the only program that the core loads itself.

use elf::ElfBytes;
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use parley_abi::boot::{CMDLINE_MAX, INFO_AT, Info, MAGIC};
use parley_abi::slot;
use parley_abi::{PAGE, Rights, USER_END, USER_START, kind, prot};

use super::{Facts, ROOT_QUOTA, need};
use crate::mem::Ref;
use crate::object::{Endpoint, Handle, Memory, NewThread, Region, Space};
use crate::sched::SUPERVISOR;
use crate::{Core, IMAGE};

/// Where init's stack ends, and how large it is.
const STACK_TOP: u64 = 0x7ffe_0000_0000;
const STACK_PAGES: u64 = 16;
/// What lies on it at the start: no arguments, no environment, no auxiliary vector.
const STACK_START: u64 = STACK_TOP - 48;
/// Why init cannot be made, most of the time.
const NO_MEMORY: &str = "no memory for init";
/// Name of the program in the boot archive.
const NAME: &str = "init";

/// Loads init from the boot archive and gives it everything there is.
pub fn launch(core: &mut Core, facts: &Facts) {
    let file = find(facts.archive);
    let space = need(core.create_space(ROOT_QUOTA), NO_MEMORY);
    core.spaces[space].name[..NAME.len()].copy_from_slice(NAME.as_bytes());
    let entry = load(core, space, file);
    map_new(core, space, STACK_TOP - STACK_PAGES * PAGE as u64, STACK_PAGES, prot::READ | prot::WRITE, &[]);
    let info = info(core, facts);
    // SAFETY: `Info` is integers and bytes without padding that matters; it is only read as bytes.
    let bytes = unsafe { core::slice::from_raw_parts(core::ptr::from_ref(&info).cast(), size_of::<Info>()) };
    map_new(core, space, INFO_AT, 1, prot::READ, bytes);
    give_handles(core, space, facts);
    let new = NewThread { space, quota: ROOT_QUOTA, entry, stack: STACK_START, argument: 0, priority: SUPERVISOR };
    let thread = need(core.create_thread(new), NO_MEMORY);
    core.init = thread;
    need(core.start_thread(thread), "init does not start");
}

/// init's file in the archive.
fn find(archive: &'static [u8]) -> &'static [u8] {
    match super::archive::find(archive, NAME) {
        Ok(Some(file)) => file,
        Ok(None) => panic!("boot: the boot archive has no program '{NAME}': build it again"),
        Err(()) => {
            panic!("boot: the boot archive is broken or is no tar archive ({} bytes): build it again", archive.len())
        }
    }
}

/// Maps the segments of an ELF file and returns its entry.
fn load(core: &mut Core, space: Ref<Space>, file: &[u8]) -> u64 {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file)
        .unwrap_or_else(|_| panic!("boot: '{NAME}' is not an ELF program"));
    for segment in elf.segments().into_iter().flatten().filter(|segment| segment.p_type == elf::abi::PT_LOAD) {
        map_segment(core, space, file, &segment);
    }
    elf.ehdr.e_entry
}

fn map_segment(core: &mut Core, space: Ref<Space>, file: &[u8], segment: &ProgramHeader) {
    let page = PAGE as u64;
    let ProgramHeader { p_vaddr: address, p_memsz: size, p_offset: offset, p_filesz: len, .. } = *segment;
    let end = address.checked_add(size).filter(|&end| end <= USER_END && address >= USER_START);
    let bytes = offset.checked_add(len).and_then(|end| file.get(offset as usize..end as usize));
    let (Some(end), Some(bytes)) = (end, bytes.filter(|_| len <= size)) else {
        panic!("boot: '{NAME}' has a segment at {address:#x} that cannot be loaded");
    };
    let may = |flag, right| if segment.p_flags & flag != 0 { right } else { 0 };
    let protection = prot::READ | may(elf::abi::PF_W, prot::WRITE) | may(elf::abi::PF_X, prot::EXECUTE);
    assert!(address.is_multiple_of(page), "boot: '{NAME}' has a segment at {address:#x} that is not page-aligned");
    map_new(core, space, address, (end - address).div_ceil(page), protection, bytes);
}

/// Maps fresh memory that begins with `bytes`.
fn map_new(core: &mut Core, space: Ref<Space>, address: u64, pages: u64, prot: u64, bytes: &[u8]) {
    let memory = need(core.create_memory(ROOT_QUOTA, pages), NO_MEMORY);
    for (number, chunk) in bytes.chunks(PAGE).enumerate() {
        write_page(core, memory, number as u64, chunk);
    }
    let mut wish = Region { space, memory, address, pages, prot, ..Region::default() };
    while wish.pages > 0 {
        let left = need(core.map_step(wish), "the segments of init overlap, or there is no memory for it");
        let done = wish.pages - left;
        wish = Region { address: wish.address + done * PAGE as u64, first: wish.first + done, pages: left, ..wish };
    }
}

fn write_page(core: &mut Core, memory: Ref<Memory>, number: u64, bytes: &[u8]) {
    let frame = core.memories[memory].frame(number, &mut core.frames).expect(NO_MEMORY);
    // SAFETY: the frame belongs to an object that nobody maps yet, and `bytes` is at most a page.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), frame.pointer(), bytes.len()) };
}

fn info(core: &Core, facts: &Facts) -> Info {
    let mut info = Info {
        magic: MAGIC,
        tsc_hz: core.clock.hz,
        tsc_start: core.clock.start,
        archive_len: facts.archive.len() as u64,
        pm_timer: u64::from(core.power.timer),
        resident: residents().map(|(number, _)| 1 << number).sum(),
        kernel: [0; 16],
        cmdline_len: facts.cmdline.len().min(CMDLINE_MAX) as u64,
        cmdline: [0; CMDLINE_MAX],
    };
    info.kernel[..IMAGE.name.len()].copy_from_slice(IMAGE.name.as_bytes());
    info.cmdline[..facts.cmdline.len()].copy_from_slice(facts.cmdline.as_bytes());
    info
}

/// init holds the machine: itself, all memory, the archive, the endpoints of the resident services.
fn give_handles(core: &mut Core, space: Ref<Space>, facts: &Facts) {
    let pages = facts.archive.len().div_ceil(PAGE) as u64;
    let archive = need(core.adopt_memory(ROOT_QUOTA, facts.archive_at, pages), NO_MEMORY);
    let mut give = |slot, handle| need(core.install(space, slot, handle), NO_MEMORY);
    give(slot::SPACE, Handle::new(kind::SPACE, space, Rights::MANAGE));
    give(slot::QUOTA, Handle::new(kind::QUOTA, ROOT_QUOTA, Rights::MANAGE));
    give(slot::SYSTEM, Handle::new(kind::SYSTEM, Ref::<()>::NONE, Rights::all()));
    give(slot::ARCHIVE, Handle::new(kind::MEM, archive, Rights::READ));
    for (number, endpoint) in residents() {
        give(slot::of_service(number), Handle::new(kind::ENDPOINT, endpoint, Rights::MINT | Rights::NOTIFY));
    }
}

/// The services in ring 0.
fn residents() -> impl Iterator<Item = (u8, Ref<Endpoint>)> {
    (0..(slot::FREE - slot::SERVICE) as u8).filter_map(|number| Some((number, IMAGE.residents.endpoint(number)?)))
}
