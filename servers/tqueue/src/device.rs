//! Which devices there are, and how an open one is written into a badge.

use parley_abi::linux::{makedev, open};
use parley_abi::msg::{WORDS, Words};

/// Major number, of those that Linux leaves to local use (`Documentation/admin-guide/devices.txt`).
pub const MAJOR: u32 = parley_proto::TQUEUE_MAJOR;

/// A device of this driver, by its minor number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Minor {
    /// The queue.
    Queue,
    /// The driver's bug: whoever writes there makes it run past the end of its buffer.
    Bug,
}

impl Minor {
    /// All of them, in the order in which the VFS hears of them.
    pub const ALL: [Minor; 2] = [Minor::Queue, Minor::Bug];

    /// Device number, as `makedev` packs it.
    pub const fn number(self) -> u64 {
        makedev(MAJOR, self as u32)
    }

    const fn name(self) -> &'static str {
        match self {
            Minor::Queue => "tqueue",
            Minor::Bug => "tqueue-bug",
        }
    }

    /// Permission bits.
    pub const fn mode(self) -> u32 {
        match self {
            Minor::Queue => 0o666,
            Minor::Bug => 0o222,
        }
    }

    /// The answer to `chardev::device`: number, permission bits, name.
    pub fn words(self) -> Words {
        let mut words = [0; WORDS];
        words[0] = self.number();
        words[1] = self.mode().into();
        for (index, &byte) in self.name().as_bytes().iter().enumerate() {
            words[2 + index / 8] |= u64::from(byte) << (index % 8 * 8);
        }
        words
    }
}

/// An open device: all that the service knows of a descriptor, and all of it in the badge, so that opening needs no
/// memory and descriptors survive a crash.
///
/// | bits | meaning |
/// |---|---|
/// | 0 | minor number |
/// | 1, 2 | access mode of `open` |
/// | 3 | O_NONBLOCK |
/// | 4 | 1 |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Which device.
    pub minor: Minor,
    access: u32,
    /// Calls that would have to wait are answered EAGAIN.
    pub is_nonblocking: bool,
}

const OPEN_BIT: u64 = 1 << 4;

impl Opened {
    /// Opened with the flags of `open(2)`. `None`: the access mode is none of the three.
    pub const fn new(minor: Minor, flags: u32) -> Option<Opened> {
        let access = flags & open::ACCMODE;
        if access == open::ACCMODE {
            return None;
        }
        Some(Opened { minor, access, is_nonblocking: flags & open::NONBLOCK != 0 })
    }

    /// The badge of its connection. Never 0.
    pub const fn badge(self) -> u64 {
        self.minor as u64 | (self.access as u64) << 1 | (self.is_nonblocking as u64) << 3 | OPEN_BIT
    }

    /// The open device that a badge stands for, if it is one of ours.
    pub const fn from_badge(badge: u64) -> Option<Opened> {
        if badge & !(OPEN_BIT - 1) != OPEN_BIT {
            return None;
        }
        let minor = if badge & 1 == 0 { Minor::Queue } else { Minor::Bug };
        let nonblock = if badge >> 3 & 1 == 0 { 0 } else { open::NONBLOCK };
        Opened::new(minor, (badge >> 1) as u32 & open::ACCMODE | nonblock)
    }

    /// Opened for reading.
    pub fn is_readable(self) -> bool {
        self.access != open::WRONLY
    }

    /// Opened for writing.
    pub fn is_writable(self) -> bool {
        self.access != open::RDONLY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_survive_the_trip_and_others_are_none() {
        for minor in Minor::ALL {
            for flags in [0, open::WRONLY, open::RDWR, open::NONBLOCK, open::RDWR | open::NONBLOCK] {
                let file = Opened::new(minor, flags).expect("valid flags");
                assert_eq!(Opened::from_badge(file.badge()), Some(file));
            }
        }
        for badge in [0, 1, 15, OPEN_BIT | 6, 32, parley_proto::root_badge(3, 1), u64::MAX] {
            assert_eq!(Opened::from_badge(badge), None, "{badge:#x}");
        }
    }
}
