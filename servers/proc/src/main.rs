//! The process service in ring 3.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(server_proc::Proc);
