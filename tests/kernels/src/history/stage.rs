//! Where it is played, and the director's part.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::call::{Rights, ThreadInfo, prot};
use parley_abi::msg::FOREVER;
use parley_abi::msg::event::REQUEST;
use parley_abi::{Errno, slot};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, NewThread, Reply};

use crate::actor::{self, CODE_AT, Desk, PAGES_AT};
use crate::digest::Digest;
use crate::script::{self, Call, Known};
use crate::tool::random::Random;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

/// Address spaces.
const SPACES: usize = 3;
/// Threads, two in each.
pub const ACTORS: usize = 6;
/// Endpoints that all may receive on.
pub const ENDPOINTS: usize = 3;
/// Connections that all have, two to each.
pub const CONNECTIONS: usize = 6;
/// Pages that pay for all of it.
const PAGES: u64 = 512;

/// Where an endpoint is in each handle table.
pub const fn endpoint_slot(number: usize) -> u32 {
    slot::FREE + number as u32
}

/// Where a connection is in each handle table.
pub const fn connection_slot(number: usize) -> u32 {
    slot::FREE + 16 + number as u32
}

const fn command_slot(actor: usize) -> u32 {
    slot::FREE + 32 + actor as u32
}

struct Actor {
    desk: Desk,
    /// Notifies it.
    command: u32,
    /// Calls it was told to make.
    told: u64,
    /// Calls that were seen to end.
    seen: u64,
    /// The list it was given last.
    calls: Vec<Call>,
}

/// Handles and numbers of the actors' threads.
static THREADS: [AtomicU64; ACTORS] = [const { AtomicU64::new(0) }; ACTORS];

fn thread(actor: usize) -> (u32, u32) {
    let both = THREADS[actor].load(Ordering::Relaxed);
    (both as u32, (both >> 32) as u32)
}

/// Starts actors and connects them: what the director, who is less urgent than they are, may not do himself. (Whoever hears
/// of what he closed would be as little urgent as he is, and then time decides who goes first.)
#[derive(Clone, Copy)]
pub struct Casting {
    quota: u32,
    spaces: [u32; SPACES],
    endpoints: [u32; ENDPOINTS],
    office: u32,
    priority: u8,
}

/// Notification bit: the history is over.
const OVER: u64 = 1 << 63;
/// The first of the bits for connections; below are those for actors.
const CONNECT: usize = ACTORS;
const _: () = assert!(CONNECT + SPACES * CONNECTIONS < 63);

impl Casting {
    /// Starts whom the director asks for, until the history is over.
    pub fn run(&self) -> Result<(), Errno> {
        loop {
            let Event::Notified { bits } = sys::reply_recv(self.office, &Reply::NONE, FOREVER)? else { continue };
            if bits & OVER != 0 {
                return Ok(());
            }
            let set = |number: &usize| bits >> number & 1 != 0;
            (0..ACTORS).filter(set).try_for_each(|number| self.start(number))?;
            let connections = (CONNECT..CONNECT + SPACES * CONNECTIONS).filter(set).map(|bit| bit - CONNECT);
            connections.into_iter().try_for_each(|both| self.connect(both / CONNECTIONS, both % CONNECTIONS))?;
        }
    }

    /// Has a connection made.
    fn ask_to_connect(&self, space: usize, number: usize) -> Result<(), Errno> {
        sys::notify(self.office, 1 << (CONNECT + space * CONNECTIONS + number))
    }

    /// Gives the space a new connection in slot `number`, if the old one is gone.
    fn connect(&self, space: usize, number: usize) -> Result<(), Errno> {
        let new = sys::mint(self.endpoints[number % ENDPOINTS], number as u64, Rights::CALL | Rights::NOTIFY)?;
        match sys::handle_move(self.spaces[space], new, connection_slot(number), Rights::CALL | Rights::NOTIFY) {
            Ok(()) => Ok(()),
            Err(_) => sys::handle_drop(new),
        }
    }

