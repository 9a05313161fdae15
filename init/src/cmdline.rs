//! The kernel command line, as far as init reads it.
//!
//! `options -- PROGRAM ARGUMENT...`: what is before the separator is for the core. Words after it are
//! percent-encoded (RFC 3986, section 2.1), so that an argument can hold spaces.

use alloc::vec::Vec;
use parley_abi::Errno;

/// The program to run instead of the shell, as an argument block: each argument ended by NUL, the path
/// first. `None` if the line names no program.
///
/// EINVAL: a percent sign without two hexadecimal digits, or an encoded NUL. ENOMEM: no room.
pub fn program(line: &str) -> Result<Option<Vec<u8>>, Errno> {
    let mut words = line.split_ascii_whitespace().skip_while(|&word| word != "--").skip(1).peekable();
    if words.peek().is_none() {
        return Ok(None);
    }
    let mut block = Vec::new();
    block.try_reserve_exact(line.len() + 1).map_err(|_| Errno::ENOMEM)?;
    for word in words {
        decode(word.as_bytes(), &mut block)?;
        block.push(0);
    }
    Ok(Some(block))
}

/// Whether the kernel log is on the console's port, so that what is written to both would be there twice.
pub fn log_is_on_console(line: &str) -> bool {
    let options = line.split_ascii_whitespace().take_while(|&word| word != "--");
    options.filter_map(|word| word.strip_prefix("log=")).last() != Some("com2")
}

/// Whether the program that init starts may have interrupts and ports: measurements of drivers need them, and
/// nothing else does. Whoever writes the kernel's command line could start another kernel as well.
pub fn grants_hardware(line: &str) -> bool {
    has_option(line, "hardware")
}

/// Whether services are asked whether they are there. Under a debugger that stops the machine they cannot answer in time.
pub fn has_heartbeats(line: &str) -> bool {
    !has_option(line, "heartbeats=off")
}

fn has_option(line: &str, option: &str) -> bool {
    line.split_ascii_whitespace().take_while(|&word| word != "--").any(|word| word == option)
}

/// Path of the program that an argument block names, with its NUL: a word without a slash is a program in
/// /bin. ENOMEM: no room.
pub fn path(block: &[u8]) -> Result<Vec<u8>, Errno> {
    let word = block.split_inclusive(|&byte| byte == 0).next().unwrap_or_default();
    let folder: &[u8] = if word.contains(&b'/') { b"" } else { b"/bin/" };
    let mut path = Vec::new();
    path.try_reserve_exact(folder.len() + word.len()).map_err(|_| Errno::ENOMEM)?;
    path.extend_from_slice(folder);
    path.extend_from_slice(word);
    Ok(path)
}

/// Appends the decoded word, which is never longer than the encoded one.
fn decode(mut word: &[u8], block: &mut Vec<u8>) -> Result<(), Errno> {
    while let [first, rest @ ..] = word {
        let (byte, rest) = match (first, rest) {
            (b'%', [high, low, rest @ ..]) => (hexadecimal(*high)? << 4 | hexadecimal(*low)?, rest),
            (b'%', _) => return Err(Errno::EINVAL),
            (&byte, rest) => (byte, rest),
        };
        if byte == 0 {
            return Err(Errno::EINVAL);
        }
        block.push(byte);
        word = rest;
    }
    Ok(())
}

fn hexadecimal(digit: u8) -> Result<u8, Errno> {
    (digit as char).to_digit(16).map(|value| value as u8).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_alone_name_no_program() {
        assert_eq!(program("log=com2 loglevel=info"), Ok(None));
        assert_eq!(program(""), Ok(None));
        assert_eq!(program("quiet --"), Ok(None));
    }

    #[test]
    fn arguments_are_decoded() {
        let block = program("debug-exit -- /bin/echo a%20b 100%25 --").unwrap().unwrap();
        assert_eq!(block, b"/bin/echo\0a b\x00100%\0--\0");
    }

    #[test]
    fn the_log_is_where_the_last_option_says() {
        assert!(log_is_on_console("loglevel=info log=com2 log=com1"));
        assert!(!log_is_on_console("log=com2 -- log=com1") && log_is_on_console(""));
    }

    #[test]
    fn heartbeats_are_switched_off_by_a_word_before_the_program() {
        assert!(has_heartbeats("log=com2 -- heartbeats=off") && has_heartbeats("heartbeats=on"));
        assert!(!has_heartbeats("log=com2 heartbeats=off -- /bin/bench"));
    }

    #[test]
    fn hardware_is_granted_by_a_word_before_the_program() {
        assert!(grants_hardware("log=com2 hardware -- /bin/bench"));
        assert!(!grants_hardware("log=com2 -- hardware") && !grants_hardware("no-hardware"));
    }

    #[test]
    fn a_bare_word_is_a_program_in_bin() {
        assert_eq!(path(b"ls\0-l\0").unwrap(), b"/bin/ls\0");
        assert_eq!(path(b"/tmp/x\0").unwrap(), b"/tmp/x\0");
    }

    #[test]
    fn broken_encodings_are_refused() {
        for line in ["-- a%", "-- a%2", "-- a%zz", "-- a%00b"] {
            assert_eq!(program(line), Err(Errno::EINVAL), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in ".{0,200}") {
            let _ = program(&line);
        }

        #[test]
        fn what_was_encoded_comes_back(word in prop::collection::vec(1u8.., 1..40)) {
            let encoded: String = word.iter().map(|byte| format!("%{byte:02x}")).collect();
            let mut block = word.clone();
            block.push(0);
            prop_assert_eq!(program(&format!("x -- {encoded}")), Ok(Some(block)));
        }
    }
}
