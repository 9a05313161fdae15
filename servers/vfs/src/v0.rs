//! A vfs that is older than the first version of its state, and so must refuse it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable server_vfs::Vfs::over(parley_rt::durable::Lasting::of_process(), parley_rt::archive()).in_version(0));
parley_rt::wants!(ARCHIVE, STATE);