    /// Has an actor started again.
    fn ask(&self, actor: usize) -> Result<(), Errno> {
        sys::notify(self.office, 1 << actor)
    }

    /// The history is over.
    pub fn close(&self) -> Result<(), Errno> {
        sys::notify(self.office, OVER)
    }

    /// Starts an actor, for the first time or again.
    fn start(&self, actor: usize) -> Result<(), Errno> {
        let old = thread(actor).0;
        if old != 0 {
            sys::thread_kill(old)?;
            sys::handle_drop(old)?;
        }
        let desk = Desk::new(actor);
        desk.set_slot(command_slot(actor));
        let priority = self.priority - (actor % 3) as u8;
        let new = NewThread { entry: CODE_AT, stack: 0, argument: desk.address(), priority };
        // SAFETY: the thread runs in an address space that holds nothing of Rust's.
        let handle = unsafe { sys::thread_create(self.spaces[actor % SPACES], self.quota, new) }?;
        let number = sys::handle_info(handle)?.2;
        THREADS[actor].store(u64::from(number) << 32 | u64::from(handle), Ordering::Relaxed);
        sys::thread_start(handle)
    }
}

/// All there is.
pub struct Stage {
    random: Random,
    digest: Digest,
    known: Known,
    endpoints: [u32; ENDPOINTS],
    /// Their numbers in the core's list.
    numbers: [u32; ENDPOINTS],
    actors: [Actor; ACTORS],
    ended: u64,
    casting: Casting,
}

impl Stage {
    /// What pays for all of it, and has to outlive it.
    pub fn scope() -> Result<Scope, Errno> {
        Scope::of(PAGES)
    }

    /// Builds it, and starts the actors.
    pub fn new(scope: &Scope, seed: u64) -> Verdict<Stage> {
        let both = prot::READ | prot::WRITE;
        let desks = scope.mem(ACTORS as u64 + 1)?;
        let code = scope.mem(1)?;
        sys::mem_write(code, 0, actor::code())?;
        sys::map(slot::SPACE, desks, PAGES_AT, 0, ACTORS as u64 + 1, both)?;
        let table = scope.keep(sys::table_create(scope.quota(), &script::table()))?;
        let (mut spaces, mut endpoints, mut commands) = ([0; SPACES], [0; ENDPOINTS], [0; ACTORS]);
        endpoints.iter_mut().try_for_each(|endpoint| scope.endpoint().map(|new| *endpoint = new))?;
        commands.iter_mut().try_for_each(|command| scope.endpoint().map(|new| *command = new))?;
        for (number, place) in spaces.iter_mut().enumerate() {
            let space = scope.keep(sys::space_create(scope.quota()))?;
            sys::map(space, desks, PAGES_AT, 0, ACTORS as u64 + 1, both)?;
            sys::map(space, code, CODE_AT, 0, 1, prot::READ | prot::EXECUTE)?;
            sys::space_table(space, table)?;
            let rights = Rights::RECEIVE | Rights::NOTIFY;
            for (index, &endpoint) in endpoints.iter().enumerate() {
                sys::handle_grant(space, endpoint, endpoint_slot(index), rights)?;
            }
            // What it submits is answered there.
            sys::handle_grant(space, endpoints[number], slot::ENDPOINT, rights)?;
            for (index, &command) in commands.iter().enumerate() {
                sys::handle_grant(space, command, command_slot(index), Rights::RECEIVE)?;
            }
            *place = space;
        }
        let numbers = endpoints.map(|endpoint| sys::handle_info(endpoint).map_or(0, |info| info.2));
        let actors = core::array::from_fn(|index| Actor {
            desk: Desk::new(index),
            command: commands[index],
            told: 0,
            seen: 0,
            calls: Vec::new(),
        });
        let (random, digest, known) = (Random::new(seed), Digest::new(), Known::default());
        let office = scope.endpoint()?;
        let casting = Casting { quota: scope.quota(), spaces, endpoints, office, priority: own_priority() };
        (0..SPACES).try_for_each(|space| (0..CONNECTIONS).try_for_each(|number| casting.connect(space, number)))?;
        (0..ACTORS).try_for_each(|number| casting.start(number))?;
        Ok(Stage { random, digest, known, endpoints, numbers, actors, ended: 0, casting })
    }

