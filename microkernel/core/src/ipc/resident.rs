//! Services linked into ring 0, as the core sees them: a handful of functions.
//!
//! What stands behind the functions is none of the core's business: `microkernel/residents` makes them of the
//! libraries that run in ring 3 elsewhere. There are two ways to a service. A request that is written down in its
//! caller's block, as for a server in ring 3, is served by [`Ops::request`]. A row of the call table that many
//! programs use has a function of its own ([`Rows`]), which the entry code calls when it has found the connection,
//! with no message built; that function does what [`Ops::request`] would.

use parley_abi::Errno;
use parley_abi::call::LOG_BIT;
use parley_abi::msg::Words;
use parley_abi::msg::event::CLOSED;
use parley_abi::row::{Op, Row};
use parley_abi::slot::service::{self, NAMES};

use crate::HAS_RESIDENTS;
use crate::kernel::Core;
use crate::log::Level;
use crate::mem::slab::Ref;
use crate::object::endpoint::{Binding, Endpoint, Event};
use crate::object::table::Packed;
use crate::object::thread::Thread;

use super::call::Sent;

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
    pub number: u8,
    /// What it can do.
    pub ops: &'static Ops,
    /// The service, and its functions for rows.
    pub rows: &'static Rows,
    /// Global interrupts that become its notification bits: line and bit.
    pub irqs: &'static [(u32, u64)],
}

/// A place for a service in ring 0.
#[derive(Default)]
pub struct Resident {
    ops: Option<&'static Ops>,
    /// The service, for its own functions.
    pub rows: &'static Rows,
    /// Where requests to it arrive.
    pub endpoint: Ref<Endpoint>,
    /// When it wants to be called; 0: not at all.
    pub alarm: u64,
    /// One of its functions has called others, and will go on.
    pub busy: bool,
    /// Something happened while it was busy.
    has_event: bool,
}

/// Places there are: the numbers of the well-known services, rounded up so that a number needs no check.
pub const RESIDENTS: usize = service::COUNT.next_power_of_two();

/// A row's function: serves the current thread's row on the connection with this badge. Returns the result, or
/// [`LEFT`].
///
/// # Safety
/// The rows are those that the function is in.
pub type RowFunction = unsafe extern "sysv64" fn(&mut Core, &Rows, badge: u64) -> i64;

/// What a [`RowFunction`] returns if the thread waits for an answer, or somebody else may have to go first. Its result, if
/// there is one, is in its block then.
pub const LEFT: i64 = -4096;

/// Functions in a table of them.
pub const FUNCTIONS: usize = 128;
/// The function of rows that are no message, or open something in ring 3: the same for everybody, and no row has that label.
const NO_MESSAGE: usize = FUNCTIONS - 1;

/// The function of `close`, for everybody as well: whatever is closed, it goes through the connection in slot 0 if there is
/// one, which saves the way round.
const CLOSE: usize = FUNCTIONS - 2;

/// The functions of a service for rows of the call table, found by [`function_of`] the row's label.
#[repr(C)]
pub struct Rows {
    /// The service, for the functions.
    pub service: *mut (),
    /// Its number.
    pub number: u8,
    functions: [RowFunction; FUNCTIONS],
    rows: [Packed; FUNCTIONS],
}

// SAFETY: the pointer is followed by the functions alone, which run when the core is lent to them: one at a time.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

/// The rows of whatever is not in ring 0: none.
static NO_ROWS: Rows = Rows::new(core::ptr::null_mut(), 0);

impl Default for &Rows {
    fn default() -> Self {
        &NO_ROWS
    }
}

/// The place of the function for rows with this label, if rows of that kind can have one: bits 8 and above number the
/// interface, those below the row.
const fn function_of(label: u32) -> Option<usize> {
    let (interface, row) = ((label >> 8) as usize, (label & 0xff) as usize);
    if interface < FUNCTIONS / 16 && row < 16 { Some(interface * 16 + row) } else { None }
}

impl Rows {
    /// Offset of the functions, for the entry code.
    pub const FUNCTIONS_AT: usize = core::mem::offset_of!(Rows, functions);

    /// A service with no function for any row: requests are written down.
    pub const fn new(service: *mut (), number: u8) -> Rows {
        let mut functions = [crate::arch::linked::not_linked as RowFunction; FUNCTIONS];
        functions[NO_MESSAGE] = crate::arch::linked::no_message;
        functions[CLOSE] = close;
        Rows { service, number, functions, rows: [Packed::of_label(0); FUNCTIONS] }
    }

    /// Adds a function, for rows that say the same as this one, in whatever slot their connection is.
    pub fn add(&mut self, row: &Row, function: RowFunction) {
        let packed = Packed::new(row).anywhere();
        if let Some(place) = function_of(row.label).filter(|&place| place != 0 && place < CLOSE && packed.is_message())
        {
            (self.functions[place], self.rows[place]) = (function, packed);
        }
    }
}

/// `close` of the current thread.
///
/// # Safety
/// Nothing is asked: it is a [`RowFunction`] by its type.
unsafe extern "sysv64" fn close(core: &mut Core, _: &Rows, _: u64) -> i64 {
    let result = core.close().unwrap_or_else(Errno::negated);
    if !core.resched {
        return result;
    }
    core.thread().frame.rax = result as u64;
    LEFT
}

