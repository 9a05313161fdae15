//! Saying things: on the kernel log and on the console. And the end of it all.

use core::fmt::{self, Write};

use parley_abi::linux::{Timespec, open};
use parley_abi::slot;
use parley_posix::{STDERR, STDOUT};
use parley_rt::sys;

use crate::calls::{self, write_all};
use crate::report::Text;

/// The console, which the VFS knows.
const CONSOLE: &core::ffi::CStr = c"/dev/console";
/// How long the console's driver gets to send what it has taken, in nanoseconds.
const DRAIN: i64 = 20_000_000;

/// How much a line of the kernel log matters; the core's own lines have the same words.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something is odd, and the machine goes on.
    Warn,
}

/// Writes a line to the kernel log, with a [`Level`].
#[macro_export]
macro_rules! log {
    ($level:ident, $($text:tt)*) => {
        $crate::console::log_line($crate::console::Level::$level, format_args!($($text)*))
    };
}

/// What [`log!`] calls. Time and level look as in the core's lines.
pub fn log_line(level: Level, text: fmt::Arguments<'_>) {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
    };
    let microseconds = sys::clock() / 1000;
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let mut line = Text::default();
    // `Text` cannot fail: what does not fit is left out.
    let _ = writeln!(line, "[{seconds:4}.{rest:06} {level}] init: {text}");
    // init has every right to the log.
    let _ = sys::log(line.as_str());
}

/// Opens descriptors 0, 1 and 2, which programs inherit. Without a console nobody can use the machine,
/// so it is shut down.
pub fn open_descriptors() {
    for fd in 0..3 {
        match calls::patiently(|| calls::open(CONSOLE, open::RDWR, 0)) {
            Ok(opened) if opened == fd => {}
            Ok(opened) => shut_down(format_args!("/dev/console: opened as descriptor {opened} instead of {fd}")),
            Err(errno) => shut_down(format_args!("/dev/console: {errno}; are the services vfs and char running?")),
        }
    }
}

/// Writes to the console, if there is one.
pub fn print(text: &str) {
    let _ = write_all(STDERR, text.as_bytes());
}

/// Says why, and switches the machine off.
pub fn shut_down(why: fmt::Arguments<'_>) -> ! {
    log!(Error, "{why}");
    log!(Error, "shutting down");
    power(sys::POWER_OFF)
}

/// The end of a run that was started for one program: tells its status to whoever reads the console,
/// and switches off.
pub fn finish(status: i32) -> ! {
    let mut record = Text::default();
    let _ = writeln!(record, "\x1eexit {}", status & 0xff);
    let _ = write_all(STDOUT, record.as_str().as_bytes());
    power(sys::POWER_OFF)
}

/// Switches off or resets, after the console's driver had time to send what it has.
pub fn power(how: u64) -> ! {
    if sys::handle_info(slot::of_service(slot::service::TIME)).is_ok() {
        let _ = calls::nanosleep(&Timespec { sec: 0, nsec: DRAIN });
    }
    match sys::power(how) {
        Ok(()) => panic!("the machine is still on"),
        Err(errno) => panic!("cannot switch the machine off: {errno}"),
    }
}
