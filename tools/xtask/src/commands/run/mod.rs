//! `run`: the system in this terminal.

mod piped;

use std::io::{IsTerminal, stdin};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::MachineOptions;
use crate::boot::{Launch, Loader};
use crate::build::Guest;
use crate::cmdline::{LogPort, compose};
use crate::guest::{Rig, memory_for};
use crate::kernel::Kernel;
use crate::limine::Limine;
use crate::qemu::{Console, End, Machine, PROCESSOR, Running};
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Boot one kernel with its shell in this terminal
///
/// Every key goes to the guest, Ctrl-C too. Ctrl-A X ends the machine from outside, Ctrl-A C
/// reaches QEMU's monitor and comes back. When stdin is no terminal, its lines are typed at the
/// shell's prompts.
#[derive(Args)]
pub struct Run {
    /// Which kernel
    #[arg(long, value_enum, default_value_t = Kernel::Micro)]
    kernel: Kernel,
    /// Who starts it
    #[arg(long, value_enum, default_value_t = LoaderChoice::Direct)]
    loader: LoaderChoice,
    /// Boot from UEFI firmware instead of BIOS (implies --loader limine)
    #[arg(long)]
    uefi: bool,
    /// How much the kernel log says: error, warn, info or debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    loglevel: String,
    #[command(flatten)]
    machine: MachineOptions,
}

/// `--loader`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LoaderChoice {
    /// Our own, straight from QEMU: fast, nothing to download
    Direct,
    /// The real one, from an ISO
    Limine,
}

impl Run {
    pub fn run(self) -> Result<u8> {
        setup::ensure(&[Need::Qemu])?;
        let workspace = Workspace::find()?;
        let limine = self.limine(&workspace)?;
        let loader = match (&limine, self.uefi) {
            (None, _) => Loader::Direct,
            (Some(_), false) => Loader::LimineBios,
            (Some(_), true) => Loader::LimineUefi,
        };
        let guest = Guest::build(&workspace, &[self.kernel])?;
        self.boot(&Rig { workspace, guest, limine }, loader)
    }

    /// Limine when it is asked for and can be had.
    fn limine(&self, workspace: &Workspace) -> Result<Option<Limine>> {
        if self.loader == LoaderChoice::Direct && !self.uefi {
            return Ok(None);
        }
        setup::ensure(&[Need::Xorriso])?;
        if self.uefi {
            setup::ensure(&[Need::Ovmf])?;
        }
        match Limine::obtain(workspace) {
            Ok(limine) => Ok(Some(limine)),
            Err(error) if self.uefi => Err(error),
            Err(error) => {
                eprintln!("xtask: {error:#}; going on with direct boot");
                Ok(None)
            }
        }
    }

    fn boot(&self, rig: &Rig, loader: Loader) -> Result<u8> {
        let folder = rig.run_folder()?;
        let cmdline = compose(LogPort::Com1, &self.loglevel, &[], &[]);
        let archive = rig.guest.archive().to_bytes()?;
        let launch = Launch { kernel: self.kernel, cmdline: &cmdline, archive: &archive };
        let accel = self.machine.accelerator(false);
        let machine = Machine {
            boot: rig.prepare(&launch, loader, folder.path())?,
            accel,
            processor: PROCESSOR.into(),
            memory: memory_for(loader, self.machine.memory),
            deterministic: false,
            console: if stdin().is_terminal() { Console::Terminal } else { Console::Pipes },
            log: None,
            gdb: None,
        };
        let end = match machine.console {
            Console::Terminal => {
                let kernel = self.kernel;
                eprintln!("xtask: {kernel} on {accel}; `poweroff` or Ctrl-A X ends it, Ctrl-C goes to the guest");
                let _terminal = Terminal::save();
                Running::start(&machine, folder.path())?.wait(None, || Ok(()))?
            }
            _ => {
                eprintln!("xtask: {} on {accel}; typing what comes from stdin, then `poweroff`", self.kernel);
                piped::attend(&mut Running::start(&machine, folder.path())?)?
            }
        };
        match end {
            End::Orderly => Ok(0),
            end => bail!("{}: {}", self.kernel, end.describe()),
        }
    }
}

/// The terminal's settings, put back at the end: a QEMU that was killed leaves it raw.
struct Terminal(Option<Termios>);

impl Terminal {
    fn save() -> Terminal {
        let input = stdin();
        Terminal(if input.is_terminal() { tcgetattr(&input).ok() } else { None })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            tcsetattr(stdin(), OptionalActions::Now, settings).ok();
        }
    }
}
