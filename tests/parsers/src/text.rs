//! Lines: the kernel's command line, the shell's lines and durations.

use parley_init::cmdline;
use parley_programs::shell::{duration, line};

/// A decoded command line is arguments that end with NUL, no longer than it was; a duration is normalised.
pub fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(Some(block)) = cmdline::program(&text) {
        assert!(block.ends_with(&[0]) && block.len() <= text.len() + 1, "{text:?}: {block:?}");
        let path = cmdline::path(&block).expect("there is memory");
        assert!(path.contains(&b'/') && path.iter().filter(|&&byte| byte == 0).count() == 1, "{text:?}: {path:?}");
    }
    cmdline::log_is_on_console(&text);
    if let Some(time) = duration::parse(&text) {
        assert!(time.sec >= 0 && (0..1_000_000_000).contains(&time.nsec), "{text:?}");
    }
    let _ = line::parse(&text);
}
