//! /dev/tqueue: one writes, another reads, and each waits for the other; every byte comes once, in order.
//!
//! Both follow the same sequence of pieces, so that they need nothing in common but their number, and as many operations
//! of one as of the other leave the queue empty.

use alloc::format;

use parley_abi::Errno;
use parley_abi::info::verb;
use parley_abi::linux::open;
use parley_abi::slot::service;
use parley_posix as posix;

use super::Work;
use crate::tool::random::Random;
use crate::trouble::{Trouble, Trying};

const PATH: &core::ffi::CStr = c"/dev/tqueue";
/// Bytes of a piece at most.
const MOST: usize = 400;

/// Loads the driver, if it has to be.
pub fn load() -> Result<(), Trouble> {
    let number = u32::from(service::TQUEUE);
    match posix::service(number)?.resident {
        0 => match posix::control(number, verb::START) {
            Ok(()) | Err(Errno::EBUSY) => Ok(()),
            Err(errno) => Err(Trouble::Refused("loading the queue".into(), errno)),
        },
        _ => Ok(()),
    }
}

/// Piece `number`: as many of these bytes as it has.
fn piece(number: u64) -> ([u8; MOST], usize) {
    let mut random = Random::new(number);
    let first = random.next();
    (core::array::from_fn(|index| (first >> (index % 8 * 8)) as u8 ^ index as u8), 1 + random.next() as usize % MOST)
}

/// Who writes.
pub struct Writer {
    fd: u32,
    number: u64,
}

impl Writer {
    pub fn new() -> Result<Writer, Trouble> {
        Ok(Writer { fd: posix::open(PATH, open::WRONLY, 0)?, number: 0 })
    }
}

impl Work for Writer {
    fn operation(&mut self, _: &mut Random) -> Result<(), Trouble> {
        let (bytes, length) = piece(self.number);
        self.number += 1;
        let written = posix::write(self.fd, &bytes[..length]).trying(format_args!("write /dev/tqueue"))?;
        match written == length {
            true => Ok(()),
            false => Err(Trouble::Wrong(format!("the queue took {written} of {length} bytes"))),
        }
    }

    fn clear(&mut self, _: bool) -> Result<(), Trouble> {
        Ok(())
    }
}

/// Who reads.
pub struct Reader {
    fd: u32,
    number: u64,
}

impl Reader {
    pub fn new() -> Result<Reader, Trouble> {
        Ok(Reader { fd: posix::open(PATH, open::RDONLY, 0)?, number: 0 })
    }
}

impl Work for Reader {
    fn operation(&mut self, _: &mut Random) -> Result<(), Trouble> {
        let (expected, length) = piece(self.number);
        self.number += 1;
        let (mut found, mut done) = ([0; MOST], 0);
        while done < length {
            match posix::read(self.fd, &mut found[done..length]).trying(format_args!("read /dev/tqueue"))? {
                0 => return Err(Trouble::Wrong("the queue has come to an end".into())),
                count => done += count,
            }
        }
        match found[..length] == expected[..length] {
            true => Ok(()),
            false => Err(Trouble::Wrong(format!("piece {} of the queue has other bytes", self.number - 1))),
        }
    }

    fn clear(&mut self, _: bool) -> Result<(), Trouble> {
        Ok(())
    }
}
