//! The vfs as it would be if it did not outlive its process: for measuring what that costs it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(server_vfs::Vfs::new(parley_rt::archive()));
parley_rt::wants!(ARCHIVE);
