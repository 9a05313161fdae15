//! The queue device in ring 3, started by `svc load tqueue`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_tqueue::TQueue::new());
parley_rt::wants!(STATE);
