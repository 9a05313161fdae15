//! `run` without a terminal: `echo poweroff | cargo xtask run`.
//!
//! A machine that boots has nobody to take its input, and a serial port holds sixteen bytes. So each line
//! waits until the shell asks for one, or a program that does not ask has been quiet for a while. When
//! the input ends nobody can ever say `poweroff` again: then we do.

use std::io::{BufRead, Read, Write, stdin, stdout};
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::qemu::{End, Running};
use crate::session::PROMPT;

/// How long a program is quiet before we take it to wait for input.
const QUIET: Duration = Duration::from_millis(500);

const END: &[u8] = b"poweroff\r";

/// What the screen tells the keyboard.
enum Shown {
    Something,
    Prompt,
}

/// Passes the console on to stdout and stdin to the console, until the machine ends.
pub fn attend(running: &mut Running) -> Result<End> {
    let (keyboard, mut screen) = running.pipes().context("COM1 has no pipes")?;
    let (sender, shown) = channel();
    let display = thread::spawn(move || pass_on(&mut screen, &mut stdout(), &sender));
    // It ends with the process: reading stdin cannot be called off.
    thread::spawn(move || type_all(&mut stdin().lock(), keyboard, &shown));
    let end = running.wait(None, || Ok(()))?;
    display.join().ok();
    Ok(end)
}

/// Copies the screen and announces prompts.
fn pass_on(screen: &mut dyn Read, out: &mut dyn Write, shown: &Sender<Shown>) {
    let mut buffer = [0; 4096];
    let mut tail: Vec<u8> = Vec::new();
    while let Ok(count @ 1..) = screen.read(&mut buffer) {
        out.write_all(&buffer[..count]).and_then(|()| out.flush()).ok();
        tail.extend_from_slice(&buffer[..count]);
        // A prompt is what the output stops at; nothing before the last few bytes can be part of one.
        tail.drain(..tail.len().saturating_sub(PROMPT.len()));
        // Nobody listens any more when everything is typed.
        shown.send(if tail == PROMPT { Shown::Prompt } else { Shown::Something }).ok();
    }
}

/// Types line by line. The machine ending meanwhile is no error.
fn type_all(input: &mut dyn BufRead, mut keyboard: ChildStdin, shown: &Receiver<Shown>) {
    wait_for_prompt(shown);
    loop {
        let mut line = Vec::new();
        let more = input.read_until(b'\n', &mut line).is_ok_and(|count| count > 0);
        if !more {
            keyboard.write_all(END).ok();
            // Kept open until the machine closes the other side.
            wait_for_prompt(shown);
            return;
        }
        let sent = keyboard.write_all(&as_typed(line)).and_then(|()| keyboard.flush());
        if sent.is_err() || !wait_until_ready(shown) {
            return;
        }
    }
}

/// As the Enter key would end it.
fn as_typed(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
        line.push(b'\r');
    }
    line
}

fn wait_for_prompt(shown: &Receiver<Shown>) {
    while let Ok(Shown::Something) = shown.recv() {}
}

/// Until the next prompt, or until nothing was shown for a while; false when the machine has ended.
fn wait_until_ready(shown: &Receiver<Shown>) -> bool {
    loop {
        match shown.recv_timeout(QUIET) {
            Ok(Shown::Something) => {}
            Ok(Shown::Prompt) | Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_noticed_in_pieces_and_only_at_the_end() {
        let (sender, shown) = channel();
        let (first, rest) = PROMPT.split_at(3);
        let mut screen = b"boot\r\n".as_slice().chain(first).chain(rest).chain(b"ls\r\n".as_slice()).chain(PROMPT);
        let mut out = Vec::new();
        pass_on(&mut screen, &mut out, &sender);
        let prompts: Vec<bool> = shown.try_iter().map(|shown| matches!(shown, Shown::Prompt)).collect();
        assert_eq!(prompts, [false, false, true, false, true]);
        assert!(out.ends_with(PROMPT));
    }

    #[test]
    fn lines_end_as_the_enter_key_ends_them() {
        assert_eq!(as_typed(b"ls\n".into()), b"ls\r");
        assert_eq!(as_typed(b"no end".into()), b"no end");
    }
}
