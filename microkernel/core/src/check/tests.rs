//! Each invariant is broken on purpose, in each of its parts, and the check has to name it: a check that holds whatever
//! happens would be worth nothing. Here is a core with a bit of everything, made by the core's own functions.

use std::string::String;
use std::vec::Vec;

use parley_abi::{PAGE, Rights, Token, kind, prot};

use super::holds;
use crate::arch::entry;
use crate::boot::{ROOT_QUOTA, empty_core};
use crate::kernel::Core;
use crate::mem::List;
use crate::mem::Ref;
use crate::mem::frames::tests::host_frames;
use crate::object::{
    Binding, Connection, Endpoint, Handle, Memory, NewThread, Quota, Region, Space, State, Submission, Table, Thread,
};

/// Priority of the threads that are ready.
const PRIORITY: u8 = 4;

/// A core, and the objects in it.
struct World {
    core: Core,
    quota: Ref<Quota>,
    space: Ref<Space>,
    memory: Ref<Memory>,
    table: Ref<Table>,
    /// An endpoint with requests and closing connections, and one at which a thread waits.
    busy: Ref<Endpoint>,
    quiet: Ref<Endpoint>,
    open: Ref<Connection>,
    closing: Ref<Connection>,
    ready: [Ref<Thread>; 2],
    calling: [Ref<Thread>; 2],
    awaiting: Ref<Thread>,
    receiving: Ref<Thread>,
}

impl World {
    fn new() -> World {
        // SAFETY: worlds are made in one test, and none of them uses the block.
        let cpu = unsafe { entry::cpu_local() };
        let mut frames = host_frames(512);
        let root = frames.take_zeroed().unwrap();
        let mut core = empty_core(cpu, frames, root, 0);
        core.make_root_quota();
        let quota = core.create_quota(ROOT_QUOTA, 64).unwrap();
        let space = core.create_space(quota).unwrap();
        let memory = core.create_memory(quota, 3).unwrap();
        let table = core.create_table(quota, 32).unwrap();
        let [busy, quiet] = [0, 1].map(|_| core.create_endpoint(quota, Binding::Threads).unwrap());
        let [open, closing] = [1, 2].map(|badge| core.create_connection(quota, (busy, badge)).unwrap());
        let mut slot = 0;
        let mut give = |core: &mut Core, handle| {
            core.install(space, slot, handle).unwrap();
            slot += 1;
            slot - 1
        };
        give(&mut core, Handle::new(kind::SPACE, space, Rights::all()));
        give(&mut core, Handle::new(kind::MEM, memory, Rights::all()));
        give(&mut core, Handle::new(kind::TABLE, table, Rights::all()));
        give(&mut core, Handle::new(kind::ENDPOINT, busy, Rights::all()));
        give(&mut core, Handle::new(kind::ENDPOINT, quiet, Rights::all()));
        give(&mut core, Core::connection_handle(open, Rights::all()));
        let last = give(&mut core, Core::connection_handle(closing, Rights::all()));
        core.drop_handle(space, last).unwrap();
        let wish = Region { space, memory, address: 0x40_0000, pages: 2, prot: prot::READ, ..Region::default() };
        assert_eq!(core.map_step(wish), Ok(0));
        core.set_faults(space, open);
        let submission = Submission { server: busy, submitter: quiet, quota, ..Submission::default() };
        core.submit(submission).unwrap();
        let mut thread = || {
            let new = NewThread { space, quota, entry: 0x40_0000, stack: 0, argument: 0, priority: PRIORITY };
            core.create_thread(new).unwrap()
        };
        let [ready, calling] = [[thread(), thread()], [thread(), thread()]];
        let [awaiting, receiving] = [thread(), thread()];
        for at in ready {
            core.threads[at].state = State::Ready;
            core.ready.push(&mut core.threads, at, PRIORITY);
        }
        for at in calling {
            (core.threads[at].state, core.threads[at].waits_for) = (State::Calling, busy);
            core.endpoints[busy].add_caller(&mut core.threads, at);
        }
        (core.threads[awaiting].state, core.threads[awaiting].waits_for) = (State::Awaiting, busy);
        core.threads[ready[0]].serving = core.threads[awaiting].token;
        (core.threads[receiving].state, core.threads[receiving].waits_for) = (State::Receiving, quiet);
        core.endpoints[quiet].add_receiver(&mut core.threads, receiving, true);
        World { core, quota, space, memory, table, busy, quiet, open, closing, ready, calling, awaiting, receiving }
    }

    /// What `CHECK` returns.
    fn first_broken(&self) -> usize {
        (1..)
            .map_while(|number| Some((number, holds(&self.core, number)?)))
            .find(|(_, holds)| !holds)
            .map_or(0, |(number, _)| number)
    }

    fn thread(&mut self, at: Ref<Thread>) -> &mut Thread {
        &mut self.core.threads[at]
    }
}

