//! What `svc swap` must survive: a program that overwrites the state that it is to take over, and then dies.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use parley_abi::{PAGE, slot};

parley_rt::server!(wreck());

fn wreck() -> server_ping::Ping {
    for page in 0..8 {
        // Past the end, and where there is no state, there is nothing to ruin.
        let _ = parley_rt::sys::mem_write(slot::STATE, page * PAGE as u64, &[0xa5; PAGE]);
    }
    panic!("the state is ruined, as it was to be");
}
