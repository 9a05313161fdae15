//! Tokens: who is answered, when, and by whom.

use alloc::vec::Vec;
use parley_abi::call::Rights;
use parley_abi::msg::{Flags, POLL, Token};
use parley_abi::{Errno, slot};
use parley_programs::peer::Peer;
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, LOWEST_FREE, Reply};

use crate::tool::client::{Client, Message, answer, event, forget, receive};
use crate::tool::machine::soon;
use crate::tool::scope::Scope;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    deferred_in_any_order,
    answered_once,
    forged_tokens,
    tokens_belong_to_the_endpoint,
    forwarded,
    submitted,
    minted_by_a_reply,
];

fn deferred_in_any_order() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let clients: Result<Vec<Client>, Errno> =
            (0..3).map(|number| Client::start(Message::new(connection, [number; 6]))).collect();
        let requests = [receive(endpoint)?, receive(endpoint)?, receive(endpoint)?];
        for index in order {
            let request = requests[index];
            answer(endpoint, request.token, [request.words[0] + 100; 6])?;
        }
        for (number, client) in clients?.into_iter().enumerate() {
            ensure_eq!(client.result()?, Ok((0, [number as u64 + 100; 6])), "caller {number}, order {order:?}");
        }
    }
    Ok(())
}

fn answered_once() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, [0; 6]))?;
    let token = receive(endpoint)?.token;
    answer(endpoint, token, [1; 6])?;
    ensure_eq!(answer(endpoint, token, [2; 6]), Err(Errno::ESTALE), "answering again");
    ensure_eq!(client.result()?, Ok((0, [1; 6])), "the answer");
    let silent = sys::reply_recv(endpoint, &Reply::words(token, [3; 6]), POLL)?;
    ensure!(matches!(silent, Event::Timeout), "a stale reply before receiving: {silent:?}");
    Ok(())
}

fn forged_tokens() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, [0; 6]))?;
    let real = receive(endpoint)?.token;
    let neighbours = [Token(real.0 + (1 << 32)), Token(real.0 - (1 << 32)), Token(real.0 ^ 1)];
    let nonsense = [Token(1), Token(u64::MAX), Token(1 << 32), Token(0xffff_ffff), Token(1 << 63)];
    for token in neighbours.into_iter().chain(nonsense).filter(|token| token.0 != 0) {
        ensure_eq!(answer(endpoint, token, [66; 6]), Err(Errno::ESTALE), "answering {token:x?}");
        let copied = sys::copy_in(endpoint, token, 0, 0, &mut [0; 8]);
        ensure_eq!(copied, Err(Errno::ESTALE), "copying from {token:x?}");
    }
    answer(endpoint, real, [1; 6])?;
    ensure_eq!(client.result()?, Ok((0, [1; 6])), "the real answer");
    Ok(())
}

fn tokens_belong_to_the_endpoint() -> Verdict {
    let scope = Scope::new()?;
    let (endpoint, other) = (scope.endpoint()?, scope.endpoint()?);
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, [0; 6]))?;
    let token = receive(endpoint)?.token;
    ensure_eq!(answer(other, token, [2; 6]), Err(Errno::ESTALE), "answering through another endpoint");
    let deaf = scope.keep(sys::handle_copy(endpoint, LOWEST_FREE, Rights::MINT))?;
    ensure_eq!(answer(deaf, token, [3; 6]), Err(Errno::EPERM), "answering without RECEIVE");
    answer(endpoint, token, [1; 6])?;
    ensure_eq!(client.result()?, Ok((0, [1; 6])), "the answer");
    Ok(())
}

fn forwarded() -> Verdict {
    let scope = Scope::new()?;
    let (first, second) = (scope.endpoint()?, scope.endpoint()?);
    let client = Client::start(Message::new(scope.connection(first, 1)?, [7; 6]))?;
    let token = receive(first)?.token;
    let onward = scope.connection(second, 42)?;
    sys::forward(first, onward, token, 5, [1, 2, 3, 4])?;
    ensure_eq!(answer(first, token, [9; 6]), Err(Errno::ESTALE), "answering what was handed on");
    let request = receive(second)?;
    let got = (request.badge, request.label, request.words);
    ensure_eq!(got, (42, 5, [1, 2, 3, 4, 0, 0]), "the request that was handed on");
    answer(second, request.token, [8; 6])?;
    ensure_eq!(client.result()?, Ok((0, [8; 6])), "the answer of the second server");
    Ok(())
}

/// The answer to a submitted call arrives where the process receives.
fn submitted() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let rights = Rights::RECEIVE | Rights::MINT | Rights::NOTIFY;
    if sys::handle_copy(endpoint, u64::from(slot::ENDPOINT), rights).is_err() {
        return Err(Trouble::Skip("slot ENDPOINT is taken".into()));
    }
    let peer = Peer::start(own_priority())?;
    let done = sys::submit(peer.connection(), 3, [1, 2, 3, 4, 5, 6], 0xc00c1e).map_err(Trouble::from);
    let done = done.and_then(|()| event(endpoint));
    sys::handle_drop(slot::ENDPOINT)?;
    match done? {
        Event::Done { cookie: 0xc00c1e, words, .. } => ensure_eq!(words, [1, 2, 3, 4, 5, 6], "the answer"),
        other => fail!("expected DONE with the cookie, got {other:?}"),
    }
    Ok(())
}

/// A reply can carry a connection; the caller finds it in the lowest free descriptor.
fn minted_by_a_reply() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let message = Message { flags: Flags::ACCEPT_HANDLE, deadline: soon(), ..Message::new(connection, [0; 6]) };
    let client = Client::start(message)?;
    let token = receive(endpoint)?.token;
    sys::reply(endpoint, &Reply::open(token, 1234, false))?;
    let Ok((_, words)) = client.result()? else { fail!("the call failed") };
    let fd = words[0] as u32;
    ensure!(fd < slot::FD_END, "the new handle is in slot {fd}");
    let client = Client::start(Message::new(fd, [5; 6]))?;
    let request = receive(endpoint)?;
    ensure_eq!(request.badge, 1234, "badge of the new connection");
    answer(endpoint, request.token, [6; 6])?;
    ensure_eq!(client.result()?, Ok((0, [6; 6])), "a call on it");
    sys::handle_drop(fd)?;
    let closed = event(endpoint)?;
    forget(endpoint, &closed, 1234)
}
