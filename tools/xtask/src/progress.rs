//! Showing that something is under way, on stderr, without disturbing stdout.
//!
//! On a terminal a spinner with the seconds that passed; elsewhere one line when a step starts,
//! so that the log of a CI run still says where the time went.

use std::io::{IsTerminal, stderr};
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
