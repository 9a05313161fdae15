//! What init answers: its interface, and faults.

use alloc::vec::Vec;

use parley_abi::info::{ProcessInfo, ServiceInfo};
use parley_abi::msg::{Token, Words, label};
use parley_abi::slot::{self, service};
use parley_abi::{Errno, PATH_MAX, boot};
use parley_manifest::Manifest;
use parley_proto::init as rows;
use parley_proto::{CONTROL, Cx, Host, In, Out, OutOf, Outcome, ROOT, Text, calltable};
use parley_rt::sys;

use crate::archive::Archive;
use crate::console;
use crate::loader::Process;
use crate::manifest;
use crate::prepare::Preparing;
use crate::programs::path;
use crate::services::{Service, numbers};
use crate::shared::Shared;
use crate::stack::{ARGUMENTS, Facts};
use crate::table::{self, INIT, Role, Table, Waited};
use crate::terminal::TYPED_BIT;

/// The first process.
pub struct Init {
    pub(crate) info: &'static boot::Info,
    pub(crate) archive: Archive<'static>,
    /// The programs of services in it, by number: looking for one takes long.
    pub(crate) files: [Option<&'static [u8]>; service::COUNT],
    pub(crate) manifest: &'static Manifest,
    /// The call table that all processes share.
    pub(crate) call_table: u32,
    pub(crate) services: [Service; service::COUNT],
    pub(crate) table: Table<Process>,
    /// What every program has mapped beside its own (`libipc/posix/shim`).
    pub(crate) shim: Option<Shared>,
    /// The machine runs for the one program that the command line names, not for a shell.
    pub(crate) exec: bool,
    /// When the shell was started, in nanoseconds since boot.
    pub(crate) shell_since: u64,
    /// Shells that have ended at once, in a row.
    pub(crate) useless_shells: u32,
    /// The program of the next swap.
    pub(crate) preparing: Option<Preparing>,
    /// Requests that wait until a swap is over.
    pub(crate) held: Vec<Token>,
    /// The text of `init::report`, on its way out.
    pub(crate) text: crate::report::Text,
}

impl Init {
    /// init before anything was started. Without a call table it shuts the machine down.
    pub fn new(info: &'static boot::Info, archive: Archive<'static>) -> Init {
        let call_table = match sys::table_create(slot::QUOTA, &calltable::TABLE) {
            Ok(table) => table,
            Err(errno) => console::shut_down(format_args!("cannot make the call table: {errno}")),
        };
        Init {
            info,
            manifest: manifest::of(&archive, crate::boot::has_heartbeats(info)),
            archive,
            files: Default::default(),
            call_table,
            services: Default::default(),
            table: Table::default(),
            shim: None,
            exec: false,
            shell_since: 0,
            useless_shells: 0,
            preparing: None,
            held: Vec::new(),
            text: Default::default(),
        }
    }

    /// What the auxiliary vector of process `pid` tells. The random bytes differ from process to process
    /// and from boot to boot, but are no secret: there is no source of entropy this early.
    pub(crate) fn facts(&self, pid: u32) -> Facts {
        let seed = u128::from(sys::clock()) << 64 | u128::from(pid);
        let mixed = (seed ^ seed >> 67).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Facts {
            tsc_hz: self.info.tsc_hz,
            tsc_start: self.info.tsc_start,
            archive_len: None,
            state_pages: 0,
            pm_timer: None,
            random: mixed.to_le_bytes(),
        }
    }
}

impl parley_proto::Service for Init {
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        match label {
            label::FAULT => self.fault(cx, words),
            _ => rows::dispatch(self, cx, label, words),
        }
    }

    /// Connections for faults have the process id as their badge (see `equip`).
    fn closed(&mut self, host: &mut dyn Host, badge: u64) {
        if badge & ROOT == 0 {
            self.vanished(host, badge as u32);
        }
    }

    fn notified(&mut self, host: &mut dyn Host, bits: u64) {
        if bits & TYPED_BIT != 0 {
            self.interrupted(host);
        }
        for number in numbers() {
            if bits >> number & 1 == 1 {
                self.instance_ready(host, number);
            }
            if bits >> (32 + number) & 1 == 1 {
                self.heard(host, number);
            }
        }
        self.set_alarm(host);
    }

    fn alarm(&mut self, host: &mut dyn Host) {
        self.beat(host); // first: who hangs on trial is not taken for proven
        self.end_trials(host);
        self.prepare(host);
        self.tend_drivers();
        self.set_alarm(host);
    }

    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        if self.table.cancel(token) {
            host.reply(token, Errno::EINTR.negated());
        }
    }
}

