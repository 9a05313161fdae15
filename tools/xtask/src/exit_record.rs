//! The line by which init reports a program's exit status, taken out of its output.
//!
//! Init's last line on COM1 is `\x1eexit N\n`. The filter passes everything else on as it
//! comes and holds back only what could still turn out to be that line.

use std::io::{self, Write};

/// ASCII record separator: a program that prints text never sends it.
const MARK: u8 = 0x1e;

/// The longest record, `\x1eexit 255\r\n`.
const LONGEST: usize = 11;

/// Separates the record from the output before it.
#[derive(Default)]
pub struct ExitFilter {
    held: Vec<u8>,
    status: Option<u8>,
}

impl ExitFilter {
    /// Passes `bytes` on to `out`, without the record.
    pub fn write(&mut self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        loop {
            let mark = self.held.iter().position(|&byte| byte == MARK);
            let plain = mark.unwrap_or(self.held.len());
            out.write_all(&self.held[..plain])?;
            self.held.drain(..plain);
            if mark.is_none() || !self.resolve(out)? {
                return out.flush();
            }
        }
    }

    /// Passes on what was held back in vain and returns the status, if the record came.
    pub fn finish(&mut self, out: &mut dyn Write) -> io::Result<Option<u8>> {
        out.write_all(&self.held)?;
        self.held.clear();
        out.flush()?;
        Ok(self.status)
    }

    /// Decides what the mark at the front of `held` begins; false when more bytes are needed.
    fn resolve(&mut self, out: &mut dyn Write) -> io::Result<bool> {
        match self.held.iter().position(|&byte| byte == b'\n') {
            Some(end) if end < LONGEST => {
                match parse(&self.held[..end]) {
                    Some(status) => self.status = Some(status),
                    None => out.write_all(&self.held[..=end])?,
                }
                self.held.drain(..=end);
                Ok(true)
            }
            None if self.held.len() < LONGEST => Ok(false),
            _ => {
                out.write_all(&self.held[..1])?;
                self.held.drain(..1);
                Ok(true)
            }
        }
    }
}

/// The status in `\x1eexit N`, with or without the terminal's carriage return.
fn parse(line: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(line).ok()?;
    text.trim_end_matches('\r').strip_prefix("\x1eexit ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(chunks: &[&[u8]]) -> (Vec<u8>, Option<u8>) {
        let (mut filter, mut out) = (ExitFilter::default(), Vec::new());
        for chunk in chunks {
            filter.write(chunk, &mut out).unwrap();
        }
        let status = filter.finish(&mut out).unwrap();
        (out, status)
    }

    #[test]
    fn the_record_is_taken_out_of_the_output() {
        assert_eq!(filter(&[b"hi\n\x1eexit 42\n"]), (b"hi\n".to_vec(), Some(42)));
    }

    #[test]
    fn it_may_come_in_pieces_and_right_behind_output_without_a_newline() {
        assert_eq!(filter(&[b"hi\x1e", b"ex", b"it 0\r", b"\n"]), (b"hi".to_vec(), Some(0)));
    }

    #[test]
    fn what_only_looks_like_it_is_output() {
        let bytes = b"\x1e\x1eexit x\n\x1eexit 256\n\x1eexit".as_slice();
        assert_eq!(filter(&[bytes]), (bytes.to_vec(), None));
    }

    #[test]
    fn output_is_not_held_back_for_long() {
        let (mut filter, mut out) = (ExitFilter::default(), Vec::new());
        filter.write(b"\x1e0123456789abc", &mut out).unwrap();
        assert_eq!(out, b"\x1e0123456789abc");
    }
}
