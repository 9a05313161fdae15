//! Address spaces: page tables, a handle table and a call table. What ring 3 calls a process.

use parley_abi::{Errno, PAGE, Rights, kind};

use crate::arch::descriptors::{NO_PORTS, TaskState};
use crate::arch::tlb::{self, Root};
use crate::arch::{features, paging};
use crate::kernel::Core;
use crate::mem::{Cursor, List, Object, Phys, Ref, Slab};
use crate::object::{Connection, Endpoint, Handle, Handles, NOTHING, Quota, RESERVED, Region, State, Table, Thread};

/// An address space.
#[derive(Default)]
pub struct Space {
    /// Who pays for page tables, handle tables and regions.
    pub quota: Ref<Quota>,
    /// Page tables.
    pub root: Root,
    /// What POSIX numbers mean here.
    pub table: Ref<Table>,
    /// Where faults of its threads go.
    pub faults: Ref<Connection>,
    /// It holds on to that connection, as a handle would: while there are threads that could fault.
    pub holds_faults: bool,
    /// What its creator calls it, for people.
    pub name: [u8; 16],
    /// Its handles.
    pub handles: Handles,
    /// First region of the list.
    pub regions: List<Region>,
    /// Page tables below the root.
    pub page_tables: u64,
    /// Pages of the handle table.
    handle_pages: u64,
    /// Handles to it.
    pub refs: u32,
    /// Which port bitmap it holds.
    pub ports: Option<u8>,
    /// Whether it is being taken apart, and how far that is.
    ending: Ending,
    /// Where in the table of threads that is.
    cursor: Cursor,
    /// Threads in it.
    pub threads: u32,
}

/// How far an address space has been taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ending {
    /// It lives.
    #[default]
    No,
    /// Its threads are being stopped: all of them, before it takes longer to free them.
    Stopping,
    /// Its threads are being freed.
    Freeing,
    /// It has no threads, and what else it has goes.
    Emptying,
}

impl Space {
    /// Bytes that its quota has paid for it, for checks.
    pub fn paid(&self) -> u64 {
        COST + (self.page_tables + self.handle_pages) * PAGE as u64
    }

    /// Nothing may be started in it any more.
    pub fn is_dying(&self) -> bool {
        self.ending != Ending::No
    }
}

/// What an empty address space costs: its slot and the top-level page table.
const COST: u64 = Slab::<Space>::COST + PAGE as u64;

impl Object for Space {
    const WINDOW: u64 = 1;
}

/// Counts a handle to `at` that came or went. True: it was the last.
fn count<T: Object>(table: &mut Slab<T>, at: Ref<()>, change: i32, of: impl Fn(&mut T) -> &mut u32) -> bool {
    let Some(refs) = table.get_mut(at.cast()).map(of) else { return false };
    *refs = refs.wrapping_add_signed(change);
    *refs == 0
}

impl Core {
    /// Makes an empty address space. ENOMEM.
    pub fn create_space(&mut self, quota: Ref<Quota>) -> Result<Ref<Space>, Errno> {
        let table = self.frames.take_zeroed().ok_or(Errno::ENOMEM)?;
        paging::new_root(self.kernel_root, table);
        let space = Space { quota, ..Space::default() };
        let made = self.quotas.pay_for(quota, COST, &mut self.spaces, &mut self.frames, |slot| *slot = space);
        match made {
            Ok(at) => self.spaces[at].root = self.new_root(table, at.index()),
            Err(_) => self.frames.put(table),
        }
        made
    }

    /// What threads of the space in `slot` load: its tables, and a tag where the processor has them.
    fn new_root(&self, table: Phys, slot: u32) -> Root {
        if !features::tags() {
            return Root::untagged(table);
        }
        let root = Root::tagged(table, slot);
        tlb::forget_all(&mut paging::Cpu, self.root, root);
        root
    }

    /// The handle in `slot` of `space`. EBADF: nothing there.
    #[inline(always)]
    pub fn handle(&self, space: Ref<Space>, slot: u32) -> Result<Handle, Errno> {
        let handle = self.spaces[space].handles.get(slot).copied();
        handle.filter(|handle| !matches!(handle.kind, NOTHING | RESERVED)).ok_or(Errno::EBADF)
    }

    /// The object behind `slot` of the current thread's space. EBADF, EPERM.
    #[inline(always)]
    pub fn object<T>(&self, slot: u64, kind: u8, rights: Rights) -> Result<Ref<T>, Errno> {
        let slot = u32::try_from(slot).map_err(|_| Errno::EBADF)?;
        self.spaces.peek(self.current_space()).handles.get(slot).ok_or(Errno::EBADF)?.object(kind, rights)
    }