/// What is done to a world: the invariant that it breaks, and how.
type Harm = (usize, &'static str, fn(&mut World));

const HARMS: &[Harm] = &[
    (1, "a ready thread that is not", |w| w.thread(w.ready[1]).state = State::Awaiting),
    (1, "a ready thread of another priority", |w| w.thread(w.ready[1]).priority += 1),
    (1, "the running thread in a queue", |w| w.core.current = w.ready[0]),
    (2, "a caller that does not call", |w| w.thread(w.calling[1]).state = State::Stopped),
    (2, "a caller of another endpoint", |w| w.thread(w.calling[1]).waits_for = w.quiet),
    (2, "a receiver that does not wait", |w| w.thread(w.receiving).state = State::Ready),
    (2, "a receiver beside an event", |w| w.core.endpoints[w.quiet].bits = 1),
    (3, "other page tables", |w| w.thread(w.ready[0]).root = Default::default()),
    (3, "no space", |w| w.thread(w.ready[0]).space = Ref::NONE),
    (4, "more than the limit", |w| w.core.quotas[w.quota].limit = w.core.quotas[w.quota].used - 1),
    (5, "less than a child has", |w| w.core.quotas[ROOT_QUOTA].used = PAGE as u64),
    (6, "a region of no memory", |w| assert!(w.core.memories.remove(w.memory))),
    (7, "a connection to nobody, who was told", |w| {
        let connection = &mut w.core.connections[w.closing];
        (connection.endpoint, connection.told) = (Ref::NONE, true);
    }),
    (8, "a connection with a handle too many", |w| w.core.connections[w.open].refs += 1),
    (8, "memory with a handle too few", |w| w.core.memories[w.memory].handles -= 1),
    (8, "an endpoint with a handle too many", |w| w.core.endpoints[w.quiet].refs += 1),
    (8, "a space with a handle too few", |w| w.core.spaces[w.space].refs -= 1),
    (8, "a call table with a handle too many", |w| w.core.tables[w.table].refs += 1),
    (8, "what one has too much and another lacks", |w| {
        w.core.endpoints[w.quiet].refs += 1;
        w.core.endpoints[w.busy].refs -= 1;
    }),
    (8, "a space that forgot its connection for faults", |w| w.core.spaces[w.space].holds_faults = false),
    (8, "a handle that was not counted", |w| {
        w.core.spaces[w.space].handles.put(20, Handle::new(kind::MEM, w.memory, Rights::READ));
    }),
    (9, "a token of another thread", |w| {
        let other = w.ready[1].place;
        w.thread(w.ready[0]).token = Token::new(other, 1);
    }),
    (9, "a good token of a thread that waits for nothing", |w| w.thread(w.awaiting).state = State::Stopped),
    (10, "a page table that was not counted", |w| w.core.spaces[w.space].page_tables -= 1),
    (10, "a page table that is not there", |w| w.core.spaces[w.space].page_tables += 1),
    (11, "a page that nobody paid for", |w| w.core.quotas[w.quota].used -= PAGE as u64),
    (11, "registers that nobody paid for", |w| w.thread(w.ready[0]).fpu = Some(Default::default())),
    (11, "an object on another account", |w| w.core.endpoints[w.quiet].quota = ROOT_QUOTA),
    (11, "a submission that is gone", |w| {
        let at = w.core.submissions.refs().next().unwrap();
        assert!(w.core.submissions.remove(at));
    }),
    (12, "a ready thread that does not know its neighbour", |w| {
        w.core.threads.links_mut(w.ready[1]).unwrap().previous = Ref::NONE
    }),
    (12, "a ready thread that knows another", |w| w.core.threads.links_mut(w.ready[1]).unwrap().previous = w.awaiting),
    (12, "a ready thread that is no longer queued", |w| w.core.threads.links_mut(w.ready[0]).unwrap().next = Ref::NONE),
    (12, "a caller that does not know its neighbour", |w| {
        w.core.threads.links_mut(w.calling[1]).unwrap().previous = Ref::NONE
    }),
    (13, "a closing connection that nobody will be told of", |w| w.core.endpoints[w.busy].untold = 0),
    (13, "a closing connection that was told", |w| w.core.connections[w.closing].told = true),
    (13, "a closing connection with handles", |w| {
        w.core.endpoints[w.busy].closing = List::default();
        w.core.endpoints[w.busy].closing.push(&mut w.core.connections, w.open);
    }),
    (13, "a closing connection of another endpoint", |w| {
        let made = w.core.create_connection(w.quota, (w.quiet, 3)).unwrap();
        w.core.endpoints[w.busy].closing.push(&mut w.core.connections, made);
        w.core.endpoints[w.busy].untold += 1;
    }),
];

#[test]
#[cfg_attr(miri, ignore = "each world has tables of 200 MiB, which Miri fills")]
fn each_invariant_is_named_when_it_is_broken() {
    let sound = World::new();
    assert_eq!(sound.first_broken(), 0, "nothing is wrong at first");
    let mut wrong = Vec::new();
    for (number, what, harm) in HARMS {
        let mut world = World::new();
        harm(&mut world);
        let found = world.first_broken();
        if found != *number {
            wrong.push(std::format!("{what}: {found} instead of {number}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let numbers = (1..).take_while(|&number| holds(&sound.core, number).is_some());
    let kept: Vec<usize> = numbers.filter(|number| HARMS.iter().all(|harm| harm.0 != *number)).collect();
    assert_eq!(kept, [], "invariants that nothing here breaks");
    assert_eq!(holds(&sound.core, 0), None, "numbers begin with 1");
}
