//! Playing a script on a booted machine.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Script;
use super::console::{Console, Missed};
use super::script::Step;
use crate::boot::{Launch, Loader};
use crate::cmdline::{LogPort, compose};
use crate::guest::{MEMORY, Rig, memory_for, read_log};
use crate::kernel::Kernel;
use crate::log;
use crate::qemu::{Accel, Console as Com1, End, Machine, PROCESSOR, Running};
use crate::symbols::Symbols;

/// What the shell shows when it waits for a command.
pub const PROMPT: &[u8] = b"parley$ ";

/// Firmware and boot menu, before the first prompt, under emulation.
const FIRMWARE: Duration = Duration::from_secs(90);

/// How long a key that is pressed until something comes may take to bring it.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3);

/// After this even a session that always makes progress has gone wrong.
const WHOLE_SESSION: Duration = Duration::from_secs(180);

/// Boots and plays; an error shows where it stopped, the transcript and the log.
pub fn play(rig: &Rig, script: &Script, kernel: Kernel, loader: Loader) -> Result<()> {
    let folder = rig.run_folder()?;
    let machine = machine(rig, script, kernel, loader, folder.path())?;
    let mut running = Running::start(&machine, folder.path())?;
    let (keyboard, screen) = running.pipes().context("COM1 has no pipes")?;
    let mut player = Player {
        console: Console::new(keyboard, screen),
        running,
        forbidden: Vec::new(),
        timeout: script.timeout,
        extra: if loader == Loader::Direct { Duration::ZERO } else { FIRMWARE },
    };
    for (line, step) in &script.steps {
        if let Err(error) = player.step(step) {
            player.running.kill();
            let at = format!("{}:{line}: {error:#}", script.path.display());
            bail!("{at}\n{}", shown(rig, kernel, &mut player.console, folder.path()));
        }
    }
    Ok(())
}

struct Player {
    console: Console,
    running: Running,
    forbidden: Vec<Vec<u8>>,
    timeout: Duration,
    /// Added to the first expectation.
    extra: Duration,
}

impl Player {
    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Command(words) => {
                self.expect(PROMPT, self.timeout).context("no prompt to type at")?;
                self.console.type_in(&[words, b"\r".as_slice()].concat())
            }
            Step::Keys(keys) => self.console.type_in(keys),
            Step::Expect(wanted) => self.expect(wanted, self.timeout),
            Step::Until(key, wanted) => self.press_until(*key, wanted),
            Step::Never(bad) => {
                self.forbidden.push(bad.clone());
                Ok(())
            }
            Step::Off => self.off(),
        }
    }

    fn press_until(&mut self, key: u8, wanted: &[u8]) -> Result<()> {
        let began = Instant::now();
        loop {
            self.console.type_in(&[key])?;
            match self.expect(wanted, BETWEEN_LOOKS) {
                Err(_) if began.elapsed() < self.timeout => {}
                outcome => return outcome,
            }
        }
    }

    fn expect(&mut self, wanted: &[u8], limit: Duration) -> Result<()> {
        let limit = limit + std::mem::take(&mut self.extra);
        let forbidden = std::mem::take(&mut self.forbidden);
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        match self.console.expect(wanted, &forbidden, limit) {
            Ok(()) => Ok(()),
            Err(Missed::Timeout) => bail!("`{}` did not come within {} s", text(wanted), limit.as_secs()),
            Err(Missed::Ended) => bail!("the machine ended before `{}` came", text(wanted)),
            Err(Missed::Forbidden(bad)) => bail!("`{}` came, which must not", text(&bad)),
        }
    }

    fn off(&mut self) -> Result<()> {
        match self.running.wait(Some(WHOLE_SESSION), || Ok(()))? {
            End::Orderly => Ok(()),
            end => bail!("expected an orderly shutdown: {}", end.describe()),
        }
    }
}

fn machine(rig: &Rig, script: &Script, kernel: Kernel, loader: Loader, folder: &Path) -> Result<Machine> {
    let cmdline = format!("{} {}", compose(LogPort::Com2, "info", &[], &[]), script.boot);
    let archive = rig.guest.archive().to_bytes()?;
    let launch = Launch { kernel, cmdline: cmdline.trim(), archive: &archive };
    Ok(Machine {
        boot: rig.prepare(&launch, loader, folder)?,
        accel: Accel::Tcg,
        processor: PROCESSOR.into(),
        memory: memory_for(loader, MEMORY),
        deterministic: false,
        console: Com1::Pipes,
        log: Some(folder.join("com2")),
        gdb: None,
    })
}

fn shown(rig: &Rig, kernel: Kernel, console: &mut Console, folder: &Path) -> String {
    let log = Symbols::new(&rig.guest, kernel).annotate(&log::excerpt(&read_log(&folder.join("com2"))));
    format!("transcript:\n{}log (COM2):\n{log}", log::excerpt(&console.transcript()))
}
