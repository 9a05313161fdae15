//! The first process, as a list.
#![no_std]
#![no_main]

use parley_init::{Init, boot, terminal};

parley_rt::server!(start());

/// From what the core left to a machine that serves: then the run time's loop takes over.
fn start() -> Init {
    let info = boot::info(); // what the core says: rates, archive, resident services, command line
    let program = boot::program(info); // what to run instead of the shell, if anything
    let archive = boot::archive(info); // where servers and the first program come from
    boot::own_endpoint(); // faults and requests of all that follows arrive here
    let mut init = Init::new(info, archive);
    init.start_services(); // in the order of the manifest
    init.start_undertaker(); // takes apart what is left of those that end
    init.connect(); // from here on init makes POSIX calls itself
    init.open_console(); // descriptors 0, 1 and 2, inherited by every program
    terminal::start(); // tells init of Ctrl-C
    init.read_shim(); // what of poll is code of ring 3, shared by all programs
    init.start_first(program); // the shell, or the program of the command line
    init
}
