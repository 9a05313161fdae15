//! Who runs: the highest priority, and equals in turn.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use parley_abi::call::{Rights, State, ThreadInfo};
use parley_abi::counters::Counters;
use parley_abi::msg::{Flags, POLL};
use parley_abi::{Errno, slot};
use parley_posix as posix;
use parley_programs::threads::{self, own_priority};
use parley_rt::sys::{self, Event, LOWEST_FREE, Reply};

use crate::tool::machine::{MILLISECOND, soon, within};
use crate::tool::scope::Scope;
use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    threads_run,
    equals_share,
    closing_prolongs_no_turn,
    lower_priority_waits,
    higher_priority_preempts,
    priority_is_capped,
    ceilings_only_sink,
    the_supervisor_is_not_kept_waiting,
    killed_threads_stop,
    a_lone_thread_is_not_interrupted,
    an_idle_machine_is_left_alone,
    time_goes_to_whom_it_was_spent_for
];

/// A thread that counts until it is told to stop.
pub(super) struct Spinner {
    pub(super) thread: Thread,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Spinner {
    pub(super) fn start(priority: u8) -> Result<Spinner, Errno> {
        let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, flag) = (count.clone(), stop.clone());
        let thread = Thread::with_priority(priority, move || {
            while !flag.load(Ordering::Relaxed) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(Spinner { thread, count, stop })
    }
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
    pub(super) fn stop(self) -> Verdict {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join()
    }
}

/// Does nothing, without the processor, for some milliseconds.
pub(super) fn rest(milliseconds: u64) -> Verdict {
    let scope = Scope::of(16)?;
    sys::reply_recv(scope.endpoint()?, &Reply::NONE, within(milliseconds))?;
    Ok(())
}

/// A priority below the own that is not the idle one.
fn lower() -> Verdict<u8> {
    match own_priority() {
        own @ 2.. => Ok(own - 1),
        own => Err(Trouble::Skip(alloc::format!("there is no priority below {own}"))),
    }
}

fn threads_run() -> Verdict {
    let value = Arc::new(AtomicU64::new(0));
    for round in 1..=20 {
        let theirs = value.clone();
        Thread::start(move || theirs.store(round, Ordering::Release))?.join()?;
        ensure_eq!(value.load(Ordering::Acquire), round, "what thread {round} wrote");
    }
    Ok(())
}

fn equals_share() -> Verdict {
    let (one, two) = (Spinner::start(own_priority())?, Spinner::start(own_priority())?);
    rest(100)?;
    let (first, second) = (one.count(), two.count());
    one.stop()?;
    two.stop()?;
    let fair = first.min(second) * 2 > first.max(second);
    ensure!(fair, "two equal threads counted to {first} and {second}");
    Ok(())
}

/// Servers that hear of closed files work in the turn of whoever closed them: that does not begin anew with each of them.
fn closing_prolongs_no_turn() -> Verdict {
    let spinner = Spinner::start(own_priority())?;
    let until = within(200);
    let (mut counted, mut since, mut longest) = (0, sys::clock(), 0);
    let mut opened = Ok(());
    while opened.is_ok() && sys::clock() < until {
        // Files of different servers, in turn.
        opened = [c"/bin/ls", c"/dev/zero"].into_iter().try_for_each(|path| posix::close(posix::open(path, 0, 0)?));
        if spinner.count() != counted {
            (counted, since) = (spinner.count(), sys::clock());
        }
        longest = longest.max(sys::clock() - since);
    }
    spinner.stop()?;
    opened?;
    ensure!(longest < 50 * MILLISECOND, "an equal thread did not run for {} ms", longest / MILLISECOND);
    Ok(())
}

fn lower_priority_waits() -> Verdict {
    let spinner = Spinner::start(lower()?)?;
    let until = within(20);
    while sys::clock() < until {}
    let meanwhile = spinner.count();
    rest(5)?;
    let afterwards = spinner.count();
    spinner.stop()?;
    ensure_eq!(meanwhile, 0, "steps of a lower priority while a higher one runs");
    ensure!(afterwards > 0, "a lower priority did not run while the higher one waited");
    Ok(())
}

/// A notification that wakes a higher priority is not back before that one waits again.
fn higher_priority_preempts() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let after = Arc::new(AtomicBool::new(false));
    let theirs = after.clone();
    let thread = Thread::with_priority(lower()?, move || {
        // If it fails, the test sees that nothing arrived.
        let _ = sys::notify(endpoint, 1);
        theirs.store(true, Ordering::Release);
    })?;
    let event = sys::reply_recv(endpoint, &Reply::NONE, soon())?;
    ensure!(matches!(event, Event::Notified { .. }), "woken by {event:?}");
    ensure!(!after.load(Ordering::Acquire), "the lower priority went on after it woke the higher");
    thread.join()
}

fn priority_is_capped() -> Verdict {
    let own = own_priority();
    ensure!(own < 31, "programs run at the highest priority");
    for priority in [own + 1, 31, 32, 255] {
        let started = Thread::with_priority(priority, || {});
        ensure!(started.is_err(), "a thread of priority {priority} was made by one of {own}");
    }
    let spinner = Spinner::start(own)?;
    let raised = sys::thread_priority(spinner.thread.handle(), own + 1);
    let lowered = sys::thread_priority(spinner.thread.handle(), own);
    spinner.stop()?;
    ensure!(raised.is_err(), "a thread of priority {own} raised another above itself");
    ensure_eq!(lowered, Ok(()), "setting the own priority");
    Ok(())
}

/// A handle's ceiling goes with its copies, wherever they are, and no copy has a higher one.
fn ceilings_only_sink() -> Verdict {
    let own = own_priority();
    lower()?;
    let scope = Scope::new()?;
    let spinner = Spinner::start(own)?;
    let thread = spinner.thread.handle();
    let capped = scope.keep(sys::thread_capped(thread, own - 1))?;
    let again = scope.keep(sys::thread_capped(capped, 31))?;
    let plain = scope.keep(sys::handle_copy(capped, LOWEST_FREE, Rights::all()))?;
    let idle = scope.keep(sys::thread_capped(thread, 0))?;
    sys::handle_move(slot::SPACE, again, slot::END - 1, Rights::all())?;
    let moved = scope.keep(Ok(slot::END - 1))?;
    let results = [capped, moved, plain, idle]
        .map(|handle| [own, own - 1, 0].map(|priority| sys::thread_priority(handle, priority)));
    let original = sys::thread_priority(thread, own);
    spinner.stop()?;
    let no = Err(Errno::EPERM);
    let below = [no, Ok(()), Ok(())];
    ensure_eq!(
        results,
        [below, below, below, [no, no, Ok(())]],
        "by handles with ceilings {}, 3 times, and 0",
        own - 1
    );
    ensure_eq!(original, Ok(()), "by the first handle");
    Ok(())
}

/// init starts programs for a thread that is less urgent than this one. It may wait for somebody whenever this one wakes
/// meanwhile, but it is never ready to run.
fn the_supervisor_is_not_kept_waiting() -> Verdict {
    let scope = Scope::new()?;
    let nap = scope.endpoint()?;
    let done = Arc::new(AtomicBool::new(false));
    let theirs = done.clone();
    let client = Thread::with_priority(lower()?, move || {
        for _ in 0..5 {
            // If it fails, init had something to do all the same.
            let _ = posix::spawn(c"/bin/echo", &["echo", "-n"]).and_then(posix::wait);
        }
        theirs.store(true, Ordering::Release);
    })?;
    let (mut looks, mut waiting) = (0, 0);
    while !done.load(Ordering::Acquire) {
        sys::reply_recv(nap, &Reply::NONE, sys::clock() + MILLISECOND / 20)?;
        let init = threads::all().flatten().find(|thread| thread.priority == 31);
        waiting += u32::from(init.is_none_or(|init| init.state == State::Ready as u32));
        looks += 1;
    }
    client.join()?;
    ensure_eq!(waiting, 0, "times that init waited for its turn, of {looks}");
    Ok(())
}

fn killed_threads_stop() -> Verdict {
    let spinner = Spinner::start(own_priority())?;
    rest(5)?;
    sys::thread_kill(spinner.thread.handle())?;
    let count = spinner.count();
    rest(10)?;
    ensure_eq!(spinner.count(), count, "steps after being killed");
    let scope = Scope::new()?;
    let event = sys::reply_recv(scope.endpoint()?, &Reply::NONE, POLL)?;
    ensure!(matches!(event, Event::Timeout), "afterwards: {event:?}");
    Ok(())
}

/// Entries into the core so far.
fn entries() -> Verdict<u64> {
    let mut counters = Counters::default();
    sys::counters(&mut counters)?;
    Ok(counters.entries)
}

/// There is no tick: with nobody to share with and no deadline, nothing interrupts.
fn a_lone_thread_is_not_interrupted() -> Verdict {
    rest(20)?; // what the console still has to do
    let mut fewest = u64::MAX;
    for _ in 0..3 {
        // Of three looks, one may see init's heartbeats.
        let (before, start) = (entries()?, parley_rt::now());
        while parley_rt::now() - start < 50 * MILLISECOND {}
        fewest = fewest.min(entries()? - before);
    }
    ensure!(fewest <= 3, "{fewest} entries into the core in 50 ms of counting");
    Ok(())
}

/// Whoever sleeps is woken once. init's heartbeats come once a second and all at once: of three looks, one may see them.
fn an_idle_machine_is_left_alone() -> Verdict {
    rest(20)?;
    let scope = Scope::of(16)?;
    let endpoint = scope.endpoint()?;
    let mut fewest = u64::MAX;
    for _ in 0..3 {
        let before = entries()?;
        sys::reply_recv(endpoint, &Reply::NONE, within(100))?;
        fewest = fewest.min(entries()? - before);
    }
    ensure!(fewest <= 5, "{fewest} entries into the core in 100 ms of sleep");
    Ok(())
}

/// Processor time of a thread, in nanoseconds.
pub(super) fn cpu_time(handle: u32) -> Verdict<u64> {
    let (_, _, number) = sys::handle_info(handle)?;
    let mut info = ThreadInfo::default();
    sys::thread_info(number, &mut info)?;
    ensure_eq!(info.thread, number, "the thread that is described");
    Ok(info.cpu_time)
}

/// What a server does for a request is on the caller's account.
fn time_goes_to_whom_it_was_spent_for() -> Verdict {
    let scope = Scope::of(16)?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let client = Thread::with_priority(own_priority(), move || {
        // If it fails, the test sees that no request arrives.
        let _ = sys::call(connection, Flags::empty(), 0, [0; 6], 0);
    })?;
    let Event::Request { token, .. } = sys::reply_recv(endpoint, &Reply::NONE, soon())? else {
        return Err(Trouble::Fail("no request arrived".into()));
    };
    let before = cpu_time(client.handle())?;
    let start = sys::clock();
    while sys::clock() - start < 20 * MILLISECOND {}
    let spent = cpu_time(client.handle())? - before;
    sys::reply(endpoint, &Reply::words(token, [0; 6]))?;
    client.join()?;
    ensure!(spent >= 10 * MILLISECOND, "{spent} ns of 20 ms of work were charged to the client");
    Ok(())
}
