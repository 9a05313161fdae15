//! `sh`: the shell, which init starts on the console.
#![no_std]
#![no_main]

parley_rt::program!(main);

fn main(_args: parley_rt::Args) -> i32 {
    parley_programs::shell::run()
}
