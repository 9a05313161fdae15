//! `bench`: what one operation costs on the kernel that runs this.
#![no_std]
#![no_main]

parley_rt::program!(main);

fn main(args: parley_rt::Args) -> i32 {
    parley_programs::as_program(parley_programs::bench::run, args)
}
