//! Call tables: what POSIX numbers mean, shared by the address spaces that were given one.

use parley_abi::row::{ROWS, Row};
use parley_abi::{Errno, PAGE};

use crate::kernel::Core;
use crate::mem::frames::Phys;
use crate::mem::slab::{Ref, Slab};
use crate::object::quota::Quota;
use crate::uaccess::Claim;

const PER_PAGE: usize = PAGE / size_of::<Row>();
const PAGES: usize = ROWS / PER_PAGE;

/// A call table.
#[derive(Default)]
pub struct Table {
    /// Who pays.
    pub quota: Ref<Quota>,
    /// Handles to it. Spaces that use it do not count: without handles their calls are ENOSYS.
    pub refs: u32,
    pages: [Option<Phys>; PAGES],
}

impl Table {
    /// The row of `number`.
    #[inline(always)]
    pub fn row(&self, number: u16) -> Option<Row> {
        let page = (*self.pages.get(number as usize / PER_PAGE)?)?;
        let rows: *const Row = page.pointer();
        // SAFETY: 1. the page belongs to this table and holds rows that were checked when they were
        // written, or zeros, which are rows as well; 2. the remainder is below `PER_PAGE`.
        Some(unsafe { *rows.add(number as usize % PER_PAGE) })
    }
}

const COST: u64 = Slab::<Table>::COST + (PAGES * PAGE) as u64;

impl Core {
    /// Makes a table of the rows that lie in user memory. EINVAL: not rows. EFAULT. ENOMEM.
    pub fn create_table(&mut self, quota: Ref<Quota>, rows: Claim) -> Result<Ref<Table>, Errno> {
        if rows.len > (ROWS * size_of::<Row>()) as u64 || !rows.len.is_multiple_of(size_of::<Row>() as u64) {
            return Err(Errno::EINVAL);
        }
        self.quotas.charge(quota, COST)?;
        let mut table = Table { quota, ..Table::default() };
        let made = self.fill_table(&mut table, rows);
        let pages = table.pages;
        let made = match made {
            Ok(()) => self.tables.insert(&mut self.frames, table).ok_or(Errno::ENOMEM),
            Err(errno) => Err(errno),
        };
        if made.is_err() {
            pages.into_iter().flatten().for_each(|page| self.frames.put(page));
            self.quotas.refund(quota, COST);
        }
        made
    }

    fn fill_table(&mut self, table: &mut Table, rows: Claim) -> Result<(), Errno> {
        for page in &mut table.pages {
            *page = Some(self.frames.take_zeroed().ok_or(Errno::ENOMEM)?);
        }
        let mut bytes = [0; size_of::<Row>()];
        for number in 0..rows.len as usize / bytes.len() {
            let row = rows.part((number * bytes.len()) as u64, bytes.len() as u64);
            let copied = row.copy_in(&mut bytes).map_err(|_| Errno::EFAULT)?;
            if copied.bytes < bytes.len() {
                return Err(Errno::EFAULT);
            }
            let row = Row::from_bytes(&bytes).ok_or(Errno::EINVAL)?;
            let place: *mut Row = table.pages[number / PER_PAGE].expect("filled above").pointer();
            // SAFETY: the page was just taken, and the remainder is below `PER_PAGE`.
            unsafe { place.add(number % PER_PAGE).write(row) };
        }
        Ok(())
    }

    /// Frees a table; spaces that use it answer ENOSYS from now on.
    pub fn destroy_table(&mut self, at: Ref<Table>) {
        let Some(table) = self.tables.get(at) else { return };
        let (pages, quota) = (table.pages, table.quota);
        pages.into_iter().flatten().for_each(|page| self.frames.put(page));
        self.tables.remove(at);
        self.quotas.refund(quota, COST);
    }
}
