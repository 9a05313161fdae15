//! Starting the services, and knowing how they are.
//!
//! A service is its endpoint: resident in ring 0 the core made it, otherwise init makes it and gives the
//! receive right to the process that it starts. Connections are minted from it either way, so that a
//! program cannot tell. init keeps the endpoint when an instance ends: requests wait there for the next one.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use parley_abi::call::Rights;
use parley_abi::info::{ServiceInfo, kept, reason, verb};
use parley_abi::msg::Token;
use parley_abi::news::{HANG_BIT, STALL_BIT, gone_bit};
use parley_abi::slot::{self, service};
use parley_abi::{Errno, PAGE, boot};
use parley_proto::{CONTROL, Cx, Host, Outcome, root_badge};
use parley_rt::durable::Usage;
use parley_rt::sys;

use crate::console::Level::{self, Error, Warn};
use crate::console::{self, log_line};
use crate::handle::{Handle, Quota};
use crate::history::History;
use crate::loader::Process;
use crate::log;
use crate::manifest::{BASE_PAGES, Entry, From, Start, Then};
use crate::report::Text;
use crate::server::Init;
use crate::shared::Shared;
use crate::supervise::{Reason, Record, Sequel, State};
use crate::swap::{Saved, Trial};
use crate::table::{self, INIT, Role};
use crate::undertaker;
use crate::watch::Watch;

/// Exit status of an instance that `init::control` killed.
const KILLED: i32 = crate::supervise::KILLED.cast_signed();

/// One service, by its number. What is here outlives its instances.
#[derive(Debug, Default)]
pub struct Service {
    /// Connections are minted from it. `None`: calls of the service fail.
    pub(crate) endpoint: Option<Handle>,
    /// Its interrupts.
    #[expect(dead_code, reason = "dropping them would unbind the interrupts")]
    interrupts: Vec<Handle>,
    /// Memory that each instance finds as the one before left it.
    pub(crate) state: Option<Handle>,
    /// What of the state was copied before the last swap, should the former program not be able to use the present one.
    pub(crate) fallback: Saved,
    /// Pays for the endpoint and the state.
    #[expect(dead_code, reason = "dropping it would destroy both")]
    base: Option<Quota>,
    /// Where each instance says how much it has done.
    vitals: Option<Handle>,
    pub(crate) resident: bool,
    /// What instances are made of; `None`: the file in the boot archive.
    pub(crate) program: Option<Vec<u8>>,
    /// What instances of the program have in common, once there was one.
    pub(crate) shared: Option<Shared>,
    /// It has not been that for long.
    pub(crate) trial: Option<Trial>,
    pub(crate) record: Record,
    /// The instance has said that it is ready.
    pub(crate) ready: bool,
    pub(crate) watch: Watch,
    pub(crate) history: History,
    /// Who waits for the driver to be loaded.
    pub(crate) loading: Option<Token>,
}

