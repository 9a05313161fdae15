//! However a process ends, whoever waits for it hears of it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use parley_abi::msg::POLL;
use parley_posix as posix;
use parley_rt::sys::{self, Reply};

use crate::tool::machine::within;
use crate::tool::scope::Scope;
use crate::tool::thread::Thread;
use crate::tool::verdict::Verdict;

tests![last_thread_exits, own_quota_destroyed, init_dropped, own_faults_unheard];

/// How long a process may take to be gone.
const MILLISECONDS: u64 = 1000;

/// Runs `ktest-victim HOW` and waits for its end, but not for ever.
fn waited_for(how: &'static str) -> Verdict<bool> {
    let ended = Arc::new(AtomicBool::new(false));
    let theirs = ended.clone();
    let pid = posix::spawn(c"/bin/ktest-victim", &["ktest-victim", how])?;
    let _waiter = Thread::start(move || {
        // With which status does not matter here.
        let _ = posix::wait(pid);
        theirs.store(true, Ordering::Release);
    })?;
    let (scope, until) = (Scope::of(16)?, within(MILLISECONDS));
    let endpoint = scope.endpoint()?;
    while !ended.load(Ordering::Acquire) && sys::clock() < until {
        sys::reply_recv(endpoint, &Reply::NONE, within(10).max(POLL))?;
    }
    Ok(ended.load(Ordering::Acquire))
}

fn last_thread_exits() -> Verdict {
    ensure!(waited_for("thread-exit")?, "the only thread ended itself, and nobody heard of it");
    Ok(())
}

fn own_quota_destroyed() -> Verdict {
    ensure!(waited_for("destroy-quota")?, "a process destroyed its own quota, and nobody heard of it");
    Ok(())
}

fn init_dropped() -> Verdict {
    ensure!(waited_for("drop-init")?, "a process dropped its connection to init and faulted, and nobody heard of it");
    Ok(())
}

fn own_faults_unheard() -> Verdict {
    ensure!(waited_for("deaf-faults")?, "a process sent its faults where nobody listens");
    Ok(())
}
