//! The queue device in version 2 of its state: see `keep.rs`. For swaps there and back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable parley_rt::durable::Checkpointed::new(
    parley_rt::durable::Lasting::of_process(),
    server_tqueue::TQueue::new().in_version(2),
));
parley_rt::wants!(STATE);
