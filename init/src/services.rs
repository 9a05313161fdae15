//! Starting the services, and knowing how they are.
//!
//! A service is its endpoint: resident in ring 0 the core made it, otherwise init makes it and gives the
//! receive right to the process that it starts. Connections are minted from it either way, so that a
//! program cannot tell. init keeps the endpoint when an instance ends: requests wait there for the next one.

use alloc::vec::Vec;

use parley_abi::call::Rights;
use parley_abi::info::{ServiceInfo, verb};
use parley_abi::slot::{self, service};
use parley_abi::{Errno, PAGE, boot};
use parley_proto::{Host, root_badge};
use parley_rt::sys;

use crate::console;
use crate::handle::{Handle, Quota};
use crate::loader::Process;
use crate::log;
use crate::manifest::{BASE_PAGES, Entry};
use crate::server::Init;
use crate::supervise::{Record, Sequel, State};
use crate::swap::Trial;
use crate::table::{self, INIT, Role};

/// Instances in a row that die before they are ready, until their state is thought to be the reason.
const HOPELESS: u32 = 2;
/// Exit status of an instance that `init::control` killed, as a shell says it of SIGKILL.
const KILLED: i32 = 137;

/// One service, by its number. What is here outlives its instances.
#[derive(Debug, Default)]
pub struct Service {
    /// Connections are minted from it. `None`: calls of the service fail.
    endpoint: Option<Handle>,
    /// Its interrupts.
    #[expect(dead_code, reason = "dropping them would unbind the interrupts")]
    interrupts: Vec<Handle>,
    /// Memory that each instance finds as the one before left it.
    state: Option<Handle>,
    /// Pays for the endpoint and the state.
    #[expect(dead_code, reason = "dropping it would destroy both")]
    base: Option<Quota>,
    resident: bool,
    /// What instances are made of; `None`: the file in the boot archive.
    pub(crate) program: Option<Vec<u8>>,
    /// It has not been that for long.
    pub(crate) trial: Option<Trial>,
    pub(crate) record: Record,
}

impl Service {
    /// One that lives in ring 0. The core left its endpoint where connections belong, so it moves.
    fn resident(number: u8) -> Result<Service, Errno> {
        let from = slot::of_service(number);
        let endpoint = sys::handle_copy(from, sys::LOWEST_FREE, Rights::MINT.union(Rights::NOTIFY))?;
        sys::handle_drop(from)?;
        Ok(Service {
            endpoint: Some(Handle::new(endpoint)),
            resident: true,
            record: Record { state: State::Running, ..Record::default() },
            ..Service::default()
        })
    }

    /// What the instances of a service have in common, without an instance.
    fn new(entry: &Entry) -> Result<Service, Errno> {
        let base = Quota::new(BASE_PAGES + entry.state)?;
        let endpoint = Handle::new(sys::endpoint_create(base.handle().slot())?);
        let mut interrupts = Vec::new();
        interrupts.try_reserve_exact(entry.interrupts.len()).map_err(|_| Errno::ENOMEM)?;
        for interrupt in &entry.interrupts {
            let irq = Handle::new(sys::irq_create(interrupt.line)?);
            sys::irq_bind(irq.slot(), endpoint.slot(), 1 << interrupt.bit)?;
            interrupts.push(irq);
        }
        let state = match entry.state {
            0 => None,
            pages => Some(Handle::new(sys::mem_create(base.handle().slot(), pages)?)),
        };
        Ok(Service { endpoint: Some(endpoint), interrupts, state, base: Some(base), ..Service::default() })
    }

    /// What `init::service` tells.
    pub fn info(&self, number: usize) -> ServiceInfo {
        let Record { state, pid, generation, since, reason, .. } = self.record;
        let mut info = ServiceInfo {
            resident: u32::from(self.resident),
            pid,
            state: state as u32,
            generation,
            since,
            reason,
            ..ServiceInfo::default()
        };
        let name = service::NAMES[number].as_bytes();
        info.name[..name.len()].copy_from_slice(name);
        info
    }
}

/// All numbers of services.
pub fn numbers() -> impl Iterator<Item = u8> {
    0..service::COUNT as u8
}

impl Init {
    /// Starts what is not resident, in the order of the manifest. What cannot start is reported and left
    /// out; the others may do without.
    pub fn start_services(&mut self) {
        for entry in &self.manifest.services {
            let number = usize::from(entry.number);
            let made = match is_resident(self.info, entry.number) {
                true => Service::resident(entry.number),
                false => Service::new(entry),
            };
            match made {
                Ok(service) => self.services[number] = service,
                Err(errno) => {
                    log!(Error, "service {}: cannot be set up: {errno}", entry.name);
                    self.give_up(entry.number);
                    continue;
                }
            }
            if !self.services[number].resident {
                self.start_instance(entry);
            }
        }
    }