/// An instance of a service that is not started yet.
#[derive(Debug)]
pub struct Standby {
    /// Its process id.
    pid: u32,
    process: Process,
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
        let vitals = Some(Handle::new(sys::mem_create(base.handle().slot(), 1)?));
        let state = match entry.state {
            0 => None,
            pages => Some(Handle::new(sys::mem_create(base.handle().slot(), pages)?)),
        };
        Ok(Service { endpoint: Some(endpoint), interrupts, vitals, state, base: Some(base), ..Service::default() })
    }

    /// What `init::service` tells, as far as it is known here.
    fn info(&self, number: usize) -> ServiceInfo {
        let Record { state, pid, generation, since, reason, restarts, .. } = self.record;
        let mut served = [0; 8];
        if let Some(vitals) = &self.vitals {
            // The page is there, and stays zero until the first heartbeat.
            let _ = sys::mem_read(vitals.slot(), 0, &mut served);
        }
        let endpoint = self.endpoint.as_ref().and_then(|endpoint| sys::handle_info(endpoint.slot()).ok());
        let mut info = ServiceInfo {
            resident: u32::from(self.resident),
            pid,
            state: state as u32,
            generation,
            since,
            reason,
            restarts,
            endpoint: endpoint.map_or(u32::MAX, |info| info.2),
            served: u64::from_le_bytes(served),
            ready: u32::from(self.ready),
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
            self.files[number] = self.archive.find(&entry.program);
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
            if !self.services[number].resident && entry.start == Start::Boot {
                self.start_instance(entry);
            }
        }
    }

    /// Starts the thread that takes dead services apart, if there is one that could die.
    pub fn start_undertaker(&self) {
        if self.services.iter().any(|service| !service.resident) {
            undertaker::start();
        }
    }

    /// What `init::service` tells.
    pub(crate) fn describe_service(&self, index: usize, may_control: bool) -> Result<ServiceInfo, Errno> {
        let service = self.services.get(index).ok_or(Errno::ENOENT)?;
        let mut info = service.info(index);
        let (pages, granted) = self.pages(service.record.pid).unwrap_or_default();
        (info.pages, info.pages_granted) = (pages, granted);
        info.may_control = u32::from(may_control);
        let entry = self.entry(index as u8);
        info.loadable = u32::from(entry.start == Start::Load);
        info.space = self.table.get(service.record.pid).map_or(u32::MAX, |process| process.space);
        info.checksum = self.program(entry).map_or(0, parley_manifest::checksum);
        info.kept = self.kept(index as u8);
        self.describe_state(entry, &mut info);
        Ok(info)
    }

    /// What the state of a service takes.
    fn describe_state(&self, entry: &Entry, info: &mut ServiceInfo) {
        let Some(state) = &self.service(entry.number).state else { return };
        let length = entry.state as usize * PAGE;
        let usage = Usage::of(length, |at, bytes| sys::mem_read(state.slot(), at as u64, bytes)).unwrap_or_default();
        info.state_granted = length as u32;
        info.state_records = usage.records as u32;
        info.state_contents = usage.contents as u32;
        info.state_log = usage.log as u32;
    }

    /// What is kept of a service and will be given back: bits of [`kept`].
    fn kept(&self, number: u8) -> u32 {
        let service = self.service(number);
        let former = service.trial.is_some() || !service.fallback.is_empty();
        let next = self.preparing.as_ref().is_some_and(|preparing| preparing.number == number);
        let bits = [(former, kept::FORMER), (next, kept::NEXT), (undertaker::is_busy(), kept::DEAD)];
        bits.iter().filter(|(is_kept, _)| *is_kept).map(|(_, bit)| bit).sum()
    }

    /// The program that instances of a service are made of.
    fn program(&self, entry: &Entry) -> Option<&[u8]> {
        match &self.service(entry.number).program {
            Some(program) => Some(program),
            None => self.files[usize::from(entry.number)],
        }
    }

    /// A service, by its number.
    pub(crate) fn service(&self, number: u8) -> &Service {
        &self.services[usize::from(number)]
    }

    /// A service, to be changed.
    pub(crate) fn service_mut(&mut self, number: u8) -> &mut Service {
        &mut self.services[usize::from(number)]
    }

    /// Says something about a service: in the kernel log, and for `svc log`.
    pub(crate) fn tell(&mut self, level: Level, number: u8, what: fmt::Arguments<'_>) {
        log_line(level, format_args!("service {}: {what}", service::NAMES[usize::from(number)]));
        self.note(number, what);
    }

    /// Notes something about a service for `svc log`.
    pub(crate) fn note(&mut self, number: u8, what: fmt::Arguments<'_>) {
        self.service_mut(number).history.add(sys::clock(), what);
    }

    /// Starts an instance of a service; one that cannot be started is given up.
    pub(crate) fn start_instance(&mut self, entry: &'static Entry) {
        if let Err(errno) = self.try_start_instance(entry) {
            log!(Error, "service {}: cannot start {}: {errno}", entry.name, entry.program);
            self.give_up(entry.number);
        }
    }

    pub(crate) fn try_start_instance(&mut self, entry: &'static Entry) -> Result<(), Errno> {
        self.read_program(entry)?;
        let pid = self.table.reserve()?;
        let program = self.program(entry).ok_or(Errno::ENOENT)?;
        let shared = self.service(entry.number).shared.as_ref().ok_or(Errno::ENOENT)?;
        let process = self.make_instance(entry, pid, program, shared)?;
        self.begin_instance(entry, Standby { pid, process })
    }

    /// Makes an instance of a program for service `number` that only has to be started. Errors: see [`Process::of_image`].
    pub(crate) fn stand_by(&mut self, number: u8, program: &[u8], shared: &Shared) -> Result<Standby, Errno> {
        let pid = self.table.reserve()?;
        let process = self.make_instance(self.entry(number), pid, program, shared)?;
        Ok(Standby { pid, process })
    }

    /// Makes an instance with all that an instance may have while another serves.
    fn make_instance(
        &self,
        entry: &'static Entry,
        pid: u32,
        mut program: &[u8],
        shared: &Shared,
    ) -> Result<Process, Errno> {
        let mut facts = self.facts(pid);
        facts.state_pages = if self.services[usize::from(entry.number)].state.is_some() { entry.state } else { 0 };
        facts.pm_timer = entry.pm_timer.then_some(self.info.pm_timer);
        facts.archive_len = entry.archive.then_some(self.info.archive_len);
        let mut args = [0; 16];
        args[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        let args = &args[..entry.name.len() + 1];
        let (image, wants) = (&shared.image, (entry.pages, entry.priority));
        let process = Process::of_image(&mut program, image, &shared.parts, args, &facts, wants)?;
        let init = Rights::CALL.union(Rights::NOTIFY); // it says when it is ready
        self.equip(&process, pid, INIT, (init, false), self.callable(entry))?;
        sys::space_name(process.space.slot(), entry.name.as_bytes())?;
        Ok(process)
    }

    /// The instance takes over from the one before, which is gone.
    pub(crate) fn begin_instance(&mut self, entry: &'static Entry, instance: Standby) -> Result<(), Errno> {
        let Standby { pid, process } = instance;
        self.table.make_room()?;
        self.entrust(entry, &process.space)?;
        process.start()?;
        let space = process.space_number();
        self.table.insert(pid, INIT, Role::Service(entry.number), table::name(entry.name.as_bytes()), space, process);
        let now = sys::clock();
        let service = self.service_mut(entry.number);
        service.record.started(pid, now);
        (service.ready, service.watch) = (false, Watch::started(now));
        let generation = service.record.generation;
        self.note(entry.number, format_args!("instance {generation} started as process {pid}"));
        Ok(())
    }

    /// Sees to it that what instances of the program have in common is in memory. ENOENT: there is no program. Other errors:
    /// see [`Shared::of`].
    fn read_program(&mut self, entry: &Entry) -> Result<(), Errno> {
        if self.service(entry.number).shared.is_none() {
            let shared = Shared::of(self.program(entry).ok_or(Errno::ENOENT)?)?;
            self.service_mut(entry.number).shared = Some(shared);
        }
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
        if let Some(vitals) = &service.vitals {
            let mut words = [0; 24];
            words[16] = service.record.wanted.into();
            sys::mem_write(vitals.slot(), 0, &words)?;
            vitals.grant(space, slot::VITALS, Rights::READ.union(Rights::WRITE))?;
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
        if entry.pm_timer && self.info.pm_timer != 0 {
            sys::port_grant(space.slot(), self.info.pm_timer as u16, 4)?;
        }
        Ok(())
    }

    /// Gives a process what every process has: the call table, a place for its faults, connections to
    /// init, with these rights and perhaps the one to control, and to these services. Services that do not run are left out: calls give EBADF.
    pub(crate) fn equip(
        &self,
        process: &Process,
        pid: u32,
        parent: u32,
        (init, may_control): (Rights, bool),
        services: impl Iterator<Item = u8>,
    ) -> Result<(), Errno> {
        let badge = root_badge(pid, parent);
        let space = &process.space;
        sys::space_table(space.slot(), self.call_table)?;
        let control = if may_control { CONTROL } else { 0 };
        Handle::new(sys::mint(slot::ENDPOINT, badge | control, init)?).grant(space, slot::INIT, init)?;
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

    /// The services that programs may call: drivers are reached through the vfs.
    pub(crate) fn open_to_programs(&self) -> impl Iterator<Item = u8> {
        self.manifest.services.iter().filter(|entry| entry.start == Start::Boot).map(|entry| entry.number)
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
        let why = if status.cast_unsigned() == reason::HUNG { Errno::ETIMEDOUT } else { Errno::EIO };
        self.instance_is_gone(number, status);
        let status = self.last_words(number).unwrap_or(status);
        if self.service(number).trial.is_some() {
            self.services[usize::from(number)].record.ended(status);
            self.roll_back(host, number, why);
            return;
        }
        if let Some(token) = self.service_mut(number).loading.take() {
            self.tell(Warn, number, format_args!("not loaded: it died before it was ready: {}", Reason(status)));
            self.services[usize::from(number)].record.ended(status);
            self.forget_state(number);
            self.answer_for(number);
            host.reply(token, why.negated());
            return;
        }
        let was_ready = self.service(number).ready;
        let is_hopeless = self.service_mut(number).record.is_hopeless(was_ready);
        let fallback =
            if was_ready { Saved::default() } else { core::mem::take(&mut self.service_mut(number).fallback) };
        if !fallback.is_empty() {
            self.put_state_back(number, &fallback);
            self.service_mut(number).record.unready = 0;
            self.tell(Error, number, format_args!("cannot use its state; that of before the swap takes its place"));
        } else if is_hopeless {
            self.tell(Error, number, format_args!("dies before it is ready; its state is dropped"));
            self.forget_state(number);
        }
        let record = &mut self.services[usize::from(number)].record;
        let before = record.deaths[0];
        let sequel = record.died(status, sys::clock(), &entry.restart);
        if before != 0 && record.deaths[0] - before <= entry.restart.within {
            self.service_mut(number).shared = None; // perhaps it is damaged
        }
        match sequel {
            Sequel::Restart => {
                let from = match entry.restart.from {
                    From::State => "starting it again from its state",
                    From::Fresh => "starting it afresh",
                };
                self.tell(Warn, number, format_args!("died: {}; {from}", Reason(status)));
                self.start_instance(entry);
            }
            Sequel::GiveUp => {
                let (deaths, seconds) = (entry.restart.deaths, entry.restart.within / 1_000_000_000);
                self.tell(
                    Error,
                    number,
                    format_args!("died: {}; {deaths} deaths in {seconds} s; giving it up", Reason(status)),
                );
                self.give_up(number);
                if entry.restart.then == Then::Halt {
                    console::shut_down(format_args!("service {} has failed, and its policy is to halt", entry.name));
                }
            }
        }
    }

    /// Why the last instance ended, if it could tell: one of [`reason`].
    fn last_words(&self, number: u8) -> Option<i32> {
        let mut said = [0; 8];
        sys::mem_read(self.service(number).vitals.as_ref()?.slot(), 8, &mut said).ok()?;
        let told = u64::from_le_bytes(said);
        [reason::PANICKED, reason::VIOLATION].into_iter().find(|&known| told == known.into()).map(u32::cast_signed)
    }

    /// Notes what an instance died of, unless the report of a fault says more.
    fn instance_is_gone(&mut self, number: u8, status: i32) {
        let mut text = Text::default();
        let service = self.service_mut(number);
        if (256..1024).contains(&status) && !service.history.death.as_str().is_empty() {
            return;
        }
        // `Text` cannot fail: what does not fit is left out.
        let _ = writeln!(text, "{}", Reason(status));
        service.history.death = text;
    }

    /// The next instance of a service starts afresh.
    pub(crate) fn forget_state(&self, number: u8) {
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
        let ended = self.table.end(pid, status).map(|ended| undertaker::bury(ended.handles));
        if ended.is_some() {
            let service = self.service_mut(number);
            service.record.ended(status);
            (service.ready, service.watch) = (false, Watch::default());
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

    /// What `init::control` does; the answer to START may come later.
    pub(crate) fn control(&mut self, cx: &mut Cx<'_>, number: u32, verb: u32) -> Result<Outcome<'static>, Errno> {
        let number = self.changeable(number)?;
        let (service, entry) = (&self.services[usize::from(number)], self.entry(number));
        let pid = service.record.pid;
        if self.is_swapping() {
            return Err(Errno::EBUSY);
        }
        match verb {
            verb::KILL if pid == 0 => return Err(Errno::ESRCH),
            verb::KILL => {
                self.end_instance(number, KILLED);
                self.instance_is_gone(number, KILLED);
                self.note(number, format_args!("killed on request"));
                self.start_instance(entry);
            }
            verb::HANG | verb::STALL if pid == 0 => return Err(Errno::ESRCH),
            verb::HANG | verb::STALL if entry.heartbeat == 0 => return Err(Errno::EINVAL),
            verb::HANG | verb::STALL => {
                self.note(number, format_args!("made to hang on request"));
                let endpoint = self.service(number).endpoint.as_ref().ok_or(Errno::ESTALE)?;
                sys::notify(endpoint.slot(), if verb == verb::HANG { HANG_BIT } else { STALL_BIT })?;
            }
            verb::UNLOAD | verb::FORCE => return self.unload(entry, verb == verb::FORCE),
            verb::STOP if entry.start == Start::Load => return self.unload(entry, false),
            verb::START if entry.start == Start::Load => return self.load(cx.token, entry),
            verb::RESTART if entry.start == Start::Load && pid == 0 => return Err(Errno::ESRCH),
            verb::STOP if entry.needed => return Err(Errno::EBUSY),
            verb::STOP if !self.end_instance(number, 0) => return Err(Errno::ESRCH),
            verb::STOP => self.note(number, format_args!("stopped on request")),
            verb::START if pid != 0 => return Err(Errno::EBUSY),
            verb::START | verb::RESTART => {
                self.end_instance(number, 0);
                if self.service(number).endpoint.is_none() {
                    let Service { record, history, .. } = core::mem::take(self.service_mut(number));
                    *self.service_mut(number) = Service { record, history, ..Service::new(entry)? };
                }
                self.note(number, format_args!("started on request"));
                self.start_instance(entry);
            }
            _ => return Err(Errno::EINVAL),
        }
        self.set_alarm(cx.host);
        Ok(Outcome::Done(0))
    }

    /// Notes and says that a service has failed. The machine goes on, unless it runs for one program
    /// that needs it. Calls fail: with ESTALE, for its endpoint is gone; that of a driver stays, and init answers ENXIO.
    pub(crate) fn give_up(&mut self, number: u8) {
        self.tell(Error, number, format_args!("failed"));
        self.tell_dependents(number, gone_bit(number));
        if self.entry(number).start == Start::Load {
            let service = self.service_mut(number);
            (service.record.state, service.record.pid) = (State::Failed, 0);
            self.answer_for(number);
            return;
        }
        let Service { record, history, .. } = core::mem::take(self.service_mut(number));
        let record = Record { state: State::Failed, pid: 0, ..record };
        *self.service_mut(number) = Service { record, history, ..Service::default() };
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
