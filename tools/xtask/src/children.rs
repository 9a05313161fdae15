//! Every QEMU we start, so that none outlives us: drop, timeout, Ctrl-C, panic.
//!
//! Three nets under each other: a [`Tracked`] child is killed when it is dropped (which a panic
//! does too); Ctrl-C and SIGTERM kill all that are registered; and the kernel of the host kills
//! it when we die without a chance to act (PR_SET_PDEATHSIG).

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long the commands may take to tidy up after Ctrl-C before the process just ends.
const GRACE: Duration = Duration::from_secs(2);

/// A child process that cannot outlive us.
pub struct Tracked(Child);

impl Tracked {
    /// Starts it. The calling thread must stay alive as long as the child is wanted: the
    /// parent-death signal follows the thread, not the process (prctl(2)).
    pub fn spawn(command: &mut Command) -> Result<Tracked> {
        // SAFETY: the closure runs between fork and exec and makes one system call that neither
        // allocates nor takes a lock.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let mut running = RUNNING.lock().expect("no holder of the list panics");
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}; is it installed?", command.get_program().display()))?;
        running.push(child.id());
        Ok(Tracked(child))
    }

    /// Its status when it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        // The list is held while the child is reaped, so that no signal can reach a stranger
        // that got the same process id.
        let mut running = RUNNING.lock().expect("no holder of the list panics");
        let status = self.0.try_wait()?;
        if status.is_some() {
            running.retain(|&id| id != self.0.id());
        }
        Ok(status)
    }

    /// The pipes and the id.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Kills it, now.
    pub fn kill(&mut self) {
        if matches!(self.try_wait(), Ok(None)) {
            self.0.kill().ok();
            while matches!(self.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether Ctrl-C or SIGTERM came.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Kills every tracked child.
pub fn kill_all() {
    let running = RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for pid in running.iter().filter_map(|&id| Pid::from_raw(id as i32)) {
        kill_process(pid, Signal::KILL).ok();
    }
}

/// From now on Ctrl-C and SIGTERM end the children first, then us.
pub fn install_interrupt_handler() -> Result<()> {
    let handler = || {
        INTERRUPTED.store(true, Ordering::Relaxed);
        kill_all();
        eprintln!("\ninterrupted: the machines are stopped");
        thread::sleep(GRACE);
        std::process::exit(130);
    };
    ctrlc::set_handler(handler).context("cannot catch Ctrl-C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_child_is_gone() {
        let mut child = Tracked::spawn(Command::new("sleep").arg("60")).unwrap();
        let pid = Pid::from_raw(child.child().id() as i32).unwrap();
        drop(child);
        assert!(kill_process(pid, Signal::KILL).is_err());
    }

    #[test]
    fn a_panic_takes_the_child_along() {
        let pid = std::sync::Arc::new(Mutex::new(None));
        let seen = pid.clone();
        let thread = thread::spawn(move || {
            let mut child = Tracked::spawn(Command::new("sleep").arg("60")).unwrap();
            *seen.lock().unwrap() = Pid::from_raw(child.child().id() as i32);
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        let pid = pid.lock().unwrap().unwrap();
        assert!(kill_process(pid, Signal::KILL).is_err());
    }
}
