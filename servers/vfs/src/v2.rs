//! The vfs in version 2 of its state: see `keep.rs`. For swaps there and back.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_vfs::Vfs::over(parley_rt::durable::Lasting::of_process(), parley_rt::archive()).in_version(2));
parley_rt::wants!(ARCHIVE, STATE);
