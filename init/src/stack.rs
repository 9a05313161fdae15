//! The initial stack of a process, as Linux lays it out.
//!
//! From the stack pointer up: argc, argv, NULL, an empty envp, the auxiliary vector, then the bytes that
//! it and argv point to (System V ABI for x86-64, section 3.4.1).

use alloc::vec::Vec;

use parley_abi::{Errno, PAGE};
use parley_rt::auxv;

use crate::image::{ENTRY_SIZE, Image};

/// First address above the stack.
pub const TOP: u64 = 0x7ffe_0000_0000;
/// Pages of the stack. Nothing is mapped below, so running over it is a fault.
pub const PAGES: u64 = 32;
/// Bytes of arguments that a process can be given.
pub const ARGUMENTS: usize = 64 * 1024;
/// Bytes that the initial stack may take, so that as much is left to work with.
const LIMIT: usize = 24 * PAGE;

/// What the auxiliary vector tells beside what the image says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Time stamp counter ticks a second.
    pub tsc_hz: u64,
    /// Time stamp counter at nanosecond zero.
    pub tsc_start: u64,
    /// Bytes of the boot archive, for a process that has it.
    pub archive_len: Option<u64>,
    /// Pages of the state that outlives the process, 0 without.
    pub state_pages: u64,
    /// Port of the power management timer, for a process that may use it.
    pub pm_timer: Option<u64>,
    /// `AT_RANDOM`.
    pub random: [u8; 16],
}

/// The highest bytes of the stack.
#[derive(Debug)]
pub struct Stack {
    /// They end at [`TOP`].
    pub bytes: Vec<u8>,
    /// What the stack pointer starts with: the address of the first byte.
    pub pointer: u64,
}

/// Builds the stack of a program with these arguments, each ended by NUL.
///
/// EINVAL: the last argument has no NUL. E2BIG: too many. ENOMEM: no room to build it.
pub fn build(image: &Image, args: &[u8], facts: &Facts) -> Result<Stack, Errno> {
    if args.last().is_some_and(|&last| last != 0) {
        return Err(Errno::EINVAL);
    }
    let count = args.iter().filter(|&&byte| byte == 0).count();
    let vector = vector(image, facts);
    let words = 1 + count + 1 + 1 + 2 * vector.len();
    let size = (words * 8 + facts.random.len() + args.len()).next_multiple_of(16);
    if args.len() > ARGUMENTS || size > LIMIT {
        return Err(Errno::E2BIG);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    let pointer = TOP - size as u64;
    let random = pointer + words as u64 * 8;
    let strings = random + facts.random.len() as u64;
    let mut word = |value: u64| bytes.extend_from_slice(&value.to_le_bytes());

    word(count as u64);
    argument_offsets(args).for_each(|offset| word(strings + offset as u64));
    word(0);
    word(0);
    for (key, value) in vector {
        word(key);
        word(if key == auxv::RANDOM { random } else { value });
    }
    bytes.extend_from_slice(&facts.random);
    bytes.extend_from_slice(args);
    bytes.resize(size, 0);
    Ok(Stack { bytes, pointer })
}

/// Where each argument begins.
fn argument_offsets(args: &[u8]) -> impl Iterator<Item = usize> {
    let ends = args.iter().enumerate().filter(|(_, byte)| **byte == 0);
    ends.scan(0, |start, (end, _)| Some(core::mem::replace(start, end + 1)))
}

/// Keys and values. What is not known is passed as its neutral value, so that the length is fixed; a
/// second `AT_NULL` ends the vector no less than the first.
fn vector(image: &Image, facts: &Facts) -> [(u64, u64); 12] {
    let headers = image.headers.unwrap_or(0);
    [
        (auxv::PAGESZ, PAGE as u64),
        (auxv::ENTRY, image.entry),
        (auxv::PHDR, headers),
        (auxv::PHENT, ENTRY_SIZE as u64),
        (auxv::PHNUM, if headers == 0 { 0 } else { image.header_count }),
        (auxv::RANDOM, 0),
        (auxv::PARLEY_TSC_HZ, facts.tsc_hz),
        (auxv::PARLEY_TSC_START, facts.tsc_start),
        (auxv::PARLEY_STATE_PAGES, facts.state_pages),
        (auxv::PARLEY_PM_TIMER, facts.pm_timer.unwrap_or(0)),
        facts.archive_len.map_or((auxv::NULL, 0), |length| (auxv::PARLEY_ARCHIVE_LEN, length)),
        (auxv::NULL, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image() -> Image {
        crate::image::tests::sample()
    }

    fn word(stack: &Stack, address: u64) -> u64 {
        let at = (address - stack.pointer) as usize;
        u64::from_le_bytes(stack.bytes[at..at + 8].try_into().unwrap())
    }

    fn text(stack: &Stack, address: u64) -> &[u8] {
        stack.bytes[(address - stack.pointer) as usize..].split(|&byte| byte == 0).next().unwrap()
    }

    #[test]
    fn arguments_and_vector_are_where_linux_has_them() {
        let facts = Facts {
            tsc_hz: 7,
            archive_len: Some(512),
            state_pages: 3,
            pm_timer: Some(0x608),
            random: [9; 16],
            ..Facts::default()
        };
        let stack = build(&image(), b"/bin/ls\0\0-l\0", &facts).unwrap();
        assert_eq!((stack.pointer % 16, stack.pointer + stack.bytes.len() as u64), (0, TOP));
        let at = |index: u64| word(&stack, stack.pointer + 8 * index);
        assert_eq!((at(0), at(4), at(5)), (3, 0, 0));
        assert_eq!([1, 2, 3].map(|index| text(&stack, at(index))), [&b"/bin/ls"[..], b"", b"-l"]);
        let pairs: Vec<(u64, u64)> = (0..12).map(|pair| (at(6 + 2 * pair), at(7 + 2 * pair))).collect();
        assert!(pairs.contains(&(auxv::PARLEY_TSC_HZ, 7)) && pairs.contains(&(auxv::PARLEY_ARCHIVE_LEN, 512)));
        assert!(pairs.contains(&(auxv::PARLEY_STATE_PAGES, 3)) && pairs.contains(&(auxv::PARLEY_PM_TIMER, 0x608)));
        assert_eq!(pairs[11], (auxv::NULL, 0));
        assert_eq!(word(&stack, pairs[5].1), 0x0909_0909_0909_0909);
    }

    #[test]
    fn too_much_is_refused() {
        let facts = Facts::default();
        assert_eq!(build(&image(), b"no end", &facts).err(), Some(Errno::EINVAL));
        assert_eq!(build(&image(), &[b'a', 0].repeat(ARGUMENTS), &facts).err(), Some(Errno::E2BIG));
        assert_eq!(build(&image(), &[0; ARGUMENTS], &facts).err(), Some(Errno::E2BIG), "the pointers take room");
    }

    proptest! {
        #[test]
        fn every_block_that_ends_fits(mut args in prop::collection::vec(any::<u8>(), 0..2000)) {
            args.push(0);
            let stack = build(&image(), &args, &Facts::default()).unwrap();
            let count = args.iter().filter(|&&byte| byte == 0).count() as u64;
            prop_assert_eq!(word(&stack, stack.pointer), count);
            let last = word(&stack, stack.pointer + 8 * count);
            prop_assert_eq!(text(&stack, last), args.split(|&byte| byte == 0).rev().nth(1).unwrap());
        }
    }
}
