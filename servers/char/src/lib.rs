//! The character devices: console, null, zero, full, random.
//!
//! One service holds them all, each behind the trait [`Driver`]. An open device is nothing but its badge
//! ([`device::OpenDevice`]): number, access mode, O_NONBLOCK. So opening cannot fail for want of memory,
//! closing has nothing to free, and descriptors survive a crash of the service.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod console;
pub mod device;
pub mod driver;
mod keep;
pub mod memory;
pub mod random;
#[cfg(test)]
mod tests;

use parley_abi::Errno;
use parley_abi::linux::{Plain, Stat, mode, open, seek};
use parley_abi::msg::{Token, Words};
use parley_proto::{Cx, Host, In, Out, OutOf, Outcome, ROOT, RowSink, Service, chardev, file};
use server_drivers::{Entropy, Uart};

use crate::console::Console;
use crate::device::{DEVICES, Device, OpenDevice, number};
use crate::driver::Driver;
use crate::memory::{Full, Null, Zero};
use crate::random::Random;

/// Notification bit of the console's interrupt.
pub const INTERRUPT_BIT: u64 = 1 << 0;

/// init's process id.
const INIT: u32 = 1;

/// Last origin that Linux's `lseek` knows (SEEK_HOLE).
const LAST_ORIGIN: u32 = seek::END + 2;

/// The service.
pub struct Char<U, E> {
    null: Null,
    zero: Zero,
    full: Full,
    random: Random<E>,
    console: Console<U>,
    /// The answer to `fstat`, which leaves with the reply.
    stat: Stat,
    /// Which version of the state it writes, and what version 2 adds: see `keep`.
    version: u32,
    interrupts: u64,
}

impl<U: Uart, E: Entropy> Char<U, E> {
    /// The devices over this hardware, none of which is touched before [`Service::start`].
    pub const fn new(uart: U, entropy: E) -> Char<U, E> {
        Char {
            null: Null,
            zero: Zero,
            full: Full,
            random: Random::new(entropy),
            console: Console::new(uart),
            stat: NO_STAT,
            version: 1,
            interrupts: 0,
        }
    }

    /// The same, in another version of its state.
    pub fn in_version(self, version: u32) -> Char<U, E> {
        Char { version, ..self }
    }

    /// The console, for what only its owner may see.
    pub const fn console(&self) -> &Console<U> {
        &self.console
    }

    /// The driver of a device. ENXIO: there is none.
    fn driver(&mut self, device: u64) -> Result<&mut dyn Driver, Errno> {
        match device {
            number::NULL => Ok(&mut self.null),
            number::ZERO => Ok(&mut self.zero),
            number::FULL => Ok(&mut self.full),
            number::RANDOM | number::URANDOM => Ok(&mut self.random),
            number::CONSOLE | number::TTY if self.console.is_present() => Ok(&mut self.console),
            _ => Err(Errno::ENXIO),
        }
    }

    /// The open device behind a badge, with its driver. EBADF: the badge is none, or was not opened for
    /// this.
    fn opened(&mut self, badge: u64, for_this: fn(OpenDevice) -> bool) -> Result<(OpenDevice, &mut dyn Driver), Errno> {
        let file = OpenDevice::from_badge(badge).filter(|&file| for_this(file)).ok_or(Errno::EBADF)?;
        Ok((file, self.driver(file.device)?))
    }

    /// As [`Char::opened`], for an access at an offset. EINVAL: the offset is negative. ESPIPE: the device
    /// has no offsets. In Linux's order (`ksys_pread64`).
    fn opened_at(
        &mut self,
        badge: u64,
        offset: i64,
        for_this: fn(OpenDevice) -> bool,
    ) -> Result<(OpenDevice, &mut dyn Driver), Errno> {
        if offset < 0 {
            return Err(Errno::EINVAL);
        }
        let (file, driver) = self.opened(badge, |_| true)?;
        match (driver.is_seekable(), for_this(file)) {
            (false, _) => Err(Errno::ESPIPE),
            (true, false) => Err(Errno::EBADF),
            (true, true) => Ok((file, driver)),
        }
    }

    #[inline(never)] // large and rare: reads and writes must not pay for its stack
    fn describe(&mut self, badge: u64) -> Result<&Stat, Errno> {
        let file = OpenDevice::from_badge(badge).ok_or(Errno::EBADF)?;
        let device = Device::find(file.device).ok_or(Errno::ENXIO)?;
        self.stat = Stat {
            ino: device.number,
            nlink: 1,
            mode: mode::IFCHR | device.mode,
            rdev: device.number,
            blksize: parley_abi::PAGE as i64,
            ..NO_STAT
        };
        Ok(&self.stat)
    }
}

