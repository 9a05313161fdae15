//! ping in ring 3: a process of its own that answers messages.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_ping::Ping::over(parley_rt::durable::Lasting::of_process()));
parley_rt::wants!(STATE);
