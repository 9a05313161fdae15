//! Programs: started by path, taken down when they end or fault.

use alloc::vec::Vec;
use core::ffi::CStr;

use parley_abi::call::Rights;
use parley_abi::msg::{Token, Words};
use parley_abi::slot;
use parley_abi::{Errno, PATH_MAX};
use parley_proto::{Cx, Host, Outcome, calltable};
use parley_rt::sys;

use crate::boot;
use crate::calls;
use crate::cmdline;
use crate::console;
use crate::file::File;
use crate::loader::Process;
use crate::log;
use crate::manifest::{PERSON_SYSTEM, PROGRAM_SYSTEM};
use crate::report::Fault;
use crate::server::Init;
use crate::shared::Shared;
use crate::table::{self, Ended, INIT, Role};
use crate::undertaker;

/// In the boot archive.
const SHIM: &str = "lib/shim";
/// The shell.
const SHELL: &CStr = c"/bin/sh";
/// Its argument block.
const SHELL_ARGS: &[u8] = b"/bin/sh\0";
/// A shell that lives less long, in nanoseconds, was of no use.
const USEFUL: u64 = 1_000_000_000;
/// So many useless shells in a row, and init gives up.
const USELESS: u32 = 5;
/// What the exit record says of a program that an exception killed; a shell would say it of SIGSEGV.
const KILLED: i32 = 139;
/// Exit status of a process that ended without saying how.
const VANISHED: i32 = 255;

impl Init {
    /// Opens the console.
    pub fn open_console(&mut self) {
        console::open_descriptors();
    }

    /// Starts the program that `block` names, if the command line has one, otherwise the shell.
    pub fn start_first(&mut self, block: Option<Vec<u8>>) {
        let Some(block) = block else { return self.start_shell() };
        if self.lacks_a_service() {
            console::finish(1);
        }
        self.exec = true;
        if let Err(errno) = calls::patiently(|| self.start_named(&block)) {
            log!(
                Error,
                "cannot start {}: {errno}",
                block.split(|&byte| byte == 0).next().unwrap_or_default().escape_ascii()
            );
            // As a shell says it of a command that it does not find, or cannot run.
            console::finish(if errno == Errno::ENOENT { 127 } else { 126 });
        }
    }

    /// Reads the shim, which programs cannot do without.
    pub fn read_shim(&mut self) {
        match self.archive.find(SHIM).ok_or(Errno::ENOENT).and_then(Shared::of) {
            Ok(shim) if shim.is_whole() && shim.image.entry == u64::from(calltable::SHIM) => self.shim = Some(shim),
            Ok(_) => console::shut_down(format_args!("{SHIM} is no shim")),
            Err(errno) => console::shut_down(format_args!("cannot read {SHIM}: {errno}")),
        }
    }

