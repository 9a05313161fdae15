//! QEMU: which accelerator, which command line, and a machine that is running.

mod accel;
mod machine;
mod running;

pub use accel::{Accel, AccelChoice, probe};
pub use machine::{Boot, Console, DETERMINISTIC, Machine};
pub use running::{End, Running};
