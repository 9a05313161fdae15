//! What the real core recorded, held against the model.
//!
//! A trace shows requests, who received and answered them, and what a new instance put back; it does not show when an
//! event was finished in the store, or what init did. So the model is followed in all ways at once: a set of states,
//! closed under what cannot be seen. If no state is left after an event, the system has done something that the model
//! does not allow.

use std::collections::{BTreeMap, HashSet};

use parley_abi::call::{PUT_BACK, REPLY_RECV, REQUESTS};
use parley_abi::msg::{Token as Real, event};
use parley_abi::trace::{Event, kind};
use parley_proto::file;

use crate::{Action, Budget, CLIENTS, Mistake, Phase, State, Token};

/// States that are followed at most.
const MOST: usize = 100_000;

/// Something of the protocol that a trace shows. Clients are numbered as the core numbers their threads; servers are 0
/// for the one that serves when the trace begins, and then what [`read`] numbers them: the core gives the number of a
/// dead server's thread to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A client calls.
    Call(u32),
    /// A server receives this client's request.
    Receive(u32, u32),
    /// A server answers it.
    Answer(u32, u32),
    /// A new server puts it back.
    PutBack(u32, u32),
}

/// The requests to write to files, and what becomes of them, in a trace. EINVAL-like text: events are missing.
pub fn read(events: &[Event]) -> Result<Vec<Seen>, String> {
    let mut seen = Vec::new();
    // The number of the last system call of each thread, and the request that it listed last.
    let (mut last, mut listed) = (BTreeMap::new(), BTreeMap::new());
    let mut waiting = BTreeMap::new();
    let mut lives = Lives::default();
    for event in events {
        let (thread, [first, second]) = (event.thread, event.words);
        match event.kind {
            kind::LOST => return Err(format!("{first} events are missing")),
            kind::CALL => {
                let number = first as u16;
                last.insert(thread, number);
                if matches!(number, PUT_BACK | REQUESTS) {
                    lives.adopts(thread);
                }
                if number == PUT_BACK
                    && let Some(client) = listed.remove(&thread)
                {
                    seen.push(Seen::PutBack(lives.of(thread), client));
                }
            }
            kind::MESSAGE if first as u32 == file::label::write => {
                waiting.insert(thread, ());
                seen.push(Seen::Call(thread));
            }
            kind::REPLY if waiting.contains_key(&Real(first).thread()) => {
                listed.remove(&thread);
                waiting.remove(&Real(first).thread());
                seen.push(Seen::Answer(lives.of(thread), Real(first).thread()));
            }
            kind::RETURN if first as u32 == event::REQUEST && waiting.contains_key(&Real(second).thread()) => {
                let client = Real(second).thread();
                match last.get(&thread) {
                    Some(&REPLY_RECV) | None => {
                        lives.serves(thread);
                        seen.push(Seen::Receive(lives.of(thread), client));
                    }
                    Some(&REQUESTS) => {
                        listed.insert(thread, client);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    Ok(seen)
}

/// Which server a thread is: only a new one looks at requests in progress.
#[derive(Default)]
struct Lives {
    known: BTreeMap<u32, (u32, bool)>,
    count: u32,
}

impl Lives {
    fn adopts(&mut self, thread: u32) {
        if !matches!(self.known.get(&thread), Some((_, true))) {
            self.count += 1;
            self.known.insert(thread, (self.count, true));
        }
    }

    fn serves(&mut self, thread: u32) {
        self.known.entry(thread).or_default().1 = false;
    }

    fn of(&self, thread: u32) -> u32 {
        self.known.get(&thread).map_or(0, |life| life.0)
    }
}

/// Follows the model through what was seen. The error says where it could not. Returns the largest number of states
/// that had to be followed.
pub fn replay(seen: &[Seen]) -> Result<usize, String> {
    let everything = Budget { calls: u8::MAX, crashes: 8, hangs: 0, refusals: 0, swaps: 8 };
    let mut states = HashSet::from([State::new(everything, Mistake::None)]);
    let (mut clients, mut servers) = (Vec::new(), Servers::default());
    let mut most = 0;
    for (at, &event) in seen.iter().enumerate() {
        if let Seen::Call(thread) = event
            && !clients.contains(&thread)
        {
            clients.push(thread);
        }
        if clients.len() > CLIENTS {
            return Err(format!("{} clients, and the model has {CLIENTS}", clients.len()));
        }
        let client = |thread: u32| clients.iter().position(|known| *known == thread).map(|index| index as u8);
        let closed = close(states)?;
        most = most.max(closed.len());
        states = closed.iter().filter_map(|state| step(state, event, client, &mut servers)).collect();
        if states.is_empty() {
            let before = &seen[at.saturating_sub(6)..at];
            return Err(format!("the model does not allow event {at}, {event:?}, after {before:?}"));
        }
    }
    Ok(most)
}

/// The servers after the first, in the order in which they appear.
#[derive(Default)]
struct Servers(Vec<u32>);

impl Servers {
    /// Instances take the two places in turn.
    fn place(&mut self, server: u32) -> u8 {
        if server == 0 {
            return 0;
        }
        let known = self.0.iter().position(|known| *known == server);
        let index = known.unwrap_or_else(|| {
            self.0.push(server);
            self.0.len() - 1
        });
        ((index + 1) % 2) as u8
    }
}

/// What a state becomes when this is seen. `None`: it cannot be.
fn step(state: &State, event: Seen, client: impl Fn(u32) -> Option<u8>, servers: &mut Servers) -> Option<State> {
    // The request that a client waits for is its last.
    let token = |thread| {
        let client = client(thread)?;
        Some(Token { client, number: state.clients[usize::from(client)].called.checked_sub(1)? })
    };
    match event {
        Seen::Call(thread) => state.next(Action::Call(client(thread)?)),
        Seen::Receive(server, thread) => state.next(Action::Receive(servers.place(server), token(thread)?)),
        Seen::Answer(server, thread) => {
            let (at, token) = (servers.place(server), token(thread)?);
            match &state.instances[usize::from(at)].as_ref()?.phase {
                Phase::Finished(known) if *known == token => state.next(Action::Answer(at)),
                // It is the first of those left, and was finished by the instance before.
                Phase::Adopting(left) if left.first() == Some(&token) && is_last(state, token) => {
                    state.next(Action::Adopt(at))
                }
                _ => None,
            }
        }
        Seen::PutBack(server, thread) => {
            let (at, token) = (servers.place(server), token(thread)?);
            match &state.instances[usize::from(at)].as_ref()?.phase {
                Phase::Adopting(left) if left.first() == Some(&token) && !is_last(state, token) => {
                    state.next(Action::Adopt(at))
                }
                _ => None,
            }
        }
    }
}

fn is_last(state: &State, token: Token) -> bool {
    state.store.last.is_some_and(|(last, _)| last == token)
}

/// All states that can be reached without anything being seen.
fn close(states: HashSet<State>) -> Result<HashSet<State>, String> {
    let mut found = states.clone();
    let mut new: Vec<State> = states.into_iter().collect();
    while let Some(state) = new.pop() {
        for action in state.actions() {
            let hidden =
                !matches!(action, Action::Call(_) | Action::Receive(..) | Action::Answer(_) | Action::Adopt(_));
            if let Some(next) = state.next(action).filter(|_| hidden)
                && found.insert(next.clone())
            {
                new.push(next);
            }
        }
        if found.len() > MOST {
            return Err(format!("more than {MOST} states to follow"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLED: [Seen; 3] = [Seen::Call(1), Seen::Call(2), Seen::Receive(0, 1)];

    #[test]
    fn a_request_is_put_back_or_answered_by_the_next() {
        let put_back = [Seen::PutBack(10, 1), Seen::Receive(10, 2), Seen::Answer(10, 2), Seen::Receive(10, 1)];
        assert!(replay(&[&CALLED[..], &put_back].concat()).is_ok());
        let answered = [Seen::Answer(10, 1), Seen::Receive(10, 2), Seen::Answer(10, 2), Seen::Call(1)];
        assert!(replay(&[&CALLED[..], &answered].concat()).is_ok());
    }

    #[test]
    fn what_the_protocol_forbids_is_refused() {
        let wrong: [&[Seen]; 5] = [
            &[Seen::Answer(0, 1), Seen::Answer(0, 1)],
            &[Seen::Answer(0, 2)],
            &[Seen::Receive(0, 2)],
            // The old one goes on after the new one.
            &[Seen::PutBack(10, 1), Seen::Answer(0, 1)],
            // Nobody has put it back.
            &[Seen::Receive(10, 1)],
        ];
        for wrong in wrong {
            assert!(replay(&[&CALLED[..], wrong].concat()).is_err(), "{wrong:?}");
        }
    }
}
