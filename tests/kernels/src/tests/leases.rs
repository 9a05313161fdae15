//! Leases: a caller's buffers, and not a byte beside them.

use alloc::boxed::Box;
use core::sync::atomic::AtomicU8;
use parley_abi::counters::Counters;
use parley_abi::msg::{Flags, Token};
use parley_abi::{Errno, PAGE};
use parley_programs::bench::{counts_instructions, ticks};
use parley_rt::sys::{self, Reply};

use crate::tool::client::{Client, Message, answer, receive};
use crate::tool::scope::Scope;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    copies_in_and_out,
    ends_where_the_lease_ends,
    direction_is_kept,
    absent_leases,
    unmapped_lease,
    data_in_a_reply,
    over_when_answered,
    a_page_costs_one_rep
];

/// Longer than two pages, so that any copy of it crosses page boundaries.
const LENGTH: usize = 2 * PAGE + 123;

/// A buffer whose address can be given away: only the core and this file's raw reads touch it.
struct Buffer(*mut [u8]);

impl Buffer {
    fn new(byte: impl Fn(usize) -> u8) -> Buffer {
        let bytes: Box<[u8]> = (0..LENGTH).map(byte).collect();
        Buffer(Box::into_raw(bytes))
    }
    fn address(&self) -> u64 {
        self.0.cast::<u8>().expose_provenance() as u64
    }
    fn at(&self, index: usize) -> u8 {
        assert!(index < LENGTH);
        // SAFETY: the index is within the allocation, which lives as long as `self`.
        unsafe { self.0.cast::<u8>().add(index).read_volatile() }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a box, and the call that lent it is over.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A client that waits in a call which lends `buffer`, and the server's view of it.
struct Lending {
    client: Client,
    endpoint: u32,
    token: Token,
    _scope: Scope,
}

fn lend(address: u64, flags: Flags) -> Verdict<Lending> {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let words = [address, LENGTH as u64, address, 16, 0, 0];
    let client = Client::start(Message { flags, ..Message::new(connection, words) })?;
    let token = receive(endpoint)?.token;
    Ok(Lending { client, endpoint, token, _scope: scope })
}

impl Lending {
    fn copy_in(&self, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        sys::copy_in(self.endpoint, self.token, lease, offset, into)
    }
    fn copy_out(&self, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        sys::copy_out(self.endpoint, self.token, lease, offset, from)
    }
    fn finish(self) -> Verdict {
        answer(self.endpoint, self.token, [0; 6])?;
        ensure_eq!(self.client.result()?, Ok((0, [0; 6])), "the end of the call");
        Ok(())
    }
}

fn copies_in_and_out() -> Verdict {
    let buffer = Buffer::new(|index| index as u8);
    let lending = lend(buffer.address(), Flags::LEND_READ | Flags::LEND_WRITE_2)?;
    let mut bytes = [0; PAGE];
    for offset in [0, 1, 100, PAGE, LENGTH - PAGE] {
        ensure_eq!(lending.copy_in(0, offset as u64, &mut bytes)?, PAGE, "bytes from {offset}");
        let equal = bytes.iter().enumerate().all(|(index, &byte)| byte == (offset + index) as u8);
        ensure!(equal, "a copy from offset {offset} is not what lies there");
    }
    ensure_eq!(lending.copy_out(1, 3, b"hello")?, 5, "bytes written");
    let written: [u8; 7] = core::array::from_fn(|index| buffer.at(2 + index));
    ensure_eq!(&written, b"\x02hello\x08", "what lies there afterwards");
    lending.finish()
}

fn ends_where_the_lease_ends() -> Verdict {
    let buffer = Buffer::new(|_| 1);
    let lending = lend(buffer.address(), Flags::LEND_READ | Flags::LEND_WRITE_2)?;
    let (end, mut bytes) = (LENGTH as u64, [0; 32]);
    ensure_eq!(lending.copy_in(0, end - 10, &mut bytes), Ok(10), "ten bytes before the end");
    ensure_eq!(bytes[10], 0, "the byte after them");
    for offset in [end, end + 1, 1 << 63, u64::MAX] {
        ensure_eq!(lending.copy_in(0, offset, &mut bytes), Ok(0), "reading at {offset:#x}");
    }
    ensure_eq!(lending.copy_out(1, 10, &[9; 32]), Ok(6), "writing past the end of 16 bytes");
    ensure_eq!((buffer.at(15), buffer.at(16)), (9, 1), "the last byte lent and the next");
    lending.finish()
}

fn direction_is_kept() -> Verdict {
    let buffer = Buffer::new(|_| 1);
    let lending = lend(buffer.address(), Flags::LEND_READ | Flags::LEND_WRITE_2)?;
    ensure_eq!(lending.copy_out(0, 0, b"x"), Err(Errno::EACCES), "writing a readable lease");
    ensure_eq!(lending.copy_in(1, 0, &mut [0]), Err(Errno::EACCES), "reading a writable lease");
    ensure_eq!(buffer.at(0), 1, "the byte that was not to be written");
    lending.finish()
}

fn absent_leases() -> Verdict {
    let buffer = Buffer::new(|_| 1);
    let lending = lend(buffer.address(), Flags::LEND_READ)?;
    for lease in [1, 2, 255] {
        let copied = lending.copy_in(lease, 0, &mut [0]);
        ensure!(matches!(copied, Err(Errno::EACCES | Errno::EINVAL)), "lease {lease}: {copied:?}");
    }
    // SAFETY: the own buffer is in kernel range, which the core must not accept.
    let bad = unsafe {
        crate::tool::machine::core_call(
            parley_abi::call::COPY_IN,
            [lending.endpoint.into(), lending.token.0, 0xffff_8000_0000_0000, 0, 0, 8],
        )
    };
    let refused = [Errno::EINVAL.negated(), Errno::EFAULT.negated()].contains(&bad);
    ensure!(refused, "copying to a kernel address: {bad}");
    lending.finish()
}

fn unmapped_lease() -> Verdict {
    for address in [0, 0x7000_0000_0000, 0xffff_8000_0000_0000, 0x0000_8000_0000_0000] {
        let scope = Scope::new()?;
        let endpoint = scope.endpoint()?;
        let words = [address, 64, 0, 0, 0, 0];
        let message = Message { flags: Flags::LEND_READ, ..Message::new(scope.connection(endpoint, 1)?, words) };
        let client = Client::start(message)?;
        sys::yield_now();
        // The core may refuse the call, or the copy.
        let event = sys::reply_recv(endpoint, &Reply::NONE, crate::tool::machine::within(50))?;
        if let sys::Event::Request { token, .. } = event {
            let copied = sys::copy_in(endpoint, token, 0, 0, &mut [0; 8]);
            ensure_eq!(copied, Err(Errno::EFAULT), "copying from {address:#x}");
            answer(endpoint, token, [0; 6])?;
            ensure_eq!(client.result()?, Ok((0, [0; 6])), "the end of the call");
        } else {
            ensure_eq!(client.result()?, Err(Errno::EFAULT), "lending {address:#x}");
        }
    }
    Ok(())
}

fn data_in_a_reply() -> Verdict {
    let buffer = Buffer::new(|_| 1);
    let data = [7; 24];
    for (flags, room) in [(Flags::LEND_WRITE, 24), (Flags::LEND_WRITE_2, 16)] {
        let lending = lend(buffer.address(), flags)?;
        sys::reply(lending.endpoint, &Reply::data(lending.token, &data))?;
        let result = lending.client.result()?.map(|(_, words)| words[0]);
        ensure_eq!(result, Ok(room), "bytes delivered to {flags:?}");
        ensure_eq!((buffer.at(0), buffer.at(room as usize - 1)), (7, 7), "the bytes");
    }
    ensure_eq!(buffer.at(24), 1, "the byte after them");
    Ok(())
}

fn over_when_answered() -> Verdict {
    let buffer = Buffer::new(|_| 1);
    let Lending { client, endpoint, token, _scope } = lend(buffer.address(), Flags::LEND_READ)?;
    answer(endpoint, token, [0; 6])?;
    ensure_eq!(sys::copy_in(endpoint, token, 0, 0, &mut [0; 8]), Err(Errno::ESTALE), "copying after the answer");
    ensure!(client.result()?.is_ok(), "the call failed");
    Ok(())
}

/// Pages of the copy that is measured.
const PAGES: usize = 8;
/// What each of them may cost beside the repetitions of `rep`.
const A_PAGE: u64 = 60;

#[repr(align(4096))]
struct Pages<T>([T; PAGES * PAGE]);
static SOURCE: Pages<u8> = Pages([7; PAGES * PAGE]);
static TARGET: Pages<AtomicU8> = Pages([const { AtomicU8::new(0) }; PAGES * PAGE]);

/// What copying so much out costs at least: instructions, and those of them that `rep` repeats.
fn cost(lending: &Lending, length: usize) -> Verdict<(u64, u64)> {
    let mut least = (u64::MAX, 0);
    for _ in 0..10 {
        let (mut before, mut after) = (Counters::default(), Counters::default());
        sys::counters(&mut before)?;
        let begin = ticks();
        let copied = lending.copy_out(1, 0, &SOURCE.0[..length]);
        let took = ticks() - begin;
        sys::counters(&mut after)?;
        ensure_eq!(copied, Ok(length), "bytes copied");
        least = least.min((took, after.rep_extra - before.rep_extra));
    }
    Ok(least)
}

/// A copy is one `rep` a page, which moves words, and few instructions around it.
fn a_page_costs_one_rep() -> Verdict {
    if !counts_instructions() {
        return Err(Trouble::Skip("time is not counted in instructions here".into()));
    }
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let target = TARGET.0.as_ptr().expose_provenance() as u64;
    let words = [target, 1, target, (PAGES * PAGE) as u64, 0, 0];
    let flags = Flags::LEND_READ | Flags::LEND_WRITE_2;
    let client = Client::start(Message { flags, ..Message::new(connection, words) })?;
    let token = receive(endpoint)?.token;
    let lending = Lending { client, endpoint, token, _scope: scope };
    let ((one, repeated), (all, all_repeated)) = (cost(&lending, PAGE)?, cost(&lending, PAGES * PAGE)?);
    let more = (PAGES - 1) as u64;
    ensure_eq!(all_repeated - repeated, more * PAGE as u64 / 8, "what rep repeats for {more} pages more");
    let around = (all - all_repeated).saturating_sub(one - repeated);
    ensure!(around <= more * A_PAGE, "{more} pages more cost {around} instructions beside their bytes");
    lending.finish()
}
