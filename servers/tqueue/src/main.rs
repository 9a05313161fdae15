//! The queue device in ring 3, started by `svc load tqueue`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable parley_rt::durable::Checkpointed::new(
    parley_rt::durable::Lasting::of_process(),
    server_tqueue::TQueue::new(),
));
parley_rt::wants!(STATE);
