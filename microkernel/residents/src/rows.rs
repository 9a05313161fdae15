//! The functions of a service for rows of the call table, which the entry code calls when it has found the connection.

use parley_abi::Errno;
use parley_abi::row::{Op, Row};
use parley_core::Core;
use parley_core::object::table::Packed;

use crate::entry::{no_message, not_linked};

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
const FUNCTIONS: usize = 128;
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
    /// For the entry code.
    pub functions: [RowFunction; FUNCTIONS],
    rows: [Packed; FUNCTIONS],
}

// SAFETY: the pointer is followed by the functions alone, which run when the core is lent to them: one at a time.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

/// The rows of whatever is not in ring 0: none.
pub static NO_ROWS: Rows = Rows::new(core::ptr::null_mut(), 0);

/// The place of the function for rows with this label, if rows of that kind can have one: bits 8 and above number the
/// interface, those below the row.
const fn function_of(label: u32) -> Option<usize> {
    let (interface, row) = ((label >> 8) as usize, (label & 0xff) as usize);
    if interface < FUNCTIONS / 16 && row < 16 { Some(interface * 16 + row) } else { None }
}

impl Rows {
    /// A service with no function for any row: requests are written down.
    pub const fn new(service: *mut (), number: u8) -> Rows {
        let mut functions = [not_linked as RowFunction; FUNCTIONS];
        functions[NO_MESSAGE] = no_message;
        functions[CLOSE] = close;
        Rows { service, number, functions, rows: [Packed::of_label(0); FUNCTIONS] }
    }

    /// Adds a function, for rows that say the same as this one, in whatever slot their connection is.
    pub fn add(&mut self, row: &Row, function: RowFunction) {
        let packed = Packed::new(row).anywhere();
        let place = function_of(row.label).filter(|&place| place != 0 && place < CLOSE && packed.is_message());
        if let Some(place) = place {
            (self.functions[place], self.rows[place]) = (function, packed);
        }
    }

    /// Whether the function at that place is for rows like this one.
    fn has(&self, place: usize, row: Packed) -> bool {
        self.rows[place] == row.anywhere()
    }
}

/// The row, and which function it has where services have these.
pub fn with_its_function<'a>(row: Packed, mut services: impl Iterator<Item = &'a Rows>) -> Packed {
    let other_way = match row.op() {
        Op::Drop => CLOSE,
        _ if row.is_plain() => 0,
        _ => NO_MESSAGE,
    };
    let own = function_of(row.label()).filter(|&at| row.is_message() && services.any(|rows| rows.has(at, row)));
    row.with_function(own.unwrap_or(other_way) as u8)
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
