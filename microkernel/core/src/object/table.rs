//! Call tables: what POSIX numbers mean, shared by the address spaces that were given one.

use parley_abi::{Errno, LeaseRow, Op, ROWS, Row, Shape};

use crate::mem::{Object, Ref, Slab};
use crate::object::Quota;
use crate::uaccess::{Claim, clear_page};
use crate::{Core, IMAGE};

/// A row of [`parley_abi::row`] in two words, as a request carries it. The entry code reads the first:
///
/// | bits | |
/// |---|---|
/// | 0 to 15 | slot of the connection, for [`Op::Send`] |
/// | 16 to 19 | [`Op`] |
/// | 20 | the reply may carry a handle |
/// | 22, 23 | it is a plain message, that opens nothing and does not begin with text: its slot is in rdi, or is its own |
/// | 24 to 31 | number of its function in a linked service ([`crate::ipc::resident`]); 0: none |
/// | 32 to 63 | label |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Packed {
    /// As above.
    pub head: u64,
    /// What the entry code reads: the low half is that of the first buffer, and of that the low byte the [`Shape`] and the
    /// next one the word.
    pub leases: u64,
}

/// Bit of the first word of a plain row that has its slot in rdi.
pub const SEND_TO_BIT: u32 = 22;
/// Bit of the first word of a plain row that has a slot of its own.
pub const SEND_BIT: u32 = 23;
impl Packed {
    /// Packs a row. One whose slot is in rdi has none of its own.
    pub const fn new(row: &Row) -> Packed {
        let [a, b] = row.leases;
        let leases = lease_word(a) | lease_word(b) << 32;
        let plain = match (row.op, row.opens) {
            _ if begins_with_text(leases) => 0,
            (Op::SendTo, 0) => 1 << SEND_TO_BIT,
            (Op::Send, 0) => 1 << SEND_BIT,
            _ => 0,
        };
        let slot = if matches!(row.op, Op::Send) { row.slot as u64 } else { 0 };
        let head = slot | (row.op as u64) << 16 | (row.opens as u64) << 20 | plain | (row.label as u64) << 32;
        Packed { head, leases }
    }

    /// What the core does for it.
    #[inline(always)]
    pub fn op(self) -> Op {
        Op::from_number((self.head >> 16) as u8 & 15).unwrap_or(Op::None)
    }

    /// The reply may carry a handle.
    #[inline(always)]
    pub fn opens(self) -> bool {
        self.head >> 20 & 1 != 0
    }

    /// Word 0 is text: what is short travels in the message ([`Core::lay_text`]).
    #[inline(always)]
    pub const fn begins_with_text(self) -> bool {
        begins_with_text(self.leases)
    }

    /// Slot of the connection, for [`Op::Send`].
    #[inline(always)]
    pub fn slot(self) -> u64 {
        self.head & 0xffff
    }

    /// Label of the message.
    #[inline(always)]
    pub fn label(self) -> u32 {
        (self.head >> 32) as u32
    }

    /// Another label, for a request that is handed on.
    pub fn set_label(&mut self, label: u32) {
        self.head = self.head & 0xffff_ffff | (label as u64) << 32;
    }

    /// Whether the server may write buffer `number`.
    #[inline(always)]
    pub fn is_written(self, number: u64) -> bool {
        let shape = (self.leases >> (32 * number)) as u8;
        shape == Shape::Write as u8 || shape == Shape::WriteFixed as u8
    }

    /// Buffer `number`, 0 or 1: shape, word, size.
    #[inline(always)]
    pub fn lease(self, number: u64) -> (Shape, usize, u64) {
        let word = if number == 0 { self.leases } else { self.leases >> 32 };
        (Shape::from_number(word as u8).unwrap_or(Shape::None), (word >> 8 & 0xff) as usize, word >> 16 & 0xffff)
    }
}

const fn lease_word(lease: LeaseRow) -> u64 {
    lease.shape as u64 | (lease.word as u64) << 8 | (lease.size as u64) << 16
}

const fn begins_with_text(leases: u64) -> bool {
    leases as u16 == Shape::Text as u16
}

