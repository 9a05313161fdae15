//! Call tables: what POSIX numbers mean, shared by the address spaces that were given one.

use parley_abi::Errno;
use parley_abi::row::{ROWS, Row};

use crate::kernel::Core;
use crate::mem::slab::{Object, Ref, Slab};
use crate::object::quota::Quota;
use crate::uaccess::Claim;

/// A call table.
pub struct Table {
    /// Who pays.
    pub quota: Ref<Quota>,
    /// Handles to it. Spaces that use it do not count: without handles their calls are ENOSYS.
    pub refs: u32,
    rows: [Row; ROWS],
}

impl Default for Table {
    fn default() -> Self {
        Table { quota: Ref::NONE, refs: 0, rows: [Row::NONE; ROWS] }
    }
}

impl Table {
    /// The row of `number`.
    #[inline(always)]
    pub fn row(&self, number: u16) -> Option<Row> {
        self.rows.get(number as usize).copied()
    }
}

impl Object for Table {
    const WINDOW: u64 = 4;
}

impl Core {
    /// Makes a table of the rows that lie in user memory. EINVAL: not rows. EFAULT. ENOMEM.
    pub fn create_table(&mut self, quota: Ref<Quota>, rows: Claim) -> Result<Ref<Table>, Errno> {
        if rows.len > (ROWS * size_of::<Row>()) as u64 || !rows.len.is_multiple_of(size_of::<Row>() as u64) {
            return Err(Errno::EINVAL);
        }
        self.quotas.charge(quota, Slab::<Table>::COST)?;
        let Some(at) = self.tables.insert(&mut self.frames, Table { quota, ..Table::default() }) else {
            self.quotas.refund(quota, Slab::<Table>::COST);
            return Err(Errno::ENOMEM);
        };
        match fill(&mut self.tables[at], rows) {
            Ok(()) => Ok(at),
            Err(errno) => {
                self.destroy_table(at);
                Err(errno)
            }
        }
    }

    /// Frees a table; spaces that use it answer ENOSYS from now on.
    pub fn destroy_table(&mut self, at: Ref<Table>) {
        let Some(table) = self.tables.get(at) else { return };
        let quota = table.quota;
        self.tables.remove(at);
        self.quotas.refund(quota, Slab::<Table>::COST);
    }
}

/// Reads and checks the rows.
fn fill(table: &mut Table, rows: Claim) -> Result<(), Errno> {
    let mut bytes = [0; size_of::<Row>()];
    for number in 0..rows.len as usize / bytes.len() {
        let row = rows.part((number * bytes.len()) as u64, bytes.len() as u64);
        let copied = row.copy_in(&mut bytes).map_err(|_| Errno::EFAULT)?;
        if copied.bytes < bytes.len() {
            return Err(Errno::EFAULT);
        }
        table.rows[number] = Row::from_bytes(&bytes).ok_or(Errno::EINVAL)?;
    }
    Ok(())
}
