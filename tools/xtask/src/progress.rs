//! Showing that something is under way, on stderr, without disturbing stdout.
//!
//! On a terminal a spinner with the seconds that passed; elsewhere one line when a step starts,
//! so that the log of a CI run still says where the time went.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A step that is under way; dropping it takes its line away.
pub struct Step {
    bar: Option<ProgressBar>,
    shown: String,
}

/// Announces a step that may take longer than a second.
pub fn step(what: impl Into<String>) -> Step {
    let shown = what.into();
    if !stderr().is_terminal() {
        eprintln!("xtask: {shown}");
        return Step { bar: None, shown };
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = ProgressBar::new_spinner();
    bar.set_style(style.expect("a valid template"));
    bar.set_message(shown.clone());
    bar.enable_steady_tick(Duration::from_millis(120));
    Step { bar: Some(bar), shown }
}

/// A step that is announced only if it is still under way after a second.
pub struct Late {
    over: Option<Sender<()>>,
    announcer: Option<JoinHandle<()>>,
}

/// Begins a step that is mostly over at once, such as a build with nothing to build.
pub fn late(what: &'static str) -> Late {
    let (over, waiting) = channel();
    let announcer = thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            let _step = step(what);
            // Ends with the sender.
            waiting.recv().ok();
        }
    });
    Late { over: Some(over), announcer: Some(announcer) }
}

impl Drop for Late {
    fn drop(&mut self) {
        drop(self.over.take());
        // Joined, so that the line is gone before the next one is printed.
        if let Some(announcer) = self.announcer.take() {
            announcer.join().ok();
        }
    }
}

impl Step {
    /// Replaces the text.
    pub fn set(&mut self, what: impl Into<String>) {
        let what = what.into();
        match &self.bar {
            Some(bar) => bar.set_message(what.clone()),
            None if what != self.shown => eprintln!("xtask: {what}"),
            None => {}
        }
        self.shown = what;
    }

    /// Replaces the text on a terminal only: for what changes too often for a log.
    pub fn tick(&self, what: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.into());
        }
    }

    /// Runs `print`, which writes lines of its own, without tearing the spinner.
    pub fn print(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Seconds with one decimal, for people.
pub fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
