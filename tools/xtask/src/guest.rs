//! Running one program in a fresh machine: the core of exec, compare and the guest tests.
//!
//! A [`Rig`] is what the runs share (the built guest, Limine if it is there); a [`Job`] is one
//! run; an [`Outcome`] is all there is to know about it afterwards.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::boot::{Launch, Loader};
use crate::build::Guest;
use crate::cmdline::{LogPort, compose};
use crate::exit_record::ExitFilter;
use crate::kernel::Kernel;
use crate::limine::Limine;
use crate::log;
use crate::newlines::Newlines;
use crate::qemu::{Accel, Boot, Console, End, Machine, PROCESSOR, Running};
use crate::symbols::Symbols;
use crate::workspace::Workspace;

/// RAM of a machine unless told otherwise, in MiB. The system itself needs half of it.
pub const MEMORY: u32 = 64;

/// UEFI firmware wants more, whatever boots behind it.
const UEFI_MEMORY: u32 = 256;

/// What all runs share.
pub struct Rig {
    /// The tree and its target folder.
    pub workspace: Workspace,
    /// What was built from it.
    pub guest: Guest,
    /// The boot loader, where its files can be had.
    pub limine: Option<Limine>,
}

/// One run of one program.
#[derive(Clone)]
pub struct Job {
    /// On which kernel.
    pub kernel: Kernel,
    /// The program and its arguments; empty for the shell.
    pub program: Vec<String>,
    /// The boot archive.
    pub archive: Vec<u8>,
    /// Who starts the kernel.
    pub loader: Loader,
    /// What executes the instructions.
    pub accel: Accel,
    /// The processor, as QEMU's `-cpu` names it.
    pub processor: String,
    /// RAM in MiB.
    pub memory: u32,
    /// Count instructions.
    pub deterministic: bool,
    /// More words for the kernel, such as `short-cuts=off`.
    pub options: Vec<String>,
    /// When to give up.
    pub timeout: Duration,
}

/// What became of a run.
pub struct Outcome {
    /// How the machine ended.
    pub end: End,
    /// The program's exit status, if init reported one.
    pub status: Option<u8>,
    /// The program's output.
    pub stdout: Vec<u8>,
    /// The kernel's log.
    pub log: String,
}

impl Job {
    /// A run with the archive as built and everything else as usual.
    pub fn new(rig: &Rig, kernel: Kernel, program: &[&str]) -> Result<Job> {
        Ok(Job {
            kernel,
            program: program.iter().map(|&word| word.to_owned()).collect(),
            archive: rig.guest.archive().to_bytes()?,
            loader: Loader::Direct,
            accel: Accel::Tcg,
            processor: PROCESSOR.into(),
            memory: MEMORY,
            deterministic: false,
            options: Vec::new(),
            timeout: Duration::from_secs(60),
        })
    }
}

impl Rig {
    /// A folder for one run's files, gone when it is dropped.
    pub fn run_folder(&self) -> Result<TempDir> {
        let parent = self.workspace.folder("guest/runs")?;
        tempfile::Builder::new().prefix("run-").tempdir_in(parent).context("no folder for a run")
    }

    /// Boots, runs the program, passing its output on to `out` as it comes, and waits for the end.
    pub fn run(&self, job: &Job, out: &mut dyn Write) -> Result<Outcome> {
        let folder = self.run_folder()?;
        let machine = self.machine(job, folder.path())?;
        let mut running = Running::start(&machine, folder.path())?;
        self.attend(&mut running, folder.path(), job.timeout, out)
    }