    /// Starts an instance of a service; one that cannot be started is given up.
    pub(crate) fn start_instance(&mut self, entry: &Entry) {
        if let Err(errno) = self.try_start_instance(entry) {
            log!(Error, "service {}: cannot start {}: {errno}", entry.name, entry.program);
            self.give_up(entry.number);
        }
    }

    pub(crate) fn try_start_instance(&mut self, entry: &Entry) -> Result<(), Errno> {
        let mut program = match &self.services[usize::from(entry.number)].program {
            Some(program) => &program[..],
            None => self.archive.find(&entry.program).ok_or(Errno::ENOENT)?,
        };
        let pid = self.table.reserve()?;
        let mut facts = self.facts(pid);
        facts.state_pages = if self.services[usize::from(entry.number)].state.is_some() { entry.state } else { 0 };
        facts.archive_len = entry.archive.then_some(self.info.archive_len);
        let mut args = [0; 16];
        args[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        let process = Process::load(&mut program, &args[..entry.name.len() + 1], &facts, entry.pages, entry.priority)?;
        self.entrust(entry, &process.space)?;
        let init = Rights::CALL.union(Rights::NOTIFY); // it says when it is ready
        self.equip(&process, pid, INIT, init, entry.calls.iter().copied())?;
        sys::space_name(process.space.slot(), entry.name.as_bytes())?;
        process.start()?;
        let space = process.space_number();
        self.table.insert(pid, INIT, Role::Service(entry.number), table::name(entry.name.as_bytes()), space, process);
        self.services[usize::from(entry.number)].record.started(pid, sys::clock());
        Ok(())
    }

    /// Gives an instance what the service's line of the manifest says. It is the only one with the right to
    /// receive: its predecessor is gone.
    fn entrust(&self, entry: &Entry, space: &Handle) -> Result<(), Errno> {
        let service = &self.services[usize::from(entry.number)];
        let endpoint = service.endpoint.as_ref().ok_or(Errno::ESTALE)?;
        if let Some(state) = &service.state {
            state.grant(space, slot::STATE, Rights::READ.union(Rights::WRITE))?;
        }
        let rights = Rights::RECEIVE.union(Rights::MINT).union(Rights::NOTIFY);
        endpoint.grant(space, slot::ENDPOINT, rights)?;
        sys::handle_grant(space.slot(), slot::SYSTEM, slot::SYSTEM, entry.rights())?;
        if entry.archive {
            sys::handle_grant(space.slot(), slot::ARCHIVE, slot::ARCHIVE, Rights::READ)?;
        }
        for ports in &entry.ports {
            sys::port_grant(space.slot(), ports.first, ports.count)?;
        }
        Ok(())
    }

    /// Gives a process what every process has: the call table, a place for its faults, connections to
    /// init, with these rights, and to these services. Services that do not run are left out: calls give EBADF.
    pub(crate) fn equip(
        &self,
        process: &Process,
        pid: u32,
        parent: u32,
        init: Rights,
        services: impl Iterator<Item = u8>,
    ) -> Result<(), Errno> {
        let badge = root_badge(pid, parent);
        let space = &process.space;
        sys::space_table(space.slot(), self.call_table)?;
        Handle::new(sys::mint(slot::ENDPOINT, badge, init)?).grant(space, slot::INIT, init)?;
        // The space holds on to this one until its last thread is gone, and nobody else does: so init hears
        // of every end, whatever the process does to itself.
        let faults = Handle::mint(slot::ENDPOINT, u64::from(pid))?;
        sys::space_faults(space.slot(), faults.slot())?;
        for number in services {
            if let Some(endpoint) = &self.services[usize::from(number)].endpoint {
                Handle::mint(endpoint.slot(), badge)?.grant(space, slot::of_service(number), Rights::CALL)?;
            }
        }
        Ok(())
    }

    /// Connects init itself, as its own first client.
    pub fn connect(&mut self) {
        if let Err(errno) = self.try_connect() {
            console::shut_down(format_args!("cannot connect to the services: {errno}"));
        }
    }

    fn try_connect(&mut self) -> Result<(), Errno> {
        sys::space_table(slot::SPACE, self.call_table)?;
        for number in numbers() {
            if let Some(endpoint) = &self.services[usize::from(number)].endpoint {
                let connection = Handle::mint(endpoint.slot(), root_badge(INIT, 0))?;
                sys::handle_copy(connection.slot(), u64::from(slot::of_service(number)), Rights::CALL)?;
            }
        }
        Ok(())
    }

    /// An instance of a service has ended on its own: there is another, unless it dies too often.
    pub(crate) fn instance_died(&mut self, host: &mut dyn Host, number: u8, status: i32) {
        let entry = self.entry(number);
        if self.services[usize::from(number)].trial.is_some() {
            self.services[usize::from(number)].record.ended(status);
            self.roll_back(host, number, Errno::EIO);
            return;
        }
        let record = &mut self.services[usize::from(number)].record;
        record.unready += 1;
        if record.unready == HOPELESS {
            log!(Error, "service {}: dies before it is ready; its state is dropped", entry.name);
            self.forget_state(number);
        }
        let record = &mut self.services[usize::from(number)].record;
        match record.died(status, sys::clock(), &entry.restart) {
            Sequel::Restart => {
                log!(Warn, "service {}: died with status {status}; starting it again", entry.name);
                self.start_instance(entry);
            }
            Sequel::GiveUp => {
                log!(Error, "service {}: died {} times; giving it up", entry.name, entry.restart.deaths);
                self.give_up(number);
            }
        }
    }

    /// The next instance of a service starts afresh.
    fn forget_state(&self, number: u8) {
        let zeros = [0; PAGE];
        let Some(state) = &self.services[usize::from(number)].state else { return };
        for page in 0..self.entry(number).state {
            // The object is as long as the manifest says, and this process does not map it.
            let _ = sys::mem_write(state.slot(), page * PAGE as u64, &zeros);
        }
    }

    /// Ends the instance of a service, without telling it. Returns whether there was one.
    pub(crate) fn end_instance(&mut self, number: u8, status: i32) -> bool {
        let pid = self.services[usize::from(number)].record.pid;
        let ended = self.table.end(pid, status);
        if ended.is_some() {
            self.services[usize::from(number)].record.ended(status);
        }
        ended.is_some()
    }

    /// The service of this number, if it is a process. ENOENT: there is none. EPERM: it is resident.
    pub(crate) fn changeable(&self, number: u32) -> Result<u8, Errno> {
        match self.services.get(number as usize) {
            None => Err(Errno::ENOENT),
            Some(service) if service.resident => Err(Errno::EPERM),
            Some(_) => Ok(number as u8),
        }
    }

    /// What `init::control` does.
    pub(crate) fn control(&mut self, number: u32, verb: u32) -> Result<(), Errno> {
        let number = self.changeable(number)?;
        let (service, entry) = (&self.services[usize::from(number)], self.entry(number));
        let pid = service.record.pid;
        if self.is_unsettled() {
            return Err(Errno::EBUSY);
        }
        match verb {
            verb::KILL if pid == 0 => return Err(Errno::ESRCH),
            verb::KILL => {
                self.end_instance(number, KILLED);
                self.start_instance(entry);
            }
            verb::STOP if entry.needed => return Err(Errno::EBUSY),
            verb::STOP if !self.end_instance(number, 0) => return Err(Errno::ESRCH),
            verb::STOP => {}
            verb::START if pid != 0 => return Err(Errno::EBUSY),
            verb::START | verb::RESTART => {
                self.end_instance(number, 0);
                if self.services[usize::from(number)].endpoint.is_none() {
                    self.services[usize::from(number)] = Service::new(entry)?;
                }
                self.start_instance(entry);
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Notes and says that a service has failed. The machine goes on, unless it runs for one program
    /// that needs it.
    pub(crate) fn give_up(&mut self, number: u8) {
        log!(Error, "service {} failed", service::NAMES[usize::from(number)]);
        let service = &mut self.services[usize::from(number)];
        let record = Record { state: State::Failed, pid: 0, ..service.record };
        *service = Service { record, ..Service::default() };
        if self.exec && self.lacks_a_service() {
            console::finish(1);
        }
    }

    /// A service's part of the manifest.
    pub(crate) fn entry(&self, number: u8) -> &'static Entry {
        self.manifest.entry(number).expect("a manifest was refused that lacks a number")
    }

    /// A service has failed that programs need.
    pub(crate) fn lacks_a_service(&self) -> bool {
        let failed = |entry: &Entry| self.services[usize::from(entry.number)].record.state == State::Failed;
        self.manifest.services.iter().any(|entry| entry.needed && failed(entry))
    }
}

fn is_resident(info: &boot::Info, number: u8) -> bool {
    info.resident >> number & 1 == 1
}
