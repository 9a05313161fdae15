//! Quotas: who pays for kernel memory and pages.
//!
//! A quota is granted out of its parent's, so the sum of what can be used never exceeds what there is,
//! and no process can starve another or the core.

use parley_abi::{Errno, PAGE};

use crate::boot::ROOT_QUOTA;
use crate::kernel::Core;
use crate::mem::{Cursor, Frames, Object, Phys, Ref, Slab};

/// An account, in bytes.
#[derive(Default)]
pub struct Quota {
    /// Whose grant this one is part of.
    pub parent: Ref<Quota>,
    /// Bytes granted.
    pub limit: u64,
    /// Bytes used, those granted to children included.
    pub used: u64,
    /// Quotas whose parent it is.
    children: u32,
    /// It, or one above it, is being destroyed: it pays for nothing any more.
    pub dying: bool,
    /// How far its own destruction is: which [part](Core::end_step), and where in that one's table.
    pass: u8,
    cursor: Cursor,
}

impl Quota {
    /// A quota of `limit` bytes below `parent`.
    pub fn new(parent: Ref<Quota>, limit: u64) -> Quota {
        Quota { parent, limit, ..Quota::default() }
    }
}

impl<T> Default for Ref<T> {
    fn default() -> Self {
        Ref::NONE
    }
}

impl Slab<Quota> {
    /// Takes `bytes` from a quota. ENOMEM: not that many are left. EBADF: the quota is gone, or going.
    #[inline(never)] // torture makes it fail
    pub fn charge(&mut self, quota: Ref<Quota>, bytes: u64) -> Result<(), Errno> {
        let account = self.get_mut(quota).filter(|account| !account.dying).ok_or(Errno::EBADF)?;
        let used = account.used.checked_add(bytes).filter(|&used| used <= account.limit);
        account.used = used.ok_or(Errno::ENOMEM)?;
        Ok(())
    }

    /// Puts what `make` makes of the slot's last object into a table: `quota` pays `cost` bytes for it, and the
    /// root for the table's growth. An error costs nobody anything. ENOMEM. EBADF: the quota is gone, or going.
    pub fn pay_for<T: Object>(
        &mut self,
        quota: Ref<Quota>,
        cost: u64,
        table: &mut Slab<T>,
        frames: &mut Frames,
        make: impl FnOnce(&mut T),
    ) -> Result<Ref<T>, Errno> {
        self.charge(quota, cost)?;
        if !table.has_room()
            && let Err(errno) = self.pay_and_grow(table, frames)
        {
            self.refund(quota, cost);
            return Err(errno);
        }
        table.insert_with(frames, make).ok_or(Errno::ENOMEM)
    }

    /// Has the root pay for a slot more in a table that has no room. Tables never shrink, so this is never refunded: what the
    /// root has promised to others stays there. ENOMEM.
    #[inline(never)]
    fn pay_and_grow<T: Object>(&mut self, table: &mut Slab<T>, frames: &mut Frames) -> Result<(), Errno> {
        let (growth, before) = (table.growth(), table.bytes());
        self.charge(ROOT_QUOTA, growth)?;
        table.grow(frames).ok_or_else(|| {
            self.refund(ROOT_QUOTA, growth.saturating_sub((table.bytes() - before) as u64));
            Errno::ENOMEM
        })
    }

    /// Takes a page of zeros that `quota` pays for. ENOMEM. EBADF: the quota is gone, or going.
    pub fn buy_page(&mut self, quota: Ref<Quota>, frames: &mut Frames) -> Result<Phys, Errno> {
        self.charge(quota, PAGE as u64)?;
        frames.take_zeroed().ok_or_else(|| {
            self.refund(quota, PAGE as u64);
            Errno::ENOMEM
        })
    }

    /// Gives `bytes` back.
    pub fn refund(&mut self, quota: Ref<Quota>, bytes: u64) {
        if let Some(account) = self.get_mut(quota) {
            account.used = account.used.saturating_sub(bytes);
        }
    }

    /// Whether `quota` is `ancestor` or lies below it.
    pub fn is_below(&self, quota: Ref<Quota>, ancestor: Ref<Quota>) -> bool {
        let mut line = core::iter::successors(Some(quota), |&at| self.get(at).map(|account| account.parent));
        line.any(|at| at == ancestor)
    }

    /// `quota` and those above it, up to the root.
    fn line(&self, quota: Ref<Quota>) -> impl Iterator<Item = &Quota> {
        core::iter::successors(self.get(quota), |account| self.get(account.parent))
    }
}

/// Deepest tree of quotas, so that walking up is bounded.
const MAX_DEPTH: usize = 16;

impl Object for Quota {
    const WINDOW: u64 = 5;
}

