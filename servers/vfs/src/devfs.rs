//! /dev: one name for each device that the char service and the loaded drivers have.
//!
//! It serves no bytes. Opening a device hands the request on to the driver, so that the descriptor leads
//! straight there and reading a device costs the same as reading a file.

use alloc::vec::Vec;
use parley_abi::{Errno, msg::Words};
use parley_proto::{Host, chardev, driver_of};

use crate::fs::{Attr, Entry, FIRST_COOKIE, FileSystem, Ino, Kind, Times};

const ROOT: Ino = 0;
/// Most devices that are asked for.
const MAX_DEVICES: u32 = 256;
/// Bytes of a device's name, as many as four words hold.
const NAME_MAX: usize = 32;

struct Device {
    number: u64,
    permissions: u32,
    name: [u8; NAME_MAX],
}

impl Device {
    /// Takes a device out of the reply to `chardev::device`. EINVAL: no usable name.
    fn from_words(words: &Words) -> Result<Device, Errno> {
        let [number, permissions, text @ ..] = words;
        let mut name = [0; NAME_MAX];
        for (bytes, word) in name.chunks_exact_mut(8).zip(text) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let device = Device { number: *number, permissions: *permissions as u32 & 0o7777, name };
        match device.name() {
            b"" | b"." | b".." => Err(Errno::EINVAL),
            name if name.contains(&b'/') => Err(Errno::EINVAL),
            _ => Ok(device),
        }
    }

    fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_MAX);
        &self.name[..end]
    }
}

/// The file system. Device number n of the list is inode n + 1.
pub struct DevFs {
    devices: Vec<Device>,
    /// When all of it was made.
    times: Times,
}

impl DevFs {
    /// No devices yet.
    pub const fn new() -> DevFs {
        DevFs { devices: Vec::new(), times: Times::all(0) }
    }

    /// Asks a driver for its devices, at the time `now`; what it had before is forgotten. Errors are the driver's, EINVAL
    /// for a device without a proper name or with another driver's number, ENOMEM; the devices learnt until then stay.
    pub fn learn(&mut self, host: &mut dyn Host, now: u64, driver: u8) -> Result<(), Errno> {
        self.forget(now, driver);
        for index in 0..MAX_DEVICES {
            let words = [index as u64, 0, 0, 0, 0, 0];
            let reply = match host.call(driver, chardev::label::device, words) {
                Ok(reply) => reply,
                Err(Errno::ENOENT) => break,
                Err(errno) => return Err(errno),
            };
            self.devices.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let device = Device::from_words(&reply)?;
            if driver_of(device.number) != driver {
                return Err(Errno::EINVAL);
            }
            self.devices.push(device);
        }
        Ok(())
    }

    /// A driver has devices.
    pub fn has(&self, driver: u8) -> bool {
        self.devices.iter().any(|device| driver_of(device.number) == driver)
    }

    /// A driver has no devices any more.
    pub fn forget(&mut self, now: u64, driver: u8) {
        self.devices.retain(|device| driver_of(device.number) != driver);
        self.times = Times::all(now);
    }

    fn device(&self, ino: Ino) -> Option<&Device> {
        self.devices.get((ino as usize).checked_sub(1)?)
    }
}

impl FileSystem for DevFs {
    fn root(&self) -> Ino {
        ROOT
    }

    fn attr(&self, ino: Ino) -> Attr {
        let (kind, permissions, links, size) = match self.device(ino) {
            Some(device) => (Kind::Device(device.number), device.permissions, 1, 0),
            None => (Kind::Directory, 0o755, 2, self.devices.len() as u64),
        };
        Attr { kind, permissions, links, size }
    }

    fn times(&self, _ino: Ino) -> Times {
        self.times
    }

    fn lookup(&self, dir: Ino, name: &[u8]) -> Result<Ino, Errno> {
        if dir != ROOT {
            return Err(Errno::ENOTDIR);
        }
        let index = self.devices.iter().position(|device| device.name() == name);
        index.map(|index| index as Ino + 1).ok_or(Errno::ENOENT)
    }

    fn parent(&self, _dir: Ino) -> Ino {
        ROOT
    }

    fn entry(&mut self, dir: Ino, cookie: u64) -> Option<Entry<'_>> {
        let index = usize::try_from(cookie.saturating_sub(FIRST_COOKIE)).ok()?;
        let device = self.devices.get(index).filter(|_| dir == ROOT)?;
        let kind = Kind::Device(device.number);
        Some(Entry { name: device.name(), ino: index as Ino + 1, kind, next: FIRST_COOKIE + index as u64 + 1 })
    }
}
