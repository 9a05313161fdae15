//! Submissions: their tokens name what was received, and nothing that is gone.

use parley_abi::call::Rights;
use parley_abi::msg::Token;
use parley_abi::{Errno, slot};
use parley_rt::sys;

use crate::tool::client::{answer, receive};
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![tokens_of_dropped_submissions];

const COOKIE: u64 = 0xc00c1e;

/// Copies an endpoint to where the answers of submissions arrive.
fn listen(scope: &Scope, endpoint: u32) -> Result<u32, Errno> {
    scope.keep(sys::handle_copy(endpoint, u64::from(slot::ENDPOINT), Rights::all()))
}

/// The submitter's endpoint is gone, so is the request; a token that the server makes up from the one
/// it had finds nothing, and above all not the memory that the request was in.
fn tokens_of_dropped_submissions() -> Verdict {
    let scope = Scope::new()?;
    let server = scope.endpoint()?;
    let own = sys::endpoint_create(scope.quota())?;
    let heard = listen(&scope, own)?;
    sys::submit(scope.connection(server, 3)?, 0, [0; 6], COOKIE)?;
    let token = receive(server)?.token;
    sys::handle_drop(own)?;
    sys::handle_drop(heard)?;
    for ahead in 0..4 {
        let forged = Token::new(token.thread(), token.generation() + ahead);
        ensure_eq!(answer(server, forged, [0; 6]), Err(Errno::ESTALE), "token {forged:?}, {ahead} ahead");
    }
    Ok(())
}
