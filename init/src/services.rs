//! Starting the services, and knowing how they are.
//!
//! A service is its endpoint: resident in ring 0 the core made it, otherwise init makes it and gives the
//! receive right to the process that it starts. Connections are minted from it either way, so that a
//! program cannot tell.

use parley_abi::call::Rights;
use parley_abi::info::ServiceInfo;
use parley_abi::slot::{self, service};
use parley_abi::{Errno, boot};
use parley_proto::root_badge;
use parley_rt::sys;

use crate::console;
use crate::handle::Handle;
use crate::loader::Process;
use crate::log;
use crate::manifest::{Entry, SERVICES};
use crate::server::Init;
use crate::table::{self, INIT, Role};

/// One service, by its number.
#[derive(Debug, Default)]
pub struct Service {
    /// Connections are minted from it. `None`: the service does not run.
    endpoint: Option<Handle>,
    /// Its interrupt.
    #[expect(dead_code, reason = "dropping it would unbind the interrupt")]
    interrupt: Option<Handle>,
    resident: bool,
    pid: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Stopped = 0,
    Running = 1,
    Failed = 2,
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
            state: State::Running,
            ..Service::default()
        })
    }

    /// What `init::service` tells.
    pub fn info(&self, number: usize) -> ServiceInfo {
        let mut info = ServiceInfo {
            resident: u32::from(self.resident),
            pid: self.pid,
            state: self.state as u32,
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
        for entry in SERVICES {
            let number = usize::from(entry.number);
            let started = match is_resident(self.info, entry.number) {
                true => Service::resident(entry.number),
                false => self.start_service(entry),
            };
            match started {
                Ok(service) => self.services[number] = service,
                Err(errno) => {
                    log!(Error, "service {}: cannot start {}: {errno}", entry.name, entry.file);
                    self.service_failed(entry.number);
                }
            }
        }
    }

    /// Starts one service as a process.
    fn start_service(&mut self, entry: &Entry) -> Result<Service, Errno> {
        let mut program = self.archive.find(entry.file).ok_or(Errno::ENOENT)?;
        let pid = self.table.reserve()?;
        let mut facts = self.facts(pid);
        facts.archive_len = entry.archive.then_some(self.info.archive_len);
        let mut args = [0; 16];
        args[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        let process = Process::load(&mut program, &args[..entry.name.len() + 1], &facts, entry.pages, entry.priority)?;
        let endpoint = Handle::new(sys::endpoint_create(process.quota.handle().slot())?);
        let interrupt = self.entrust(entry, &process.space, &endpoint)?;
        self.equip(&process, pid, INIT, entry.calls.iter().copied())?;
        sys::space_name(process.space.slot(), entry.name.as_bytes())?;
        process.start()?;
        let space = process.space_number();
        self.table.insert(pid, INIT, Role::Service(entry.number), table::name(entry.name.as_bytes()), space, process);
        Ok(Service { endpoint: Some(endpoint), interrupt, resident: false, pid, state: State::Running })
    }

    /// Gives a service what its line of the manifest says; returns the interrupt's handle.
    fn entrust(&self, entry: &Entry, space: &Handle, endpoint: &Handle) -> Result<Option<Handle>, Errno> {
        let rights = Rights::RECEIVE.union(Rights::MINT).union(Rights::NOTIFY);
        endpoint.grant(space, slot::ENDPOINT, rights)?;
        sys::handle_grant(space.slot(), slot::SYSTEM, slot::SYSTEM, entry.system)?;
        if entry.archive {
            sys::handle_grant(space.slot(), slot::ARCHIVE, slot::ARCHIVE, Rights::READ)?;
        }
        if let Some(ports) = entry.ports {
            sys::port_grant(space.slot(), ports.first, ports.count)?;
        }
        let Some(interrupt) = entry.interrupt else { return Ok(None) };
        let irq = Handle::new(sys::irq_create(interrupt.gsi)?);
        sys::irq_bind(irq.slot(), endpoint.slot(), interrupt.bits)?;
        Ok(Some(irq))
    }

    /// Gives a process what every process has: the call table, a place for its faults, connections to
    /// init and to these services. Services that do not run are left out: calls give EBADF.
    pub(crate) fn equip(
        &self,
        process: &Process,
        pid: u32,
        parent: u32,
        services: impl Iterator<Item = u8>,
    ) -> Result<(), Errno> {
        let badge = root_badge(pid, parent);
        let space = &process.space;
        sys::space_table(space.slot(), self.call_table)?;
        Handle::mint(slot::ENDPOINT, badge)?.grant(space, slot::INIT, Rights::CALL)?;
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

    /// Notes and says that a service has failed. The machine goes on, unless it runs for one program
    /// that needs it.
    pub(crate) fn service_failed(&mut self, number: u8) {
        log!(Error, "service {} failed", service::NAMES[usize::from(number)]);
        self.services[usize::from(number)] = Service { state: State::Failed, ..Service::default() };
        if self.exec && self.lacks_a_service() {
            console::finish(1);
        }
    }

    /// A service has failed that programs need.
    pub(crate) fn lacks_a_service(&self) -> bool {
        let failed = |entry: &Entry| matches!(self.services[usize::from(entry.number)].state, State::Failed);
        SERVICES.iter().any(|entry| entry.needed && failed(entry))
    }
}

fn is_resident(info: &boot::Info, number: u8) -> bool {
    info.resident >> number & 1 == 1
}
