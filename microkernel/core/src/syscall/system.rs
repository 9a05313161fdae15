//! Calls that need the system handle: interrupts, ports, log, power, and what `ps` and `mem` show.

use parley_abi::call::{MemInfo, ThreadInfo};
use parley_abi::trace::Event;
use parley_abi::{Counters, Errno, PAGE, Plain, Rights, Words, kind};

use super::Done;
use crate::check;
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Endpoint, Irq, Space};

/// The thing that the system handle names.
pub struct System;

/// Bytes that one log call takes.
const LOG_MOST: usize = 256;

impl Core {
    fn system(&self, slot: u64, rights: Rights) -> Result<(), Errno> {
        self.object::<System>(slot, kind::SYSTEM, rights).map(|_| ())
    }

    pub(super) fn sys_irq_create(&mut self, &[system, line, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::EXECUTE)?;
        let at = self.create_irq(line)?;
        self.install_new(kind::IRQ, at, Core::release_irq).map(Done::Value)
    }

    pub(super) fn sys_irq_bind(&mut self, &[irq, endpoint, bits, ..]: &Words) -> Result<Done, Errno> {
        let irq: Ref<Irq> = self.object(irq, kind::IRQ, Rights::MANAGE)?;
        let endpoint: Ref<Endpoint> = self.object(endpoint, kind::ENDPOINT, Rights::NOTIFY)?;
        self.bind_irq(irq, endpoint, bits).map(Done::from)
    }

    pub(super) fn sys_irq_ack(&mut self, &[irq, ..]: &Words) -> Result<Done, Errno> {
        let irq: Ref<Irq> = self.object(irq, kind::IRQ, Rights::MANAGE)?;
        self.acknowledge_irq(irq).map(Done::from)
    }

    pub(super) fn sys_port_grant(&mut self, &[system, space, first, count, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::EXECUTE)?;
        let space: Ref<Space> = self.object(space, kind::SPACE, Rights::MANAGE)?;
        if self.spaces.get(space).is_none() {
            return Err(Errno::ESTALE);
        }
        let first = u16::try_from(first).map_err(|_| Errno::EINVAL)?;
        let count = u16::try_from(count).map_err(|_| Errno::EINVAL)?;
        self.grant_ports(space, first, count).map(Done::from)
    }

    pub(super) fn sys_log(&mut self, &[system, address, len, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::WRITE)?;
        let mut bytes = [0; LOG_MOST];
        let copied = self.claim(address, len).copy_in(&mut bytes, &mut self.leaves[0])?;
        self.log_bytes(&bytes[..copied.bytes]);
        Ok(Done::Value(copied.bytes as i64))
    }

    pub(super) fn sys_log_read(&mut self, &[system, address, len, endpoint, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::WRITE)?;
        let endpoint: Ref<Endpoint> = self.object(endpoint, kind::ENDPOINT, Rights::NOTIFY)?;
        self.log.claim(endpoint);
        let mut bytes = [0; LOG_MOST];
        let most = (len as usize).min(LOG_MOST);
        let count = self.log.peek(&mut bytes[..most]);
        let copied = self.claim(address, count as u64).copy_out(&bytes[..count], &mut self.leaves[0])?;
        self.log.forget(copied.bytes);
        Ok(Done::Value(copied.bytes as i64))
    }

    pub(super) fn sys_power(&mut self, &[system, how, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::EXECUTE)?;
        match how {
            0 => self.power_off(),
            1 => self.reset(),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn sys_counters(&mut self, &[address, ..]: &Words) -> Result<Done, Errno> {
        let Counters { space_switches, bytes_copied, rep_extra, .. } = self.counters;
        let rep_extra = rep_extra + self.frames.rep_extra;
        let counters = Counters { entries: self.cpu.entries, space_switches, bytes_copied, rep_extra };
        self.give(address, counters.bytes())
    }

    pub(super) fn sys_thread_info(&mut self, &[system, number, address, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::READ)?;
        let number = u32::try_from(number).map_err(|_| Errno::ESRCH)?;
        self.account();
        let at = self.threads.from_place(number).ok_or(Errno::ESRCH)?;
        let thread = &self.threads[at];
        let space = self.spaces.get(thread.space);
        let quota = space.and_then(|space| self.quotas.get(space.quota));
        let waits = thread.state != crate::object::thread::State::Ready;
        let info = ThreadInfo {
            thread: at.place,
            space: thread.space.place,
            state: thread.state as u32,
            priority: thread.base as u32,
            waits_for: if waits { thread.waits_for.place } else { u32::MAX },
            cpu_time: thread.cpu_time,
            pages: quota.map_or(0, |quota| quota.used.div_ceil(PAGE as u64) as u32),
        };
        self.give(address, info.bytes())?;
        let next = self.threads.from_place(at.place + 1);
        Ok(Done::Value(next.map_or(0, |next| next.place) as i64))
    }

    pub(super) fn sys_mem_info(&mut self, &[system, address, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::READ)?;
        let info = MemInfo {
            total: self.frames.total,
            free: self.frames.free,
            tables: self.table_bytes() / PAGE as u64,
            threads: self.threads.count() as u64,
            spaces: self.spaces.count() as u64,
            connections: self.connections.count() as u64,
        };
        self.give(address, info.bytes())
    }

    fn table_bytes(&self) -> u64 {
        let tables = [
            self.threads.bytes(),
            self.spaces.bytes(),
            self.connections.bytes(),
            self.endpoints.bytes(),
            self.tables.bytes(),
            self.quotas.bytes(),
            self.memories.bytes(),
            self.regions.bytes(),
            self.submissions.bytes(),
        ];
        tables.iter().sum::<usize>() as u64
    }

    pub(super) fn sys_trace(&mut self, &[system, mode, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::MANAGE)?;
        self.switch_trace(mode).map(Done::from)
    }

    pub(super) fn sys_trace_read(&mut self, &[system, address, most, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::MANAGE)?;
        let mut events = [Event::default(); 8];
        let most = events.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let count = self.take_events(&mut events[..most]);
        let size = size_of::<Event>() as u64;
        for (at, event) in (address..).step_by(size as usize).zip(&events[..count]) {
            self.give(at, event.bytes())?;
        }
        Ok(Done::Value(count as i64))
    }

    pub(super) fn sys_threads_dump(&mut self, &[system, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::WRITE)?;
        self.dump_threads();
        Ok(Done::Value(0))
    }

    /// `check`: an invariant at a time, and then again with the next.
    pub(super) fn sys_check(&mut self, &[system, passed, ..]: &Words) -> Result<Done, Errno> {
        self.system(system, Rights::MANAGE)?;
        let number = passed.saturating_add(1);
        match check::holds(self, number as usize) {
            None => Ok(Done::Value(0)),
            Some(false) => Ok(Done::Value(number as i64)),
            Some(true) => {
                self.thread().frame.args[1] = number;
                Ok(Done::Again)
            }
        }
    }
}
