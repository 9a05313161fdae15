//! Boot is a list: what has to be there before the first program runs, in order.

mod acpi;
mod archive;
mod firmware;
mod init;
mod power;

pub use firmware::Facts;
pub use power::Power;

use crate::arch::entry::{self, CpuLocal};
use crate::arch::frame::Frame;
use crate::arch::tlb::Root;
use crate::arch::{apic::Apic, clock, descriptors, features, fpu, paging};
use crate::deadline::Deadlines;
use crate::ipc::resident::Residents;
use crate::log::{Level, Log};
use crate::mem::{Frames, Phys, Ref, Slab, Window};
use crate::object::Quota;
use crate::{Core, IMAGE};
use parley_abi::PAGE;

/// The quota that everything is paid from in the end: the first that is made.
pub const ROOT_QUOTA: Ref<Quota> = Ref::nth(1, 1);

/// What boot cannot go on without. The error's name would not help anybody: `what` says what is missing.
#[inline(always)]
fn need<T, E>(made: Result<T, E>, what: &str) -> T {
    made.unwrap_or_else(|_| cannot_go_on(what))
}

#[cold]
fn cannot_go_on(what: &str) -> ! {
    panic!("boot: {what}")
}

/// What makes one image different from another: who lives in ring 0.
pub struct Composition {
    /// micro, hybrid or mono.
    pub name: &'static str,
    /// Whether resident services need a heap.
    pub heap: bool,
    /// Keeps the resident services.
    pub residents: &'static dyn Residents,
}

/// What a composition gets for its services.
pub struct Given {
    /// The boot archive.
    pub archive: &'static [u8],
    /// Memory for the heap of the resident services; empty if it wants none.
    pub heap: &'static mut [core::mem::MaybeUninit<u8>],
}

/// From the loader's entry to the first instruction of init.
pub extern "C" fn start() -> ! {
    let began = clock::counter();
    crate::arch::serial::COM1.init(); // so that every refusal below can be read
    let facts = firmware::facts(); // what the loader says: memory, archive, command line
    // SAFETY: this is the only borrow of the processor's block; it ends up in `Core`.
    let cpu: &'static mut CpuLocal = unsafe { entry::cpu_local() };
    let guards = cpu.guards();
    // SAFETY: the GDT, IDT and TSS are filled before they are loaded, and the block never moves.
    descriptors::load(unsafe { entry::cpu_local() }); // faults from here on say what they are
    let found = features::detect();
    features::enable(found); // SMEP, SMAP, UMIP, NX, WP, and `syscall`
    fpu::init();
    let (mut frames, heap) = firmware::take_memory(&facts);
    let root = paging::build_kernel(&facts.image, &guards, facts.top, &mut || frames.take_zeroed());
    let root = need(root, "not enough memory for page tables");
    paging::activate(Root::untagged(root)); // the core's own map: W^X, guard pages, nothing of the loader's
    features::enable_tags(found); // and nothing of the loader's in the TLB; global pages, PCIDs
    firmware::reclaim(&facts, &mut frames); // the loader's memory is free now
    let mut core = empty_core(cpu, frames, root, began);
    core.idle = idle_frame(core.cpu);
    core.fast_bases = found.bases();
    core.take_short_cuts(found.bases());
    let place = &raw mut core;
    core.cpu.core = place; // where the entry code finds it
    core.apply_options(&facts); // log level, second serial port, debug exit
    core.log(Level::Info, format_args!("Parley {} kernel, {} MiB free", IMAGE.name, core.frames.free / 256));
    acpi::set_up(&mut core, facts.rsdp, began); // interrupt controllers, clock, power
    core.log(Level::Debug, format_args!("processor:{found}"));
    core.make_root_quota(); // all memory there is, on one account
    IMAGE.residents.place(&mut core, Given { archive: facts.archive, heap }); // who lives in ring 0
    init::launch(&mut core, &facts); // the first process
    core.schedule();
    entry::leave()
}

/// All the state of ring 0, with nothing in it yet.
pub(crate) fn empty_core(cpu: &'static mut CpuLocal, mut frames: Frames, root: Phys, began: u64) -> Core {
    Core {
        current: Ref::NONE,
        init: Ref::NONE,
        resched: false,
        unheard: None,
        root: Root::untagged(root),
        fpu_owner: Ref::NONE,
        cr0: fpu::cr0(),
        leaves: Default::default(),
        fast_bases: false,
        short_cuts: false,
        fast_irqs: false,
        threads: Slab::new(root, 4096, &mut frames),
        spaces: Slab::new(root, 2048, &mut frames),
        connections: Slab::new(root, 16384, &mut frames),
        endpoints: Slab::new(root, 4096, &mut frames),
        tables: Slab::new(root, 1024, &mut frames),
        quotas: Slab::new(root, 1024, &mut frames),
        memories: Slab::new(root, 4096, &mut frames),
        regions: Slab::new(root, 8192, &mut frames),
        submissions: Slab::new(root, 4096, &mut frames),
        doomed: Default::default(),
        irqs: [Default::default(); crate::arch::vectors::IRQS],
        ready: Default::default(),
        deadlines: Deadlines::new(Window::new(9, root, 256)),
        slice_end: 0,
        accounted: 0,
        counters: Default::default(),
        frames,
        kernel_root: root,
        port_bitmaps: [false; descriptors::PORT_BITMAPS],
        clock: clock::Clock::uncalibrated(began),
        apic: Apic::absent(),
        log: Log::new(Level::Info),
        trace: Default::default(),
        dump: Default::default(),
        power: Power::default(),
        cpu,
        unknown_calls: [0; 64],
        idle: Frame::default(),
    }
}

/// What ring 0 leaves for when nobody runs.
fn idle_frame(cpu: &CpuLocal) -> Frame {
    Frame {
        rip: entry::idle as *const () as u64,
        cs: descriptors::KERNEL_CODE as u64,
        ss: descriptors::KERNEL_DATA as u64,
        rflags: 2,
        rsp: cpu.kernel_top(),
        ..Frame::default()
    }
}

impl Core {
    fn apply_options(&mut self, facts: &Facts) {
        for word in facts.options() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("log", "com2") => self.log.use_second_port(),
                ("log", "com1") => self.log.use_first_port(), // the last word counts, for init too
                ("loglevel", level) => self.log.level = Level::from_name(level).unwrap_or(Level::Info),
                ("debug-exit", "") => self.power.debug_exit = true,
                ("short-cuts", "off") => self.take_short_cuts(false), // for tests that compare
                ("hardware", "") | ("heartbeats", "off") => {} // are for init: what its program may hold, and who is asked
                _ => self.log(Level::Warn, format_args!("boot: unknown option '{word}' is ignored")),
            }
        }
    }

    /// Everything that is free, less what page tables and the tables of objects take beside what is
    /// charged for them.
    pub(crate) fn make_root_quota(&mut self) {
        let free = self.frames.free;
        let limit = (free - free / 32 - 32) * PAGE as u64;
        let quota = Quota::new(Ref::NONE, limit);
        let made = self.quotas.insert(&mut self.frames, quota).expect("boot: no memory for a quota");
        assert!(made == ROOT_QUOTA, "the root quota is the first one");
    }
}
