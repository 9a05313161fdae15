//! Call tables: what POSIX numbers mean, shared by the address spaces that were given one.

use parley_abi::Errno;
use parley_abi::row::{LeaseRow, Op, ROWS, Row, Shape};

use crate::kernel::Core;
use crate::mem::slab::{Object, Ref, Slab};
use crate::object::quota::Quota;
use crate::uaccess::Claim;

/// A row of [`parley_abi::row`] in two words, as a request carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Packed {
    head: u64,
    leases: u64,
}

/// [`Packed::op_and_opens`] of a row with a fixed slot that opens nothing.
pub const SEND: u16 = Op::Send as u16;
/// [`Packed::op_and_opens`] of a row with its slot in rdi that opens nothing.
pub const SEND_TO: u16 = Op::SendTo as u16;

impl Packed {
    /// Packs a row.
    pub const fn new(row: &Row) -> Packed {
        let head = row.op as u64 | (row.opens as u64) << 8 | (row.slot as u64) << 16 | (row.label as u64) << 32;
        let [a, b] = row.leases;
        Packed { head, leases: lease_word(a) | lease_word(b) << 32 }
    }

    /// A row that lends nothing.
    #[inline(always)]
    pub fn of_label(label: u32) -> Packed {
        Packed { head: (label as u64) << 32, leases: 0 }
    }

    /// What the core does for it.
    #[inline(always)]
    pub fn op(self) -> Op {
        Op::from_number(self.head as u8).unwrap_or(Op::None)
    }

    /// [`SEND`], [`SEND_TO`], or something that is not a plain message.
    #[inline(always)]
    pub fn op_and_opens(self) -> u16 {
        self.head as u16
    }

    /// The reply may carry a handle.
    #[inline(always)]
    pub fn opens(self) -> bool {
        self.head as u16 >> 8 != 0
    }

    /// Slot of the connection, for [`Op::Send`].
    #[inline(always)]
    pub fn slot(self) -> u64 {
        self.head >> 16 & 0xffff
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

    /// Whether the first buffer is one that the server may write, described by the first two words: as of `read`.
    #[inline(always)]
    pub fn is_plain_read(self) -> bool {
        self.leases as u16 == Shape::Write as u16
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

/// A call table.
pub struct Table {
    /// Who pays.
    pub quota: Ref<Quota>,
    /// Handles to it. Spaces that use it do not count: without handles their calls are ENOSYS.
    pub refs: u32,
    /// Rows that are filled in so far, while it is being made.
    filled: usize,
    /// It is made, and does not change any more.
    complete: bool,
    rows: [Packed; ROWS],
}

/// Rows that one step reads and checks.
const STEP: usize = 16;

impl Default for Table {
    fn default() -> Self {
        Table { quota: Ref::NONE, refs: 0, filled: 0, complete: false, rows: [Packed::default(); ROWS] }
    }
}

impl Table {
    /// Offset of the rows, for the entry code.
    pub const ROWS_AT: usize = core::mem::offset_of!(Table, rows);

    /// It does not change any more.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The row of `number`.
    #[inline(always)]
    pub fn row(&self, number: u16) -> Option<Packed> {
        self.rows.get(number as usize).copied()
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
        self.quotas.pay_for(quota, cost, &mut self.tables, &mut self.frames, |_| Table { quota, ..Table::default() })
    }

    /// Fills in the next rows of a table, which lie in user memory; none left means that it is complete.
    /// Returns how many bytes of them it took. EINVAL: not rows, or more than fit. EFAULT. ESTALE.
    pub fn fill_table(&mut self, at: Ref<Table>, rows: Claim) -> Result<u64, Errno> {
        let table = self.tables.get_mut(at).ok_or(Errno::ESTALE)?;
        let size = size_of::<Row>();
        let count = (rows.len as usize / size).min(STEP);
        let places = table.rows.get_mut(table.filled..table.filled + count).ok_or(Errno::EINVAL)?;
        fill(places, rows)?;
        table.filled += count;
        table.complete = count * size == rows.len as usize;
        Ok((count * size) as u64)
    }

    /// Frees a table; spaces that use it answer ENOSYS from now on.
    pub fn destroy_table(&mut self, at: Ref<Table>) {
        let Some(table) = self.tables.get(at) else { return };
        let quota = table.quota;
        self.tables.remove(at);
        self.quotas.refund(quota, Slab::<Table>::COST);
    }
}

/// Reads and checks rows.
fn fill(places: &mut [Packed], rows: Claim) -> Result<(), Errno> {
    let mut bytes = [0; size_of::<Row>()];
    for (number, place) in places.iter_mut().enumerate() {
        let row = rows.part((number * bytes.len()) as u64, bytes.len() as u64);
        let copied = row.copy_in(&mut bytes).map_err(|_| Errno::EFAULT)?;
        if copied.bytes < bytes.len() {
            return Err(Errno::EFAULT);
        }
        *place = Packed::new(&Row::from_bytes(&bytes).ok_or(Errno::EINVAL)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing() {
        let lease = |shape, word, size| LeaseRow { shape, word, size };
        let leases = [lease(Shape::Text, 0, 4096), lease(Shape::Write, 4, 0xffff)];
        let row = Row { op: Op::SendTo, opens: 1, slot: 0xfedc, label: 0x1234_5678, leases };
        let packed = Packed::new(&row);
        assert_eq!((packed.op(), packed.opens(), packed.slot(), packed.label()), (row.op, true, 0xfedc, row.label));
        assert_eq!(packed.lease(0), (Shape::Text, 0, 4096));
        assert_eq!(packed.lease(1), (Shape::Write, 4, 0xffff));
        assert_eq!((Packed::default().op(), Packed::default().opens()), (Op::None, false));
    }
}
