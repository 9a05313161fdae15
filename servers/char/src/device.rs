//! Which devices there are, and how an open one is written into a badge.
//!
//! Numbers are Linux's (`Documentation/admin-guide/devices.txt`), so that programs find what they expect.

use parley_abi::linux::{makedev, open, poll};
use parley_abi::msg::{WORDS, Words};

/// Device numbers, as `makedev` packs them.
pub mod number {
    #![allow(missing_docs)]
    use super::makedev;
    pub const NULL: u64 = makedev(1, 3);
    pub const ZERO: u64 = makedev(1, 5);
    pub const FULL: u64 = makedev(1, 7);
    pub const RANDOM: u64 = makedev(1, 8);
    pub const URANDOM: u64 = makedev(1, 9);
    pub const TTY: u64 = makedev(5, 0);
    pub const CONSOLE: u64 = makedev(5, 1);
}

/// One device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its name in `/dev`, at most [`NAME_MAX`] bytes.
    pub name: &'static str,
    /// Major and minor number, as `makedev` packs them.
    pub number: u64,
    /// Permission bits.
    pub mode: u32,
}

/// The devices, in the order in which the VFS hears of them.
pub const DEVICES: [Device; 7] = [
    Device { name: "null", number: number::NULL, mode: 0o666 },
    Device { name: "zero", number: number::ZERO, mode: 0o666 },
    Device { name: "full", number: number::FULL, mode: 0o666 },
    Device { name: "random", number: number::RANDOM, mode: 0o666 },
    Device { name: "urandom", number: number::URANDOM, mode: 0o666 },
    Device { name: "console", number: number::CONSOLE, mode: 0o620 },
    Device { name: "tty", number: number::TTY, mode: 0o666 },
];

/// Words of a message that a name takes.
const NAME_WORDS: usize = WORDS - 2;
/// Longest name, in bytes.
pub const NAME_MAX: usize = NAME_WORDS * size_of::<u64>();

impl Device {
    /// The device with this number.
    pub fn find(number: u64) -> Option<&'static Device> {
        DEVICES.iter().find(|device| device.number == number)
    }

    /// The answer to `chardev::device`: number, permission bits, name.
    pub fn words(&self) -> Words {
        let mut words = [0; WORDS];
        words[0] = self.number;
        words[1] = self.mode.into();
        for (index, &byte) in self.name.as_bytes().iter().enumerate().take(NAME_MAX) {
            words[2 + index / 8] |= u64::from(byte) << (index % 8 * 8);
        }
        words
    }
}

/// An open device: all that the service knows of a descriptor, and all of it in the badge.
///
/// | bits | meaning |
/// |---|---|
/// | 0 to 19 | device number |
/// | 20, 21 | access mode of `open` |
/// | 22 | O_NONBLOCK |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenDevice {
    /// Major and minor number, as `makedev` packs them.
    pub device: u64,
    /// O_RDONLY, O_WRONLY or O_RDWR.
    access: u32,
    /// Calls that would have to wait are answered EAGAIN.
    pub is_nonblocking: bool,
}

const NUMBER_BITS: u32 = 20;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
const NONBLOCK_BIT: u32 = NUMBER_BITS + 2;

impl OpenDevice {
    /// `device`, opened with the flags of `open(2)`. `None`: the access mode is none of the three, or the
    /// number is out of range.
    pub const fn new(device: u64, flags: u32) -> Option<OpenDevice> {
        let access = flags & open::ACCMODE;
        if access == open::ACCMODE || device == 0 || device > NUMBER_MASK {
            return None;
        }
        Some(OpenDevice { device, access, is_nonblocking: flags & open::NONBLOCK != 0 })
    }

    /// The badge of its connection. Never 0.
    pub const fn badge(self) -> u64 {
        self.device | (self.access as u64) << NUMBER_BITS | (self.is_nonblocking as u64) << NONBLOCK_BIT
    }

    /// The device number in a badge, if it is the badge of an open device.
    pub const fn number_in(badge: u64) -> u64 {
        badge & NUMBER_MASK
    }

    /// The open device that a badge stands for, if it is one of ours.
    pub const fn from_badge(badge: u64) -> Option<OpenDevice> {
        if badge >> (NONBLOCK_BIT + 1) != 0 {
            return None;
        }
        let nonblock = if badge >> NONBLOCK_BIT == 0 { 0 } else { open::NONBLOCK };
        OpenDevice::new(badge & NUMBER_MASK, (badge >> NUMBER_BITS) as u32 & open::ACCMODE | nonblock)
    }

    /// Opened for reading.
    pub fn is_readable(self) -> bool {
        self.access != open::WRONLY
    }

    /// Opened for writing.
    pub fn is_writable(self) -> bool {
        self.access != open::RDONLY
    }

    /// The events that somebody who has it open so can wait for.
    pub fn events(self) -> u32 {
        let readable = if self.is_readable() { poll::READABLE } else { 0 };
        let writable = if self.is_writable() { poll::WRITABLE } else { 0 };
        readable | writable
    }
}

/// Whether a badge is that of `device`, opened for reading.
#[inline(always)]
pub const fn reads(badge: u64, device: u64) -> bool {
    badge & !(1 << NONBLOCK_BIT | (open::RDWR as u64) << NUMBER_BITS) == device
}

/// Whether a badge is that of `device`, opened for writing.
#[inline(always)]
pub const fn writes(badge: u64, device: u64) -> bool {
    let opened = badge & !(1 << NONBLOCK_BIT);
    opened == device | (open::WRONLY as u64) << NUMBER_BITS || opened == device | (open::RDWR as u64) << NUMBER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_survive_the_trip() {
        for device in DEVICES {
            for flags in [0, open::WRONLY, open::RDWR, open::NONBLOCK, open::RDWR | open::NONBLOCK | open::CLOEXEC] {
                let file = OpenDevice::new(device.number, flags).expect("valid flags");
                assert_eq!(OpenDevice::from_badge(file.badge()), Some(file));
            }
        }
    }

    #[test]
    fn a_look_at_the_badge_says_the_same() {
        let badges = (0..1 << 24).step_by(1 << 8).flat_map(|high| [0, 3, 5].map(|low| high | low));
        for badge in badges.chain([u64::MAX, parley_proto::ROOT | number::ZERO]) {
            for device in [number::NULL, number::ZERO] {
                let file = OpenDevice::from_badge(badge).filter(|file| file.device == device);
                assert_eq!(reads(badge, device), file.is_some_and(OpenDevice::is_readable), "{badge:#x}");
                assert_eq!(writes(badge, device), file.is_some_and(OpenDevice::is_writable), "{badge:#x}");
            }
        }
    }

    #[test]
    fn other_badges_are_none_of_ours() {
        for badge in [0, parley_proto::ROOT, parley_proto::root_badge(3, 1), 1 << 23, 3 << 20 | 0x103, u64::MAX] {
            assert_eq!(OpenDevice::from_badge(badge), None);
        }
    }

    #[test]
    fn names_fit_and_are_packed_from_the_low_byte() {
        assert!(DEVICES.iter().all(|device| device.name.len() <= NAME_MAX));
        let words = DEVICES[0].words();
        assert_eq!(words[..3], [0x103, 0o666, u64::from_le_bytes(*b"null\0\0\0\0")]);
        assert_eq!(words[3..], [0; 3]);
    }
}
