//! QEMU: which accelerator, which command line, a machine that is running, and one that is stepped.

mod accel;
mod machine;
mod running;
mod stub;

pub use accel::{Accel, AccelChoice, probe};
pub use machine::{Boot, Console, DETERMINISTIC, Machine, PROCESSOR};
pub use running::{End, Running};
pub use stub::{PROGRAM_COUNTER, Place, RAX, RCX, RDI, RDX, RSI, RSP, Stub};
