//! Lines for the kernel log, made without a heap.

use core::fmt::{self, Write};

/// Most bytes of a line.
const LINE: usize = 200;

/// A line that is complete: name, text, newline.
pub(crate) struct Line {
    bytes: [u8; LINE],
    used: usize,
}

impl Line {
    /// What does not fit is cut.
    pub fn new(name: &str, text: fmt::Arguments<'_>) -> Line {
        let mut line = Line { bytes: [0; LINE], used: 0 };
        let _ = write!(line, "{name}: {text}");
        if let Some(end) = line.bytes.get_mut(line.used) {
            *end = b'\n';
            line.used += 1;
        }
        line
    }

    /// As it goes into the log.
    pub fn text(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.used).unwrap_or_default()).unwrap_or("?\n")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // What does not fit is lost; what fits is still worth reading. The last byte is the newline's.
            if let Some(place) = self.bytes.get_mut(self.used).filter(|_| self.used + 1 < LINE) {
                *place = byte;
                self.used += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends() {
        assert_eq!(Line::new("vfs", format_args!("version {}", 2)).text(), "vfs: version 2\n");
        let long = "x".repeat(2 * LINE);
        let line = Line::new("vfs", format_args!("{long}"));
        assert!(line.text().ends_with("x\n") && line.text().len() == LINE);
    }
}
