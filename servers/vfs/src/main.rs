//! The ring-3 shell of the vfs: the placement-blind library in a receive loop.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_vfs::Vfs::over(parley_rt::durable::Lasting::of_process(), parley_rt::archive()));
parley_rt::wants!(ARCHIVE, STATE);
