//! System tests: scripts that type at the booted shell and read what it answers.
//!
//! `tests/system/*.session` are plain text, so that whoever changes the shell can change them
//! without reading this. `script` reads one, `console` is the keyboard and the screen, `play`
//! brings the two together.

mod console;
mod play;
mod script;

pub use console::Console;
pub use play::{PROMPT, play};
pub use script::Script;
