//! Lines from the console.

use alloc::string::String;
use alloc::vec::Vec;
use parley_abi::Errno;
use parley_posix::read;

/// Longest line, in bytes.
const LONGEST: usize = 4096;
const STDIN: u32 = 0;
/// What keys without a character begin with. The console edits lines, and knows only a few keys.
const ESCAPE: u8 = 0x1b;

/// What was typed.
pub enum Typed {
    /// A line, without its newline.
    Line(String),
    /// Something that is no line, and why.
    Unusable(&'static str),
    /// Ctrl-C: what was typed is to be forgotten.
    Nothing,
    /// The end of the input: nothing, or an input that cannot be read.
    End,
}

/// Bytes that were read and are not used yet.
#[derive(Default)]
pub struct Input {
    bytes: Vec<u8>,
}

impl Input {
    /// Waits for the next line.
    pub fn line(&mut self) -> Typed {
        let mut too_long = false;
        loop {
            if let Some(line) = self.take() {
                return if too_long {
                    Typed::Unusable("that line is too long (at most 4096 bytes)")
                } else {
                    text(line)
                };
            }
            if self.bytes.len() > LONGEST {
                too_long = true;
                self.bytes.clear();
            }
            if let Some(instead) = self.fill() {
                return instead;
            }
        }
    }

    /// The bytes up to the first newline, if there is one.
    fn take(&mut self) -> Option<Vec<u8>> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n')?;
        let mut line: Vec<u8> = self.bytes.drain(..=end).collect();
        line.pop();
        Some(line)
    }

    /// Reads more, or says what there is instead of a line.
    fn fill(&mut self) -> Option<Typed> {
        let mut buffer = [0; 512];
        match read(STDIN, &mut buffer) {
            Ok(0) => Some(Typed::End),
            Ok(read) => {
                self.bytes.extend(&buffer[..read.min(512)]);
                None
            }
            Err(Errno::EINTR) => {
                self.bytes.clear();
                Some(Typed::Nothing)
            }
            Err(Errno::EAGAIN) => None,
            Err(_) => Some(Typed::End),
        }
    }
}

fn text(line: Vec<u8>) -> Typed {
    if line.contains(&ESCAPE) {
        return Typed::Unusable("no arrow keys here: 'history' lists the lines so far, !! repeats the last");
    }
    String::from_utf8(line).map_or(Typed::Unusable("that line is not UTF-8"), Typed::Line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_one_by_one() {
        let mut input = Input { bytes: b"ls\n\ndate".to_vec() };
        assert_eq!((input.take(), input.take(), input.take()), (Some(b"ls".to_vec()), Some(vec![]), None));
        assert_eq!(input.bytes, b"date");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(text(vec![0xff]), Typed::Unusable(_)));
        assert!(matches!(text(b"\x1b[A".to_vec()), Typed::Unusable(_)));
        assert!(matches!(text(b"ls".to_vec()), Typed::Line(_)));
    }
}