/// A call table.
pub struct Table {
    /// Who pays.
    pub quota: Ref<Quota>,
    /// Handles to it. Spaces that use it do not count: without handles their calls are ENOSYS.
    pub refs: u32,
    /// Rows that are filled in so far, while it is being made.
    filled: usize,
    /// It is made, and does not change any more.
    pub complete: bool,
    /// First words of the rows ([`Packed`]); the entry code reads them.
    pub heads: [u64; ROWS],
    /// Second words of the rows.
    pub leases: [u64; ROWS],
}

/// Rows that one step reads and checks.
const STEP: usize = 16;

impl Default for Table {
    fn default() -> Self {
        Table { quota: Ref::NONE, refs: 0, filled: 0, complete: false, heads: [0; ROWS], leases: [0; ROWS] }
    }
}

impl Table {
    /// The row of `number`.
    #[inline(always)]
    pub fn row(&self, number: u16) -> Option<Packed> {
        let number = number as usize;
        Some(Packed { head: *self.heads.get(number)?, leases: *self.leases.get(number)? })
    }
}

impl Object for Table {
    const WINDOW: u64 = 4;
}

impl Core {
    /// Makes a table for `rows` bytes of rows, none of which it has yet. EINVAL: too many, or part of one.
    /// ENOMEM.
    pub fn create_table(&mut self, quota: Ref<Quota>, rows: u64) -> Result<Ref<Table>, Errno> {
        if rows > (ROWS * size_of::<Row>()) as u64 || !rows.is_multiple_of(size_of::<Row>() as u64) {
            return Err(Errno::EINVAL);
        }
        let cost = Slab::<Table>::COST;
        self.quotas.pay_for(quota, cost, &mut self.tables, &mut self.frames, |table| {
            (table.quota, table.refs, table.filled, table.complete) = (quota, 0, 0, false);
            clear_page(&mut table.heads);
            clear_page(&mut table.leases);
        })
    }

    /// Fills in the next rows of a table, which lie in user memory; none left means that it is complete.
    /// Returns how many bytes of them it took. EINVAL: not rows, or more than fit. EFAULT. ESTALE.
    pub fn fill_table(&mut self, at: Ref<Table>, rows: Claim) -> Result<u64, Errno> {
        let filled = self.tables.get(at).ok_or(Errno::ESTALE)?.filled;
        let size = size_of::<Row>();
        let count = (rows.len as usize / size).min(STEP);
        if filled + count > ROWS {
            return Err(Errno::EINVAL);
        }
        for number in 0..count {
            let row = IMAGE.residents.prepare(read_row(rows.part((number * size) as u64, size as u64))?);
            let table = &mut self.tables[at];
            (table.heads[filled + number], table.leases[filled + number]) = (row.head, row.leases);
        }
        let table = &mut self.tables[at];
        table.filled += count;
        table.complete = count * size == rows.len as usize;
        Ok((count * size) as u64)
    }

    /// Frees a table; spaces that use it answer ENOSYS from now on.
    pub fn destroy_table(&mut self, at: Ref<Table>) {
        let Some(quota) = self.tables.get(at).map(|table| table.quota) else { return };
        self.tables.remove(at);
        self.quotas.refund(quota, Slab::<Table>::COST);
    }
}

/// Reads and checks a row.
fn read_row(row: Claim) -> Result<Packed, Errno> {
    let mut bytes = [0; size_of::<Row>()];
    let copied = row.copy_in(&mut bytes, &mut Default::default())?;
    if copied.bytes < bytes.len() {
        return Err(Errno::EFAULT);
    }
    Ok(Packed::new(&Row::from_bytes(&bytes).ok_or(Errno::EINVAL)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing() {
        let lease = |shape, word, size| LeaseRow { shape, word, size };
        let leases = [lease(Shape::Text, 0, 4096), lease(Shape::Write, 4, 0xffff)];
        let row = Row { op: Op::Send, opens: 1, slot: 0xfedc, label: 0x1234_5678, leases };
        let packed = Packed { head: Packed::new(&row).head | 0xff << 24, ..Packed::new(&row) };
        assert_eq!((packed.op(), packed.opens(), packed.slot(), packed.label()), (row.op, true, 0xfedc, row.label));
        assert_eq!(packed.lease(0), (Shape::Text, 0, 4096));
        assert_eq!(packed.lease(1), (Shape::Write, 4, 0xffff));
        assert_eq!((Packed::default().op(), Packed::default().opens()), (Op::None, false));
    }
}
