//! The core checks itself: invariants that hold between any two system calls.
//!
//! Each has a number, so that ring 3 can name the one that broke. Between one and the next is a preemption point, but
//! none within: an invariant speaks of one moment. So it takes as long as there are objects, some tens of instructions
//! each, which is beyond what the core promises elsewhere; that is why `CHECK` takes a right that servers do not have.

use parley_abi::{PAGE, kind};

use crate::arch::paging;
use crate::boot::ROOT_QUOTA;
use crate::kernel::Core;
use crate::mem::{Ref, Slab};
use crate::object::{Connection, Endpoint, Quota, Region, State, Submission, Table, Thread};
use crate::sched::PRIORITIES;

/// Whether an invariant holds.
type Check = fn(&Core) -> bool;

/// All invariants: numbers 1 to 13.
const CHECKS: [Check; 13] = [
    ready_queues_hold_ready_threads,
    endpoint_queues_hold_waiting_threads,
    threads_live_in_spaces,
    quotas_stay_within_their_limits,
    the_root_quota_covers_its_children,
    regions_belong_to_spaces_and_memory,
    connections_belong_to_endpoints_or_are_open,
    objects_count_their_handles,
    tokens_name_their_threads,
    page_tables_are_counted,
    quotas_add_up,
    queues_are_linked_both_ways,
    endpoints_list_what_is_closing,
];

/// Amounts by owner. Each owner has a weight of its own, so that what one has too much cannot be what another lacks:
/// the balance is 0 if, and but for one chance in 2^64 only if, it is for each of them.
#[derive(Default)]
struct Ledger(u64);

impl Ledger {
    fn add<T>(&mut self, owner: Ref<T>, kind: u8, amount: u64) {
        let mixed = (owner.key() ^ (kind as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = self.0.wrapping_add((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_mul(amount));
    }

    fn take<T>(&mut self, owner: Ref<T>, kind: u8, amount: u64) {
        self.add(owner, kind, amount.wrapping_neg());
    }
}

/// Whether invariant `number`, from 1 on, holds. `None`: there is no such one.
pub fn holds(core: &Core, number: usize) -> Option<bool> {
    CHECKS.get(number.checked_sub(1)?).map(|holds| holds(core))
}

fn ready_queues_hold_ready_threads(core: &Core) -> bool {
    (0..PRIORITIES as u8).all(|priority| {
        let queue = &core.ready.queues[priority as usize];
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

/// The other quotas do because they add up.
fn the_root_quota_covers_its_children(core: &Core) -> bool {
    let children = core.quotas.refs().filter(|&child| core.quotas[child].parent == ROOT_QUOTA);
    children.map(|child| core.quotas[child].limit).sum::<u64>() <= core.quotas[ROOT_QUOTA].used
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

fn objects_count_their_handles(core: &Core) -> bool {
    let mut ledger = Ledger::default();
    for at in core.spaces.refs() {
        let space = &core.spaces[at];
        if space.holds_faults && core.connections.get(space.faults).is_some_and(|faults| faults.refs > 0) {
            ledger.add(space.faults, kind::CONNECTION, 1);
        }
        let mut slot = space.handles.next_used(0);
        while let Some(handle) = slot.and_then(|slot| space.handles.get(slot)) {
            let lives = match handle.kind {
                kind::CONNECTION => core.connections.get(handle.reference()).is_some(),
                kind::MEM => core.memories.get(handle.reference()).is_some(),
                kind::ENDPOINT => core.endpoints.get(handle.reference()).is_some(),
                kind::SPACE => core.spaces.get(handle.reference()).is_some(),
                kind::TABLE => core.tables.get(handle.reference()).is_some(),
                _ => false,
            };
            ledger.add(handle.reference::<()>(), handle.kind, lives as u64);
            slot = space.handles.next_used(slot.map_or(0, |slot| slot + 1));
        }
        ledger.take(at, kind::SPACE, space.refs as u64);
    }
    core.connections.refs().for_each(|at| ledger.take(at, kind::CONNECTION, core.connections[at].refs as u64));
    core.memories.refs().for_each(|at| ledger.take(at, kind::MEM, core.memories[at].handles as u64));
    core.endpoints.refs().for_each(|at| ledger.take(at, kind::ENDPOINT, core.endpoints[at].refs as u64));
    core.tables.refs().for_each(|at| ledger.take(at, kind::TABLE, core.tables[at].refs as u64));
    ledger.0 == 0
}

fn tokens_name_their_threads(core: &Core) -> bool {
    core.threads.refs().all(|at| {
        let Thread { token, serving, .. } = core.threads[at];
        let caller = core.threads.at_place(serving.thread()).map(|caller| &core.threads[caller]);
        let waits =
            |caller: &Thread| caller.token != serving || matches!(caller.state, State::Awaiting | State::Calling);
        token.thread() == at.place && caller.is_none_or(waits)
    })
}

fn page_tables_are_counted(core: &Core) -> bool {
    core.spaces.refs().all(|at| {
        let space = &core.spaces[at];
        paging::count_tables(space.root.table()) == space.page_tables
    })
}

/// Of every quota but the root's, which pays for the tables of objects as well.
fn quotas_add_up(core: &Core) -> bool {
    let mut ledger = Ledger::default();
    let mut pays = |quota: Ref<Quota>, bytes: u64| {
        if quota != ROOT_QUOTA && core.quotas.get(quota).is_some() {
            ledger.add(quota, 0, bytes);
        }
    };
    for at in core.quotas.refs() {
        let quota = &core.quotas[at];
        pays(quota.parent, quota.limit + Slab::<Quota>::COST);
        pays(at, quota.used.wrapping_neg());
    }
    for at in core.threads.refs() {
        let thread = &core.threads[at];
        pays(thread.quota, Slab::<Thread>::COST + if thread.fpu.is_some() { PAGE as u64 } else { 0 });
    }
    core.spaces.refs().for_each(|at| pays(core.spaces[at].quota, core.spaces[at].paid()));
    core.memories.refs().for_each(|at| pays(core.memories[at].quota, core.memories[at].paid()));
    for at in core.regions.refs() {
        let space = core.spaces.get(core.regions[at].space);
        pays(space.map_or(Ref::NONE, |space| space.quota), Slab::<Region>::COST);
    }
    core.endpoints.refs().for_each(|at| pays(core.endpoints[at].quota, Slab::<Endpoint>::COST));
    core.connections.refs().for_each(|at| pays(core.connections[at].quota, Slab::<Connection>::COST));
    core.tables.refs().for_each(|at| pays(core.tables[at].quota, Slab::<Table>::COST));
    core.submissions.refs().for_each(|at| pays(core.submissions[at].quota, Slab::<Submission>::COST));
    ledger.0 == 0
}

fn queues_are_linked_both_ways(core: &Core) -> bool {
    let mut ready = core.ready.queues.iter().zip(core.ready.counts);
    ready.all(|(queue, count)| queue.length_if_linked(&core.threads) == Some(count))
        && core.endpoints.refs().all(|at| core.endpoints[at].callers.length_if_linked(&core.threads).is_some())
}

fn endpoints_list_what_is_closing(core: &Core) -> bool {
    core.endpoints.refs().all(|at| {
        let closing = || core.endpoints[at].closing.iter(&core.connections).map(|at| &core.connections[at]);
        closing().all(|connection| connection.endpoint == at && connection.refs == 0)
            && closing().filter(|connection| !connection.told).count() == core.endpoints[at].untold as usize
    })
}

#[cfg(test)]
mod tests;
