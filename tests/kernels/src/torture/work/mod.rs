//! The kinds of work, one file each.

mod clocks;
mod devices;
mod files;
mod model;
mod processes;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::options::Options;
use crate::tool::random::Random;
use crate::trouble::Trouble;

/// Something that a program does, and checks.
pub trait Work: Send {
    /// One operation, chosen by `random`.
    fn operation(&mut self, random: &mut Random) -> Result<(), Trouble>;

    /// Leaves nothing behind. Where all went well so far, everything is looked at once more before that.
    fn clear(&mut self, well: bool) -> Result<(), Trouble>;
}

/// A kind of work and its name.
pub type Named = (&'static str, Box<dyn Work>);

/// One of each kind, and two for files.
pub fn all(options: &Options) -> Result<Vec<Named>, Trouble> {
    let all: [Named; 5] = [
        ("files", Box::new(files::Files::new(0)?)),
        ("other files", Box::new(files::Files::new(1)?)),
        ("clocks", Box::new(clocks::Clocks::new(options.is_stopped_at_times())?)),
        ("devices", Box::new(devices::Devices::new(options.typed)?)),
        ("processes", Box::new(processes::Processes::new())),
    ];
    Ok(Vec::from(all))
}