impl<U: Uart, E: Entropy> file::File for Char<U, E> {
    fn read(&mut self, cx: &mut Cx<'_>, buf: Out) -> Outcome<'_> {
        match self.opened(cx.badge, OpenDevice::is_readable) {
            Ok((file, driver)) => driver.read(cx, file, buf),
            Err(errno) => errno.into(),
        }
    }

    fn write(&mut self, cx: &mut Cx<'_>, buf: In) -> Outcome<'_> {
        match self.opened(cx.badge, OpenDevice::is_writable) {
            Ok((file, driver)) => driver.write(cx, file, buf),
            Err(errno) => errno.into(),
        }
    }

    fn pread(&mut self, cx: &mut Cx<'_>, buf: Out, offset: i64) -> Outcome<'_> {
        match self.opened_at(cx.badge, offset, OpenDevice::is_readable) {
            Ok((file, driver)) => driver.read(cx, file, buf),
            Err(errno) => errno.into(),
        }
    }

    fn pwrite(&mut self, cx: &mut Cx<'_>, buf: In, offset: i64) -> Outcome<'_> {
        match self.opened_at(cx.badge, offset, OpenDevice::is_writable) {
            Ok((file, driver)) => driver.write(cx, file, buf),
            Err(errno) => errno.into(),
        }
    }

    /// Always 0: the devices that can be positioned have no position (Linux `null_lseek`).
    fn lseek(&mut self, cx: &mut Cx<'_>, _offset: i64, whence: u32) -> Outcome<'_> {
        match self.opened(cx.badge, |_| true) {
            Err(errno) => errno.into(),
            Ok(_) if whence > LAST_ORIGIN => Errno::EINVAL.into(),
            Ok((_, driver)) if !driver.is_seekable() => Errno::ESPIPE.into(),
            Ok(_) => Outcome::Done(0),
        }
    }

    fn fstat(&mut self, cx: &mut Cx<'_>, stat: OutOf<Stat>) -> Outcome<'_> {
        match self.describe(cx.badge) {
            Err(errno) => errno.into(),
            Ok(_) if stat.is_null => Errno::EFAULT.into(),
            Ok(stat) => Outcome::Fill(stat.bytes()),
        }
    }

    fn ready(&mut self, cx: &mut Cx<'_>, events: u32) -> Outcome<'_> {
        match self.opened(cx.badge, |_| true) {
            Ok((file, driver)) => Outcome::Done(driver.ready(events & file.events()).into()),
            Err(errno) => errno.into(),
        }
    }

    fn getdents(&mut self, cx: &mut Cx<'_>, _buf: Out) -> Outcome<'_> {
        match OpenDevice::from_badge(cx.badge) {
            Some(_) => Errno::ENOTDIR.into(),
            None => Errno::EBADF.into(),
        }
    }
}

impl<U: Uart, E: Entropy> chardev::CharDev for Char<U, E> {
    /// EINVAL: access mode 3, which is none.
    fn open_device(&mut self, _cx: &mut Cx<'_>, device: u64, flags: u32) -> Outcome<'_> {
        if let Err(errno) = self.driver(device) {
            return errno.into();
        }
        match OpenDevice::new(device, flags) {
            Some(file) => Outcome::Open { badge: file.badge(), close_on_exec: flags & open::CLOEXEC != 0 },
            None => Errno::EINVAL.into(),
        }
    }

    fn device(&mut self, _cx: &mut Cx<'_>, index: u32) -> Outcome<'_> {
        match DEVICES.get(index as usize) {
            Some(device) => Outcome::Words(device.words()),
            None => Errno::ENOENT.into(),
        }
    }

    fn users(&mut self, _cx: &mut Cx<'_>) -> Outcome<'_> {
        Errno::ENOSYS.into()
    }

    fn retire(&mut self, _cx: &mut Cx<'_>, _force: u32) -> Outcome<'_> {
        Errno::ENOSYS.into()
    }

    fn await_interrupt(&mut self, cx: &mut Cx<'_>, unheard: u32) -> Outcome<'_> {
        match cx.root_pid() {
            Some(INIT) if self.console.is_present() => self.console.await_interrupt(cx.host, cx.token, unheard != 0),
            Some(INIT) => Errno::ENOSYS.into(),
            _ => Errno::EPERM.into(),
        }
    }
}

impl<U: Uart, E: Entropy> Service for Char<U, E> {
    fn rows(sink: &mut impl RowSink) {
        file::rows(sink);
        chardev::rows(sink);
    }

    fn start(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        self.random.stir(&host.now().to_le_bytes());
        self.console.start(host);
        Ok(())
    }

    fn has_at_hand() -> bool {
        true
    }

    /// What null and zero say needs no driver.
    #[inline(always)]
    fn at_hand(&mut self, badge: u64, label: u32, words: &Words) -> Option<Outcome<'_>> {
        match label {
            file::label::read if device::reads(badge, number::ZERO) => memory::few_zeros(file::take::read(words).0),
            file::label::write if device::writes(badge, number::NULL) => {
                Some(memory::swallow(file::take::write(words).0))
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        match label >> 8 {
            file::ID => file::dispatch(self, cx, label, words),
            // Who holds no more than an open device may not open others past the VFS. Badge 0 is a
            // caller inside ring 0.
            chardev::ID if cx.badge & ROOT == 0 && cx.badge != 0 => Errno::EBADF.into(),
            chardev::ID => chardev::dispatch(self, cx, label, words),
            _ => Errno::ENOSYS.into(),
        }
    }

    fn notified(&mut self, host: &mut dyn Host, bits: u64) {
        if bits & parley_abi::call::LOG_BIT != 0 {
            self.console.log_has_grown(host);
        }
        if bits & INTERRUPT_BIT != 0 {
            // When somebody presses a key, nobody can foretell to the nanosecond.
            self.random.stir(&host.now().to_le_bytes());
            self.console.interrupt(host);
            self.interrupts += 1;
        }
    }

    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        self.console.cancelled(host, token);
    }

    /// The console's watch over interrupts that never came.
    fn alarm(&mut self, host: &mut dyn Host) {
        self.console.interrupt(host);
    }
}

const NO_STAT: Stat = {
    use parley_abi::linux::Timespec;
    const NEVER: Timespec = Timespec { sec: 0, nsec: 0 };
    Stat {
        dev: 0,
        ino: 0,
        nlink: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        pad0: 0,
        rdev: 0,
        size: 0,
        blksize: 0,
        blocks: 0,
        atime: NEVER,
        mtime: NEVER,
        ctime: NEVER,
        reserved: [0; 3],
    }
};
