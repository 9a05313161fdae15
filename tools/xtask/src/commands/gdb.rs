//! `gdb`: the machine held at its first instruction, the debugger attached and briefed.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use super::MachineOptions;
use crate::boot::{Launch, Loader};
use crate::build::Guest;
use crate::cmdline::{LogPort, compose};
use crate::elf_file::ElfFile;
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::qemu::{AccelChoice, Console, Machine, PROCESSOR, Running};
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// The core's first Rust function, `boot::start`, as the compiler names it.
const ENTRY: &str = "4boot5start17h";

/// Debug a kernel, its servers and programs with gdb
///
/// QEMU waits at its first instruction; gdb knows the symbols of the core, the servers and the
/// programs, and has a breakpoint at the core's entry: type `continue`. Programs share addresses:
/// `only vfs` keeps the symbols of one. The console goes to target/guest/gdb-com1, the log to gdb-com2.
#[derive(Args)]
pub struct Gdb {
    /// Which kernel
    #[arg(long, value_enum, default_value_t = Kernel::Micro)]
    kernel: Kernel,
    #[command(flatten)]
    machine: MachineOptions,
    /// Run this program instead of the shell
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
    /// Further arguments for gdb, such as -batch -ex continue -ex backtrace
    #[arg(last = true, value_name = "GDB ARGS")]
    arguments: Vec<String>,
}

impl Gdb {
    pub fn run(self) -> Result<u8> {
        setup::ensure(&[Need::Qemu, Need::Gdb])?;
        let workspace = Workspace::find()?;
        let guest = Guest::build(&workspace, &[self.kernel])?;
        let rig = Rig { workspace, guest, limine: None };
        let status = self.debug(&rig, Command::status)?;
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }

    /// What gdb says to these commands.
    pub fn batch(rig: &Rig, kernel: Kernel, commands: &[&str]) -> Result<String> {
        let arguments = commands.iter().flat_map(|command| ["-ex", command]).map(str::to_owned);
        let arguments = ["-batch".to_owned()].into_iter().chain(arguments).collect();
        let machine = MachineOptions { accel: AccelChoice::default(), memory: crate::guest::MEMORY };
        let output = Gdb { kernel, machine, program: None, arguments }.debug(rig, Command::output)?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Has gdb run beside a machine.
    fn debug<T>(&self, rig: &Rig, attend: impl FnOnce(&mut Command) -> std::io::Result<T>) -> Result<T> {
        let folder = rig.run_folder()?;
        // A socket's path has 108 bytes at most, and the target folder may be anywhere.
        let short = tempfile::tempdir().context("no temporary folder for gdb's socket")?;
        let socket = short.path().join("gdb");
        let machine = self.machine(rig, folder.path(), &socket)?;
        let script = folder.path().join("script.gdb");
        std::fs::write(&script, commands(&rig.guest, self.kernel, &socket)?)?;

        let mut running = Running::start(&machine, folder.path())?;
        running.wait_for_gdb(&socket)?;
        let mut gdb = Command::new("gdb");
        gdb.arg("-q").arg("-x").arg(&script).args(&self.arguments);
        let said = attend(&mut gdb).context("cannot start gdb")?;
        running.kill();
        Ok(said)
    }

    fn machine(&self, rig: &Rig, folder: &Path, socket: &Path) -> Result<Machine> {
        let program: Vec<String> = self.program.iter().cloned().collect();
        let cmdline = compose(LogPort::Com2, "debug", &[], &program);
        let archive = rig.guest.archive().to_bytes()?;
        let launch = Launch { kernel: self.kernel, cmdline: &cmdline, archive: &archive };
        let output = rig.workspace.folder("guest")?;
        Ok(Machine {
            boot: rig.prepare(&launch, Loader::Direct, folder)?,
            accel: self.machine.accelerator(false),
            processor: PROCESSOR.into(),
            memory: self.machine.memory,
            deterministic: false,
            console: Console::File(output.join("gdb-com1")),
            log: Some(output.join("gdb-com2")),
            gdb: Some(socket.to_owned()),
        })
    }
}

/// What gdb is told before the person takes over.
fn commands(guest: &Guest, kernel: Kernel, socket: &Path) -> Result<String> {
    let mut text = String::from("set pagination off\nset confirm off\nset architecture i386:x86-64\n");
    writeln!(text, "file {}", quoted(&guest.kernel(kernel).symbols)).expect("a String takes anything");
    for (_, program) in guest.programs() {
        writeln!(text, "add-symbol-file {}", quoted(&program.symbols)).expect("a String takes anything");
    }
    text.push_str(&only_commands(guest, kernel));
    writeln!(text, "target remote {}", socket.display()).expect("a String takes anything");
    // A hardware breakpoint: the code it is in is not loaded yet, so none can be written there.
    let symbols = ElfFile::read(&guest.kernel(kernel).symbols)?.symbols();
    let entry = symbols.iter().find(|symbol| symbol.name.contains(ENTRY));
    let entry = entry.with_context(|| format!("the {kernel} kernel has no function {ENTRY}"))?.address;
    writeln!(text, "hbreak *{entry:#x}").expect("a String takes anything");
    Ok(text)
}

/// The gdb commands `only NAME`: programs are linked at the same address, so the symbols of all
/// of them find every function, but only those of one can name the addresses of that one.
fn only_commands(guest: &Guest, kernel: Kernel) -> String {
    let mut text = String::from("define-prefix only\n");
    let core = quoted(&guest.kernel(kernel).symbols);
    for (path, program) in guest.programs() {
        let name = path.rsplit('/').next().unwrap_or(path);
        let file = quoted(&program.symbols);
        // Without a file: forget those of all.
        let forget = "symbol-file";
        let definition =
            format!("define only {name}\n  {forget}\n  symbol-file {core}\n  add-symbol-file {file}\nend\n");
        text.push_str(&definition);
        text.push_str(&format!("document only {name}\nThe symbols of the core and of {path} alone.\nend\n"));
    }
    text
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}