    /// Waits for the end of a machine that [`Rig::machine`] described and that runs in `folder`.
    pub fn attend(
        &self,
        running: &mut Running,
        folder: &Path,
        limit: Duration,
        out: &mut dyn Write,
    ) -> Result<Outcome> {
        let mut tee = Tee { out, copy: Vec::new() };
        let (mut newlines, mut filter) = (Newlines::default(), ExitFilter::default());
        let mut console = Tail::new(folder.join("com1"));
        let end = running.wait(Some(limit), || {
            let fresh = newlines.undo(console.read()?);
            Ok(filter.write(&fresh, &mut tee)?)
        })?;
        filter.write(&newlines.finish(), &mut tee)?;
        let status = filter.finish(&mut tee)?;
        let log = read_log(&folder.join("com2"));
        Ok(Outcome { end, status, stdout: tee.copy, log })
    }

    /// What is shown when a run failed: how it ended, the console's last lines, the log.
    pub fn explain(&self, kernel: Kernel, outcome: &Outcome) -> String {
        let mut text = format!("{kernel}: {}", outcome.end.describe());
        if outcome.status.is_none() && outcome.end == End::Orderly {
            text.push_str(" before the program reported its exit status");
        }
        let mut symbols = Symbols::new(&self.guest, kernel);
        let console = String::from_utf8_lossy(&outcome.stdout);
        for (name, text_of) in [("console (COM1)", console.as_ref()), ("log (COM2)", &outcome.log)] {
            let shown = symbols.annotate(&log::excerpt(text_of));
            let body = if shown.is_empty() { "  (empty)\n" } else { &shown };
            text.push_str(&format!("\n{name}:\n{body}"));
        }
        text
    }

    /// The exit status of a run that went well; an error with the log otherwise.
    pub fn status(&self, kernel: Kernel, outcome: &Outcome) -> Result<u8> {
        match (&outcome.end, outcome.status) {
            (End::Orderly, Some(status)) => Ok(status),
            _ => bail!("{}", self.explain(kernel, outcome)),
        }
    }

    /// The machine that runs the job, with its files in `folder`.
    pub fn machine(&self, job: &Job, folder: &Path) -> Result<Machine> {
        let cmdline = compose(LogPort::Com2, "info", &job.options, &job.program);
        let launch = Launch { kernel: job.kernel, cmdline: &cmdline, archive: &job.archive };
        Ok(Machine {
            boot: self.prepare(&launch, job.loader, folder)?,
            accel: job.accel,
            processor: job.processor.clone(),
            memory: memory_for(job.loader, job.memory),
            deterministic: job.deterministic,
            console: Console::File(folder.join("com1")),
            log: Some(folder.join("com2")),
            gdb: None,
        })
    }

    /// What the machine boots, made in `folder`.
    pub fn prepare(&self, launch: &Launch, loader: Loader, folder: &Path) -> Result<Boot> {
        if loader == Loader::Direct {
            return launch.direct(&self.guest, folder);
        }
        let limine = self.limine.as_ref().context("Limine's files are not at hand")?;
        launch.limine(&self.guest, limine, folder, loader == Loader::LimineUefi)
    }
}

/// The RAM to give the machine, in MiB.
pub fn memory_for(loader: Loader, wanted: u32) -> u32 {
    if loader == Loader::LimineUefi { wanted.max(UEFI_MEMORY) } else { wanted }
}

/// The log's text, whatever bytes a broken guest wrote.
pub fn read_log(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\r', "")
}

/// Follows a file that QEMU writes.
struct Tail {
    path: PathBuf,
    file: Option<File>,
}

impl Tail {
    fn new(path: PathBuf) -> Tail {
        Tail { path, file: None }
    }

    /// What was written since the last time.
    fn read(&mut self) -> Result<Vec<u8>> {
        if self.file.is_none() {
            // QEMU creates it a moment after it was started.
            self.file = File::open(&self.path).ok();
        }
        let mut fresh = Vec::new();
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut fresh).context("cannot read the guest's console")?;
        }
        Ok(fresh)
    }
}

/// Passes output on and keeps a copy.
struct Tee<'a> {
    out: &'a mut dyn Write,
    copy: Vec<u8>,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.copy.extend_from_slice(bytes);
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
