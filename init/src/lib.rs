//! init: starts the services and programs, hands out handles, reports what fails.
//!
//! `main.rs` is the order of events; [`server`] is what init answers once the machine runs. What can be
//! decided without a machine is in modules of its own, with tests on the host: [`cmdline`], [`image`]
//! (ELF), [`stack`], [`table`] (processes), [`supervise`], [`watch`] (heartbeats) and [`report`] (faults). [`manifest`] says what each service
//! gets, [`loader`] turns a program file into a process.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod archive;
pub mod beat;
pub mod boot;
pub mod calls;
pub mod cmdline;
pub mod console;
pub mod describe;
pub mod drivers;
pub mod file;
pub mod handle;
pub mod history;
pub mod image;
pub mod loader;
pub mod manifest;
pub mod prepare;
pub mod programs;
pub mod report;
pub mod server;
pub mod services;
pub mod shared;
pub mod stack;
pub mod supervise;
pub mod swap;
pub mod table;
pub mod terminal;
pub mod undertaker;
pub mod watch;
pub mod worker;

pub use server::Init;
