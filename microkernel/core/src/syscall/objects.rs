//! Calls that make, change and drop kernel objects.

use parley_abi::{Errno, PAGE, Rights, Row, USER_END, Words, kind};

use super::{Done, number};
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Binding, Connection, Handle, Memory, NewThread, Quota, Region, Space, State, Table, Thread};

/// Everything a creator may do with what it made.
const ALL: Rights = Rights::all();

impl Core {
    /// What a copy keeps: rights, and in the next byte one more than the ceiling, or 0 to leave that.
    fn narrow(keep: u64) -> Result<(Rights, u8), Errno> {
        let [rights, ceiling] = u16::try_from(keep).map_err(|_| Errno::EINVAL)?.to_le_bytes();
        Ok((Rights::from_bits(rights).ok_or(Errno::EINVAL)?, ceiling.wrapping_sub(1)))
    }

    /// Installs the handle of a new object, or undoes its making. A thread's ceiling is its maker's priority.
    pub(super) fn install_new<T>(
        &mut self,
        kind: u8,
        at: Ref<T>,
        undo: impl FnOnce(&mut Core, Ref<T>),
    ) -> Result<i64, Errno> {
        let mut handle = Handle::new(kind, at, ALL);
        handle.ceiling = self.thread().base;
        let installed = self.install_anywhere(handle);
        if installed.is_err() {
            undo(self, at);
        }
        installed
    }

    fn quota(&self, slot: u64) -> Result<Ref<Quota>, Errno> {
        let at = self.object(slot, kind::QUOTA, Rights::MANAGE)?;
        self.quotas.get(at).filter(|quota| !quota.dying).map(|_| at).ok_or(Errno::ESTALE)
    }

    fn space(&self, slot: u64) -> Result<Ref<Space>, Errno> {
        let at = self.object(slot, kind::SPACE, Rights::MANAGE)?;
        self.spaces.get(at).filter(|space| !space.is_dying()).map(|_| at).ok_or(Errno::ESTALE)
    }

    fn managed_thread(&self, slot: u64) -> Result<Ref<Thread>, Errno> {
        let at = self.object(slot, kind::THREAD, Rights::MANAGE)?;
        self.threads.get(at).map(|_| at).ok_or(Errno::ESRCH)
    }

    /// A handle of the caller that can be copied. EBADF.
    fn copyable(&self, slot: u64) -> Result<Handle, Errno> {
        let handle = self.handle(self.current_space(), number(slot)?)?;
        if handle.kind == kind::IRQ { Err(Errno::EBADF) } else { Ok(handle) }
    }

    pub(super) fn sys_handle_drop(&mut self, &[slot, ..]: &Words) -> Result<Done, Errno> {
        self.drop_handle(self.current_space(), number(slot)?).map(Done::from)
    }

    pub(super) fn sys_handle_copy(&mut self, &[from, to, rights, ..]: &Words) -> Result<Done, Errno> {
        if to != u64::MAX {
            return self.grant(self.current_space(), from, to, rights);
        }
        let handle = self.copyable(from)?.narrowed(Core::narrow(rights)?);
        self.install_anywhere(handle).map(Done::Value)
    }

    pub(super) fn sys_handle_grant(&mut self, &[space, from, to, rights, ..]: &Words) -> Result<Done, Errno> {
        self.grant(self.space(space)?, from, to, rights)
    }

    fn grant(&mut self, space: Ref<Space>, from: u64, to: u64, rights: u64) -> Result<Done, Errno> {
        let handle = self.copyable(from)?.narrowed(Core::narrow(rights)?);
        let slot = number(to)?;
        self.install(space, slot, handle)?;
        Ok(Done::Value(slot as i64))
    }

    pub(super) fn sys_handle_move(&mut self, &[space, from, to, rights, ..]: &Words) -> Result<Done, Errno> {
        let (own, space) = (self.current_space(), self.space(space)?);
        let from = number(from)?;
        let handle = self.handle(own, from)?.narrowed(Core::narrow(rights)?);
        let slot = number(to)?;
        self.put_in_slot(space, slot, handle)?;
        self.spaces[own].handles.put(from, Handle::default());
        Ok(Done::Value(slot as i64))
    }

    pub(super) fn sys_handle_info(&mut self, &[slot, ..]: &Words) -> Result<Done, Errno> {
        let handle = self.handle(self.current_space(), number(slot)?)?;
        let number = (handle.reference::<()>().place) as i64;
        let threads = match handle.kind {
            kind::SPACE => self.spaces.get(handle.reference()).map_or(0, |space| space.threads.min(0xffff)),
            _ => 0,
        };
        let what = handle.kind as i64 | (handle.rights().bits() as i64) << 8 | i64::from(threads) << 16;
        Ok(Done::Value(what | number << 32))
    }

