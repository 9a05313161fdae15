//! What the boot loader says, by the Limine protocol, base revision 2.
//!
//! All of it is copied out of the loader's memory before that is reused.

use core::fmt::Write;
use core::mem::MaybeUninit;
use core::ops::Range;

use limine::BaseRevision;
use limine::memory_map::EntryType;
use limine::request::{
    ExecutableAddressRequest, ExecutableFileRequest, HhdmRequest, MemoryMapRequest, ModuleRequest, RequestsEndMarker,
    RequestsStartMarker, RsdpRequest,
};

use crate::IMAGE;
use crate::arch::paging::Image;
use crate::arch::ports;
use crate::arch::serial::COM1;
use crate::mem::{DIRECT, Frames, Phys};
use crate::panic::{DEBUG_EXIT, PANICKED};
use parley_abi::PAGE;
use parley_abi::boot::CMDLINE_MAX;

/// What the loader looks for in the image, in this order.
macro_rules! requests {
    ($($section:literal $name:ident: $what:ty = $value:expr;)*) => {
        $(#[used]
        #[unsafe(link_section = $section)]
        static $name: $what = $value;)*
    };
}

requests! {
    ".requests_start" START: RequestsStartMarker = RequestsStartMarker::new();
    ".requests" REVISION: BaseRevision = BaseRevision::with_revision(2);
    ".requests" HHDM: HhdmRequest = HhdmRequest::new();
    ".requests" MEMORY: MemoryMapRequest = MemoryMapRequest::new();
    ".requests" ADDRESS: ExecutableAddressRequest = ExecutableAddressRequest::new();
    ".requests" KERNEL_FILE: ExecutableFileRequest = ExecutableFileRequest::new();
    ".requests" MODULES: ModuleRequest = ModuleRequest::new();
    ".requests" RSDP: RsdpRequest = RsdpRequest::new();
    ".requests_end" END: RequestsEndMarker = RequestsEndMarker::new();
}

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __image_end: u8;
}

/// Stretches of usable or reclaimable memory that are kept; more are ignored.
const STRETCHES: usize = 64;
/// Frames that are left to page tables and the like when a heap is cut out.
const HEAP_SHARE: u64 = 8;
/// Largest heap of the resident services, in bytes.
const HEAP_MOST: u64 = 32 << 20;
/// The direct map covers at least this, for the device registers below it.
const LEAST_TOP: u64 = 4 << 30;

/// What is known about the machine.
pub struct Facts {
    /// The core's image.
    pub image: Image,
    /// End of what the direct map must cover.
    pub top: u64,
    /// Physical address of the ACPI root pointer.
    pub rsdp: u64,
    /// The boot archive, in the direct map.
    pub archive: &'static [u8],
    /// Physical address of the archive.
    pub archive_at: Phys,
    /// The command line.
    pub cmdline: heapless::String<CMDLINE_MAX>,
    usable: heapless::Vec<Range<u64>, STRETCHES>,
    reclaimable: heapless::Vec<Range<u64>, STRETCHES>,
}

impl Facts {
    /// The words of the command line that are for the core: those before `--`.
    pub fn options(&self) -> impl Iterator<Item = &str> {
        self.cmdline.split_whitespace().take_while(|word| *word != "--")
    }
}

/// Says on the serial port why this loader will not do, and stops.
fn refuse(why: &str) -> ! {
    let _ = writeln!({ COM1 }, "\nparley {}: boot: {why}", IMAGE.name);
    ports::out32(DEBUG_EXIT, PANICKED);
    loop {
        x86_64::instructions::hlt();
    }
}

