//! ping in version 2 of its state, which has one word more. For swaps there and back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_ping::Ping::over(parley_rt::durable::Lasting::of_process()).in_version(2));
parley_rt::wants!(STATE);