    pub(super) fn sys_quota_create(&mut self, &[parent, pages, ..]: &Words) -> Result<Done, Errno> {
        let at = self.create_quota(self.quota(parent)?, pages)?;
        self.install_new(kind::QUOTA, at, Core::remove_quota).map(Done::Value)
    }

    pub(super) fn sys_quota_destroy(&mut self, &[slot, ..]: &Words) -> Result<Done, Errno> {
        let at = self.object(slot, kind::QUOTA, Rights::MANAGE)?;
        if self.quotas.get(at).is_none() {
            return Ok(Done::Value(0));
        }
        let own = [self.spaces[self.current_space()].quota, self.thread().quota];
        if own.into_iter().any(|quota| self.quotas.is_below(quota, at)) {
            return Err(Errno::EDEADLK);
        }
        let more = self.destroy_quota_step(at);
        Ok(if more { Done::Again } else { Done::Value(0) })
    }

    pub(super) fn sys_quota_info(&mut self, &[slot, ..]: &Words) -> Result<Done, Errno> {
        let quota = &self.quotas[self.quota(slot)?];
        let page = PAGE as u64;
        Ok(Done::Value((quota.used.div_ceil(page) | (quota.limit / page) << 32) as i64))
    }

    pub(super) fn sys_mem_create(&mut self, &[quota, pages, ..]: &Words) -> Result<Done, Errno> {
        let at = self.create_memory(self.quota(quota)?, pages)?;
        self.install_new(kind::MEM, at, |core, at| _ = core.free_memory_step(at)).map(Done::Value)
    }