    /// The endpoint behind `slot`. EBADF, EPERM, ESTALE.
    pub fn endpoint(&self, slot: u64, rights: Rights) -> Result<Ref<Endpoint>, Errno> {
        let at = self.object(slot, kind::ENDPOINT, rights)?;
        self.endpoints.get(at).map(|_| at).ok_or(Errno::ESTALE)
    }

    /// Makes sure that a handle can be put into `slot`. EBADF: no such slot. ENOMEM.
    pub fn prepare_slot(&mut self, space: Ref<Space>, slot: u32) -> Result<(), Errno> {
        let target = self.spaces.get_mut(space).ok_or(Errno::EBADF)?;
        if !target.handles.needs_page(slot)? {
            return Ok(());
        }
        target.handles.add_page(slot, self.quotas.buy_page(target.quota, &mut self.frames)?);
        target.handle_pages += 1;
        Ok(())
    }

    /// Puts a new handle into `slot`, which is free, and counts it. EEXIST, EBADF, ENOMEM.
    pub fn install(&mut self, space: Ref<Space>, slot: u32, handle: Handle) -> Result<(), Errno> {
        self.put_in_slot(space, slot, handle)?;
        self.count_handle(handle, 1);
        Ok(())
    }

    /// Puts a handle that is counted already into `slot`, which is free. EEXIST, EBADF, ENOMEM.
    pub fn put_in_slot(&mut self, space: Ref<Space>, slot: u32, handle: Handle) -> Result<(), Errno> {
        self.prepare_slot(space, slot)?;
        if self.spaces[space].handles.get(slot).is_some_and(|old| old.kind != NOTHING) {
            return Err(Errno::EEXIST);
        }
        self.spaces[space].handles.put(slot, handle);
        Ok(())
    }

    /// Installs a new handle in the first free slot of the current space. EMFILE, ENOMEM.
    pub fn install_anywhere(&mut self, handle: Handle) -> Result<i64, Errno> {
        let space = self.current_space();
        let slot = self.spaces[space].handles.free_slot()?;
        self.install(space, slot, handle)?;
        Ok(slot as i64)
    }

    /// Drops the handle in `slot`. EBADF.
    pub fn drop_handle(&mut self, space: Ref<Space>, slot: u32) -> Result<(), Errno> {
        let handle = self.handle(space, slot)?;
        self.spaces[space].handles.put(slot, Handle::default());
        self.count_handle(handle, -1);
        Ok(())
    }

    /// Counts a handle that came or went; the last one takes its object with it.
    pub fn count_handle(&mut self, handle: Handle, change: i32) {
        let at = handle.reference::<()>();
        match handle.kind {
            kind::CONNECTION if count(&mut self.connections, at, change, |one| &mut one.refs) => {
                self.close_connection(at.cast())
            }
            kind::MEM if count(&mut self.memories, at, change, |one| &mut one.handles) => {
                self.release_memory(at.cast())
            }
            kind::ENDPOINT if count(&mut self.endpoints, at, change, |one| &mut one.refs) => {
                self.doom_endpoint(at.cast())
            }
            kind::SPACE if count(&mut self.spaces, at, change, |one| &mut one.refs) => self.doom_space(at.cast()),
            kind::TABLE if count(&mut self.tables, at, change, |one| &mut one.refs) => self.destroy_table(at.cast()),
            kind::IRQ if change < 0 => self.release_irq(handle.reference()),
            _ => {}
        }
    }

    /// Takes an address space apart, a step at a time.
    pub fn destroy_space_step(&mut self, at: Ref<Space>) {
        let space = &mut self.spaces[at];
        let mut cursor = space.cursor;
        match space.ending {
            Ending::No => {
                space.ending = Ending::Stopping;
                return;
            }
            Ending::Stopping => {
                let runs = |thread: &Thread| thread.space == at && thread.state != State::Stopped;
                let more = cursor.step(&self.threads, runs).act(|thread| self.stop_thread(thread));
                return self.go_on_ending(at, more, cursor, Ending::Freeing);
            }
            Ending::Freeing => {
                let more =
                    cursor.step(&self.threads, |thread| thread.space == at).act(|thread| self.destroy_thread(thread));
                return self.go_on_ending(at, more, cursor, Ending::Emptying);
            }
            Ending::Emptying => {}
        }
        if self.root == self.spaces[at].root {
            self.root = Root::untagged(self.kernel_root);
            paging::activate(self.root);
        }
        if let Some(slot) = self.spaces[at].handles.next_used(0) {
            let handle = self.spaces[at].handles.put(slot, Handle::default());
            self.count_handle(handle, -1);
            return;
        }
        let region = self.spaces[at].regions.first();
        if self.regions.get(region).is_some() {
            return self.unmap_region_step(region);
        }
        self.destroy_tables_step(at);
    }