    fn start_named(&mut self, block: &[u8]) -> Result<u32, Errno> {
        let path = cmdline::path(block)?;
        let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::ENOENT)?;
        self.start_program(path, block, INIT, Role::First)
    }

    fn start_shell(&mut self) {
        self.shell_since = sys::clock();
        if let Err(errno) = calls::patiently(|| self.start_program(SHELL, SHELL_ARGS, INIT, Role::First)) {
            console::shut_down(format_args!("cannot start /bin/sh: {errno}"));
        }
    }

    /// Starts a program of the VFS. Returns its process id. Errors: those of `spawn`.
    pub(crate) fn start_program(&mut self, path: &CStr, args: &[u8], parent: u32, role: Role) -> Result<u32, Errno> {
        let mut file = File::open(path)?;
        let pid = self.table.reserve()?;
        let programs = &self.manifest.programs;
        let process = Process::load(&mut file, args, &self.facts(pid), programs.pages, programs.priority)?;
        if let Some(shim) = &self.shim {
            shim.map(&process.space)?;
        }
        self.equip(&process, pid, parent, (Rights::CALL, parent == INIT), self.open_to_programs())?;
        let system = match parent {
            INIT if boot::grants_hardware(self.info) => PERSON_SYSTEM | Rights::EXECUTE,
            INIT => PERSON_SYSTEM,
            _ => PROGRAM_SYSTEM,
        };
        sys::handle_grant(process.space.slot(), slot::SYSTEM, slot::SYSTEM, system)?;
        sys::space_name(process.space.slot(), table::text(&table::name(path.to_bytes())).as_bytes())?;
        for fd in 0..3 {
            sys::handle_grant(process.space.slot(), fd, fd, Rights::CALL)?;
        }
        process.start()?;
        let space = process.space_number();
        self.table.insert(pid, parent, role, table::name(path.to_bytes()), space, process);
        Ok(pid)
    }

    /// Process `pid` has ended.
    pub(crate) fn ended(&mut self, host: &mut dyn Host, pid: u32, status: i32) {
        if let Some((role, answers)) = self.take_down(pid, status) {
            self.conclude(host, role, answers, status);
        }
    }

    /// A process has done what it may not: says so, and takes it down. The request is never answered.
    pub(crate) fn fault(&mut self, cx: &mut Cx<'_>, words: &Words) -> Outcome<'static> {
        let Some(entry) = self.table.get(cx.badge as u32) else { return Outcome::Later };
        let (pid, fault) = (entry.pid, Fault::from(words));
        let text = fault.describe(table::text(&entry.name), pid, |at| frame(cx.host, cx.token, at));
        // There is nobody else to tell.
        let _ = sys::log(text.as_str());
        if let Role::Service(number) = entry.role {
            self.service_mut(number).history.death = text.clone();
        }
        if let Some((role, answers)) = self.take_down(pid, fault.status()) {
            // The console's driver must run again before anybody writes to the console.
            if let Role::Service(_) = role {
                self.conclude(cx.host, role, answers, fault.status());
                self.tell_console(text.as_str());
            } else {
                self.tell_console(text.as_str());
                self.conclude(cx.host, role, answers, fault.status());
            }
        }
        Outcome::Later
    }

    /// The last thread of a process is gone, and it did not say how it ended.
    pub(crate) fn vanished(&mut self, host: &mut dyn Host, pid: u32) {
        if let Some(entry) = self.table.running(pid) {
            log!(Warn, "{} (pid {pid}) ended its last thread without an exit status", table::text(&entry.name));
            self.ended(host, pid, VANISHED);
        }
    }

    /// Destroys what a process had; says what it was for and who waits for it.
    fn take_down(&mut self, pid: u32, status: i32) -> Option<(Role, Vec<(Token, i64)>)> {
        let Ended { handles, role, answers } = self.table.end(pid, status)?;
        match role {
            Role::Service(_) => undertaker::bury(handles),
            Role::Program | Role::First => drop(handles),
        }
        Some((role, answers))
    }

    /// What follows from the end of a process: waiters hear of it, and the machine goes on without it.
    fn conclude(&mut self, host: &mut dyn Host, role: Role, answers: Vec<(Token, i64)>, status: i32) {
        for (token, answer) in answers {
            host.reply(token, answer);
        }
        match role {
            Role::Program => {}
            Role::Service(number) => self.instance_died(host, number, status),
            Role::First if self.exec => console::finish(if status > 255 { KILLED } else { status }),
            Role::First => self.restart_shell(status),
        }
    }

    fn restart_shell(&mut self, status: i32) {
        let useless = sys::clock().saturating_sub(self.shell_since) < USEFUL;
        self.useless_shells = if useless { self.useless_shells + 1 } else { 0 };
        if self.useless_shells == USELESS {
            console::shut_down(format_args!("/bin/sh ended at once {USELESS} times in a row"));
        }
        log!(Warn, "/bin/sh ended with status {status}; starting it again");
        self.tell_console("init: the shell has ended; starting it again\n");
        self.start_shell();
    }

    /// Repeats on the console what the kernel log says, unless that is where the log goes, or its driver is being swapped.
    fn tell_console(&self, text: &str) {
        if !boot::log_is_on_console(self.info) && !self.is_unsettled() {
            console::print(text);
        }
    }
}

/// The two words of a stack frame of the process whose request is `token`.
fn frame(host: &mut dyn Host, token: Token, at: u64) -> Option<[u8; 16]> {
    let mut words = [0; 16];
    let copied = host.copy_in(token, 0, at, &mut words);
    (copied == Ok(words.len())).then_some(words)
}

/// Copies a path out of a request. ENAMETOOLONG, EFAULT: see [`parley_proto::Text::read`].
pub(crate) fn path<'b>(
    cx: &mut Cx<'_>,
    path: parley_proto::Text,
    into: &'b mut [u8; PATH_MAX],
) -> Result<&'b CStr, Errno> {
    path.read(cx, into)?;
    CStr::from_bytes_until_nul(into).map_err(|_| Errno::ENAMETOOLONG)
}
