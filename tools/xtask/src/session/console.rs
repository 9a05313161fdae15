//! The keyboard and the screen of a machine whose COM1 is a pair of pipes.

use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What was shown so far, and how much of it was matched.
pub struct Console {
    keyboard: ChildStdin,
    arriving: Receiver<Vec<u8>>,
    shown: Vec<u8>,
    matched: usize,
}

/// Why something expected did not come.
#[derive(Debug, PartialEq)]
pub enum Missed {
    /// Time was up.
    Timeout,
    /// The machine ended first.
    Ended,
    /// Something that must not come came first.
    Forbidden(Vec<u8>),
}

impl Console {
    /// Starts reading at once, so that the machine never waits for us.
    pub fn new(keyboard: ChildStdin, mut screen: ChildStdout) -> Console {
        let (sender, arriving) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Console { keyboard, arriving, shown: Vec::new(), matched: 0 }
    }

    /// Types.
    pub fn type_in(&mut self, keys: &[u8]) -> Result<()> {
        self.keyboard.write_all(keys).context("the machine has ended and takes no input")?;
        Ok(self.keyboard.flush()?)
    }

    /// Waits until `wanted` was shown after everything matched before.
    pub fn expect(&mut self, wanted: &[u8], forbidden: &[Vec<u8>], limit: Duration) -> Result<(), Missed> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(outcome) = self.look(wanted, forbidden) {
                return outcome;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.arriving.recv_timeout(left) {
                Ok(bytes) => self.show(&bytes),
                Err(RecvTimeoutError::Timeout) => return Err(Missed::Timeout),
                Err(RecvTimeoutError::Disconnected) => return Err(Missed::Ended),
            }
        }
    }

    /// Everything shown, for a person; with what is still arriving.
    pub fn transcript(&mut self) -> String {
        while let Ok(bytes) = self.arriving.recv_timeout(Duration::from_millis(50)) {
            self.show(&bytes);
        }
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    fn show(&mut self, bytes: &[u8]) {
        self.shown.extend(bytes.iter().filter(|&&byte| byte != b'\r'));
    }

    /// The outcome, if what was shown so far decides it.
    fn look(&mut self, wanted: &[u8], forbidden: &[Vec<u8>]) -> Option<Result<(), Missed>> {
        let fresh = &self.shown[self.matched..];
        let found = find(fresh, wanted);
        let before = &fresh[..found.unwrap_or(fresh.len())];
        if let Some(bad) = forbidden.iter().find(|bad| find(before, bad).is_some()) {
            return Some(Err(Missed::Forbidden(bad.clone())));
        }
        self.matched += found? + wanted.len();
        Some(Ok(()))
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    const LONG: Duration = Duration::from_secs(5);

    fn shell(script: &str) -> (std::process::Child, Console) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let console = Console::new(child.stdin.take().unwrap(), child.stdout.take().unwrap());
        (child, console)
    }

    #[test]
    fn what_is_typed_is_answered() {
        let (mut child, mut console) = shell("printf 'p$ '; read x; printf \"got\\r\\n$x\\n\"");
        console.expect(b"p$ ", &[], LONG).unwrap();
        console.type_in(b"hello\n").unwrap();
        console.expect(b"got\nhello", &[], LONG).unwrap();
        assert_eq!(console.expect(b"more", &[], LONG), Err(Missed::Ended));
        child.wait().unwrap();
    }

    #[test]
    fn what_must_not_come_is_noticed_only_before_the_match() {
        let (mut child, mut console) = shell("echo bad; echo good; echo bad; echo fine; sleep 1");
        assert_eq!(console.expect(b"good", &[b"bad".into()], LONG), Err(Missed::Forbidden(b"bad".into())));
        console.expect(b"good", &[b"fine".into()], LONG).unwrap();
        assert_eq!(console.expect(b"none", &[], Duration::from_millis(30)), Err(Missed::Timeout));
        child.wait().unwrap();
    }
}