    /// Notes how far it is: `more` of this part, or the beginning of the next.
    fn go_on_ending(&mut self, at: Ref<Space>, more: bool, cursor: Cursor, next: Ending) {
        let space = &mut self.spaces[at];
        match more {
            true => space.cursor = cursor,
            false => (space.ending, space.cursor) = (next, Cursor::default()),
        }
    }

    /// Frees a page table, and after the last one the space: it has no threads, handles and regions any more, or
    /// not yet.
    pub fn destroy_tables_step(&mut self, at: Ref<Space>) {
        let space = &mut self.spaces[at];
        let (root, quota) = (space.root, space.quota);
        self.leaves = Default::default();
        if paging::free_one_table(root.table(), &mut |table| self.frames.put(table)) {
            space.page_tables -= 1;
            self.quotas.refund(quota, PAGE as u64);
            return;
        }
        while space.handles.free_page(&mut self.frames) {
            self.quotas.refund(quota, PAGE as u64);
        }
        if let Some(bitmap) = space.ports {
            self.cpu.tss.forbid_all(bitmap as usize);
            self.port_bitmaps[bitmap as usize] = false;
        }
        self.frames.put(root.table());
        self.set_faults(at, Ref::NONE);
        self.forget_space(at);
        self.quotas.refund(quota, COST);
    }

    /// Faults of the space go to `connection` from now on.
    pub fn set_faults(&mut self, at: Ref<Space>, connection: Ref<Connection>) {
        self.hold_faults(at, false);
        self.spaces[at].faults = connection;
        let threads = self.spaces[at].threads;
        self.hold_faults(at, threads > 0);
    }

    /// Holds on to the connection for faults, or lets go of it: whoever is behind it hears that.
    fn hold_faults(&mut self, at: Ref<Space>, hold: bool) {
        let space = &mut self.spaces[at];
        if core::mem::replace(&mut space.holds_faults, hold) == hold {
            return;
        }
        let faults = space.faults;
        if self.connections.get(faults).is_some_and(|connection| connection.refs > 0) {
            self.count_handle(Core::connection_handle(faults, Rights::CALL), if hold { 1 } else { -1 });
        }
    }

    /// A thread was made in the space.
    pub fn thread_joined(&mut self, at: Ref<Space>) {
        self.spaces[at].threads += 1;
        self.hold_faults(at, true);
    }

    /// A thread of the space is gone. After the last one nothing can fault, and the space lets go of the
    /// connection for faults.
    pub fn thread_left(&mut self, at: Ref<Space>) {
        let Some(space) = self.spaces.get_mut(at) else { return };
        space.threads -= 1;
        if space.threads == 0 {
            let faults = space.faults;
            self.hold_faults(at, false);
            if let Some(connection) = self.connections.get(faults) {
                self.wake_mourner(connection.endpoint);
            }
        }
    }

    /// Gives `count` ports from `first` to a space. ENOSPC: all bitmaps are in use.
    pub fn grant_ports(&mut self, space: Ref<Space>, first: u16, count: u16) -> Result<(), Errno> {
        let bitmap = match self.spaces[space].ports {
            Some(bitmap) => bitmap,
            None => {
                let free = self.port_bitmaps.iter().position(|used| !used).ok_or(Errno::ENOSPC)?;
                self.port_bitmaps[free] = true;
                self.spaces[space].ports = Some(free as u8);
                free as u8
            }
        };
        self.cpu.tss.allow(bitmap as usize, first, count);
        for index in 0..self.threads.capacity() {
            if let Some(thread) = self.threads.at(index).filter(|&thread| self.threads[thread].space == space) {
                self.threads[thread].map_base = self.map_base(space);
            }
        }
        if self.spaces[space].root == self.root {
            self.cpu.tss.hardware.iomap_base = self.map_base(space);
        }
        Ok(())
    }

    /// What the TSS's map base must be while threads of `space` run.
    pub fn map_base(&self, space: Ref<Space>) -> u16 {
        self.spaces[space].ports.map_or(NO_PORTS, |bitmap| TaskState::map_base(bitmap as usize))
    }
}
