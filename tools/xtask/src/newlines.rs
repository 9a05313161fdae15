//! The console driver's CR LF, turned back into the LF that the program wrote.
//!
//! The driver puts one carriage return before every line feed, for terminals. Taking away one
//! carriage return directly before each line feed, and nothing else, is the exact inverse.

/// Undoes it in a stream that comes in pieces.
#[derive(Default)]
pub struct Newlines {
    /// The last piece ended with a carriage return; whether it stays, the next byte decides.
    pending: bool,
}

impl Newlines {
    /// `bytes` as the program wrote them.
    pub fn undo(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let mut written = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            if self.pending && byte != b'\n' {
                written.push(b'\r');
            }
            self.pending = byte == b'\r';
            if !self.pending {
                written.push(byte);
            }
        }
        written
    }

    /// What was still held back when the stream ended.
    pub fn finish(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.pending) { vec![b'\r'] } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(pieces: &[&[u8]]) -> Vec<u8> {
        let mut newlines = Newlines::default();
        let mut written: Vec<u8> = pieces.iter().flat_map(|piece| newlines.undo(piece.to_vec())).collect();
        written.extend(newlines.finish());
        written
    }

    #[test]
    fn one_carriage_return_before_each_line_feed_goes() {
        assert_eq!(undo(&[b"a\r\n\r\nb"]), b"a\n\nb");
        assert_eq!(undo(&[b"own\r\r\n"]), b"own\r\n");
    }

    #[test]
    fn all_other_bytes_stay() {
        let bytes = b"\r\ra\rb\n\r".as_slice();
        assert_eq!(undo(&[bytes]), bytes);
    }

    #[test]
    fn pieces_may_end_anywhere() {
        assert_eq!(undo(&[b"a\r", b"\nb\r", b"", b"c\r"]), b"a\nb\rc\r");
    }
}
