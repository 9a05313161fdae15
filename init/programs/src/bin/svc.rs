//! `svc` as a program: the same code as the shell's builtin.
#![no_std]
#![no_main]

parley_rt::program!(main);

fn main(args: parley_rt::Args) -> i32 {
    parley_programs::as_program(parley_programs::commands::svc::run, args)
}
