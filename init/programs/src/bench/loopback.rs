//! The loop-back placement: the same servers, linked into the benchmark.
//!
//! The calls become the same messages and run the same server code, but nothing crosses into ring 0. So
//! these rows are the work itself, and their distance to the others is what protection costs. Devices
//! have no hardware behind them ([`server_drivers::fake`]); the root is empty.

use alloc::boxed::Box;
use parley_abi::slot::service::{CHAR, PROC, TIME, VFS};
use parley_abi::{Errno, slot};
use parley_loopback::{Loopback, Own};
use server_char::Char;
use server_drivers::fake::{FakeEntropy, FakeRtc, SilentUart};
use server_proc::Proc;
use server_time::Time;
use server_vfs::Vfs;

use super::meter::{Failure, Meter};
use super::report::Placement;

/// 2026-01-01T00:00:00Z, the date at which `compare` starts the machine.
const DATE: u64 = 1_767_225_600;
/// An archive without files: two blocks of zeros end a ustar file.
static EMPTY: [u8; 1024] = [0; 1024];

/// Measures the POSIX families against linked services.
pub fn measure(meter: &mut Meter<'_>) -> Result<(), Failure> {
    let mut vfs = Box::new(Vfs::new(&EMPTY));
    let mut char = Box::new(Char::new(SilentUart, FakeEntropy::default()));
    let mut time = Time::new(FakeRtc(Some(DATE)));
    let mut proc = Proc;
    // SAFETY: the rows pass null, or exposed addresses of buffers of their own that are long enough and
    // that live until the call is over; servers hold no references into them.
    let memory = unsafe { Own::new() };
    let mut loopback = Box::new(Loopback::new(memory));
    loopback.set_clock(&parley_rt::now);
    loopback.bind(VFS, &mut *vfs).bind(CHAR, &mut *char).bind(TIME, &mut time).bind(PROC, &mut proc);
    loopback.start().map_err(|(service, errno)| not_started(service, errno))?;
    meter.set_placement(Placement::Loopback);
    super::families(meter, &mut *loopback, super::posix())
}

/// A service that did not start, under its name.
fn not_started(service: u8, errno: Errno) -> Failure {
    let name = slot::service::NAMES.get(service as usize).copied().unwrap_or("a service");
    Failure { row: name, errno }
}
