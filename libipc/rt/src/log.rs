//! Lines for the kernel log, written without a heap.

use core::fmt::{self, Write};

use parley_proto::Host;

use crate::Args;

/// Most bytes of a line.
const LINE: usize = 200;

struct Line {
    bytes: [u8; LINE],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // What does not fit is lost; what fits is still worth reading.
            if let Some(place) = self.bytes.get_mut(self.used) {
                *place = byte;
                self.used += 1;
            }
        }
        Ok(())
    }
}

/// Writes a line to the kernel log, behind the name of the process.
pub fn line(host: &mut dyn Host, text: fmt::Arguments<'_>) {
    let name = Args::of_process().map_or("test", |args| args.name());
    let mut line = Line { bytes: [0; LINE], used: 0 };
    let _ = write!(line, "{name}: {text}");
    host.log(core::str::from_utf8(&line.bytes[..line.used]).unwrap_or(name));
}
