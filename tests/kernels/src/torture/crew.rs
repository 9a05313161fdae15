//! The workers: threads that wait for a round, do it, and say what came of it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use parley_abi::slot;
use parley_abi::{Errno, msg};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, Reply};
use spin::Mutex;

use crate::inject::Injector;
use crate::mark;
use crate::options::Options;
use crate::tool::machine::MILLISECOND;
use crate::tool::random::Random;
use crate::tool::thread::Thread;
use crate::trouble::{Tally, Trouble};
use crate::work::{self, Work};

/// How long all workers may stand still, in nanoseconds: init notices a service that hangs within two heartbeats.
const STILL: u64 = 3_000 * MILLISECOND;
/// How often in a round services are started anew because nobody gets on.
const PATIENCE: u32 = 3;
/// Workers run below this program's own priority, so that faults strike while servers work for them.
const BELOW: u8 = 2;

/// What a worker and its leader share.
struct Desk {
    seed: AtomicU64,
    operations: AtomicU64,
    result: Mutex<Option<Result<(), Trouble>>>,
}

/// One of them.
pub struct Worker {
    name: &'static str,
    desk: Arc<Desk>,
    go: u32,
    #[expect(dead_code, reason = "dropping it would kill the worker")]
    thread: Thread,
}

/// All workers.
pub struct Crew {
    workers: Vec<Worker>,
    done: u32,
    seed: u64,
    lenient: bool,
}

impl Crew {
    /// Starts one of each kind of work, and two for files.
    pub fn start(options: &Options) -> Result<Crew, Trouble> {
        let done = sys::endpoint_create(slot::QUOTA)?;
        let mut workers = Vec::new();
        for (name, work) in work::all(options)? {
            workers.push(Worker::start(name, work, done, workers.len(), options.operations)?);
        }
        Ok(Crew { workers, done, seed: options.seed, lenient: options.lenient })
    }

    /// One round of everybody, under fire.
    pub fn round(&mut self, round: u64, injector: &mut Injector, tally: &mut Tally) -> Result<(), Trouble> {
        mark::begin(round);
        let mut random = Random::new(self.seed ^ round.rotate_left(32));
        injector.reseed(random.next());
        for worker in &self.workers {
            worker.begin(random.next())?;
        }
        let before = self.operations();
        let attended = self.attend(injector, tally);
        tally.operations += self.operations() - before;
        attended?;
        self.workers.iter().try_for_each(Worker::result)
    }

    /// Operations so far.
    fn operations(&self) -> u64 {
        self.workers.iter().map(|worker| worker.desk.operations.load(Ordering::Relaxed)).sum()
    }

    /// Does harm until everybody is finished.
    fn attend(&self, injector: &mut Injector, tally: &mut Tally) -> Result<(), Trouble> {
        let everybody = (1 << self.workers.len()) - 1;
        let (mut finished, mut seen, mut look, mut ended) = (0, self.operations(), sys::clock() + STILL, 0);
        while finished != everybody {
            let event = sys::reply_recv(self.done, &Reply::NONE, injector.next().min(look).max(msg::POLL + 1))?;
            if let Event::Notified { bits } = event {
                finished |= bits;
                continue;
            }
            if sys::clock() >= injector.next() {
                injector.strike(tally)?;
            }
            if self.operations() != seen {
                (seen, look) = (self.operations(), sys::clock() + STILL);
            } else if sys::clock() >= look {
                if !self.lenient || ended == PATIENCE {
                    return Err(Trouble::Stuck(self.unfinished(finished)));
                }
                // Its heart beats, and it does not answer: a person would kill it. Who waits for what was lost waits on.
                injector.end_hang(tally)?;
                (ended, look) = (ended + 1, sys::clock() + STILL);
            }
        }
        Ok(())
    }

    fn unfinished(&self, finished: u64) -> alloc::string::String {
        let mut names = alloc::string::String::from("waiting for");
        for (_, worker) in self.workers.iter().enumerate().filter(|(index, _)| finished >> index & 1 == 0) {
            names.push(' ');
            names.push_str(worker.name);
        }
        names
    }
}

impl Worker {
    /// A thread of less priority that does so many operations each time it is told to, and then sets bit `index` of `done`.
    pub fn start(
        name: &'static str,
        mut work: Box<dyn Work>,
        done: u32,
        index: usize,
        operations: u32,
    ) -> Result<Worker, Errno> {
        let desk = Arc::new(Desk { seed: AtomicU64::new(0), operations: AtomicU64::new(0), result: Mutex::new(None) });
        let go = sys::endpoint_create(slot::QUOTA)?;
        let own = desk.clone();
        let body = move || {
            while let Ok(Event::Notified { .. }) = sys::reply_recv(go, &Reply::NONE, msg::FOREVER) {
                let mut random = Random::new(own.seed.load(Ordering::Relaxed));
                let result = turn(&mut *work, &mut random, operations, &own.operations);
                *own.result.lock() = Some(result);
                let _ = sys::notify(done, 1 << index);
            }
        };
        let thread = Thread::with_priority(own_priority().saturating_sub(BELOW).max(1), body)?;
        Ok(Worker { name, desk, go, thread })
    }

    /// Has it do its operations, chosen by `seed`.
    pub fn begin(&self, seed: u64) -> Result<(), Errno> {
        self.desk.seed.store(seed, Ordering::Relaxed);
        sys::notify(self.go, 1)
    }

    /// What came of them, once it is done.
    pub fn result(&self) -> Result<(), Trouble> {
        let result = self.desk.result.lock().take();
        result.unwrap_or_else(|| Err(Trouble::Stuck(self.name.into())))
    }
}

/// A worker's part of a round.
fn turn(work: &mut dyn Work, random: &mut Random, operations: u32, count: &AtomicU64) -> Result<(), Trouble> {
    let mut went = Ok(());
    for _ in 0..operations {
        went = work.operation(random);
        count.fetch_add(1, Ordering::Relaxed);
        if went.is_err() {
            break;
        }
    }
    let cleared = work.clear(went.is_ok());
    count.fetch_add(1, Ordering::Relaxed);
    went.and(cleared)
}
