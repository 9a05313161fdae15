//! The kernel command line, as words that survive being one string.
//!
//! `log=com2 loglevel=info debug-exit -- /bin/cat a%20b`: options, then after `--` the program
//! that init runs instead of the shell, each word percent-encoded.

use std::fmt::Write;

/// Lets the program have interrupts and ports.
pub const HARDWARE: &str = "hardware";

/// Has init ask no service whether it is there.
pub const NO_HEARTBEATS: &str = "heartbeats=off";

/// Where the kernel log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPort {
    /// Beside the console's output: for a person at the terminal.
    Com1,
    /// Apart from it: for everything that reads the console's output.
    Com2,
}

/// The command line that sends the log to `port`, ends through QEMU's exit device, and runs
/// `program` (with its arguments) instead of the shell when there is one. `options` are more words for the kernel.
pub fn compose(port: LogPort, level: &str, options: &[String], program: &[String]) -> String {
    let port = match port {
        LogPort::Com1 => "com1",
        LogPort::Com2 => "com2",
    };
    let mut line = format!("log={port} loglevel={level} debug-exit");
    for option in options {
        line.push(' ');
        line.push_str(option);
    }
    if !program.is_empty() {
        line.push_str(" --");
    }
    for word in program {
        line.push(' ');
        line.push_str(&encode(word));
    }
    line
}

/// Percent-encodes what would not survive: spaces, control characters, `%`, and non-ASCII.
fn encode(word: &str) -> String {
    let mut encoded = String::new();
    for byte in word.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(byte as char);
        } else {
            write!(encoded, "%{byte:02x}").expect("a String takes anything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_stay_one_word() {
        let program = ["/bin/echo".into(), "a b".into(), "100%".into()];
        let line = compose(LogPort::Com2, "info", &["short-cuts=off".into()], &program);
        assert_eq!(line, "log=com2 loglevel=info debug-exit short-cuts=off -- /bin/echo a%20b 100%25");
    }

    #[test]
    fn without_a_program_there_is_no_separator() {
        assert_eq!(compose(LogPort::Com1, "debug", &[], &[]), "log=com1 loglevel=debug debug-exit");
    }
}
