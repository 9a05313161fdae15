//! What outlives an instance: the console's. The other devices have nothing to keep.
//!
//! By checkpoint: the console's state is small, mostly empty, and much of what changes it comes from the port, which
//! cannot be asked again. What was written to the port by an event that was not finished is written again by the next
//! instance; a key that such an event had taken from the port is lost.
//!
//! Version 2 adds how many interrupts the port has had since that version came, behind what version 1 writes.

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::{Host, file};
use parley_rt::durable::{Checkpoint, Schema};
use parley_rt::state::{Reader, Writer};
use server_drivers::{Entropy, Uart};

use crate::Char;
use crate::console::State;
use crate::device::{OpenDevice, number};

impl<U: Uart, E: Entropy> Checkpoint for Char<U, E> {
    fn schema(&self) -> Schema {
        Schema::additive(self.version)
    }

    #[inline]
    fn changes(&self, label: u32, badge: u64) -> bool {
        // A badge that is none of an open device is refused later, and then nothing changes.
        let is_console = matches!(OpenDevice::number_in(badge), number::CONSOLE | number::TTY);
        is_console && matches!(label, file::label::read | file::label::write)
    }

    fn holds(&self, token: Token) -> bool {
        self.console.holds(token)
    }

    fn is_idle(&self) -> bool {
        self.version < 2 && self.console.is_idle()
    }

    fn export(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let mut writer = Writer::new(into);
        self.console.export(&mut writer)?;
        if self.version >= 2 {
            writer.put(&self.interrupts)?;
        }
        Ok(writer.used())
    }

    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno> {
        let mut reader = Reader::new(from);
        let console = State::take(&mut reader)?;
        if self.version >= 2 && version >= 2 {
            self.interrupts = reader.take()?;
        }
        // A newer version goes on behind this.
        if version <= self.version {
            reader.finish()?;
        }
        self.console.take_over(console)
    }

    fn resume(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        if self.version >= 2 {
            host.log(format_args!("interrupts since version 2: {}", self.interrupts));
        }
        self.random.stir(&host.now().to_le_bytes());
        self.console.resume(host);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::msg::Words;
    use parley_proto::{Cx, Outcome, Service, chardev};
    use server_drivers::fake::{FakeEntropy, FakeUart};

    /// Takes what is written from a buffer, and remembers answers.
    #[derive(Default)]
    struct Caller {
        text: Vec<u8>,
        answers: Vec<(Token, i64)>,
    }

    impl Host for Caller {
        fn now(&mut self) -> u64 {
            5
        }
        fn copy_in(&mut self, _: Token, _: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
            let rest = &self.text[self.text.len().min(offset as usize)..];
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
        fn copy_out(&mut self, _: Token, _: u8, _: u64, from: &[u8]) -> Result<usize, Errno> {
            self.text.extend_from_slice(from);
            Ok(from.len())
        }
        fn reply(&mut self, token: Token, result: i64) {
            self.answers.push((token, result));
        }
        fn call(&mut self, _: u8, _: u32, _: Words) -> Result<Words, Errno> {
            Err(Errno::ENOSYS)
        }
        fn set_alarm(&mut self, _: u64) {}
        fn log(&mut self, _: core::fmt::Arguments<'_>) {}
        fn dump_threads(&mut self) {}
        fn read_log(&mut self, _: &mut [u8]) -> usize {
            0
        }
    }

    fn service(room: usize) -> Char<FakeUart, FakeEntropy> {
        Char::new(FakeUart::with_room(room), FakeEntropy(0))
    }

    fn request(char: &mut Char<FakeUart, FakeEntropy>, host: &mut Caller, token: u32, label: u32, len: u64) -> bool {
        let badge = OpenDevice::new(number::CONSOLE, parley_abi::linux::open::RDWR).unwrap().badge();
        let mut cx = Cx { host, token: Token::new(token, 1), badge };
        char.request(&mut cx, label, &[0, len, 0, 0, 0, 0]) == Outcome::Later
    }

    /// A line half typed, a line typed, a reader that is too late, a writer before a slow port.
    #[test]
    fn the_next_instance_goes_on() {
        let (mut first, mut host) = (service(2), Caller::default());
        first.start(&mut host).unwrap();
        assert!(request(&mut first, &mut host, 1, file::label::read, 100), "nothing was typed");
        let wrote_later = (2..40).any(|token| {
            host.text = vec![b'x'; 1000];
            request(&mut first, &mut host, token, file::label::write, 1000)
        });
        assert!(wrote_later, "the port is slow");
        let mut bytes = [0; 20_000];
        let used = first.export(&mut bytes).unwrap();
        let mut second = service(usize::MAX);
        assert!(second.import(1, &bytes[..used / 2]).is_err());
        second.import(1, &bytes[..used]).unwrap();
        assert!(second.holds(Token::new(1, 1)) && !second.holds(Token::new(1, 2)));
        assert_eq!(second.console.uart_mut().arrive(b"typed\r"), 6);
        second.resume(&mut host).unwrap();
        assert!(host.answers.contains(&(Token::new(1, 1), 6)), "the reader has its line: {:?}", host.answers);
        assert!(host.answers.iter().any(|&(_, result)| result == 1000), "the writer is done");
        let written = first.console.uart_mut().output.len() + second.console.uart_mut().output.len();
        assert!(written > 4000, "what waited for the port is there: {written} bytes");
    }

    #[test]
    fn version_2_adds_a_field_and_version_1_leaves_it_out() {
        let (mut old, mut host) = (service(9), Caller::default());
        old.start(&mut host).unwrap();
        assert!(request(&mut old, &mut host, 1, file::label::read, 100));
        let mut new = service(9).in_version(2);
        let carry = |from: &Char<_, _>, to: &mut Char<FakeUart, FakeEntropy>| {
            let mut bytes = [0; 20_000];
            let used = from.export(&mut bytes).unwrap();
            to.import(from.schema().version, &bytes[..used]).unwrap();
        };
        carry(&old, &mut new);
        new.notified(&mut host, crate::INTERRUPT_BIT);
        let mut newer = service(9).in_version(2);
        carry(&new, &mut newer);
        assert_eq!((newer.interrupts, newer.holds(Token::new(1, 1))), (1, true));
        let mut back = service(9);
        carry(&newer, &mut back);
        assert!(back.holds(Token::new(1, 1)));
        let mut forth = service(9).in_version(2);
        carry(&back, &mut forth);
        assert_eq!((forth.interrupts, forth.holds(Token::new(1, 1))), (0, true));
    }

    #[test]
    fn the_largest_state_fits() {
        let mut full = service(0);
        full.start(&mut Caller::default()).unwrap();
        let mut host = Caller { text: vec![b'x'; 100_000], ..Caller::default() };
        for token in 1..200 {
            request(&mut full, &mut host, token, file::label::write, 100_000);
        }
        for token in 200..400 {
            request(&mut full, &mut host, token, file::label::read, 100_000);
        }
        let room = 20 << 10; // of the 16 pages that the manifest gives, less than half
        assert!(full.export(&mut vec![0; room]).is_ok());
    }

    #[test]
    fn only_the_console_changes() {
        let char = service(0);
        let badge = |device| OpenDevice::new(device, 0).unwrap().badge();
        assert!(char.changes(file::label::read, badge(number::TTY)));
        assert!(!char.changes(file::label::fstat, badge(number::TTY)));
        assert!(!char.changes(file::label::read, badge(number::ZERO)));
        assert!(!char.changes(chardev::label::open_device, parley_proto::root_badge(2, 1)));
    }
}
