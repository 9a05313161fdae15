//! /dev/zero, /dev/null and the terminal, whose output the host looks at.

use alloc::format;

use parley_abi::Errno;
use parley_abi::linux::open;
use parley_posix as posix;

use super::Work;
use crate::mark;
use crate::tool::random::Random;
use crate::trouble::{Trouble, Trying};

pub struct Devices {
    zero: u32,
    null: u32,
    terminal: u32,
    /// Lines written to the terminal.
    lines: u64,
    /// Lines read from it, if somebody types.
    typed: Option<u64>,
}

impl Devices {
    pub fn new(typed: bool) -> Result<Devices, Trouble> {
        let open = |path| posix::open(path, open::RDWR, 0);
        Ok(Devices {
            zero: open(c"/dev/zero")?,
            null: open(c"/dev/null")?,
            terminal: open(c"/dev/tty")?,
            lines: 0,
            typed: typed.then_some(0),
        })
    }

    fn zeros(&self, random: &mut Random) -> Result<(), Trouble> {
        let mut buffer = [0xa5; 3000];
        let wanted = (random.next() % 3000) as usize;
        let read = posix::read(self.zero, &mut buffer[..wanted]).trying(format_args!("read /dev/zero"))?;
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        match read == wanted && zeros == wanted {
            true => Ok(()),
            false => Err(Trouble::Wrong(format!("{wanted} bytes of /dev/zero: {read} read, {zeros} zeros"))),
        }
    }

    fn nothing(&self, random: &mut Random) -> Result<(), Trouble> {
        let wanted = (random.next() % 3000) as usize;
        let written = posix::write(self.null, &[1; 3000][..wanted]).trying(format_args!("write /dev/null"))?;
        let read = posix::read(self.null, &mut [0; 8]).trying(format_args!("read /dev/null"))?;
        match (written, read) == (wanted, 0) {
            true => Ok(()),
            false => Err(Trouble::Wrong(format!("/dev/null took {written} of {wanted} bytes and gave {read}"))),
        }
    }

    /// The host wants every number, in order; part of a line may be there twice.
    fn line(&mut self) -> Result<(), Trouble> {
        let line = format!("line {:08}\n", self.lines);
        let written = posix::write(self.terminal, line.as_bytes()).trying(format_args!("write /dev/tty"))?;
        self.lines += 1;
        match written == line.len() {
            true => Ok(()),
            false => Err(Trouble::Wrong(format!("the terminal took {written} of {} bytes", line.len()))),
        }
    }

    /// What is typed comes in order, whole, once.
    fn read_line(&mut self, number: u64) -> Result<(), Trouble> {
        mark::type_line(number);
        let (expected, mut line) = (format!("typed {number:08}\n"), [0; 64]);
        let read = posix::read(self.terminal, &mut line).trying(format_args!("read /dev/tty"))?;
        self.typed = Some(number + 1);
        match line.get(..read) == Some(expected.as_bytes()) {
            true => Ok(()),
            false => {
                let found = line[..read.min(64)].escape_ascii();
                Err(Trouble::Wrong(format!("`{found}` was typed instead of line {number}")))
            }
        }
    }

    /// Descriptors come and go.
    fn reopened(&mut self) -> Result<(), Trouble> {
        let fd = posix::open(c"/dev/zero", open::RDONLY, 0).trying(format_args!("open /dev/zero"))?;
        let refused = posix::open(c"/dev/none", open::RDONLY, 0);
        posix::close(fd).trying(format_args!("close /dev/zero"))?;
        match refused {
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Trouble::Refused("a device that is not there".into(), errno)),
            Ok(_) => Err(Trouble::Wrong("a device that is not there was opened".into())),
        }
    }
}

impl Work for Devices {
    fn operation(&mut self, random: &mut Random) -> Result<(), Trouble> {
        if let (Some(number), 0) = (self.typed, random.next() % 4) {
            return self.read_line(number);
        }
        match random.next() % 8 {
            0..3 => self.zeros(random),
            3 | 4 => self.nothing(random),
            5 | 6 => self.line(),
            _ => self.reopened(),
        }
    }

    fn clear(&mut self, _: bool) -> Result<(), Trouble> {
        Ok(())
    }
}
