//! The kinds of work, one file each.

mod clocks;
mod devices;
mod files;
mod model;
mod processes;
mod queue;

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

/// One of each kind, and two for files. Where a call may be refused nobody uses the queue: who reads would wait for ever for
/// what was not written.
pub fn all(options: &Options) -> Result<Vec<Named>, Trouble> {
    let all: [Named; 5] = [
        ("files", Box::new(files::Files::new(0)?)),
        ("other files", Box::new(files::Files::new(1)?)),
        ("clocks", Box::new(clocks::Clocks::new(options)?)),
        ("devices", Box::new(devices::Devices::new(options.typed)?)),
        ("processes", Box::new(processes::Processes::new())),
    ];
    let mut all = Vec::from(all);
    if !options.lenient {
        queue::load()?;
        all.push(("queue", Box::new(queue::Writer::new()?)));
        all.push(("queue's reader", Box::new(queue::Reader::new()?)));
    }
    Ok(all)
}
