//! The places of the services in ring 0, by number, and what the core asks of whoever is there.
//!
//! There are two ways to a service. A request that is written down in its caller's block, as for a server in ring 3, is
//! served by [`Ops::request`]. A row of the call table that many programs use has a function of its own
//! ([`crate::rows::Rows`]), which the entry code calls with no message built; that function does what [`Ops::request`] would.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parley_abi::Errno;
use parley_abi::msg::Words;
use parley_abi::msg::event::CLOSED;
use parley_abi::slot::service::{self, NAMES};
use parley_core::boot::ROOT_QUOTA;
use parley_core::ipc::call::Sent;
use parley_core::ipc::resident::Residents;
use parley_core::log::Level;
use parley_core::mem::slab::Ref;
use parley_core::object::endpoint::{Binding, Endpoint, Event};
use parley_core::object::table::Packed;
use parley_core::object::thread::Thread;
use parley_core::{Core, Given};
use spin::Once;

use crate::functions::refuse;
use crate::rows::{NO_ROWS, Rows, with_its_function};

/// What a service in ring 0 can be asked to do. Each function gets the service's number.
pub struct Ops {
    /// Begin: before the first request, with the services below already running.
    pub start: fn(&mut Core, u8) -> Result<(), Errno>,
    /// Serve the request of a thread, which is written down in its block.
    pub request: fn(&mut Core, u8, Ref<Thread>) -> Sent,
    /// Answer another service, whose row that label is.
    pub call: fn(&mut Core, u8, u32, &Words) -> Result<Words, Errno>,
    /// Take notice of an event.
    pub event: fn(&mut Core, u8, &Event),
    /// Forget what the last handle to the connection with that badge led to.
    pub closed: fn(&mut Core, u8, u64),
    /// The time that it asked for has come.
    pub alarm: fn(&mut Core, u8),
}

/// A service as a composition root hands it over.
pub struct Placement {
    /// Which of the well-known services it is ([`parley_abi::slot::service`]).
    pub(crate) number: u8,
    /// What it can do.
    pub(crate) ops: &'static Ops,
    /// The service, and its functions for rows.
    pub(crate) rows: &'static Rows,
    /// Global interrupts that become its notification bits: line and bit.
    pub(crate) irqs: &'static [(u32, u64)],
}

/// Who lives at a place.
pub(crate) struct Tenant {
    ops: &'static Ops,
    /// The service, for its own functions.
    pub rows: &'static Rows,
    /// Where requests to it arrive.
    pub endpoint: Ref<Endpoint>,
}

/// A place for a service. The core runs on one processor at a time, so what is atomic here is so in name only.
pub(crate) struct Place {
    tenant: Once<Tenant>,
    /// Where requests to it arrive, once more, as a number: to be had without asking whether it is there.
    endpoint: AtomicU64,
    /// When it wants to be called; 0: not at all.
    pub alarm: AtomicU64,
    /// One of its functions has called others, and will go on.
    pub busy: AtomicBool,
    /// Something happened while it was busy.
    has_event: AtomicBool,
}

/// As many as there are well-known services, rounded up so that a number needs no check.
const PLACES: usize = service::COUNT.next_power_of_two();

static HERE: [Place; PLACES] = [const {
    Place {
        tenant: Once::new(),
        endpoint: AtomicU64::new(0),
        alarm: AtomicU64::new(0),
        busy: AtomicBool::new(false),
        has_event: AtomicBool::new(false),
    }
}; PLACES];

/// The place of the service with this number.
#[inline(always)]
pub(crate) fn place(number: u8) -> &'static Place {
    &HERE[number as usize % PLACES]
}

/// Who lives at the place of a service, if there is one and it is here.
pub(crate) fn find(number: u8) -> Option<&'static Tenant> {
    HERE.get(number as usize)?.tenant.get()
}

/// Where requests to a service arrive that is known to have a place.
#[inline(always)]
pub(crate) fn endpoint(number: u8) -> Ref<Endpoint> {
    let key = place(number).endpoint.load(Relaxed);
    Ref::new(key as u32, (key >> 32) as u32)
}

/// Who lives at the place of a service that is known to have one.
#[inline(always)]
pub(crate) fn tenant(number: u8) -> &'static Tenant {
    place(number).tenant.get().expect("it has a place")
}

impl Place {
    /// The service, if it is here and not in the middle of something.
    #[inline(always)]
    fn at_home(&self) -> Option<&Tenant> {
        self.tenant.get().filter(|_| !self.busy.load(Relaxed))
    }
}