/// Reads everything the loader answered. Refuses to boot if something is missing.
pub fn facts() -> Facts {
    let need = |answered: bool, what: &str| {
        if !answered {
            refuse(what);
        }
    };
    need(
        REVISION.is_supported(),
        "the boot loader does not serve base revision 2 of the Limine protocol: use Limine 8",
    );
    need(HHDM.get_response().is_some_and(|hhdm| hhdm.offset() == DIRECT), "the direct map is not where it should be");
    need(MEMORY.get_response().is_some(), "the boot loader gives no memory map");
    need(ADDRESS.get_response().is_some(), "the boot loader does not say where the kernel lies");
    need(RSDP.get_response().is_some(), "there are no ACPI tables");
    let module = MODULES.get_response().and_then(|modules| modules.modules().first().copied());
    let Some(module) = module else { refuse("the boot archive is missing: add boot.tar as a module") };
    let archive_at = Phys(module.addr().addr() as u64 - DIRECT);
    // SAFETY: the loader promises that the module lies there; its memory is of the type "executable and
    // modules", which is never reused.
    let archive = unsafe { core::slice::from_raw_parts(module.addr().cast_const(), module.size() as usize) };
    let mut facts = Facts {
        image: image(),
        top: LEAST_TOP,
        rsdp: RSDP.get_response().map_or(0, |rsdp| physical(rsdp.address() as u64)),
        archive,
        archive_at,
        cmdline: heapless::String::new(),
        usable: heapless::Vec::new(),
        reclaimable: heapless::Vec::new(),
    };
    if let Some(file) = KERNEL_FILE.get_response() {
        let text = file.file().string().to_str().unwrap_or("");
        let _ = facts.cmdline.push_str(text);
    }
    read_memory_map(&mut facts);
    facts
}

/// Addresses are virtual up to base revision 2, physical later.
fn physical(address: u64) -> u64 {
    address.checked_sub(DIRECT).unwrap_or(address)
}

fn image() -> Image {
    let at = |symbol: *const u8| symbol.addr() as u64;
    let place = ADDRESS.get_response().expect("checked before");
    Image {
        start: at(&raw const __image_start),
        physical: place.physical_base(),
        text_end: at(&raw const __text_end),
        rodata_end: at(&raw const __rodata_end),
        end: at(&raw const __image_end),
    }
}

fn read_memory_map(facts: &mut Facts) {
    let page = PAGE as u64;
    for entry in MEMORY.get_response().expect("checked before").entries() {
        let end = (entry.base + entry.length) / page * page;
        let stretch = entry.base.next_multiple_of(page).max(page)..end;
        let kept = match entry.entry_type {
            EntryType::USABLE => facts.usable.push(stretch),
            EntryType::BOOTLOADER_RECLAIMABLE => facts.reclaimable.push(stretch),
            EntryType::EXECUTABLE_AND_MODULES | EntryType::ACPI_RECLAIMABLE | EntryType::ACPI_NVS => Ok(()),
            _ => continue,
        };
        let _ = kept;
        facts.top = facts.top.max(end.next_multiple_of(2 << 20));
    }
}

/// Takes over the usable memory. The heap of the resident services is the end of the largest stretch.
pub fn take_memory(facts: &Facts) -> (Frames, &'static mut [MaybeUninit<u8>]) {
    let bytes: u64 = facts.usable.iter().map(|stretch| stretch.end.saturating_sub(stretch.start)).sum();
    let largest = facts.usable.iter().max_by_key(|stretch| stretch.end.saturating_sub(stretch.start));
    let largest = largest.map_or(0, |stretch| stretch.end);
    let heap_bytes = if IMAGE.heap { (bytes / HEAP_SHARE).min(HEAP_MOST) / PAGE as u64 * PAGE as u64 } else { 0 };
    let mut frames = Frames::default();
    for stretch in &facts.usable {
        let end = if stretch.end == largest { stretch.end - heap_bytes } else { stretch.end };
        // SAFETY: 1. the loader says that nobody uses this memory; 2. it maps all of it at `DIRECT`;
        // 3. the heap's part is left out.
        unsafe { frames.add(stretch.start, end) };
    }
    let heap = Phys(largest - heap_bytes).pointer();
    // SAFETY: this memory is usable and in no frame list; uninitialised bytes need no value.
    (frames, unsafe { core::slice::from_raw_parts_mut(heap, heap_bytes as usize) })
}

/// Takes over what the loader used for itself. Its page tables, stack and answers are not used any more.
pub fn reclaim(facts: &Facts, frames: &mut Frames) {
    for stretch in &facts.reclaimable {
        // SAFETY: the core runs on its own stack and page tables, and `Facts` holds no reference into this.
        unsafe { frames.add(stretch.start, stretch.end) };
    }
}
