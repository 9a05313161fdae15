//! The core checks itself: invariants that hold between any two system calls.
//!
//! Each has a number, so that ring 3 can name the one that broke.

use crate::kernel::Core;
use crate::mem::slab::Ref;
use crate::object::thread::{State, Thread};
use crate::sched::PRIORITIES;

/// An invariant: its number, and whether it holds.
type Check = (i64, fn(&Core) -> bool);

const CHECKS: [Check; 7] = [
    (1, ready_queues_hold_ready_threads),
    (2, endpoint_queues_hold_waiting_threads),
    (3, threads_live_in_spaces),
    (4, quotas_stay_within_their_limits),
    (5, quotas_cover_their_children),
    (6, regions_belong_to_spaces_and_memory),
    (7, connections_belong_to_endpoints_or_are_open),
];

/// The number of the first invariant that does not hold.
pub fn first_broken(core: &Core) -> Option<i64> {
    CHECKS.iter().find(|(_, holds)| !holds(core)).map(|(number, _)| *number)
}

fn ready_queues_hold_ready_threads(core: &Core) -> bool {
    (0..PRIORITIES as u8).all(|priority| {
        let queue = core.ready.queue(priority);
        queue.is_empty() != core.ready.occupied_at(priority)
            && queue.iter(&core.threads).all(|at| {
                let thread = &core.threads[at];
                thread.state == State::Ready && thread.priority == priority && at != core.current
            })
    })
}

fn endpoint_queues_hold_waiting_threads(core: &Core) -> bool {
    core.endpoints.refs().all(|at| {
        let endpoint = &core.endpoints[at];
        let waits = |thread: Ref<Thread>, state| {
            let thread = &core.threads[thread];
            thread.state == state && thread.waits_for == at
        };
        endpoint.callers.iter(&core.threads).all(|thread| waits(thread, State::Calling))
            && endpoint.is_consistent(|thread| waits(thread, State::Receiving), &core.threads)
    })
}

fn threads_live_in_spaces(core: &Core) -> bool {
    core.threads.refs().all(|at| {
        let thread = &core.threads[at];
        core.spaces.get(thread.space).is_some_and(|space| space.root == thread.root) || thread.state == State::Stopped
    })
}

fn quotas_stay_within_their_limits(core: &Core) -> bool {
    core.quotas.refs().all(|at| core.quotas[at].used <= core.quotas[at].limit)
}

fn quotas_cover_their_children(core: &Core) -> bool {
    core.quotas.refs().all(|at| {
        let children = core.quotas.refs().filter(|&child| core.quotas[child].parent == at);
        children.map(|child| core.quotas[child].limit).sum::<u64>() <= core.quotas[at].used
    })
}

fn regions_belong_to_spaces_and_memory(core: &Core) -> bool {
    core.regions.refs().all(|at| {
        let region = &core.regions[at];
        core.spaces.get(region.space).is_some() && core.memories.get(region.memory).is_some()
    })
}

fn connections_belong_to_endpoints_or_are_open(core: &Core) -> bool {
    core.connections.refs().all(|at| {
        let connection = &core.connections[at];
        connection.refs > 0 || core.endpoints.get(connection.endpoint).is_some() || !connection.told
    })
}
