//! A message there and back, between two address spaces.
//!
//! `ipc_round_trip_N` is the core's own cost: the other side is the echo of [`crate::peer`], three
//! instructions a round. N is how many words the caller loads; the core carries all six in any case.
//! `ipc_server_loop` is the same against a real server with its loop and dispatcher (`svc/peer`, which is
//! in ring 3 on every kernel), and `ping` the same server as a service, wherever this kernel has it.

use core::hint::black_box;
use parley_abi::Errno;
use parley_abi::call::CALL;
use parley_abi::linux::nr;
use parley_abi::msg::{FOREVER, Flags, Words, pack};
use parley_abi::slot::{self, service};
use parley_proto::{Caller, ping};
use parley_rt::{Trap, sys};

use super::meter::{Failure, InRow, Meter};
use crate::peer::Peer;
use crate::threads::own_priority;

/// Rows against the echo.
pub const ROUND_TRIPS: &[&str] = &["ipc_round_trip_0", "ipc_round_trip_2", "ipc_round_trip_6"];
/// Rows against the ping server.
pub const SERVED: &[&str] = &["ipc_server_loop", "ping"];

/// Measures [`ROUND_TRIPS`].
pub fn round_trips(meter: &mut Meter<'_>, _: &mut Trap) -> Result<(), Failure> {
    let peer = Peer::start(own_priority()).in_row("starting the echo server")?;
    let words = black_box([1, 2, 3, 4, 5, 6]);
    echoes(&peer, words).in_row("the echo server's answer")?;
    let to = u64::from(peer.connection());
    meter.row("ipc_round_trip_0", || call(to, 0, [0; 6]))?;
    let [a, b, ..] = words;
    meter.row("ipc_round_trip_2", || call(to, 0, [a, b, 0, 0, 0, 0]))?;
    meter.row("ipc_round_trip_6", || call(to, 0, words))
}

/// Measures [`SERVED`].
pub fn served(meter: &mut Meter<'_>, via: &mut Trap) -> Result<(), Failure> {
    let words = black_box([1, 2, 3, 4, 5, 6]);
    let peer = u64::from(slot::of_service(service::PEER));
    meter.row("ipc_server_loop", || call(peer, ping::label::ping, words))?;
    meter.row("ping", || via.invoke(nr::OWN, words))
}

/// A call with nothing lent: the bare instruction.
#[inline(always)]
fn call(to: u64, label: u32, words: Words) -> i64 {
    // SAFETY: without lease flags the words are numbers, and the call touches no memory of ours.
    unsafe { sys::raw(pack(CALL, Flags::empty(), label), to, words, 0, FOREVER).rax as i64 }
}

/// EIO: the answer is not what was sent.
fn echoes(peer: &Peer, words: Words) -> Result<(), Errno> {
    if peer.call(words, FOREVER)? == words { Ok(()) } else { Err(Errno::EIO) }
}