impl Core {
    /// Gives a service its place, binds its interrupts and starts it. Called at boot, lowest service first.
    pub fn place(&mut self, placement: Placement) {
        let Placement { number, ops, rows, irqs } = placement;
        let root = crate::boot::ROOT_QUOTA;
        let endpoint = self.create_endpoint(root, Binding::Resident(number)).expect("boot: no memory for an endpoint");
        self.residents[number as usize] = Resident { ops: Some(ops), rows, endpoint, ..Resident::default() };
        for &(line, bits) in irqs {
            let irq = self.create_irq(line as u64).expect("boot: an interrupt line is missing or taken");
            self.bind_irq(irq, endpoint, bits).expect("boot: the line was just made");
        }
        if let Err(errno) = (ops.start)(self, number) {
            panic!("resident service {} does not start: {errno}", NAMES[number as usize]);
        }
        self.log(Level::Info, format_args!("{}: resident in ring 0", NAMES[number as usize]));
    }

    /// Whether a service has a place in ring 0.
    pub fn is_resident(&self, number: usize) -> bool {
        self.residents[number].ops.is_some()
    }

    /// The row, and which function of linked services it has.
    pub fn with_its_function(&self, row: Packed) -> Packed {
        let other_way = match row.op() {
            Op::Drop => CLOSE,
            _ if row.is_plain() => 0,
            _ => NO_MESSAGE,
        };
        let place = function_of(row.label()).filter(|_| HAS_RESIDENTS && row.is_message());
        let is_its_own = |place: &usize| self.residents.iter().any(|at| at.rows.rows[*place] == row.anywhere());
        row.with_function(place.filter(is_its_own).unwrap_or(other_way) as u8)
    }

    /// Has a resident service answer the request of `caller`, which is written down.
    pub fn call_resident(&mut self, number: u8, caller: Ref<Thread>) -> Sent {
        match self.residents[number as usize % RESIDENTS] {
            Resident { ops: Some(ops), busy: false, .. } if HAS_RESIDENTS => (ops.request)(self, number, caller),
            _ => self.refuse(caller, Errno::EDEADLK),
        }
    }

    /// Has a resident service answer another one. ENXIO: it is not there, or busy.
    pub fn ask_resident(&mut self, number: u8, label: u32, words: &Words) -> Result<Words, Errno> {
        match self.residents.get(number as usize) {
            Some(&Resident { ops: Some(ops), busy: false, .. }) => (ops.call)(self, number, label, words),
            _ => Err(Errno::ENXIO),
        }
    }

    /// Ends a request of `caller` that is written down with an error.
    pub fn refuse(&mut self, caller: Ref<Thread>, errno: Errno) -> Sent {
        Sent::Answered(self.settle_request(caller, errno.negated()))
    }

    /// Ends a request that was answered at once; a POSIX caller's result is returned and not stored.
    pub fn settle_request(&mut self, caller: Ref<Thread>, result: i64) -> i64 {
        let thread = self.threads.live(caller);
        thread.state = crate::object::thread::State::Ready;
        if thread.request.how.is_more_than_a_result() {
            self.complete(caller, 0, result, [0; 6]);
        }
        result
    }

    /// News for a resident service: delivered now, or when it has finished what it is doing.
    pub fn resident_has_event(&mut self, number: u8) {
        let Resident { ops, busy, endpoint, .. } = self.residents[number as usize];
        self.residents[number as usize].has_event = busy;
        if busy {
            self.resched = true; // so that `settle` delivers it
            return;
        }
        let Some(ops) = ops.filter(|_| HAS_RESIDENTS) else { return };
        while let Some(event) = self.next_event(endpoint) {
            match event.kind {
                CLOSED => {
                    (ops.closed)(self, number, event.badge);
                    let _ = self.forget_closed(endpoint, event.token); // ESTALE: it is gone already
                }
                _ => (ops.event)(self, number, &event),
            }
        }
    }

    /// Tells a resident service that the last handle to a connection is gone. False: it is busy.
    pub fn resident_forgets(&mut self, number: u8, badge: u64) -> bool {
        match self.residents[number as usize % RESIDENTS] {
            Resident { ops: Some(ops), busy: false, .. } if HAS_RESIDENTS => (ops.closed)(self, number, badge),
            _ => return false,
        }
        true
    }

    /// Delivers what had to wait while a service was busy.
    pub fn deliver_to_residents(&mut self) {
        for number in 0..if HAS_RESIDENTS { RESIDENTS } else { 0 } {
            if self.residents[number].has_event {
                self.resident_has_event(number as u8);
            }
        }
    }

    /// Calls the services whose alarm is due.
    pub fn ring_alarms(&mut self, now: u64) {
        for number in 0..if HAS_RESIDENTS { RESIDENTS } else { 0 } {
            match self.residents[number] {
                Resident { ops: Some(ops), alarm: at, busy: false, .. } if at != 0 && at <= now => {
                    self.residents[number].alarm = 0;
                    (ops.alarm)(self, number as u8);
                }
                _ => {}
            }
        }
    }

    /// The console driver, if it is resident, is told that the log has grown.
    pub fn notify_resident_log(&mut self, number: u8) {
        let endpoint = self.residents[number as usize].endpoint;
        self.notify(endpoint, LOG_BIT);
    }
}
