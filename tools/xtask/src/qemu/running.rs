//! A machine that is running: started, watched, ended.

use std::fs::File;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Console, Machine};
use crate::children::Tracked;
use crate::setup;

/// How often we look whether a machine has ended and what it wrote.
const TICK: Duration = Duration::from_millis(5);

/// How long QEMU may take to open gdb's socket.
const GDB_OPENS: Duration = Duration::from_secs(10);

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It shut itself down.
    Orderly,
    /// The kernel panicked, or the loader could not start it.
    Panicked,
    /// QEMU itself failed.
    Trouble(String),
    /// It was still running when its time was up.
    TimedOut(Duration),
}

impl End {
    /// What happened, for a person.
    pub fn describe(&self) -> String {
        match self {
            End::Orderly => "shut down".to_owned(),
            End::Panicked => "the kernel panicked or its loader failed".to_owned(),
            End::Trouble(what) => format!("QEMU failed: {what}"),
            End::TimedOut(limit) => format!("no end after {} s", limit.as_secs()),
        }
    }

    /// The exit device turns the guest's value v into the status 2v+1: 16 is an orderly
    /// shutdown, 17 a panic. ACPI power-off gives 0.
    fn from_status(status: ExitStatus, stderr: &Path) -> End {
        match status.code() {
            Some(33 | 0) => End::Orderly,
            Some(35) => End::Panicked,
            _ => {
                let said = std::fs::read_to_string(stderr).unwrap_or_default();
                End::Trouble(format!("{status}; {}", said.trim()))
            }
        }
    }
}

/// A started machine; it is killed when this is dropped.
pub struct Running {
    qemu: Tracked,
    stderr: std::path::PathBuf,
    started: Instant,
}

impl Running {
    /// Starts it; QEMU's own messages go into `folder`, or to the terminal if COM1 is there.
    pub fn start(machine: &Machine, folder: &Path) -> Result<Running> {
        let stderr = folder.join("qemu.stderr");
        let mut command = Command::new(setup::qemu_program());
        command.args(machine.args());
        if !matches!(machine.console, Console::Terminal) {
            command.stderr(File::create(&stderr).context("cannot write QEMU's messages")?);
        }
        match machine.console {
            Console::File(_) => command.stdin(Stdio::null()).stdout(Stdio::null()),
            Console::Pipes => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
            Console::Terminal => &mut command,
        };
        Ok(Running { qemu: Tracked::spawn(&mut command)?, stderr, started: Instant::now() })
    }

    /// COM1's two directions, when it is [`Console::Pipes`].
    pub fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        let child = self.qemu.child();
        Some((child.stdin.take()?, child.stdout.take()?))
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// How it ended, if it has.
    pub fn try_end(&mut self) -> Result<Option<End>> {
        let status = self.qemu.try_wait()?;
        Ok(status.map(|status| End::from_status(status, &self.stderr)))
    }

    /// Waits for the end, at most until `limit` after the start, calling `watch` in between.
    pub fn wait(&mut self, limit: Option<Duration>, mut watch: impl FnMut() -> Result<()>) -> Result<End> {
        loop {
            let end = self.try_end()?;
            // After the end as well: the last output may have come with it.
            watch()?;
            if let Some(end) = end {
                return Ok(end);
            }
            if let Some(limit) = limit.filter(|&limit| self.started.elapsed() > limit) {
                self.qemu.kill();
                watch()?;
                return Ok(End::TimedOut(limit));
            }
            thread::sleep(TICK);
        }
    }

    /// Waits until it can be reached at [`Machine::gdb`].
    pub fn wait_for_gdb(&mut self, socket: &Path) -> Result<()> {
        let deadline = Instant::now() + GDB_OPENS;
        while !socket.exists() {
            if let Some(end) = self.try_end()? {
                bail!("no machine to debug: {}", end.describe());
            }
            if Instant::now() > deadline {
                bail!("QEMU does not open its gdb socket {}", socket.display());
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Ends it without asking.
    pub fn kill(&mut self) {
        self.qemu.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn exit_statuses_say_how_the_guest_ended() {
        let end = |code: i32| End::from_status(ExitStatus::from_raw(code << 8), Path::new("/nonexistent"));
        assert_eq!((end(33), end(0), end(35)), (End::Orderly, End::Orderly, End::Panicked));
        assert!(matches!(end(1), End::Trouble(_)));
        let killed = End::from_status(ExitStatus::from_raw(9), Path::new("/nonexistent"));
        assert!(matches!(killed, End::Trouble(what) if what.contains("signal")));
    }
}