    /// Who starts actors again.
    pub fn casting(&self) -> Casting {
        self.casting
    }

    /// The next step: one command, and a look at everything. What was done and seen, for a person.
    pub fn step(&mut self) -> Verdict<String> {
        let number = (self.random.next() % ACTORS as u64) as usize;
        let actor = &mut self.actors[number];
        let mut said = if actor.told == actor.seen {
            actor.calls = script::next(&mut self.random, &mut self.known, actor.desk);
            actor.desk.scribble(self.random.next(), self.random.next());
            let registers: Vec<_> = actor.calls.iter().map(|call| call.0).collect();
            actor.desk.load(&registers);
            actor.told += registers.len() as u64;
            sys::notify(actor.command, 1)?;
            format!("actor {number}: {registers:x?}")
        } else {
            match self.random.next() % 16 {
                0 => {
                    self.casting.ask(number)?;
                    (actor.told, actor.seen) = (actor.desk.done(), actor.desk.done());
                    format!("actor {number} is killed and started")
                }
                1..5 => {
                    let answer = sys::cancel(thread(number).0);
                    self.digest.add(answer.is_ok().into());
                    format!("actor {number} is cancelled: {answer:?}")
                }
                5..7 => {
                    let (space, connection) = (number % SPACES, (self.random.next() % CONNECTIONS as u64) as usize);
                    self.casting.ask_to_connect(space, connection)?;
                    format!("connection {connection} of {space} is there")
                }
                _ => {
                    let endpoint = (self.random.next() % ENDPOINTS as u64) as usize;
                    let bits = self.random.next() % 16;
                    sys::notify(self.endpoints[endpoint], bits)?;
                    format!("endpoint {endpoint} gets {bits}")
                }
            }
        };
        self.look(&mut said)?;
        Ok(said)
    }

    /// Looks at what can be seen of everybody.
    fn look(&mut self, said: &mut String) -> Verdict {
        for number in 0..ACTORS {
            while self.actors[number].desk.done() != self.actors[number].seen {
                self.note_result(number, said);
            }
            self.actors[number].desk.buffer().for_each(|word| self.digest.add(word));
            let mut info = ThreadInfo::default();
            sys::thread_info(thread(number).1, &mut info)?;
            let waits = self.numbers.iter().position(|&place| place == info.waits_for).unwrap_or(ENDPOINTS);
            for word in [u64::from(info.state), u64::from(info.priority), waits as u64] {
                self.digest.add(word);
            }
            said.push_str(&format!("\n  {number}: state {}, at {waits}", info.state));
        }
        ensure_eq!(sys::check()?, 0, "the invariant that is broken ");
        said.push_str(&format!("\n  {:016x}", self.digest.sum()));
        Ok(())
    }

    /// The result of an actor's next call.
    fn note_result(&mut self, number: usize, said: &mut String) {
        let actor = &mut self.actors[number];
        let call = actor.calls.len() as u64 - (actor.told - actor.seen);
        let stored = actor.desk.stored(call);
        actor.seen += 1;
        self.ended += 1;
        let [rax, rdi, rsi, rdx, r10, r8, r9, r12, r13, r14, r15, order] = stored;
        [rax, rdi, rsi, rdx, r10, r8, r9, r12, r14, r15, order].into_iter().for_each(|word| self.digest.add(word));
        self.digest.add_token(r13);
        if let Some(endpoint) = actor.calls[call as usize].1
            && rax as u32 == REQUEST
        {
            self.known.token(endpoint, r13);
        }
        said.push_str(&format!("\n  {number} has {stored:x?}"));
    }

    /// How far it is.
    pub fn summary(&self) -> String {
        format!("{} calls ended, digest {:016x}", self.ended, self.digest.sum())
    }
}
