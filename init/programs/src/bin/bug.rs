//! What `cargo xtask demo` runs: makes a driver run past the end of its buffer, and tells what follows.
#![no_std]
#![no_main]

parley_rt::program!(main);

fn main(_: parley_rt::Args) -> i32 {
    parley_programs::commands::bug::run()
}
