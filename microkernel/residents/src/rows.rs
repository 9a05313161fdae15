//! The functions of a service for rows of the call table, which the entry code calls when it has found the connection.

use parley_abi::Errno;
use parley_abi::row::{Op, Row};
use parley_core::Core;
use parley_core::object::table::{Packed, SEND_BIT, SEND_TO_BIT};

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

/// First bit of the number of a row's function, in its first word.
const FUNCTION: u32 = 24;

/// The row without a slot and a function: what the rows of a service have in common, whoever calls them.
pub const fn anywhere(row: Packed) -> Packed {
    Packed { head: row.head & !(0xff << FUNCTION | 0xffff), ..row }
}

/// Whether the slot of the connection is in rdi.
pub const fn is_sent_to(row: Packed) -> bool {
    row.head & 1 << SEND_TO_BIT != 0
}

/// Whether it is a message that opens nothing and does not begin with text.
fn is_plain(row: Packed) -> bool {
    row.head & (1 << SEND_TO_BIT | 1 << SEND_BIT) != 0
}

/// Whether it is a message, from its own slot if it is not plain.
fn is_message(row: Packed) -> bool {
    is_plain(row) || (row.op() == Op::Send && (row.opens() || row.begins_with_text()))
}

impl Rows {
    /// A service with no function for any row: requests are written down.
    pub const fn new(service: *mut (), number: u8) -> Rows {
        let mut functions = [not_linked as RowFunction; FUNCTIONS];
        functions[NO_MESSAGE] = no_message;
        functions[CLOSE] = close;
        Rows { service, number, functions, rows: [Packed { head: 0, leases: 0 }; FUNCTIONS] }
    }

    /// Adds a function, for rows that say the same as this one, in whatever slot their connection is.
    pub fn add(&mut self, row: &Row, function: RowFunction) {
        let packed = anywhere(Packed::new(row));
        let place = function_of(row.label).filter(|&place| place != 0 && place < CLOSE && is_message(packed));
        if let Some(place) = place {
            (self.functions[place], self.rows[place]) = (function, packed);
        }
    }

    /// Whether the function at that place is for rows like this one.
    fn has(&self, place: usize, row: Packed) -> bool {
        self.rows[place] == anywhere(row)
    }
}

/// The row, and which function it has where services have these.
pub fn with_its_function<'a>(row: Packed, mut services: impl Iterator<Item = &'a Rows>) -> Packed {
    let other_way = match row.op() {
        Op::Drop => CLOSE,
        _ if is_plain(row) => 0,
        _ => NO_MESSAGE,
    };
    let own = function_of(row.label()).filter(|&at| is_message(row) && services.any(|rows| rows.has(at, row)));
    let function = own.unwrap_or(other_way) as u64;
    Packed { head: row.head & !(0xff << FUNCTION) | function << FUNCTION, ..row }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_differ_by_what_they_say_alone() {
        let row = Row { op: Op::Send, slot: 0xfed, label: 0x305, ..Row::NONE };
        let elsewhere = Packed::new(&Row { slot: 7, ..row });
        let with_function = Packed { head: elsewhere.head | 0xff << FUNCTION, ..elsewhere };
        assert_eq!(anywhere(Packed::new(&row)), anywhere(with_function));
        assert_ne!(anywhere(Packed::new(&row)), anywhere(Packed::new(&Row { label: 0x306, ..row })));
        let opening = Packed::new(&Row { opens: 1, ..row });
        assert_eq!((is_plain(elsewhere), is_plain(opening), is_message(opening)), (true, false, true));
        assert!(is_sent_to(Packed::new(&Row { op: Op::SendTo, ..row })));
    }
}