/// Gives a service its place, binds its interrupts and starts it.
pub fn settle(core: &mut Core, placement: Placement) {
    let Placement { number, ops, rows, irqs } = placement;
    let name = NAMES[number as usize];
    let endpoint = core.create_endpoint(ROOT_QUOTA, Binding::Resident(number));
    let endpoint = endpoint.expect("boot: no memory for an endpoint");
    place(number).tenant.call_once(|| Tenant { ops, rows, endpoint });
    place(number).endpoint.store(endpoint.key(), Relaxed);
    for &(line, bits) in irqs {
        let irq = core.create_irq(line as u64).expect("boot: an interrupt line is missing or taken");
        core.bind_irq(irq, endpoint, bits).expect("boot: the line was just made");
    }
    if let Err(errno) = (ops.start)(core, number) {
        panic!("resident service {name} does not start: {errno}");
    }
    core.log(Level::Info, format_args!("{name}: resident in ring 0"));
}

/// Has a service answer the request of `caller`, which is written down.
pub(crate) fn serve(core: &mut Core, number: u8, caller: Ref<Thread>) -> Sent {
    match place(number).at_home() {
        Some(tenant) => (tenant.ops.request)(core, number, caller),
        None => refuse(core, caller, Errno::EDEADLK),
    }
}

/// Has a service answer another one. ENXIO: it is not there, or busy.
pub(crate) fn ask(core: &mut Core, number: u8, label: u32, words: &Words) -> Result<Words, Errno> {
    let tenant = HERE.get(number as usize).and_then(Place::at_home).ok_or(Errno::ENXIO)?;
    (tenant.ops.call)(core, number, label, words)
}

/// The services that this function places, lowest first.
pub struct Linked(pub fn(&mut Core, Given));

impl Residents for Linked {
    fn place(&self, core: &mut Core, given: Given) {
        (self.0)(core, given);
    }

    fn name(&self, number: u8) -> &'static str {
        NAMES[number as usize]
    }

    fn endpoint(&self, number: u8) -> Option<Ref<Endpoint>> {
        find(number).map(|tenant| tenant.endpoint)
    }

    fn rows(&self, binding: Option<Binding>) -> u64 {
        let rows = match binding {
            Some(Binding::Resident(number)) => find(number).map_or(&NO_ROWS, |tenant| tenant.rows),
            _ => &NO_ROWS,
        };
        core::ptr::from_ref(rows).expose_provenance() as u64
    }

    fn prepare(&self, row: Packed) -> Packed {
        with_its_function(row, HERE.iter().filter_map(|place| place.tenant.get()).map(|tenant| tenant.rows))
    }

    fn request(&self, core: &mut Core, number: u8, caller: Ref<Thread>) -> Sent {
        serve(core, number, caller)
    }

    /// News is delivered now, or when the service has finished what it is doing.
    fn has_event(&self, core: &mut Core, number: u8) {
        let place = place(number);
        let busy = place.busy.load(Relaxed);
        place.has_event.store(busy, Relaxed);
        if busy {
            core.resched = true; // so that `settle` delivers it
            return;
        }
        let Some(Tenant { ops, endpoint, .. }) = place.tenant.get() else { return };
        while let Some(event) = core.next_event(*endpoint) {
            match event.kind {
                CLOSED => {
                    (ops.closed)(core, number, event.badge);
                    core.forget_closed(event.token);
                }
                _ => (ops.event)(core, number, &event),
            }
        }
    }

    fn forgets(&self, core: &mut Core, number: u8, badge: u64) -> bool {
        let tenant = place(number).at_home();
        tenant.inspect(|tenant| (tenant.ops.closed)(core, number, badge)).is_some()
    }

    fn settle(&self, core: &mut Core) {
        for (place, number) in HERE.iter().zip(0..) {
            if place.has_event.load(Relaxed) {
                self.has_event(core, number);
            }
        }
    }

    fn next_alarm(&self) -> u64 {
        HERE.iter().map(|place| place.alarm.load(Relaxed)).filter(|&at| at != 0).min().unwrap_or(u64::MAX)
    }

    fn ring_alarms(&self, core: &mut Core, now: u64) {
        for (place, number) in HERE.iter().zip(0..) {
            let at = place.alarm.load(Relaxed);
            if let Some(tenant) = place.at_home().filter(|_| at != 0 && at <= now) {
                place.alarm.store(0, Relaxed);
                (tenant.ops.alarm)(core, number);
            }
        }
    }
}