impl Core {
    /// Grants `pages` of `parent` to a new quota. ENOMEM. EBADF: the parent, or one above it, is being
    /// destroyed. EINVAL: the tree would be too deep.
    pub fn create_quota(&mut self, parent: Ref<Quota>, pages: u64) -> Result<Ref<Quota>, Errno> {
        let limit = pages.checked_mul(PAGE as u64).ok_or(Errno::ENOMEM)?;
        if self.quotas.line(parent).count() >= MAX_DEPTH {
            return Err(Errno::EINVAL);
        }
        if self.quotas.line(parent).any(|account| account.dying) {
            return Err(Errno::EBADF);
        }
        let cost = limit.checked_add(Slab::<Quota>::COST).ok_or(Errno::ENOMEM)?;
        self.quotas.charge(parent, cost)?;
        let (growth, before) = (self.quotas.growth(), self.quotas.bytes());
        if let Err(errno) = self.quotas.charge(ROOT_QUOTA, growth) {
            self.quotas.refund(parent, cost);
            return Err(errno);
        }
        match self.quotas.insert(&mut self.frames, Quota::new(parent, limit)) {
            Some(at) => {
                self.quotas[parent].children += 1;
                Ok(at)
            }
            None => {
                let grown = (self.quotas.bytes() - before) as u64;
                self.quotas.refund(ROOT_QUOTA, growth.saturating_sub(grown));
                self.quotas.refund(parent, cost);
                Err(Errno::ENOMEM)
            }
        }
    }

    /// Frees a quota that has paid for nothing, or for nothing that is left.
    pub fn remove_quota(&mut self, at: Ref<Quota>) {
        let Quota { parent, limit, .. } = self.quotas[at];
        self.quotas.refund(parent, limit + Slab::<Quota>::COST);
        if let Some(parent) = self.quotas.get_mut(parent) {
            parent.children -= 1;
        }
        self.quotas.remove(at);
    }

    /// Takes a step of destroying `quota`, those below it and all that they paid for. False: it is gone.
    /// Each step is short; the caller restarts the system call in between.
    pub fn destroy_quota_step(&mut self, quota: Ref<Quota>) -> bool {
        let Some(account) = self.quotas.get_mut(quota) else { return false };
        account.dying = true;
        let (pass, mut cursor) = (account.pass, account.cursor);
        let more = self.end_step(pass, quota, &mut cursor);
        let Some(account) = self.quotas.get_mut(quota) else { return false };
        (account.pass, account.cursor) = if more { (pass, cursor) } else { (pass + 1, Cursor::default()) };
        true
    }

    /// Takes a step of one part of the destruction, and says whether there are more to take. The first makes sure that
    /// nothing is added to what the others look through, so each needs to see each slot of its table once. Threads go
    /// before what they wait on, spaces before memory that they map, and the quotas themselves last.
    fn end_step(&mut self, part: u8, quota: Ref<Quota>, cursor: &mut Cursor) -> bool {
        let its = |payer| self.quotas.is_below(payer, quota);
        match part {
            0 => cursor.step(&self.quotas, |at| !at.dying && its(at.parent)).act(|at| self.quotas[at].dying = true),
            1 => cursor.step(&self.spaces, |at| its(at.quota)).act(|at| self.destroy_space_step(at)),
            2 => cursor.step(&self.threads, |at| its(at.quota)).act(|at| self.destroy_thread(at)),
            3 => cursor.step(&self.endpoints, |at| its(at.quota)).act(|at| self.destroy_endpoint_step(at)),
            4 => cursor.step(&self.connections, |at| its(at.quota)).act(|at| self.drop_connection_by_force(at)),
            5 => cursor.step(&self.memories, |at| its(at.quota)).act(|at| self.destroy_memory_step(at)),
            6 => cursor.step(&self.tables, |at| its(at.quota)).act(|at| self.destroy_table(at)),
            7 => cursor.step(&self.submissions, |at| its(at.quota)).act(|at| self.destroy_submission(at)),
            _ => self.end_quotas(quota, cursor),
        }
    }

    /// Frees what has no children, and at last `quota` itself. A parent that lies before its last child in
    /// the table is found the next time round, and the tree is at most [`MAX_DEPTH`] deep.
    fn end_quotas(&mut self, quota: Ref<Quota>, cursor: &mut Cursor) -> bool {
        if self.quotas[quota].children == 0 {
            self.remove_quota(quota);
            return false;
        }
        let leaf = |account: &Quota| account.children == 0 && self.quotas.is_below(account.parent, quota);
        if !cursor.step(&self.quotas, leaf).act(|at| self.remove_quota(at)) {
            *cursor = Cursor::default();
        }
        true
    }
}