impl rows::Init for Init {
    /// A service that dies while it is asked for the program's file interrupts init. Then the request is put back:
    /// the news of the death come first, and then it is tried again.
    fn spawn(&mut self, cx: &mut Cx<'_>, path: Text, args: In) -> Outcome<'_> {
        if self.is_unsettled() && self.held.try_reserve(1).is_ok() {
            self.held.push(cx.token);
            return Outcome::Later;
        }
        let result = self.try_spawn(cx, path, args);
        self.or_again(cx, result.map(Outcome::Done))
    }

    fn wait(&mut self, cx: &mut Cx<'_>, pid: u32) -> Outcome<'_> {
        let parent = caller(cx).unwrap_or_default();
        match self.table.wait(parent, pid, cx.token) {
            Ok(Waited::Status(status)) => Outcome::Done(i64::from(status)),
            Ok(Waited::Later) => Outcome::Later,
            Err(errno) => Outcome::from(errno),
        }
    }

    fn exit(&mut self, cx: &mut Cx<'_>, status: i32) -> Outcome<'_> {
        self.exit_group(cx, status)
    }

    fn exit_group(&mut self, cx: &mut Cx<'_>, status: i32) -> Outcome<'_> {
        if let Ok(pid) = caller(cx) {
            self.ended(cx.host, pid, status & 0xff);
        }
        Outcome::Later
    }

    fn process(&mut self, cx: &mut Cx<'_>, after: u32, info: OutOf<ProcessInfo>) -> Outcome<'_> {
        Outcome::from(self.describe_next(after).and_then(|found| {
            info.write(cx, &found)?;
            Ok(i64::from(found.pid))
        }))
    }

    fn service(&mut self, cx: &mut Cx<'_>, index: u32, info: OutOf<ServiceInfo>) -> Outcome<'_> {
        let found = self.describe_service(index as usize, may_control(cx));
        Outcome::from(found.and_then(|found| info.write(cx, &found).map(|()| 0)))
    }

    fn control(&mut self, cx: &mut Cx<'_>, service: u32, verb: u32) -> Outcome<'_> {
        if !may_control(cx) {
            return Outcome::from(Errno::EPERM);
        }
        Init::control(self, cx, service, verb).unwrap_or_else(Outcome::from)
    }

    fn report(&mut self, _: &mut Cx<'_>, service: u32, topic: u32, _: Out) -> Outcome<'_> {
        match self.write_report(service, topic) {
            Ok(()) => Outcome::Data(self.text.as_str().as_bytes()),
            Err(errno) => Outcome::from(errno),
        }
    }

    fn swap(&mut self, cx: &mut Cx<'_>, service: u32, path: Text) -> Outcome<'_> {
        if !may_control(cx) {
            return Outcome::from(Errno::EPERM);
        }
        let result = Init::swap(self, cx, service, path);
        self.or_again(cx, result.map(|()| Outcome::Later))
    }

    fn shutdown(&mut self, _: &mut Cx<'_>, how: u32) -> Outcome<'_> {
        match u64::from(how) {
            how @ (sys::POWER_OFF | sys::RESET) => console::power(how),
            _ => Outcome::from(Errno::EINVAL),
        }
    }
}

impl Init {
    /// What a request has come to, or that it is done again, if a service died that it needed.
    fn or_again(&self, cx: &Cx<'_>, result: Result<Outcome<'static>, Errno>) -> Outcome<'static> {
        match result {
            // ETIMEDOUT: it hangs, which the heartbeats will find out.
            Err(Errno::ESTALE | Errno::ETIMEDOUT)
                if !self.lacks_a_service() && sys::put_back(slot::ENDPOINT, cx.token).is_ok() =>
            {
                Outcome::Later
            }
            result => result.unwrap_or_else(Outcome::from),
        }
    }

    fn try_spawn(&mut self, cx: &mut Cx<'_>, name: Text, args: In) -> Result<i64, Errno> {
        let parent = caller(cx)?;
        let mut buffer = [0; PATH_MAX];
        let name = path(cx, name, &mut buffer)?;
        let args = arguments(cx, args)?;
        self.start_program(name, &args, parent, Role::Program).map(i64::from)
    }

    /// The running process with the lowest id above `after`. ESRCH: there is none.
    fn describe_next(&self, after: u32) -> Result<ProcessInfo, Errno> {
        if after < INIT {
            let space = sys::handle_info(slot::SPACE).map_or(0, |info| info.2);
            return Ok(ProcessInfo { pid: INIT, parent: 0, space, pad: 0, name: table::name(b"init") });
        }
        let entry = self.table.next(after).ok_or(Errno::ESRCH)?;
        Ok(ProcessInfo { pid: entry.pid, parent: entry.parent, space: entry.space, pad: 0, name: entry.name })
    }
}

/// The caller has the right to control services.
fn may_control(cx: &Cx<'_>) -> bool {
    cx.badge & ROOT != 0 && cx.badge & CONTROL != 0
}

/// The calling process's id. EPERM: it is none that init connected.
fn caller(cx: &Cx<'_>) -> Result<u32, Errno> {
    cx.root_pid().map(|pid| pid & !(CONTROL as u32)).ok_or(Errno::EPERM)
}

/// Copies an argument block out of a request. E2BIG: longer than [`ARGUMENTS`]. EFAULT: not mapped.
fn arguments(cx: &mut Cx<'_>, args: In) -> Result<Vec<u8>, Errno> {
    if args.len > ARGUMENTS as u64 {
        return Err(Errno::E2BIG);
    }
    let length = args.len as usize;
    let mut block = Vec::new();
    block.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    block.resize(length, 0);
    let mut done = 0;
    while done < length {
        match args.read(cx, done as u64, &mut block[done..])? {
            0 => return Err(Errno::EFAULT),
            copied => done += copied,
        }
    }
    Ok(block)
}
