//! Who am I; and programs that end as they should.

use alloc::format;

use parley_posix as posix;

use super::Work;
use crate::tool::random::Random;
use crate::trouble::{Trouble, Trying};

/// One in so many operations starts a program.
const SPAWN: u64 = 16;

pub struct Processes {
    pid: u32,
    parent: u32,
}

impl Processes {
    pub fn new() -> Processes {
        Processes { pid: posix::getpid(), parent: posix::getppid() }
    }
}

impl Work for Processes {
    fn operation(&mut self, random: &mut Random) -> Result<(), Trouble> {
        if !random.next().is_multiple_of(SPAWN) {
            let found = (posix::getpid(), posix::getppid());
            return match found == (self.pid, self.parent) {
                true => Ok(()),
                false => Err(Trouble::Wrong(format!("process ids {found:?}"))),
            };
        }
        let wanted = (random.next() % 200) as i32;
        let pid = posix::spawn(c"/bin/ktest-victim", &["ktest-victim", "exit", &format!("{wanted}")])
            .trying(format_args!("spawn"))?;
        let status = posix::wait(pid).trying(format_args!("wait"))?;
        match status == wanted {
            true => Ok(()),
            false => Err(Trouble::Wrong(format!("a program that exits with {wanted} gave {status}"))),
        }
    }

    fn clear(&mut self, _: bool) -> Result<(), Trouble> {
        Ok(())
    }
}
