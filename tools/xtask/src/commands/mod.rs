//! The commands, one file each, and the options that several of them share.

mod build;
mod compare;
mod demo;
mod doctor;
mod exec;
mod fuzz;
mod gdb;
mod host_fuzz;
mod image;
mod plot;
mod run;
mod size;
mod test;
mod torture;
mod trace;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::qemu::{Accel, AccelChoice};

/// Everything `cargo xtask` can do.
#[derive(Subcommand)]
pub enum Command {
    Compare(compare::Compare),
    Plot(plot::Plot),
    Demo(demo::Demo),
    Test(test::Test),
    Run(run::Run),
    Exec(exec::Exec),
    Fuzz(fuzz::Fuzz),
    Torture(torture::Torture),
    Image(image::Image),
    Trace(trace::Trace),
    Size(size::Size),
    Gdb(gdb::Gdb),
    Doctor(doctor::Doctor),
    Build(build::Build),
}

impl Command {
    /// Does it; the value is this program's exit status.
    pub fn run(self) -> Result<u8> {
        match self {
            Command::Compare(command) => command.run(),
            Command::Plot(command) => command.run(),
            Command::Demo(command) => command.run(),
            Command::Test(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Exec(command) => command.run(),
            Command::Fuzz(command) => command.run(),
            Command::Torture(command) => command.run(),
            Command::Image(command) => command.run(),
            Command::Trace(command) => command.run(),
            Command::Size(command) => command.run(),
            Command::Gdb(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Build(command) => command.run(),
        }
    }
}

/// The machine's size and speed.
#[derive(Args, Clone, Copy)]
pub struct MachineOptions {
    /// RAM of the machine in MiB
    #[arg(long, value_name = "MIB", default_value_t = crate::guest::MEMORY)]
    pub memory: u32,
    /// What executes the guest's instructions
    #[arg(long, value_enum, default_value_t)]
    pub accel: AccelChoice,
}

impl MachineOptions {
    /// The accelerator for a machine that counts instructions if `deterministic`.
    pub fn accelerator(self, deterministic: bool) -> Accel {
        if deterministic { Accel::Tcg } else { self.accel.resolve() }
    }
}