    /// `mem_write` and `mem_read`: a page at a time, and then again with what is left.
    pub(super) fn sys_mem_copy(
        &mut self,
        write: bool,
        &[slot, offset, address, len, ..]: &Words,
    ) -> Result<Done, Errno> {
        let right = if write { Rights::WRITE } else { Rights::READ };
        let at: Ref<Memory> = self.object(slot, kind::MEM, right)?;
        let size = self.memories.get(at).ok_or(Errno::ESTALE)?.pages * PAGE as u64;
        if offset.checked_add(len).is_none_or(|end| end > size) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(Done::Value(0));
        }
        let copied = self.copy_memory(at, offset, self.claim(address, len), write)?;
        if copied == len {
            return Ok(Done::Value(0));
        }
        let args = &mut self.thread().frame.args;
        (args[1], args[2], args[3]) = (offset + copied, address + copied, len - copied);
        Ok(Done::Again)
    }

    pub(super) fn sys_space_create(&mut self, &[quota, ..]: &Words) -> Result<Done, Errno> {
        let at = self.create_space(self.quota(quota)?)?;
        self.install_new(kind::SPACE, at, Core::destroy_tables_step).map(Done::Value)
    }

    pub(super) fn sys_map(&mut self, &[space, memory, address, prot, first, pages]: &Words) -> Result<Done, Errno> {
        let space = self.space(space)?;
        let mut wish = Region { space, address, first, pages, prot, ..Region::default() };
        wish.memory = self.object(memory, kind::MEM, wish.rights())?;
        let left = self.map_step(wish)?;
        if left == 0 {
            return Ok(Done::Value(0));
        }
        let done = pages - left;
        let args = &mut self.thread().frame.args;
        (args[2], args[4], args[5]) = (address + done * PAGE as u64, first + done, left);
        Ok(Done::Again)
    }

    pub(super) fn sys_unmap(&mut self, &[space, address, pages, ..]: &Words) -> Result<Done, Errno> {
        let space = self.space(space)?;
        let end = pages.checked_mul(PAGE as u64).and_then(|len| address.checked_add(len));
        let end = end.filter(|&end| end <= USER_END && address.is_multiple_of(PAGE as u64)).ok_or(Errno::EINVAL)?;
        let more = self.unmap_step(space, address, end)?;
        Ok(if more { Done::Again } else { Done::Value(0) })
    }

    pub(super) fn sys_space_table(&mut self, &[space, table, ..]: &Words) -> Result<Done, Errno> {
        let space = self.space(space)?;
        self.spaces[space].table = self.object::<Table>(table, kind::TABLE, Rights::empty())?;
        Ok(Done::Value(0))
    }

    pub(super) fn sys_space_name(&mut self, &[space, first, second, ..]: &Words) -> Result<Done, Errno> {
        let space: Ref<Space> = self.object(space, kind::SPACE, Rights::MANAGE | Rights::WRITE)?;
        let space = self.spaces.get_mut(space).ok_or(Errno::ESTALE)?;
        space.name.as_chunks_mut::<8>().0.copy_from_slice(&[first.to_le_bytes(), second.to_le_bytes()]);
        Ok(Done::Value(0))
    }

    pub(super) fn sys_space_faults(&mut self, &[space, connection, ..]: &Words) -> Result<Done, Errno> {
        let space: Ref<Space> = self.object(space, kind::SPACE, Rights::MANAGE | Rights::WRITE)?;
        let connection: Ref<Connection> = self.object(connection, kind::CONNECTION, Rights::CALL)?;
        if self.spaces.get(space).is_none_or(Space::is_dying) || self.connections.get(connection).is_none() {
            return Err(Errno::ESTALE);
        }
        self.set_faults(space, connection);
        Ok(Done::Value(0))
    }

    /// `table_create`: a few rows at a time, and then again with what is left and the slot in r10.
    pub(super) fn sys_table_create(&mut self, &[quota, rows, count, begun, ..]: &Words) -> Result<Done, Errno> {
        let len = count.checked_mul(size_of::<Row>() as u64).ok_or(Errno::EINVAL)?;
        let slot = match begun {
            0 => {
                let at = self.create_table(self.quota(quota)?, len)?;
                self.install_new(kind::TABLE, at, Core::destroy_table)? as u64
            }
            slot => slot,
        };
        let at: Ref<Table> = self.object(slot, kind::TABLE, Rights::MANAGE)?;
        if self.tables.get(at).is_none_or(|table| table.complete) {
            return Err(Errno::EINVAL);
        }
        match self.fill_table(at, self.claim(rows, len)) {
            Ok(taken) if taken == len => Ok(Done::Value(slot as i64)),
            Ok(taken) => {
                let args = &mut self.thread().frame.args;
                (args[1], args[2], args[3]) = (rows + taken, count - taken / size_of::<Row>() as u64, slot);
                Ok(Done::Again)
            }
            Err(errno) => {
                self.drop_handle(self.current_space(), slot as u32)?;
                Err(errno)
            }
        }
    }

    pub(super) fn sys_thread_create(
        &mut self,
        &[space, quota, entry, stack, argument, priority]: &Words,
    ) -> Result<Done, Errno> {
        let (space, quota) = (self.space(space)?, self.quota(quota)?);
        let ceiling = self.thread().base;
        let priority = u8::try_from(priority).ok().filter(|&priority| priority <= ceiling).ok_or(Errno::EPERM)?;
        let at = self.create_thread(NewThread { space, quota, entry, stack, argument, priority })?;
        self.install_new(kind::THREAD, at, Core::destroy_thread).map(Done::Value)
    }

    pub(super) fn sys_thread_start(&mut self, &[slot, ..]: &Words) -> Result<Done, Errno> {
        self.start_thread(self.managed_thread(slot)?).map(Done::from)
    }

    pub(super) fn sys_thread_kill(&mut self, &[slot, ..]: &Words) -> Result<Done, Errno> {
        let at = self.managed_thread(slot)?;
        self.destroy_thread(at);
        Ok(Done::Value(0))
    }

    pub(super) fn sys_thread_priority(&mut self, &[slot, priority, ..]: &Words) -> Result<Done, Errno> {
        let at = self.managed_thread(slot)?;
        let ceiling = self.copyable(slot)?.ceiling;
        let priority = u8::try_from(priority).ok().filter(|&priority| priority <= ceiling).ok_or(Errno::EPERM)?;
        let thread = &mut self.threads[at];
        let old = core::mem::replace(&mut thread.priority, priority);
        thread.base = priority;
        if thread.state == State::Ready && at != self.current {
            self.ready.remove(&mut self.threads, at, old);
            self.wake(at);
        }
        self.resched = true;
        Ok(Done::Value(0))
    }

    pub(super) fn sys_set_fs_base(&mut self, &[base, ..]: &Words) -> Result<Done, Errno> {
        if base >= USER_END {
            return Err(Errno::EINVAL);
        }
        self.thread().fs_base = base;
        crate::arch::fpu::load_bases(base, self.fast_bases);
        Ok(Done::Value(0))
    }

    pub(super) fn sys_thread_exit(&mut self) -> Result<Done, Errno> {
        self.destroy_thread(self.current);
        Ok(Done::Registers)
    }

    pub(super) fn sys_yield(&mut self) -> Result<Done, Errno> {
        self.yield_now();
        Ok(Done::Registers)
    }

    pub(super) fn sys_endpoint_create(&mut self, &[quota, ..]: &Words) -> Result<Done, Errno> {
        let at = self.create_endpoint(self.quota(quota)?, Binding::Threads)?;
        self.install_new(kind::ENDPOINT, at, Core::remove_endpoint).map(Done::Value)
    }
}
