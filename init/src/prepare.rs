//! Reading the program that is to take over, while the old one serves.
//!
//! init is more urgent than everybody whom it serves, so whatever it does at a stretch keeps all of them waiting. A swap
//! is no hurry until callers of the service wait: so its program is read and laid out in short steps, with a pause after
//! each in which the others run.

use alloc::vec::Vec;
use core::ffi::CStr;

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_abi::slot;
use parley_proto::Host;
use parley_rt::sys;

use crate::file::{File, Source};
use crate::image::read_exactly;
use crate::server::Init;
use crate::services::Standby;
use crate::shared::Shared;
use crate::swap::{Heir, Saved};

/// Bytes that a step reads.
const CHUNK: usize = 32 << 10;
/// Nanoseconds between two steps.
const PAUSE: u64 = 50_000;
/// Largest program, in bytes.
const LARGEST: u64 = 4 << 20;

/// A program that is being read.
#[derive(Debug)]
pub struct Preparing {
    /// The service that it is for.
    pub(crate) number: u8,
    /// Who asked for the swap.
    pub(crate) token: Token,
    file: File,
    /// What has been read of it.
    program: Vec<u8>,
    /// When all of it was: what its instances will have in common, and room for a copy of the state.
    read: Option<(Shared, Saved)>,
    /// Then: an instance that only has to be started.
    standby: Option<Standby>,
    /// When the next step is due.
    pub(crate) next: u64,
}

impl Preparing {
    /// Nothing is read yet. EFBIG: more than [`LARGEST`]. ENOMEM. Other errors: see [`File::open`].
    pub fn new(number: u8, token: Token, path: &CStr) -> Result<Preparing, Errno> {
        let file = File::open(path)?;
        if file.len() > LARGEST {
            return Err(Errno::EFBIG);
        }
        let mut program = Vec::new();
        program.try_reserve_exact(file.len() as usize).map_err(|_| Errno::ENOMEM)?;
        Ok(Preparing { number, token, file, program, read: None, standby: None, next: sys::clock() + PAUSE })
    }

    /// Reads on. True: all of it is there.
    fn read(&mut self) -> Result<bool, Errno> {
        let done = self.program.len();
        let length = (self.file.len() as usize - done).min(CHUNK);
        self.program.resize(done + length, 0); // within what was reserved
        read_exactly(&mut self.file, done as u64, &mut self.program[done..])?;
        Ok(length == 0)
    }
}

impl Init {
    /// A swap is going on: its program is being read, or has to prove itself.
    pub(crate) fn is_swapping(&self) -> bool {
        self.preparing.is_some() || self.is_unsettled()
    }

    /// Reads a part of the program, or lays out the whole, or makes an instance of it.
    fn read_on(&mut self, mut preparing: Preparing) -> Result<Preparing, Errno> {
        if let Some((shared, _)) = &preparing.read {
            // What runs now will be the former program; to let go of the one before it takes long.
            self.service_mut(preparing.number).trial = None;
            preparing.standby = Some(self.stand_by(preparing.number, &preparing.program, shared)?);
        } else if preparing.read()? {
            let shared = Shared::of(&preparing.program)?;
            self.check_wants(preparing.number, shared.image.wants)?;
            preparing.read = Some((shared, self.room_for_state(preparing.number)?));
        }
        preparing.next = sys::clock() + PAUSE;
        Ok(preparing)
    }

    /// Takes a step of preparing a swap, if one is due.
    pub(crate) fn prepare(&mut self, host: &mut dyn Host) {
        let Some(mut preparing) = self.preparing.take_if(|preparing| preparing.next <= sys::clock()) else { return };
        let token = preparing.token;
        let done = match (preparing.standby.take(), preparing.read.take()) {
            (Some(standby), Some((shared, room))) => {
                let heir = Heir { program: preparing.program, shared, room, standby };
                self.take_over(host, preparing.number, token, heir).map(|()| None)
            }
            (_, read) => self.read_on(Preparing { read, ..preparing }).map(Some),
        };
        match done {
            Ok(None) => {}
            Ok(Some(preparing)) => self.preparing = Some(preparing),
            // The vfs has died, or hangs: it is done again.
            Err(Errno::ESTALE | Errno::ETIMEDOUT)
                if !self.lacks_a_service() && sys::put_back(slot::ENDPOINT, token).is_ok() => {}
            Err(errno) => host.reply(token, errno.negated()),
        }
    }
}
