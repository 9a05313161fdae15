//! Quotas: who pays for kernel memory and pages.
//!
//! A quota is granted out of its parent's, so the sum of what can be used never exceeds what there is,
//! and no process can starve another or the core.

use parley_abi::{Errno, PAGE};

use crate::kernel::Core;
use crate::mem::slab::{Object, Ref, Slab};

/// An account, in bytes.
#[derive(Default)]
pub struct Quota {
    /// Whose grant this one is part of.
    pub parent: Ref<Quota>,
    /// Bytes granted.
    pub limit: u64,
    /// Bytes used, those granted to children included.
    pub used: u64,
}

impl<T> Default for Ref<T> {
    fn default() -> Self {
        Ref::NONE
    }
}

impl Slab<Quota> {
    /// Takes `bytes` from a quota. ENOMEM: not that many are left. EBADF: the quota is gone.
    pub fn charge(&mut self, quota: Ref<Quota>, bytes: u64) -> Result<(), Errno> {
        let account = self.get_mut(quota).ok_or(Errno::EBADF)?;
        let used = account.used.checked_add(bytes).filter(|&used| used <= account.limit);
        account.used = used.ok_or(Errno::ENOMEM)?;
        Ok(())
    }

    /// Pays for the growth of a table of objects. Tables never shrink, so this is never refunded: the root
    /// pays, and what it has promised to others stays there. ENOMEM.
    fn pay_for_growth(&mut self, bytes: u64) -> Result<(), Errno> {
        match bytes {
            0 => Ok(()),
            _ => self.charge(crate::boot::ROOT_QUOTA, bytes),
        }
    }

    /// Takes the `cost` of a new object from a quota, and what its table grows by from the root; or neither: a
    /// quota that is used up must not make the root pay again and again for a table that does not grow.
    pub fn charge_object(&mut self, quota: Ref<Quota>, cost: u64, growth: u64) -> Result<(), Errno> {
        self.charge(quota, cost)?;
        self.pay_for_growth(growth).inspect_err(|_| self.refund(quota, cost))
    }

    /// Gives `bytes` back.
    pub fn refund(&mut self, quota: Ref<Quota>, bytes: u64) {
        if let Some(account) = self.get_mut(quota) {
            account.used = account.used.saturating_sub(bytes);
        }
    }

    /// Whether `quota` is `ancestor` or lies below it.
    pub fn is_below(&self, quota: Ref<Quota>, ancestor: Ref<Quota>) -> bool {
        let mut at = quota;
        while let Some(account) = self.get(at) {
            if at == ancestor {
                return true;
            }
            at = account.parent;
        }
        false
    }

    /// How deep below the root `quota` lies.
    fn depth(&self, quota: Ref<Quota>) -> usize {
        core::iter::successors(self.get(quota), |account| self.get(account.parent)).count()
    }
}

/// Deepest tree of quotas, so that walking up is bounded.
const MAX_DEPTH: usize = 16;

impl Object for Quota {
    const WINDOW: u64 = 5;
}

impl Core {
    /// Grants `pages` of `parent` to a new quota. ENOMEM. EINVAL: the tree would be too deep.
    pub fn create_quota(&mut self, parent: Ref<Quota>, pages: u64) -> Result<Ref<Quota>, Errno> {
        let limit = pages.checked_mul(PAGE as u64).ok_or(Errno::ENOMEM)?;
        if self.quotas.depth(parent) >= MAX_DEPTH {
            return Err(Errno::EINVAL);
        }
        let growth = self.quotas.growth();
        let cost = limit.checked_add(Slab::<Quota>::COST).ok_or(Errno::ENOMEM)?;
        self.quotas.charge_object(parent, cost, growth)?;
        let made = self.quotas.insert(&mut self.frames, Quota { parent, limit, used: 0 });
        made.ok_or_else(|| {
            self.quotas.refund(parent, cost);
            Errno::ENOMEM
        })
    }

    /// Destroys one object that `quota` or one below it paid for. False: there is none left, and the
    /// quota itself is gone. Each step is short; the caller restarts the system call in between.
    pub fn destroy_quota_step(&mut self, quota: Ref<Quota>) -> bool {
        if let Some(space) = self.spaces.find(|object| self.quotas.is_below(object.quota, quota)) {
            return self.destroy_space_step(space);
        }
        if let Some(thread) = self.threads.find(|object| self.quotas.is_below(object.quota, quota)) {
            self.destroy_thread(thread);
            return true;
        }
        if let Some(endpoint) = self.endpoints.find(|object| self.quotas.is_below(object.quota, quota)) {
            return self.destroy_endpoint_step(endpoint);
        }
        if let Some(connection) = self.connections.find(|object| self.quotas.is_below(object.quota, quota)) {
            self.drop_connection_by_force(connection);
            return true;
        }
        if let Some(memory) = self.memories.find(|object| self.quotas.is_below(object.quota, quota)) {
            return self.destroy_memory_step(memory);
        }
        self.destroy_small_step(quota)
    }

    fn destroy_small_step(&mut self, quota: Ref<Quota>) -> bool {
        if let Some(table) = self.tables.find(|object| self.quotas.is_below(object.quota, quota)) {
            self.destroy_table(table);
            return true;
        }
        if let Some(sent) = self.submissions.find(|object| self.quotas.is_below(object.quota, quota)) {
            self.destroy_submission(sent);
            return true;
        }
        let leaf = self.quotas.refs().find(|&at| {
            self.quotas.is_below(at, quota) && !self.quotas.refs().any(|child| self.quotas[child].parent == at)
        });
        let Some(leaf) = leaf else { return false };
        let Quota { parent, limit, .. } = self.quotas[leaf];
        self.quotas.refund(parent, limit + Slab::<Quota>::COST);
        self.quotas.remove(leaf);
        leaf != quota
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::ROOT_QUOTA;
    use crate::mem::frames::Phys;
    use crate::mem::frames::tests::host_frames;

    #[test]
    fn a_new_object_is_paid_for_in_full_or_not_at_all() {
        let mut frames = host_frames(20);
        let mut quotas: Slab<Quota> = Slab::new(Phys(0), 16, &mut frames);
        let account = |limit| Quota { parent: Ref::NONE, limit, used: 0 };
        assert!(quotas.insert(&mut frames, account(5000)) == Some(ROOT_QUOTA));
        let small = quotas.insert(&mut frames, account(100)).unwrap();
        let used = |quotas: &Slab<Quota>| (quotas.get(ROOT_QUOTA).unwrap().used, quotas.get(small).unwrap().used);
        assert_eq!(quotas.charge_object(small, 101, 4096), Err(Errno::ENOMEM));
        assert_eq!(used(&quotas), (0, 0), "the object is too dear");
        assert_eq!(quotas.charge_object(small, 60, 4096), Ok(()));
        assert_eq!(used(&quotas), (4096, 60));
        assert_eq!(quotas.charge_object(small, 40, 4096), Err(Errno::ENOMEM));
        assert_eq!(used(&quotas), (4096, 60), "the root has no page left");
    }
}
